// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/selfobs/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "agent/core/unique_fd.h"

namespace zerospan::selfobs {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The whole answer to one request over loopback; empty if there is no server.
std::string ask(uint16_t port, const std::string& request_line, bool ipv6 = false) {
  const UniqueFd fd(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int connected = -1;
  if (ipv6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = htons(port);
    connected = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    connected = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  if (connected != 0) {
    return {};
  }
  const std::string request = request_line + " HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  std::array<char, 4096> buffer{};
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0) {
    answer.append(buffer.data(), static_cast<size_t>(got));
  }
  return answer;
}

TEST(Server, ServesMetricsOnAFreePort) {
  Metrics metrics;
  metrics.add([](Samples& samples) { samples.gauge("zerospan_answer", "The answer.", 42); });
  Readiness readiness;
  auto server = Server::start("127.0.0.1:0", metrics, readiness);
  ASSERT_TRUE(server) << server.error().message;
  ASSERT_NE(server->port(), 0);
  const std::string answer = ask(server->port(), "GET /metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("\nzerospan_answer 42\n"));
  EXPECT_THAT(ask(server->port(), "HEAD /metrics"), testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(ask(server->port(), "GET /metrics?x=1"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask(server->port(), "GET /"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask(server->port(), "GET /../etc/passwd"), testing::Not(HasSubstr("root:")));
  EXPECT_THAT(ask(server->port(), "POST /metrics"), StartsWith("HTTP/1.1 405 "));
}

TEST(Server, ReadinessTellsItsReason) {
  Metrics metrics;
  Readiness readiness;
  auto server = Server::start("localhost:0", metrics, readiness);
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_THAT(ask(server->port(), "GET /healthz"), StartsWith("HTTP/1.1 200 "));
  std::string answer = ask(server->port(), "GET /readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("starting"));
  readiness.set_not_ready("no BTF");
  EXPECT_THAT(ask(server->port(), "GET /readyz"), HasSubstr("no BTF"));
  readiness.set_ready();
  EXPECT_THAT(ask(server->port(), "GET /readyz"), StartsWith("HTTP/1.1 200 "));
}

TEST(Server, ServesIpv6) {
  Metrics metrics;
  Readiness readiness;
  auto server = Server::start("[::1]:0", metrics, readiness);
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_THAT(ask(server->port(), "GET /healthz", true), StartsWith("HTTP/1.1 200 "));
}

TEST(Server, AnAddressInUseIsAnErrorThatSaysSo) {
  Metrics metrics;
  Readiness readiness;
  auto first = Server::start("127.0.0.1:0", metrics, readiness);
  ASSERT_TRUE(first) << first.error().message;
  const std::string address = "127.0.0.1:" + std::to_string(first->port());
  const auto second = Server::start(address, metrics, readiness);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr(address));
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

TEST(Server, TheAddressIsFreeAgainAfterTheServerIsGone) {
  Metrics metrics;
  Readiness readiness;
  uint16_t port = 0;
  {
    auto server = Server::start("127.0.0.1:0", metrics, readiness);
    ASSERT_TRUE(server) << server.error().message;
    port = server->port();
  }
  EXPECT_EQ(ask(port, "GET /healthz"), "");
}

TEST(Server, ASilentClientDoesNotBlockOthersOrTheEnd) {
  Metrics metrics;
  Readiness readiness;
  auto server = Server::start("127.0.0.1:0", metrics, readiness);
  ASSERT_TRUE(server) << server.error().message;
  const UniqueFd silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server->port());
  ASSERT_EQ(::connect(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
  EXPECT_THAT(ask(server->port(), "GET /healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST(Server, GarbageAndEndlessHeadsAreAnsweredWith400) {
  Metrics metrics;
  Readiness readiness;
  auto server = Server::start("127.0.0.1:0", metrics, readiness);
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_THAT(ask(server->port(), "nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(server->port(), std::string(100'000, 'a')), StartsWith("HTTP/1.1 400 "));
}

TEST(Server, WrongAddressesAreRefused) {
  Metrics metrics;
  Readiness readiness;
  for (const char* address :
       {"", "9465", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:80s",
        "127.0.0.1:80,8080", "::1:80", "[::1", "[x]:1", "example.org:80", "+8080"}) {
    const auto server = Server::start(address, metrics, readiness);
    ASSERT_FALSE(server) << address;
    EXPECT_EQ(server.error().code, ErrorCode::kInvalidArgument) << address;
  }
}

}  // namespace
}  // namespace zerospan::selfobs
