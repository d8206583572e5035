// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/json_lines_transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

namespace zerospan::transport {
namespace {

using batch::SendStatus;

std::chrono::steady_clock::time_point soon(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

constexpr std::chrono::milliseconds kLong{30'000};

class FileTransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "/zerospan_lines_XXXXXX";
    const UniqueFd made(::mkstemp(path_.data()));
    ASSERT_TRUE(made.valid());
  }
  void TearDown() override { ::unlink(path_.c_str()); }
  [[nodiscard]] std::string content() const {
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  std::string path_;
};

TEST_F(FileTransportTest, AppendsLines) {
  for (int run = 0; run < 2; ++run) {
    const auto transport = make_file_transport(path_);
    ASSERT_TRUE(transport);
    EXPECT_EQ((*transport)->encoding(), otlp::Encoding::kJson);
    EXPECT_EQ((*transport)->send("{}", soon(kLong)).status, SendStatus::kAccepted);
  }
  EXPECT_EQ(content(), "{}\n{}\n");
}

TEST_F(FileTransportTest, AFileThatCannotGrowKeepsWholeLines) {
  const auto transport = make_file_transport(path_);
  ASSERT_TRUE(transport);
  ASSERT_EQ((*transport)->send("{\"a\":1}", soon(kLong)).status, SendStatus::kAccepted);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{20, before.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto outcome = (*transport)->send(std::string(100, 'x'), soon(kLong));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(outcome.status, SendStatus::kRefused);
  EXPECT_NE(outcome.message.find(path_), std::string::npos) << outcome.message;
  EXPECT_EQ(content(), "{\"a\":1}\n");
  EXPECT_EQ((*transport)->send("{}", soon(kLong)).status, SendStatus::kAccepted);
  EXPECT_EQ(content(), "{\"a\":1}\n{}\n");
}

TEST_F(FileTransportTest, AFullDeviceIsRefused) {
  const auto transport = make_file_transport("/dev/full");
  ASSERT_TRUE(transport);
  const auto outcome = (*transport)->send("{}", soon(kLong));
  EXPECT_EQ(outcome.status, SendStatus::kRefused);
  EXPECT_NE(outcome.message.find("No space left"), std::string::npos) << outcome.message;
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
  }
  std::string read_all() const {
    std::string text;
    std::array<char, 65536> part{};
    for (;;) {
      const ssize_t count = ::read(reader.get(), part.data(), part.size());
      if (count <= 0) {
        return text;
      }
      text.append(part.data(), static_cast<size_t>(count));
    }
  }
  UniqueFd reader;
  UniqueFd writer;
};

TEST(StreamTransportTest, LongLinesPassAPipe) {
  Pipe pipe;
  std::string got;
  std::thread reader([&] { got = pipe.read_all(); });
  {
    auto transport = make_stream_transport(std::move(pipe.writer), "a pipe");
    ASSERT_TRUE(transport);
    EXPECT_EQ((*transport)->send(std::string(300'000, 'x'), soon(kLong)).status,
              SendStatus::kAccepted);
  }
  reader.join();
  EXPECT_EQ(got, std::string(300'000, 'x') + "\n");
}

TEST(StreamTransportTest, AReaderThatDoesNotReadIsGivenUpAtTheDeadlineAndLinesStayApart) {
  Pipe pipe;
  std::string got;
  {
    auto transport = make_stream_transport(UniqueFd(::dup(pipe.writer.get())), "a pipe");
    ASSERT_TRUE(transport);
    EXPECT_EQ(
        (*transport)->send(std::string(300'000, 'x'), soon(std::chrono::milliseconds(20))).status,
        SendStatus::kRefused);
    EXPECT_EQ((*transport)->send("{}", soon(std::chrono::milliseconds(20))).status,
              SendStatus::kRetry);
    pipe.writer.reset();
    std::thread reader([&] { got = pipe.read_all(); });
    EXPECT_EQ((*transport)->send("{}", soon(kLong)).status, SendStatus::kAccepted);
    transport->reset();
    reader.join();
  }
  EXPECT_TRUE(got.ends_with("x\n{}\n")) << got.size();
}

TEST(StreamTransportTest, CancelEndsAWait) {
  Pipe pipe;
  auto transport = make_stream_transport(UniqueFd(::dup(pipe.writer.get())), "a pipe");
  ASSERT_TRUE(transport);
  std::thread canceller([&] { (*transport)->cancel(); });
  EXPECT_EQ(
      (*transport)->send(std::string(300'000, 'x'), soon(kLong)).status == SendStatus::kAccepted,
      false);
  canceller.join();
}

}  // namespace
}  // namespace zerospan::transport
