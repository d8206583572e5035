// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace zerospan::propagation {

namespace {

constexpr int kStepMilliseconds = 50;

[[noreturn]] void fail_with(std::string_view what) {
  throw Oddity(std::string(what) + ": " + error_name(errno));
}

bool same_name(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         ::strncasecmp(line.data(), name.data(), name.size()) == 0;
}

}  // namespace

std::string error_name(int error_number) {
  const char* name = ::strerrorname_np(error_number);
  return name == nullptr ? std::to_string(error_number) : name;
}

void Deadline::check(std::string_view waiting_for) const {
  if (stop_->stop_requested()) {
    throw Stopped("the agent ends");
  }
  if (std::chrono::steady_clock::now() > end_) {
    throw Oddity("a stall, waiting for " + std::string(waiting_for));
  }
}

short Deadline::wait(int fd, short events, std::string_view waiting_for) const {
  while (true) {
    check(waiting_for);
    pollfd one{fd, events, 0};
    const int ready = ::poll(&one, 1, kStepMilliseconds);
    if (ready > 0) {
      return one.revents;
    }
    if (ready < 0 && errno != EINTR) {
      fail_with("poll");
    }
  }
}

void Deadline::bound(int fd) const {
  const auto left = std::max<std::chrono::microseconds>(
      std::chrono::milliseconds(1), std::chrono::duration_cast<std::chrono::microseconds>(
                                        end_ - std::chrono::steady_clock::now()));
  timeval time{};
  time.tv_sec = left.count() / 1'000'000;
  time.tv_usec = left.count() % 1'000'000;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

Pair Pair::make(int family, const Deadline& deadline) {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } address{};
  socklen_t length = 0;
  if (family == AF_INET6) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_addr = in6addr_loopback;
    length = sizeof(address.v6);
  } else {
    address.v4.sin_family = AF_INET;
    address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    length = sizeof(address.v4);
  }
  const UniqueFd listener(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.valid() || ::bind(listener.get(), &address.any, length) != 0) {
    throw NoSuchAddress(error_name(errno));
  }
  if (::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), &address.any, &length) != 0) {
    fail_with("listen");
  }
  Pair pair;
  pair.client.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!pair.client.valid() ||
      (::connect(pair.client.get(), &address.any, length) != 0 && errno != EINPROGRESS)) {
    fail_with("connect");
  }
  deadline.wait(listener.get(), POLLIN, "the connection");
  deadline.wait(pair.client.get(), POLLOUT, "the connection");
  pair.server.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!pair.server.valid()) {
    fail_with("accept");
  }
  return pair;
}

