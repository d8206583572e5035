// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Does a socket that is under the injecting program still behave like a socket, on this kernel? A
// socket in a sockmap has other functions beneath its system calls (net/ipv4/tcp_bpf.c), and what
// they get wrong differs from release to release. So before the first connection of a traced
// program is put there, connections of our own over loopback do what programs do, once without the
// program and once with it: each check tells what was seen without as what is expected.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::propagation {

// The program under test. The functions are called in the thread that runs the test, with a
// connected TCP socket that stays open until the test has ended or taken it out.
struct ProgramUnderTest {
  std::function<Status(int fd)> put_in;
  std::function<Status(int fd)> take_out;
};

struct SelfTestOptions {
  // The headers that it adds to a request which has none of them, one line each.
  std::vector<std::string> headers = {"traceparent"};
  // For all of it. Where a processor is emulated it takes thirty times longer than elsewhere.
  std::chrono::milliseconds limit = std::chrono::seconds(60);
  // For one check; a stall ends so.
  std::chrono::milliseconds limit_each = std::chrono::seconds(15);
  std::vector<std::string> only;  // checks by name; none: all
};

struct SelfTestCheck {
  std::string_view name;
  bool of_blocking = false;  // CheckDescription::of_blocking
  std::string expected;
  std::string seen;
  std::chrono::microseconds took{};
  // Never true for one that could not be made.
  [[nodiscard]] bool passed() const { return made && expected == seen; }
  bool made = false;
};

struct CheckDescription {
  std::string_view name;
  std::string_view about;  // what programs lose where it fails
  // It is of sockets in blocking mode alone: who leaves these out does no harm where it fails.
  bool of_blocking = false;
};
[[nodiscard]] std::span<const CheckDescription> self_test_checks();

// Blocks, so it wants a thread of its own; takes about half a second of it, and a few threads for
// the other ends. Gives a result for each check, also for those that a stop left undone.
[[nodiscard]] std::vector<SelfTestCheck> run_self_test(const ProgramUnderTest& program,
                                                       const SelfTestOptions& options,
                                                       const std::stop_token& stop);

// "NAME: expected ..., seen ..." of the first that failed and is not in `tolerated`, and how many
// more there are; empty when there is none.
struct Oddities {
  std::string of_all;
  std::string of_blocking;  // CheckDescription::of_blocking
};
[[nodiscard]] Oddities judge(std::span<const SelfTestCheck> checks,
                             std::span<const std::string> tolerated);

}  // namespace zerospan::propagation
