// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Closed-loop HTTP/1.1 load on several servers at once, from one thread that polls and never
// sleeps.
//
// A server pays for waking its client: several microseconds where the client's CPU is virtual and
// idle. A slower server finds its client asleep more often, so a client that sleeps adds to the
// difference that is to be measured. This one keeps every connection of every server busy.
//
//   poll_load FILE CONNECTIONS PORT/PATH...
//
// runs until it is killed. FILE has, for each server in order, how many responses came so far, as a
// 64-bit number in host byte order. Every response of a server must have the length of its first
// one.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

struct Connection {
  int fd = -1;
  size_t received = 0;  // bytes of the response that is awaited
};

struct Server {
  std::string request;
  size_t response_bytes = 0;  // 0: not known yet
  std::atomic<uint64_t>* responses = nullptr;
  std::vector<Connection> connections;
};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int connect_to(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
    fail("connect");
  }
  return fd;
}

void send_request(const Server& server, const Connection& connection) {
  const ssize_t sent =
      send(connection.fd, server.request.data(), server.request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(server.request.size())) {
    fail("send");
  }
}

// Length of the response that begins with `head`: framed by content-length, all of its head here.
size_t response_length(std::string_view head) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  constexpr std::string_view kField = "\r\nContent-Length: ";
  const size_t end = head.find(kEnd);
  const size_t field = head.find(kField);
  if (end == std::string_view::npos || field > end) {
    throw std::runtime_error("the first response has no whole head with a Content-Length");
  }
  return end + kEnd.size() + std::strtoul(head.data() + field + kField.size(), nullptr, 10);
}

void poll_connection(Server& server, Connection& connection) {
  static std::array<char, 65536> buffer;
  const ssize_t got = recv(connection.fd, buffer.data(), buffer.size() - 1, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) {
    return;
  }
  if (got <= 0) {
    fail("recv");
  }
  if (server.response_bytes == 0) {
    buffer[static_cast<size_t>(got)] = '\0';
    server.response_bytes = response_length({buffer.data(), static_cast<size_t>(got)});
  }
  connection.received += static_cast<size_t>(got);
  if (connection.received > server.response_bytes) {
    throw std::runtime_error("a response is longer than the first one");
  }
  if (connection.received == server.response_bytes) {
    connection.received = 0;
    server.responses->fetch_add(1, std::memory_order_relaxed);
    send_request(server, connection);
  }
}

std::atomic<uint64_t>* map_counts(const char* path, size_t servers) {
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const size_t bytes = servers * sizeof(uint64_t);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    fail(path);
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    fail(path);
  }
  return static_cast<std::atomic<uint64_t>*>(memory);
}

[[noreturn]] void run(const char* path, size_t connections,
                      const std::vector<std::string_view>& targets) {
  std::atomic<uint64_t>* counts = map_counts(path, targets.size());
  std::vector<Server> servers;
  for (const std::string_view target : targets) {
    const size_t slash = target.find('/');
    if (slash == std::string_view::npos) {
      throw std::runtime_error("a target is PORT/PATH: " + std::string(target));
    }
    Server& server = servers.emplace_back();
    server.responses = counts++;
    const int port = std::stoi(std::string(target.substr(0, slash)));
    server.request = "GET " + std::string(target.substr(slash)) +
                     " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) + "\r\n\r\n";
    for (size_t i = 0; i < connections; ++i) {
      server.connections.push_back({connect_to(static_cast<uint16_t>(port))});
      send_request(server, server.connections.back());
    }
  }
  for (;;) {
    for (size_t i = 0; i < connections; ++i) {
      for (Server& server : servers) {
        poll_connection(server, server.connections[i]);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fputs("usage: poll_load FILE CONNECTIONS PORT/PATH...\n", stderr);
    return 2;
  }
  run(argv[1], std::stoul(argv[2]), {argv + 3, argv + argc});
} catch (const std::exception& error) {
  std::fprintf(stderr, "poll_load: %s\n", error.what());
  return 1;
}
