// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "agent/core/unique_fd.h"
#include "agent/k8s/api/testing.h"

namespace zerospan::k8s {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const std::vector<Collection> kPods{{"pods", "/api/v1/pods", "", "", false}};

// A port of the loopback that takes connections and never answers.
class SilentServer {
 public:
  SilentServer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_.get(), 64), 0);
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  UniqueFd socket_;
  std::string url_;
};

template <typename Condition>
bool wait_for(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

ApiServerOptions quick(const std::string& url) {
  ApiServerOptions options;
  options.url = url;
  options.start_jitter = 0ms;
  options.min_backoff = 10ms;
  options.max_backoff = 20ms;
  return options;
}

TEST(Client, OptionsThatCannotWork) {
  ::zerospan::k8s::testing::Recorder recorder;
  for (const char* url : {"", "::", "ftp://127.0.0.1", "http://10.0.0.1", "http://127.x.org",
                          "https://a:b@127.0.0.1", "https://h/?q", "https://h/#f"}) {
    ApiServerOptions options;
    options.url = url;
    const auto client = Client::start(options, kPods, recorder);
    ASSERT_FALSE(client) << url;
    EXPECT_EQ(client.error().code, ErrorCode::kInvalidArgument) << client.error().message;
  }
  ApiServerOptions options = quick("https://127.0.0.1:1");
  options.token_file = "/nonexistent/token";
  EXPECT_EQ(Client::start(options, kPods, recorder).error().code, ErrorCode::kNotFound);
  options = quick("https://127.0.0.1:1");
  options.ca_file = "/nonexistent/ca";
  EXPECT_EQ(Client::start(options, kPods, recorder).error().code, ErrorCode::kNotFound);
  options = quick("https://127.0.0.1:1");
  options.certificate_file = "/dev/null";
  EXPECT_THAT(Client::start(options, kPods, recorder).error().message, HasSubstr("its key"));
  options = quick("https://127.0.0.1:1");
  EXPECT_FALSE(Client::start(options, {{"pods", "pods", "", "", false}}, recorder));
}

TEST(Client, ATokenIsOneWord) {
  ::zerospan::k8s::testing::Recorder recorder;
  ApiServerOptions options = quick("https://127.0.0.1:1");
  options.token_file = ::testing::TempDir() + "/token-" + std::to_string(::getpid());
  for (const std::string& text :
       {std::string(), std::string("a\nEvil: b"), std::string(65536, 'x')}) {
    std::ofstream(options.token_file, std::ios::trunc) << text;
    const auto client = Client::start(options, kPods, recorder);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().message.find("Evil"), std::string::npos);
  }
  std::ofstream(options.token_file, std::ios::trunc) << "abc\n";
  EXPECT_TRUE(Client::start(options, kPods, recorder));
  std::remove(options.token_file.c_str());
}

TEST(Client, SilenceIsNoticedAndTheEndIsAtOnce) {
  const SilentServer server;
  ::zerospan::k8s::testing::Recorder recorder;
  ApiServerOptions options = quick(server.url());
  options.request_silence = 50ms;
  auto client = Client::start(options, kPods, recorder);
  ASSERT_TRUE(client);
  EXPECT_TRUE(wait_for([&] { return (*client)->counters().collections[0].silent >= 3; }));
  EXPECT_FALSE((*client)->synced());
  (*client).reset();
  EXPECT_THAT(recorder.lines, ::testing::Each(HasSubstr("silent for too long")));

  auto other = Client::start(quick(server.url()), kPods, recorder);  // silence of a minute
  ASSERT_TRUE(other);
  EXPECT_TRUE(wait_for([&] { return (*other)->counters().requests == 1; }));
  const auto before = std::chrono::steady_clock::now();
  (*other).reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
}

TEST(Client, GetsAreBoundedAndGivenUp) {
  const SilentServer server;
  ::zerospan::k8s::testing::Recorder recorder;
  ApiServerOptions options = quick(server.url());
  options.request_silence = 20ms;
  options.get_patience = 100ms;
  options.max_gets = 3;
  auto client = Client::start(options, {}, recorder);
  ASSERT_TRUE(client);
  EXPECT_TRUE((*client)->synced());  // nothing to list
  std::atomic<int> given_up = 0;
  const auto done = [&](const Result<nlohmann::json>& result) {
    EXPECT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
    ++given_up;
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE((*client)->get("/x", false, done));
  }
  EXPECT_FALSE((*client)->get("/x", false, done));
  EXPECT_TRUE(wait_for([&] { return given_up == 3; }));
  EXPECT_TRUE((*client)->get("/x", false, done));
  EXPECT_EQ((*client)->counters().gets_refused, 1);
}

}  // namespace
}  // namespace zerospan::k8s
