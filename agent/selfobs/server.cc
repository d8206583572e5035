// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/selfobs/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "agent/core/unique_fd.h"
#include "agent/selfobs/logging.h"

namespace zerospan::selfobs {

void Readiness::set_ready() {
  const std::lock_guard lock(mutex_);
  reason_.clear();
}

void Readiness::set_not_ready(std::string reason) {
  const std::lock_guard lock(mutex_);
  reason_ = reason.empty() ? "not ready" : std::move(reason);
}

std::string Readiness::reason() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

namespace {

constexpr size_t kMaxConnections = 16;
constexpr size_t kMaxRequestHead = 8192;
constexpr uint64_t kConnectionLifetimeNs = 5'000'000'000;

struct ListenAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

std::optional<ListenAddress> parse_address(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string host(address.substr(0, colon));
  const std::string_view port_text = address.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc{} || end != port_text.data() + port_text.size()) {
    return std::nullopt;
  }
  ListenAddress out;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.length = sizeof *v6;
    return ::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1 ? std::optional(out)
                                                                    : std::nullopt;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  out.length = sizeof *v4;
  const char* text = host == "localhost" ? "127.0.0.1" : host.c_str();
  return ::inet_pton(AF_INET, text, &v4->sin_addr) == 1 ? std::optional(out) : std::nullopt;
}

struct Response {
  std::string_view status;
  std::string body;
};

struct Client {
  UniqueFd fd;
  uint64_t deadline_ns = 0;
  std::string request;
  std::string response;  // empty until the request's head is complete
  size_t sent = 0;
  bool draining = false;  // answered; closing now could reset what the peer has not read yet
};

}  // namespace

struct Server::Impl {
  Metrics& metrics;
  const Readiness& readiness;
  UniqueFd listener;
  UniqueFd stop;  // eventfd
  uint16_t port = 0;
  std::vector<Client> clients;  // of the thread alone
  std::thread thread;

  Impl(Metrics& m, const Readiness& r) : metrics(m), readiness(r) {}
  ~Impl() {
    if (thread.joinable()) {
      const uint64_t one = 1;
      // Cannot fail: the counter is far from its limit, and nobody else writes to it.
      [[maybe_unused]] const ssize_t written = ::write(stop.get(), &one, sizeof one);
      thread.join();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status listen(std::string_view address);
  void run();
  void accept_one();
  bool serve(Client& client);  // false: done with it
  [[nodiscard]] std::string answer(std::string_view request);
  [[nodiscard]] Response respond(std::string_view method, std::string_view path);
};

Status Server::Impl::listen(std::string_view address) {
  const auto error = [&](int number) {
    Error e = error_from_errno(number, fmt::format("Cannot serve metrics on {}", address));
    e.code = ErrorCode::kUnavailable;
    e.message += ". Free the address or choose another; the agent works without it.";
    return tl::unexpected<Error>(std::move(e));
  };
  const std::optional<ListenAddress> parsed = parse_address(address);
  if (!parsed) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("\"{}\" is not an address to serve metrics on; write IPV4:PORT, "
                            "[IPV6]:PORT or localhost:PORT.",
                            address));
  }
  listener.reset(
      ::socket(parsed->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) {
    return error(errno);
  }
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&parsed->storage), parsed->length) !=
          0 ||
      ::listen(listener.get(), kMaxConnections) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return error(errno);
  }
  port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  stop.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) {
    return error(errno);
  }
  return {};
}

