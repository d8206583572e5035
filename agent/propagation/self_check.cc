// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/self_check.h"

#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>

#include "agent/propagation/loopback.h"

namespace zerospan::propagation {

namespace {

constexpr size_t kLarge = 4U << 20U;
constexpr size_t kMiddle = 256U << 10U;
constexpr int kExchanges = 10'000;
constexpr int kExchangesWithout = 500;  // to know what is normal
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// One run of a check: a connection, with the program or without.
struct Bench {
  Pair pair;
  Deadline deadline;
  std::span<const std::string> headers;       // empty without the program
  const ProgramUnderTest* program = nullptr;  // null without it

  [[nodiscard]] int client() const { return pair.client.get(); }
  [[nodiscard]] int server() const { return pair.server.get(); }

  // Sends all by send(2), ends the direction, and says whether it arrived as it should.
  std::string whole(const Sent& sent, int flags = 0) {
    std::string received;
    pump(
        pair, sent.bytes().size(),
        [&](size_t offset) {
          return ::send(client(), sent.bytes().data() + offset, sent.bytes().size() - offset,
                        flags | MSG_NOSIGNAL);
        },
        received, deadline);
    return ended(sent, received);
  }
  // `or_none`: where the program under test may leave requests alone.
  std::string ended(const Sent& sent, std::string& received, bool or_none = false) {
    ::shutdown(client(), SHUT_WR);
    read_to_end(server(), received, deadline);
    return sent.compare(received, headers, or_none);
  }
  // So that they fill soon.
  void small_buffers() const {
    set_option(client(), SOL_SOCKET, SO_SNDBUF, 200'000);
    set_option(server(), SOL_SOCKET, SO_RCVBUF, 200'000);
  }
  // In one call each, which must take all.
  void send_from(int fd, std::string_view bytes, int flags = 0) const {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(bytes.size())) {
      throw Oddity("a send of " + std::to_string(bytes.size()) + " bytes gave " +
                   (sent < 0 ? error_name(errno) : std::to_string(sent)));
    }
  }
};

// What a read gives, as text.
std::string read_text(int fd, size_t size, int flags) {
  std::string bytes(size, '\0');
  const ssize_t now = ::recv(fd, bytes.data(), size, flags | MSG_DONTWAIT);
  if (now < 0) {
    return error_name(errno);
  }
  bytes.resize(static_cast<size_t>(now));
  return bytes.empty() ? "the end" : bytes;
}

int unread(int fd) {
  int bytes = -1;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : -errno;
}

int take_error(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

Sent one_request(size_t body) {
  Sent sent;
  sent.request(body);
  return sent;
}

std::string check_header(Bench& bench) {
  const Sent sent = one_request(0);
  bench.send_from(bench.client(), sent.bytes());
  std::string received;
  std::string how = bench.ended(sent, received);
  bench.send_from(bench.server(), kAnswer);
  std::string answer;
  read_some(bench.client(), answer, kAnswer.size(), bench.deadline);
  return how + (answer == kAnswer ? ", answered" : ", and another answer than was given");
}

std::string check_pieces(Bench& bench) {
  Sent sent = one_request(0);
  sent.request(3000);
  set_option(bench.client(), IPPROTO_TCP, TCP_NODELAY, 1);
  const std::string_view bytes = sent.bytes();
  for (size_t at = 0, end = 0; at < bytes.size(); at = end) {
    end = std::min(at + 11, bytes.size());
    // A head whose last byte comes alone may be left without a header: there is no place for one.
    end += bytes.substr(end - 3, 4) == "\r\n\r\n" ? 1 : 0;
    bench.send_from(bench.client(), bytes.substr(at, end - at));
  }
  std::string received;
  return bench.ended(sent, received);
}

std::string check_pipelined(Bench& bench) {
  Sent sent;
  for (int i = 0; i < 3; ++i) {
    sent.request(0);
  }
  return bench.whole(sent);
}

std::string check_not_http(Bench& bench) {
  Sent sent;
  sent.raw(std::string("\x16\x03\x01\x02\x00\x01", 6));  // TLS; the rest is anything
  sent.raw(noise(kMiddle));
  return bench.whole(sent);
}

std::string check_calls(Bench& bench) {
  const Sent sent = one_request(3000);
  const std::string& bytes = sent.bytes();
  std::string received;
  size_t call = 0;
  pump(
      bench.pair, bytes.size(),
      [&](size_t offset) -> ssize_t {
        const size_t size = std::min<size_t>(bytes.size() - offset, 500);
        iovec piece{const_cast<char*>(bytes.data() + offset), size};
        mmsghdr message{};
        message.msg_hdr.msg_iov = &piece;
        message.msg_hdr.msg_iovlen = 1;
        ssize_t sent_now = 0;
        switch (call++ % 5) {
          case 0:
            sent_now = ::write(bench.client(), piece.iov_base, size);
            break;
          case 1:
            sent_now = ::writev(bench.client(), &piece, 1);
            break;
          case 2:
            sent_now = ::sendto(bench.client(), piece.iov_base, size, 0, nullptr, 0);
            break;
          case 3:
            sent_now = ::sendmsg(bench.client(), &message.msg_hdr, 0);
            break;
          default:
            sent_now = ::sendmmsg(bench.client(), &message, 1, 0) == 1 ? message.msg_len : -1;
        }
        if (sent_now >= 0 && static_cast<size_t>(sent_now) != size) {
          throw Oddity("a send of " + std::to_string(size) + " bytes that returned " +
                       std::to_string(sent_now));
        }
        return sent_now;
      },
      received, bench.deadline);
  return bench.ended(sent, received);
}

std::string check_iovecs(Bench& bench) {
  const Sent sent = one_request(100'000);
  const std::string& bytes = sent.bytes();
  std::string received;
  pump(
      bench.pair, bytes.size(),
      [&](size_t offset) {
        std::vector<iovec> pieces;
        for (size_t at = offset; at < bytes.size() && pieces.size() < 1000; at += 107) {
          pieces.push_back(
              {const_cast<char*>(bytes.data() + at), std::min<size_t>(107, bytes.size() - at)});
        }
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = pieces.size();
        return ::sendmsg(bench.client(), &message, 0);
      },
      received, bench.deadline);
  return bench.ended(sent, received);
}

std::string check_fionread(Bench& bench) {
  bench.send_from(bench.server(), noise(1000));
  bench.deadline.wait(bench.client(), POLLIN, "what the peer sent");
  const std::string all = std::to_string(unread(bench.client()));
  read_text(bench.client(), 400, 0);
  const std::string rest = std::to_string(unread(bench.client()));
  read_text(bench.client(), 600, 0);
  return all + ", " + rest + " and " + std::to_string(unread(bench.client())) + " bytes to read";
}

std::string check_peek(Bench& bench) {
  bench.send_from(bench.server(), "abcdef");
  bench.deadline.wait(bench.client(), POLLIN, "what the peer sent");
  std::string seen = read_text(bench.client(), 3, MSG_PEEK);
  seen += " " + read_text(bench.client(), 100, MSG_PEEK);
  seen += " " + read_text(bench.client(), 2, 0);
  seen += " " + read_text(bench.client(), 100, MSG_PEEK);
  seen += " " + read_text(bench.client(), 100, 0);
  return seen + " " + read_text(bench.client(), 100, MSG_PEEK);
}

std::string check_half_close(Bench& bench) {
  const Sent sent = one_request(5000);
  std::string how = bench.whole(sent);
  const std::string answer = noise(kMiddle);
  std::string received;
  const Pair turned{UniqueFd(::dup(bench.server())), UniqueFd(::dup(bench.client()))};
  pump(
      turned, answer.size(),
      [&](size_t offset) {
        return ::send(bench.server(), answer.data() + offset, answer.size() - offset, MSG_NOSIGNAL);
      },
      received, bench.deadline);
  ::shutdown(bench.server(), SHUT_WR);
  read_to_end(bench.client(), received, bench.deadline);
  return how + (received == answer ? ", the answer too" : ", another answer than was given");
}

std::string check_peer_half_close(Bench& bench) {
  bench.send_from(bench.server(), "bye");
  ::shutdown(bench.server(), SHUT_WR);
  std::string received;
  read_to_end(bench.client(), received, bench.deadline);
  return received + ", then " + bench.whole(one_request(5000));
}

std::string check_urgent(Bench& bench) {
  const auto one_way = [&bench](int from, int to) {
    bench.send_from(from, "abc");
    bench.send_from(from, "u", MSG_OOB);
    bench.send_from(from, "def");
    bench.deadline.wait(to, POLLPRI, "urgent data");
    std::string seen = read_text(to, 1, MSG_OOB);
    for (int i = 0; i < 2; ++i) {
      bench.deadline.wait(to, POLLIN, "what is not urgent");
      int at_mark = -1;
      ::ioctl(to, SIOCATMARK, &at_mark);
      seen += (at_mark == 1 ? " | " : " ") + read_text(to, 10, 0);
    }
    return seen + " " + read_text(to, 10, 0);
  };
  return one_way(bench.client(), bench.server()) +
         ", back: " + one_way(bench.server(), bench.client());
}

// A file in memory with these bytes, at its beginning.
UniqueFd file_of(std::string_view bytes) {
  UniqueFd file(::memfd_create("zerospan-self-test", MFD_CLOEXEC));
  if (!file.valid() ||
      ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw Oddity("a file in memory: " + error_name(errno));
  }
  return file;
}

std::string check_sendfile(Bench& bench) {
  const Sent sent = one_request(kLarge);
  const UniqueFd file = file_of(sent.bytes());
  std::string received;
  pump(
      bench.pair, sent.bytes().size(),
      [&](size_t offset) {
        if (offset == 0) {  // the head as a server of files sends it
          return ::send(bench.client(), sent.bytes().data(), sent.bytes().size() - kLarge,
                        MSG_MORE | MSG_NOSIGNAL);
        }
        auto at = static_cast<off_t>(offset);
        return ::sendfile(bench.client(), file.get(), &at, sent.bytes().size() - offset);
      },
      received, bench.deadline);
  return bench.ended(sent, received);
}

// All of it from a file, the head too: pages that the program did not copy, and that the one under
// test may not be able to read.
std::string check_sendfile_head(Bench& bench) {
  const Sent sent = one_request(20'000);
  const UniqueFd file = file_of(sent.bytes());
  std::string received;
  pump(
      bench.pair, sent.bytes().size(),
      [&](size_t offset) {
        auto at = static_cast<off_t>(offset);
        return ::sendfile(bench.client(), file.get(), &at, sent.bytes().size() - offset);
      },
      received, bench.deadline);
  return bench.ended(sent, received, true);
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
      throw Oddity("a pipe: " + error_name(errno));
    }
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
};

std::string check_splice(Bench& bench) {
  const Sent sent = one_request(kMiddle);
  const Pipe pipe;
  size_t in_pipe = 0;
  std::string received;
  pump(
      bench.pair, sent.bytes().size(),
      [&](size_t offset) -> ssize_t {
        if (in_pipe == 0) {
          const ssize_t now = ::write(pipe.write_end.get(), sent.bytes().data() + offset,
                                      std::min<size_t>(sent.bytes().size() - offset, 50'000));
          if (now < 0) {
            return now;
          }
          in_pipe = static_cast<size_t>(now);
        }
        const ssize_t now = ::splice(pipe.read_end.get(), nullptr, bench.client(), nullptr, in_pipe,
                                     SPLICE_F_NONBLOCK);
        in_pipe -= now > 0 ? static_cast<size_t>(now) : 0;
        return now;
      },
      received, bench.deadline);
  return bench.ended(sent, received, true);
}

std::string check_splice_from(Bench& bench) {
  const std::string answer = noise(30'000);
  bench.send_from(bench.server(), answer);
  ::shutdown(bench.server(), SHUT_WR);
  const Pipe pipe;
  std::string received;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t now = ::splice(bench.client(), nullptr, pipe.write_end.get(), nullptr,
                                 buffer.size(), SPLICE_F_NONBLOCK);
    if (now == 0) {
      break;
    }
    if (now < 0 && errno != EAGAIN) {
      throw Oddity("splice from the socket: " + error_name(errno));
    }
    if (now < 0) {
      bench.deadline.wait(bench.client(), POLLIN, "splice from the socket");
      bench.deadline.check("splice from the socket");
      continue;
    }
    const ssize_t taken = ::read(pipe.read_end.get(), buffer.data(), buffer.size());
    received.append(buffer.data(), static_cast<size_t>(std::max<ssize_t>(taken, 0)));
  }
  return received == answer ? "as sent" : std::to_string(received.size()) + " bytes, not as sent";
}

std::string check_large(Bench& bench) {
  return bench.whole(one_request(kLarge));
}

// The peer does not read until nothing more goes in, and then all.
std::string check_back_pressure(Bench& bench) {
  bench.small_buffers();
  const Sent sent = one_request(kLarge);
  const std::string& bytes = sent.bytes();
  size_t out = 0;
  bool in_part = false;
  while (out < bytes.size()) {
    const size_t size = std::min<size_t>(bytes.size() - out, 1U << 20U);
    const ssize_t now = ::send(bench.client(), bytes.data() + out, size, MSG_NOSIGNAL);
    if (now < 0) {
      if (errno != EAGAIN) {
        throw Oddity("a send: " + error_name(errno));
      }
      break;
    }
    in_part = in_part || static_cast<size_t>(now) < size;
    out += static_cast<size_t>(now);
  }
  std::string seen = out == bytes.size() ? "never full" : in_part ? "a part, EAGAIN" : "EAGAIN";
  pollfd full{bench.client(), POLLOUT, 0};
  seen += ::poll(&full, 1, 0) == 0 ? ", not writable" : ", writable";
  std::string received;
  pump(
      bench.pair, bytes.size() - out,
      [&](size_t offset) {
        return ::send(bench.client(), bytes.data() + out + offset, bytes.size() - out - offset,
                      MSG_NOSIGNAL);
      },
      received, bench.deadline);
  return seen + "; the rest " + bench.ended(sent, received);
}

// Requests while the peer does not read, by a program that does not wait. The kernel counts what is
// added with what was sent (tcp_bpf_send_verdict): where room ends within a message that was added
// to, send(2) would return too little, and the program send some bytes again. So the program under
// test may leave such requests alone, but nothing else may happen to them.
std::string check_full_queue(Bench& bench) {
  bench.small_buffers();
  Sent sent;
  for (int i = 0; i < 20'000; ++i) {
    sent.request(0);
  }
  const std::string& bytes = sent.bytes();
  std::string received;
  std::array<char, 5000> buffer;
  for (size_t out = 0, size = 0; out < bytes.size();) {
    size = (size + 109) % 601 + 1;
    const ssize_t now = ::send(bench.client(), bytes.data() + out,
                               std::min<size_t>(bytes.size() - out, size), MSG_NOSIGNAL);
    if (now > 0) {
      out += static_cast<size_t>(now);
      continue;
    }
    if (errno != EAGAIN) {
      throw Oddity("a send: " + error_name(errno));
    }
    bench.deadline.wait(bench.server(), POLLIN, "the requests");
    const ssize_t taken = ::recv(bench.server(), buffer.data(), buffer.size(), 0);
    received.append(buffer.data(), static_cast<size_t>(std::max<ssize_t>(taken, 0)));
  }
  ::shutdown(bench.client(), SHUT_WR);
  read_to_end(bench.server(), received, bench.deadline);
  return sent.compare(received, bench.headers, true);
}

// Sends that wait, in a thread of their own.
std::string check_blocking_send(Bench& bench) {
  const Sent sent = one_request(kLarge);
  set_blocking(bench.client(), true);
  bench.deadline.bound(bench.client());
  std::string sender;
  std::thread thread([&] {
    for (size_t at = 0; at < sent.bytes().size() && sender.empty();) {
      const size_t size = std::min<size_t>(sent.bytes().size() - at, 700'000);
      const ssize_t now = ::send(bench.client(), sent.bytes().data() + at, size, MSG_NOSIGNAL);
      if (now != static_cast<ssize_t>(size)) {
        sender = "a send of " + std::to_string(size) + " bytes gave " +
                 (now < 0 ? error_name(errno) : std::to_string(now)) + "; ";
      }
      at += size;
    }
    ::shutdown(bench.client(), SHUT_WR);
  });
  std::string received;
  std::string seen;
  try {
    read_to_end(bench.server(), received, bench.deadline);
    seen = sent.compare(received, bench.headers);
  } catch (const Oddity& oddity) {
    seen = oddity.what();
  } catch (const Stopped&) {
    ::shutdown(bench.server(), SHUT_RDWR);
    thread.join();
    throw;
  }
  ::shutdown(bench.server(), SHUT_RDWR);
  thread.join();
  return sender + seen;
}

// A read that waits for all, and one that ends by its time limit.
std::string check_blocking_read(Bench& bench) {
  set_blocking(bench.client(), true);
  timeval time{0, 20'000};
  ::setsockopt(bench.client(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
  std::array<char, 4000> buffer{};
  const ssize_t none = ::recv(bench.client(), buffer.data(), buffer.size(), 0);
  std::string seen = none < 0 ? error_name(errno) : std::to_string(none);
  bench.deadline.bound(bench.client());
  const std::string answer = noise(buffer.size());
  std::thread thread([&] {
    for (size_t at = 0; at < answer.size(); at += 1000) {
      ::send(bench.server(), answer.data() + at, 1000, MSG_NOSIGNAL);
      std::this_thread::yield();
    }
  });
  const ssize_t all = ::recv(bench.client(), buffer.data(), buffer.size(), MSG_WAITALL);
  thread.join();
  seen += ", then " + (all < 0 ? error_name(errno) : std::to_string(all) + " bytes");
  return seen + (std::string_view(buffer.data(), buffer.size()) == answer ? "" : ", not as sent");
}

// One thread waits for an answer while another one sends, and there is room again and again: what
// wakes the sender wakes the reader, too. Under sockmap one that waits in recv() then gives up
// (net/ipv4/tcp_bpf.c, tcp_msg_wait_data), as far as is known on every kernel.
std::string two_ways(Bench& bench, const std::function<ssize_t()>& read_one) {
  constexpr int kRounds = 50;
  constexpr int kSendBuffer = 16384;
  set_option(bench.client(), SOL_SOCKET, SO_SNDBUF, kSendBuffer);
  std::atomic<bool> ended{false};
  std::string seen;
  std::thread reader([&] {
    try {
      const ssize_t count = read_one();
      seen = count < 0 ? error_name(errno) : std::to_string(count) + " byte";
    } catch (const std::exception& error) {
      seen = error.what();
    }
    ended = true;
  });
  try {
    const std::string bytes = noise(4096);
    std::array<char, 65536> buffer{};
    for (int round = 0; round < kRounds && !ended; ++round) {
      ssize_t sent = 0;
      for (ssize_t now = 0; (now = ::send(bench.client(), bytes.data(), bytes.size(),
                                          MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;) {
        sent += now;
      }
      while (sent > 0) {
        bench.deadline.wait(bench.server(), POLLIN, "what was sent");
        const ssize_t now = ::recv(bench.server(), buffer.data(), buffer.size(), 0);
        if (now <= 0) {
          throw Oddity("the end");
        }
        sent -= now;
      }
    }
    ::send(bench.server(), "a", 1, MSG_NOSIGNAL);
  } catch (...) {
    ::shutdown(bench.server(), SHUT_RDWR);
    reader.join();
    throw;
  }
  reader.join();
  return seen;
}

std::string check_two_ways(Bench& bench) {
  set_blocking(bench.client(), true);
  bench.deadline.bound(bench.client());
  return two_ways(bench, [&] {
    char byte = 0;
    return ::recv(bench.client(), &byte, 1, MSG_WAITALL);
  });
}

std::string check_two_ways_polled(Bench& bench) {
  return two_ways(bench, [&] {
    char byte = 0;
    ssize_t count = 0;
    do {
      bench.deadline.wait(bench.client(), POLLIN, "a byte");
      count = ::recv(bench.client(), &byte, 1, MSG_WAITALL);
    } while (count < 0 && errno == EAGAIN);
    return count;
  });
}

std::string check_epoll(Bench& bench) {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, bench.client(), &event);
  const auto until = [&](uint32_t wanted, const char* what,
                         const std::function<void()>& meanwhile) {
    while (true) {
      bench.deadline.check(what);
      if (meanwhile) {
        meanwhile();
      }
      epoll_event now{};
      if (::epoll_wait(epoll.get(), &now, 1, meanwhile ? 1 : 20) == 1 &&
          (now.events & wanted) != 0) {
        return std::string(what);
      }
    }
  };
  std::string seen = until(EPOLLOUT, "writable", nullptr);
  bench.small_buffers();
  const Sent head = one_request(kLarge);
  size_t out = 0;
  while (out < head.bytes().size()) {
    const ssize_t now =
        ::send(bench.client(), head.bytes().data() + out, head.bytes().size() - out, MSG_NOSIGNAL);
    if (now <= 0) {
      break;
    }
    out += static_cast<size_t>(now);
  }
  seen += out == head.bytes().size() ? ", never full" : ", full";
  std::string received;
  seen += ", " + until(EPOLLOUT, "writable again",
                       [&] { read_some(bench.server(), received, 0, bench.deadline); });
  bench.send_from(bench.server(), kAnswer);
  seen += ", " + until(EPOLLIN, "readable", nullptr);
  seen += " " + read_text(bench.client(), kAnswer.size(), 0).substr(0, 8);
  ::shutdown(bench.server(), SHUT_WR);
  return seen + ", " + until(EPOLLRDHUP, "closed by the peer", nullptr);
}

std::string check_cork(Bench& bench) {
  Sent sent = one_request(0);
  sent.request(7000);
  const std::string_view bytes = sent.bytes();
  set_option(bench.client(), IPPROTO_TCP, TCP_CORK, 1);
  for (size_t at = 0; at < bytes.size(); at += 100) {
    bench.send_from(bench.client(), bytes.substr(at, 100));
  }
  set_option(bench.client(), IPPROTO_TCP, TCP_CORK, 0);
  set_option(bench.client(), IPPROTO_TCP, TCP_NODELAY, 1);
  std::string received;
  // All must come without the help of a shutdown.
  read_some(bench.server(), received, bytes.size(), bench.deadline);
  return bench.ended(sent, received);
}

std::string check_more(Bench& bench) {
  const Sent sent = one_request(7000);
  const std::string_view bytes = sent.bytes();
  const size_t last = (bytes.size() - 1) / 300 * 300;
  for (size_t at = 0; at < bytes.size(); at += 300) {
    bench.send_from(bench.client(), bytes.substr(at, 300), at < last ? MSG_MORE : 0);
  }
  std::string received;
  read_some(bench.server(), received, bytes.size(), bench.deadline);
  return bench.ended(sent, received);
}

// How many ends a program is told of is not compared: a socket in a sockmap sends in pieces of some
// 64 KiB, and Linux numbers each. That there is one is what a program waits for.
std::string check_zerocopy(Bench& bench) {
  const int on = 1;
  if (::setsockopt(bench.client(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) != 0) {
    return "not on this kernel";
  }
  const Sent sent = one_request(20'000);
  std::string how = bench.whole(sent, MSG_ZEROCOPY);
  while (true) {
    // POLLERR, which is always reported.
    bench.deadline.wait(bench.client(), 0, "word that the buffer is free again");
    msghdr message{};
    std::array<char, 256> control{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(bench.client(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
      continue;
    }
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
      sock_extended_err error{};
      if (part->cmsg_len < CMSG_LEN(sizeof(error))) {
        continue;
      }
      std::memcpy(&error, CMSG_DATA(part), sizeof(error));
      if (error.ee_origin == SO_EE_ORIGIN_ZEROCOPY && error.ee_info == 0) {
        return how + ", and told of its end";
      }
    }
  }
}

std::string check_tcp_info(Bench& bench) {
  const Sent sent = one_request(50'000);
  std::string received;
  pump(
      bench.pair, sent.bytes().size(),
      [&](size_t offset) {
        return ::send(bench.client(), sent.bytes().data() + offset, sent.bytes().size() - offset,
                      MSG_NOSIGNAL);
      },
      received, bench.deadline);
  read_some(bench.server(), received, sent.bytes().size(), bench.deadline);
  tcp_info info{};
  int queued = -1;
  while (true) {
    socklen_t length = sizeof(info);
    if (::getsockopt(bench.client(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
      return "none: " + error_name(errno);
    }
    ::ioctl(bench.client(), SIOCOUTQ, &queued);
    if (info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0 && queued == 0) {
      break;
    }
    bench.deadline.check("an empty queue");
    std::this_thread::yield();
  }
  read_some(bench.server(), received, 0, bench.deadline);
  std::string seen = "state " + std::to_string(info.tcpi_state) + ", ";
  seen += info.tcpi_bytes_sent - info.tcpi_bytes_retrans == received.size()
              ? "all that was sent has arrived"
              : std::to_string(info.tcpi_bytes_sent) + " bytes sent, " +
                    std::to_string(received.size()) + " arrived";
  return seen + ", " + sent.compare(received, bench.headers);
}

// As most clients do it: send, then wait for the answer.
std::string check_exchanges(Bench& bench) {
  const auto request = [](int number) {
    return "GET /zerospan/self-test?n=" + std::to_string(number) +
           " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  };
  for (const int fd : {bench.client(), bench.server()}) {
    set_blocking(fd, true);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    bench.deadline.bound(fd);
  }
  const int exchanges = bench.program == nullptr ? kExchangesWithout : kExchanges;
  std::string server_saw;
  std::thread server([&] {
    std::string received;
    std::array<char, 4096> buffer;
    for (int number = 0; server_saw.empty();) {
      const ssize_t now = ::recv(bench.server(), buffer.data(), buffer.size(), 0);
      if (now <= 0) {
        server_saw = (number == exchanges ? "all" : "only " + std::to_string(number)) +
                     " requests" + (received.empty() && now == 0 ? "" : ", and a part");
        break;
      }
      received.append(buffer.data(), static_cast<size_t>(now));
      for (size_t end = 0; (end = received.find("\r\n\r\n")) != std::string::npos;) {
        std::string_view head = std::string_view(received).substr(0, end + 4);
        Sent expected;
        expected.head(request(number));
        if (const std::string how = expected.compare(head, bench.headers); how != "as sent") {
          server_saw = "request " + std::to_string(number) + ": " + how;
          break;
        }
        ++number;
        received.erase(0, end + 4);
        ::send(bench.server(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
      }
    }
    ::shutdown(bench.server(), SHUT_RDWR);
  });
  std::string client_saw;
  bool stopped = false;
  for (int number = 0; number < exchanges && client_saw.empty(); ++number) {
    const std::string text = request(number);
    if (::send(bench.client(), text.data(), text.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(text.size())) {
      client_saw = "send " + std::to_string(number) + ": " + error_name(errno);
      break;
    }
    std::array<char, 256> buffer;
    size_t answer = 0;
    while (answer < kAnswer.size() && client_saw.empty()) {
      const ssize_t now = ::recv(bench.client(), buffer.data() + answer, buffer.size() - answer, 0);
      if (now <= 0) {
        client_saw =
            "answer " + std::to_string(number) + ": " + (now == 0 ? "the end" : error_name(errno));
      } else {
        answer += static_cast<size_t>(now);
      }
    }
    if (client_saw.empty() && std::string_view(buffer.data(), answer) != kAnswer) {
      client_saw = "another answer " + std::to_string(number);
    }
    try {
      bench.deadline.check("the exchanges");
    } catch (const Oddity& oddity) {
      client_saw = oddity.what();
    } catch (const Stopped&) {
      client_saw = "stopped";
      stopped = true;
    }
  }
  ::shutdown(bench.client(), SHUT_RDWR);
  server.join();
  if (stopped) {
    throw Stopped("the agent ends");
  }
  return server_saw + (client_saw.empty() ? ", each answered" : "; " + client_saw);
}

// Closed while there is something to read: the peer gets a reset.
std::string check_reset(Bench& bench) {
  bench.send_from(bench.server(), noise(1000));
  bench.deadline.wait(bench.client(), POLLIN, "what the peer sent");
  bench.send_from(bench.client(), one_request(0).bytes());
  bench.deadline.wait(bench.server(), POLLIN, "the request");
  bench.pair.client.reset();
  bench.deadline.wait(bench.server(), POLLHUP, "the reset");
  return read_text(bench.server(), 3, 0) + ", at last " + error_name(take_error(bench.server()));
}

std::string check_reset_by_peer(Bench& bench) {
  bench.send_from(bench.client(), one_request(1000).bytes());
  bench.deadline.wait(bench.server(), POLLIN, "the request");
  bench.pair.server.reset();
  const short events = bench.deadline.wait(bench.client(), POLLHUP, "the reset");
  std::string seen = (events & POLLERR) != 0 ? "an error" : "no error";
  seen += ", " + read_text(bench.client(), 10, 0);
  const ssize_t now = ::send(bench.client(), "x", 1, MSG_NOSIGNAL);
  return seen + ", " + (now < 0 ? error_name(errno) : "sent");
}

// Taken out while bytes wait in both directions, as when the agent ends.
std::string check_taken_out(Bench& bench) {
  Sent sent = one_request(kLarge / 4);
  const std::string answer = noise(5000);
  bench.send_from(bench.server(), answer);
  bench.deadline.wait(bench.client(), POLLIN, "what the peer sent");
  size_t out = 0;
  while (out < sent.bytes().size()) {
    const ssize_t now =
        ::send(bench.client(), sent.bytes().data() + out, sent.bytes().size() - out, MSG_NOSIGNAL);
    if (now <= 0) {
      break;
    }
    out += static_cast<size_t>(now);
  }
  if (bench.program != nullptr) {
    if (const Status status = bench.program->take_out(bench.client()); !status) {
      throw Oddity("taking it out: " + status.error().message);
    }
  }
  sent.request(1000, true);
  std::string received;
  pump(
      bench.pair, sent.bytes().size() - out,
      [&](size_t offset) {
        return ::send(bench.client(), sent.bytes().data() + out + offset,
                      sent.bytes().size() - out - offset, MSG_NOSIGNAL);
      },
      received, bench.deadline);
  std::string how = bench.ended(sent, received);
  std::string got;
  read_some(bench.client(), got, answer.size(), bench.deadline);
  return how + (got == answer ? ", the answer too" : ", another answer than was given");
}

struct CheckOf {
  CheckDescription description;
  std::string (*run)(Bench&);
  int family = AF_INET;
};

constexpr auto kChecks = std::to_array<CheckOf>({
    {{"header", "each request gets the header, and nothing else changes"}, check_header},
    {{"header_ipv6", "the same over IPv6"}, check_header, AF_INET6},
    {{"pieces", "heads that are sent in pieces"}, check_pieces},
    {{"pipelined", "several requests in one send"}, check_pipelined},
    {{"not_http", "bytes that are not HTTP stay as they are"}, check_not_http},
    {{"calls", "each system call that sends says what it took"}, check_calls},
    {{"iovecs", "sends that are gathered from many places"}, check_iovecs},
    {{"large", "writes of some megabytes"}, check_large},
    {{"back_pressure", "a peer that does not read for a while"}, check_back_pressure},
    {{"full_queue", "requests for which there is no room yet"}, check_full_queue},
    {{"blocking_send", "sends that wait for room", true}, check_blocking_send},
    {{"blocking_read", "reads that wait", true}, check_blocking_read},
    {{"two_ways", "reads that wait while another thread sends", true}, check_two_ways},
    {{"two_ways_polled", "the same of who waits in poll"}, check_two_ways_polled},
    {{"epoll", "edges of readiness, which event loops live from"}, check_epoll},
    {{"fionread", "how much can be read (nginx, Java's available())"}, check_fionread},
    {{"peek", "looking at what can be read"}, check_peek},
    {{"half_close", "answers after the end of the requests"}, check_half_close},
    {{"peer_half_close", "requests after the end of the answers"}, check_peer_half_close},
    {{"urgent", "urgent data"}, check_urgent},
    {{"sendfile", "bodies by sendfile"}, check_sendfile},
    {{"sendfile_head", "heads by sendfile"}, check_sendfile_head},
    {{"splice", "bodies by splice"}, check_splice},
    {{"splice_from", "answers taken by splice"}, check_splice_from},
    {{"cork", "TCP_CORK and TCP_NODELAY"}, check_cork},
    {{"more", "MSG_MORE"}, check_more},
    {{"zerocopy", "MSG_ZEROCOPY"}, check_zerocopy},
    {{"tcp_info", "what TCP says of itself"}, check_tcp_info},
    {{"reset", "a close with something unread"}, check_reset},
    {{"reset_by_peer", "a peer that closes with something unread"}, check_reset_by_peer},
    {{"taken_out", "the end of the agent in the midst of a transfer"}, check_taken_out},
    {{"exchanges", "10,000 requests, one after the other"}, check_exchanges},
});

constexpr auto kDescriptions = [] {
  std::array<CheckDescription, kChecks.size()> descriptions;
  for (size_t i = 0; i < kChecks.size(); ++i) {
    descriptions[i] = kChecks[i].description;
  }
  return descriptions;
}();

// A peer that is gone must not end the agent where a call has no MSG_NOSIGNAL. Threads inherit it.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &before_);
  }
  ~NoSigpipe() {
    // One that is pending would come now.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const timespec now{};
    ::sigtimedwait(&pipe, nullptr, &now);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t before_{};
};

struct Seen {
  std::string text;
  bool ended = false;  // the check came to its end
};

Seen run_once(const CheckOf& check, const ProgramUnderTest* program, const SelfTestOptions& options,
              std::chrono::steady_clock::time_point end, const std::stop_token& stop) {
  const Deadline deadline(std::min(end, std::chrono::steady_clock::now() + options.limit_each),
                          stop);
  try {
    Bench bench{Pair::make(check.family, deadline), deadline, {}, program};
    if (program != nullptr) {
      if (const Status status = program->put_in(bench.client()); !status) {
        return {"cannot be put under the program: " + status.error().message, true};
      }
      bench.headers = options.headers;
    }
    return {check.run(bench), true};
  } catch (const NoSuchAddress& error) {
    return {"no address (" + std::string(error.what()) + ")", check.family == AF_INET6};
  } catch (const Stopped& stopped) {
    return {stopped.what(), false};
  } catch (const Oddity& oddity) {
    return {oddity.what(), program != nullptr};
  }
}

}  // namespace

std::span<const CheckDescription> self_test_checks() {
  return kDescriptions;
}

std::vector<SelfTestCheck> run_self_test(const ProgramUnderTest& program,
                                         const SelfTestOptions& options,
                                         const std::stop_token& stop) {
  const NoSigpipe no_sigpipe;
  const auto end = std::chrono::steady_clock::now() + options.limit;
  std::vector<SelfTestCheck> results;
  for (const CheckOf& check : kChecks) {
    if (!options.only.empty() && std::find(options.only.begin(), options.only.end(),
                                           check.description.name) == options.only.end()) {
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    SelfTestCheck result;
    result.name = check.description.name;
    result.of_blocking = check.description.of_blocking;
    const Seen without = run_once(check, nullptr, options, end, stop);
    result.expected = without.text;
    if (without.ended) {
      const Seen with = run_once(check, &program, options, end, stop);
      result.seen = with.text;
      result.made = with.ended;
    } else {
      result.seen = "not tried: it does not work without the program either";
    }
    result.took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - start);
    results.push_back(std::move(result));
  }
  return results;
}

Oddities judge(std::span<const SelfTestCheck> checks, std::span<const std::string> tolerated) {
  const auto first_of = [&](bool of_blocking) {
    std::string text;
    size_t more = 0;
    for (const SelfTestCheck& check : checks) {
      if (check.passed() || check.of_blocking != of_blocking ||
          std::find(tolerated.begin(), tolerated.end(), check.name) != tolerated.end()) {
        continue;
      }
      if (text.empty()) {
        text = std::string(check.name) + ": expected " + check.expected + ", seen " + check.seen;
      } else {
        ++more;
      }
    }
    return more == 0 ? text : text + " (and " + std::to_string(more) + " more)";
  };
  return {first_of(false), first_of(true)};
}

}  // namespace zerospan::propagation
