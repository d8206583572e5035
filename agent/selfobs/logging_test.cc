// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/selfobs/logging.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace zerospan::selfobs::log {
namespace {

// Sends the log to a temporary file, and back to stderr at the end.
class LoggingTest : public testing::Test {
 protected:
  void start(Level level, Format format) {
    configure({.level = level, .format = format, .fd = ::fileno(file_.get())});
  }
  void TearDown() override { configure({}); }
  std::vector<std::string> lines() {
    std::rewind(file_.get());
    std::vector<std::string> out;
    char* line = nullptr;
    size_t capacity = 0;
    ssize_t length = 0;
    while ((length = ::getline(&line, &capacity, file_.get())) > 0) {
      out.emplace_back(line, static_cast<size_t>(length));
    }
    ::free(line);
    return out;
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_{std::tmpfile()};
};

TEST_F(LoggingTest, TextLineHasTimeLevelAndMessage) {
  start(Level::kInfo, Format::kText);
  warn("ring {} is {}% full", 3, 90);
  const auto got = lines();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].substr(23), "Z warn  ring 3 is 90% full\n");
  EXPECT_EQ(got[0][10], 'T');
}

TEST_F(LoggingTest, BelowTheLevelNothingIsWritten) {
  start(Level::kWarn, Format::kText);
  info("no");
  debug("no");
  error("yes");
  EXPECT_EQ(lines().size(), 1U);
  EXPECT_FALSE(enabled(Level::kInfo));
  EXPECT_TRUE(enabled(Level::kWarn));
}

TEST_F(LoggingTest, HostileTextStaysOneLineAndCannotDriveATerminal) {
  start(Level::kInfo, Format::kText);
  info("{}", "a\nb\x1b[31m\xff\xc3\xa9");
  const auto got = lines();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].substr(31), "a\\x0ab\\x1b[31m\\xff\xc3\xa9\n");
}

TEST_F(LoggingTest, JsonLineIsEscaped) {
  start(Level::kDebug, Format::kJson);
  debug("say \"hi\" \\ \t\xff");
  const auto got = lines();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_TRUE(got[0].starts_with("{\"time\":\"2"));
  EXPECT_TRUE(got[0].ends_with(
      "Z\",\"level\":\"debug\",\"message\":\"say \\\"hi\\\" \\\\ \\u0009\\ufffd\"}\n"))
      << got[0];
}

TEST_F(LoggingTest, LinesOfManyThreadsAreWhole) {
  start(Level::kInfo, Format::kText);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 100; ++i) {
        info("{}", std::string(100, 'x'));
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  const auto got = lines();
  ASSERT_EQ(got.size(), 400U);
  for (const auto& line : got) {
    EXPECT_EQ(line.substr(31), std::string(100, 'x') + "\n");
  }
}

uint64_t fake_now = 1;
uint64_t fake_clock() {
  return fake_now;
}

TEST_F(LoggingTest, LimitedSaysHowManyItHeldBack) {
  start(Level::kInfo, Format::kText);
  fake_now = 1'000;
  Limited limited({.burst = 2, .interval_ns = 100}, &fake_clock);
  for (int i = 0; i < 5; ++i) {
    limited.warn("n{}", i);
  }
  fake_now += 99;
  limited.warn("still held");
  fake_now += 1;
  limited.warn("again");
  limited.warn("held");
  fake_now += 1'000'000;  // a long pause earns the burst, not more
  for (int i = 0; i < 5; ++i) {
    limited.warn("late{}", i);
  }
  const auto got = lines();
  ASSERT_EQ(got.size(), 5U);
  EXPECT_EQ(got[0].substr(31), "n0\n");
  EXPECT_EQ(got[1].substr(31), "n1\n");
  EXPECT_EQ(got[2].substr(31), "again (4 more like this were not logged)\n");
  EXPECT_EQ(got[3].substr(31), "late0 (1 more like this were not logged)\n");
  EXPECT_EQ(got[4].substr(31), "late1\n");
}

TEST_F(LoggingTest, ADisabledLevelTakesNoTokens) {
  start(Level::kWarn, Format::kText);
  fake_now = 1'000;
  Limited limited({.burst = 1, .interval_ns = 100}, &fake_clock);
  limited.debug("not written");
  limited.warn("written");
  EXPECT_EQ(lines().size(), 1U);
}

TEST(ParseLogOptions, NamesAndErrors) {
  EXPECT_EQ(parse_level("warn").value(), Level::kWarn);
  EXPECT_EQ(parse_format("json").value(), Format::kJson);
  EXPECT_NE(parse_level("WARN?").error().message.find("debug, info, warn or error"),
            std::string::npos);
  EXPECT_EQ(parse_format("xml").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace zerospan::selfobs::log