void Server::Impl::run() {
  std::vector<pollfd> polled;
  for (;;) {
    polled.clear();
    polled.push_back({stop.get(), POLLIN, 0});
    const bool room = clients.size() < kMaxConnections;
    polled.push_back({room ? listener.get() : -1, POLLIN, 0});
    uint64_t deadline = UINT64_MAX;
    for (const Client& client : clients) {
      const bool writes = !client.response.empty() && !client.draining;
      polled.push_back({client.fd.get(), static_cast<int16_t>(writes ? POLLOUT : POLLIN), 0});
      deadline = std::min(deadline, client.deadline_ns);
    }
    int timeout_ms = -1;
    if (deadline != UINT64_MAX) {
      const uint64_t now = log::monotonic_ns();
      timeout_ms = deadline > now ? static_cast<int>((deadline - now) / 1'000'000 + 1) : 0;
    }
    if (::poll(polled.data(), polled.size(), timeout_ms) < 0 && errno != EINTR) {
      return;
    }
    if (polled[0].revents != 0) {
      return;
    }
    const uint64_t now = log::monotonic_ns();
    for (size_t i = clients.size(); i-- > 0;) {
      if ((polled[i + 2].revents != 0 && !serve(clients[i])) || now >= clients[i].deadline_ns) {
        clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (polled[1].revents != 0) {
      accept_one();
    }
  }
}

void Server::Impl::accept_one() {
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid()) {
    Client client;
    client.fd = std::move(fd);
    client.deadline_ns = log::monotonic_ns() + kConnectionLifetimeNs;
    clients.push_back(std::move(client));
  } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    // Out of descriptors or memory: the waiting connection would wake us again at once.
    pollfd pause{stop.get(), POLLIN, 0};
    ::poll(&pause, 1, 100);
  }
}

bool Server::Impl::serve(Client& client) {
  if (client.response.empty() || client.draining) {
    std::array<char, 4096> buffer;
    const ssize_t got = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (client.draining) {
      return true;
    }
    client.request.append(buffer.data(), static_cast<size_t>(got));
    if (client.request.find("\r\n\r\n") == std::string::npos &&
        client.request.size() < kMaxRequestHead) {
      return true;
    }
    client.response = answer(client.request);
  }
  const ssize_t sent = ::send(client.fd.get(), client.response.data() + client.sent,
                              client.response.size() - client.sent, MSG_NOSIGNAL);
  if (sent < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  client.sent += static_cast<size_t>(sent);
  if (client.sent == client.response.size()) {
    ::shutdown(client.fd.get(), SHUT_WR);
    client.draining = true;
  }
  return true;
}

std::string Server::Impl::answer(std::string_view request) {
  // request-line = method SP request-target SP HTTP-version (RFC 9112 section 3)
  const std::string_view line = request.substr(0, request.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  Response response;
  std::string_view method;
  if (second == std::string_view::npos || !line.substr(second + 1).starts_with("HTTP/1.")) {
    response = {"400 Bad Request", "Not an HTTP/1.1 request.\n"};
  } else {
    method = line.substr(0, first);
    std::string_view path = line.substr(first + 1, second - first - 1);
    path = path.substr(0, path.find('?'));
    try {
      response = respond(method, path);
    } catch (const std::exception& e) {
      response = {"500 Internal Server Error", std::string(e.what()) + "\n"};
    }
  }
  std::string out = fmt::format(
      "HTTP/1.1 {}\r\n"
      "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
      "Content-Length: {}\r\n"
      "Connection: close\r\n\r\n",
      response.status, response.body.size());
  if (method != "HEAD") {
    out += response.body;
  }
  return out;
}

Response Server::Impl::respond(std::string_view method, std::string_view path) {
  if (method != "GET" && method != "HEAD") {
    return {"405 Method Not Allowed", "Use GET or HEAD.\n"};
  }
  if (path == "/metrics") {
    return {"200 OK", metrics.render()};
  }
  if (path == "/healthz") {
    return {"200 OK", "ok\n"};
  }
  if (path == "/readyz") {
    std::string reason = readiness.reason();
    if (reason.empty()) {
      return {"200 OK", "ready\n"};
    }
    return {"503 Service Unavailable", std::move(reason) + "\n"};
  }
  return {"404 Not Found", "Not found; there are /metrics, /healthz and /readyz.\n"};
}

Result<Server> Server::start(std::string_view address, Metrics& metrics,
                             const Readiness& readiness) {
  auto impl = std::make_unique<Impl>(metrics, readiness);
  if (Status listening = impl->listen(address); !listening) {
    return tl::unexpected<Error>(std::move(listening.error()));
  }
  try {
    impl->thread = std::thread([self = impl.get()] { self->run(); });
  } catch (const std::exception& e) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("Cannot start the thread that serves metrics: {}.", e.what()));
  }
  return Server(std::move(impl));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

uint16_t Server::port() const {
  return impl_->port;
}

}  // namespace zerospan::selfobs