void set_blocking(int fd, bool blocks) {
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

void set_option(int fd, int level, int name, int value) {
  if (::setsockopt(fd, level, name, &value, sizeof(value)) != 0) {
    fail_with("setsockopt");
  }
}

void Sent::head(std::string_view text) {
  heads_.push_back({bytes_.size() + text.find("\r\n") + 2, bytes_.size() + text.size()});
  bytes_ += text;
}

void Sent::request(size_t body, bool untouched) {
  std::string text = (body == 0 ? "GET" : "POST") + std::string(" /zerospan/self-test/") +
                     std::to_string(bytes_.size()) +
                     " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: zerospan-self-test\r\n";
  if (body != 0) {
    text += "Content-Length: " + std::to_string(body) + "\r\n";
  }
  text += "\r\n";
  untouched ? raw(text) : head(text);
  bytes_ += noise(body);
}

std::string Sent::compare(std::string_view received, std::span<const std::string> headers,
                          bool or_none) const {
  auto head = heads_.begin();
  std::vector<size_t> seen(headers.size());
  size_t at = 0;  // in received
  for (size_t own = 0; own <= bytes_.size();) {
    if (head != heads_.end() && own == head->end) {
      for (size_t i = 0; i < headers.size(); ++i) {
        if (seen[i] != 1 && !(or_none && seen[i] == 0)) {
          return "a request with " + std::to_string(seen[i]) + " lines of " + headers[i];
        }
      }
      seen.assign(headers.size(), 0);
      ++head;
    }
    if (own == bytes_.size()) {
      break;
    }
    if (head != heads_.end() && own >= head->first_line_end && bytes_[own - 1] == '\n') {
      const std::string_view line = received.substr(std::min(at, received.size()));
      const auto name = std::find_if(headers.begin(), headers.end(), [&line](const auto& header) {
        return same_name(line, header);
      });
      if (name != headers.end()) {
        const size_t length = line.find("\r\n");
        if (length == std::string_view::npos) {
          return "a line of " + *name + " without an end";
        }
        ++seen[static_cast<size_t>(name - headers.begin())];
        at += length + 2;
        continue;
      }
    }
    if (at >= received.size()) {
      return "only " + std::to_string(own) + " of " + std::to_string(bytes_.size()) + " bytes";
    }
    if (received[at] != bytes_[own]) {
      return "another byte at " + std::to_string(own) + " of " + std::to_string(bytes_.size());
    }
    ++at;
    ++own;
  }
  return at == received.size() ? "as sent"
                               : std::to_string(received.size() - at) + " bytes that nobody sent";
}

std::string noise(size_t size) {
  constexpr std::string_view kRequest =
      "\r\nGET /not-a-request HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::string bytes(size, '\0');
  uint64_t state = 0x9e3779b97f4a7c15;
  for (char& byte : bytes) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    byte = static_cast<char>(state >> 32U);
  }
  for (size_t at = 100; at + kRequest.size() < size; at += 20'000) {
    bytes.replace(at, kRequest.size(), kRequest);
  }
  return bytes;
}

void pump(const Pair& pair, size_t size, const std::function<ssize_t(size_t offset)>& send_some,
          std::string& received, const Deadline& deadline) {
  for (size_t sent = 0; sent < size;) {
    const ssize_t now = send_some(sent);
    if (now > 0) {
      if (static_cast<size_t>(now) > size - sent) {
        throw Oddity("a send of " + std::to_string(size - sent) + " bytes that returned " +
                     std::to_string(now));
      }
      sent += static_cast<size_t>(now);
      continue;
    }
    if (now == 0) {
      throw Oddity("a send that returned 0");
    }
    if (errno != EAGAIN) {
      fail_with("a send");
    }
    // Either end may be what can go on.
    std::array<pollfd, 2> ends{pollfd{pair.client.get(), POLLOUT, 0},
                               pollfd{pair.server.get(), POLLIN, 0}};
    deadline.check("room to send");
    ::poll(ends.data(), ends.size(), kStepMilliseconds);
    if (ends[1].revents != 0) {
      read_some(pair.server.get(), received, 0, deadline);
    }
  }
}

void read_some(int fd, std::string& received, size_t size, const Deadline& deadline) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t now = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (now > 0) {
      received.append(buffer.data(), static_cast<size_t>(now));
    } else if (now == 0) {
      if (received.size() < size) {
        throw Oddity("the end after " + std::to_string(received.size()) + " of " +
                     std::to_string(size) + " bytes");
      }
      return;
    } else if (errno != EAGAIN) {
      fail_with("a read");
    } else if (received.size() >= size) {
      return;
    } else {
      deadline.wait(fd, POLLIN, "byte " + std::to_string(received.size()));
    }
  }
}

void read_to_end(int fd, std::string& received, const Deadline& deadline) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t now = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (now == 0) {
      return;
    }
    if (now > 0) {
      received.append(buffer.data(), static_cast<size_t>(now));
    } else if (errno == EAGAIN) {
      deadline.wait(fd, POLLIN, "the end after byte " + std::to_string(received.size()));
    } else {
      fail_with("a read");
    }
  }
}

}  // namespace zerospan::propagation
