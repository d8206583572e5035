// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The self-test before injection, against programs that are right and that are wrong. It loads BPF
// programs, so it runs as root.

#include "agent/propagation/self_check.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "agent/propagation/loopback.h"
#include "inserter.skel.h"
#include "tests/propagation/faults.h"

namespace zerospan::propagation {
namespace {

// Where the processor is emulated.
std::chrono::milliseconds scaled(std::chrono::milliseconds time) {
  const char* factor = std::getenv("ZEROSPAN_TIME_FACTOR");
  return time * (factor == nullptr ? 1 : std::max(1, std::atoi(factor)));
}

SelfTestOptions options() {
  SelfTestOptions options;
  options.limit = scaled(std::chrono::seconds(60));
  options.limit_each = scaled(std::chrono::seconds(15));
  return options;
}

class Inserter {
 public:
  explicit Inserter(uint32_t fault = FAULT_NONE, bool with_verdict = false)
      : skeleton_(inserter_bpf::open()) {
    EXPECT_NE(skeleton_, nullptr);
    EXPECT_EQ(inserter_bpf::load(skeleton_), 0) << "run it as root";
    skeleton_->bss->fault = fault;
    const int sockets = bpf_map__fd(skeleton_->maps.sockets);
    EXPECT_EQ(::bpf_prog_attach(bpf_program__fd(skeleton_->progs.inserter), sockets,
                                BPF_SK_MSG_VERDICT, 0),
              0);
    if (with_verdict) {
      EXPECT_EQ(::bpf_prog_attach(bpf_program__fd(skeleton_->progs.verdict), sockets,
                                  BPF_SK_SKB_STREAM_VERDICT, 0),
                0);
    }
  }
  ~Inserter() { inserter_bpf::destroy(skeleton_); }
  Inserter(const Inserter&) = delete;
  Inserter& operator=(const Inserter&) = delete;

  Status put_in(int fd) const { return change(fd, true); }
  Status take_out(int fd) const { return change(fd, false); }
  [[nodiscard]] ProgramUnderTest program() const {
    return {[this](int fd) { return put_in(fd); }, [this](int fd) { return take_out(fd); }};
  }

 private:
  [[nodiscard]] Status change(int fd, bool in) const {
    const int sockets = bpf_map__fd(skeleton_->maps.sockets);
    const uint64_t key = 1;  // one at a time
    const uint64_t value = static_cast<uint64_t>(fd);
    const int error = in ? ::bpf_map_update_elem(sockets, &key, &value, BPF_ANY)
                         : ::bpf_map_delete_elem(sockets, &key);
    return error == 0 ? Status{} : tl::unexpected(error_from_errno(errno, "the sockhash"));
  }
  inserter_bpf* skeleton_;
};

// What is asked of FIONREAD, without the code under test: true where a socket that is only under a
// program for sends tells too little (6.18 before its fix).
bool kernel_hides_what_can_be_read() {
  const Inserter inserter;
  const std::stop_token stop;
  const Deadline deadline(std::chrono::steady_clock::now() + std::chrono::seconds(10), stop);
  const Pair pair = Pair::make(AF_INET, deadline);
  EXPECT_TRUE(inserter.put_in(pair.client.get()));
  EXPECT_EQ(::send(pair.server.get(), "abc", 3, 0), 3);
  deadline.wait(pair.client.get(), POLLIN, "three bytes");
  int bytes = -1;
  EXPECT_EQ(::ioctl(pair.client.get(), FIONREAD, &bytes), 0);
  return bytes != 3;
}

std::set<std::string> failed(const std::vector<SelfTestCheck>& checks) {
  std::set<std::string> names;
  for (const SelfTestCheck& check : checks) {
    if (!check.passed()) {
      names.emplace(check.name);
    }
  }
  return names;
}

void print(const std::vector<SelfTestCheck>& checks) {
  for (const SelfTestCheck& check : checks) {
    std::printf("  %-16s %6ld us  %s\n", std::string(check.name).c_str(),
                static_cast<long>(check.took.count()),
                check.passed() ? "as without"
                               : ("expected " + check.expected + ", seen " + check.seen).c_str());
  }
}

// In a thread of its own: a filter of system calls cannot be taken away again.
std::vector<SelfTestCheck> run(const ProgramUnderTest& program, const SelfTestOptions& how) {
  std::vector<SelfTestCheck> checks;
  std::thread([&] { checks = run_self_test(program, how, std::stop_token()); }).join();
  return checks;
}

TEST(SelfTest, FindsAProgramThatIsRightInOrder) {
  const Inserter inserter;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<SelfTestCheck> checks = run(inserter.program(), options());
  const auto took = std::chrono::steady_clock::now() - start;
  print(checks);
  std::printf(
      "  all in %ld ms\n",
      static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_EQ(checks.size(), self_test_checks().size());
  const bool hides = kernel_hides_what_can_be_read();
  std::set<std::string> odd = failed(checks);
  odd.erase("two_ways");  // whose defect the kernels have that were looked at, and the next may not
  EXPECT_EQ(odd, hides ? std::set<std::string>{"fionread"} : std::set<std::string>{});
  EXPECT_EQ(judge(checks, {}).of_all.empty(), !hides);
  const std::vector<std::string> tolerated = {"fionread", "two_ways"};
  const Oddities none = judge(checks, tolerated);
  EXPECT_EQ(none.of_all + none.of_blocking, "");
}

// The form that zerospan does not use: a program on what is received, too. What it gets wrong here
// is printed; that one byte is lost or one call answered otherwise would be no reason to fail.
TEST(SelfTest, TellsWhatAVerdictProgramWouldCost) {
  const Inserter inserter(FAULT_NONE, true);
  SelfTestOptions how = options();
  how.limit_each = scaled(std::chrono::seconds(2));
  const std::vector<SelfTestCheck> checks = run(inserter.program(), how);
  print(checks);
  EXPECT_THAT(failed(checks), testing::Not(testing::IsEmpty()));
}

// One system call on the socket under test does not do what it says: SECCOMP_RET_ERRNO, which with
// 0 is a call that claims to have succeeded.
struct BrokenCall {
  uint32_t number = 0;
  uint32_t fd_argument = 0;
  std::optional<uint32_t> argument;  // another one that must have
  uint32_t bits = 0;                 // these bits
  int error = 0;
};

void break_call(const BrokenCall& call, int fd) {
  const auto low_half = [](uint32_t argument) {
    return static_cast<uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(uint64_t));
  };
  const uint32_t bits = call.argument ? call.bits : 0;
  const uint32_t argument = call.argument.value_or(0);
  std::array<sock_filter, 8> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low_half(call.fd_argument)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(fd), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low_half(argument)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(call.error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  if (bits == 0) {
    filter[5] = BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0);
  }
  const sock_fprog program{filter.size(), filter.data()};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

struct Mistake {
  const char* check;
  uint32_t fault = FAULT_NONE;
  std::optional<BrokenCall> call;
  const char* seen;  // a part of it
};

const auto kMistakes = std::to_array<Mistake>({
    {"header", FAULT_NOTHING, {}, "0 lines of traceparent"},
    {"header_ipv6", FAULT_TWICE, {}, "2 lines of traceparent"},
    {"pieces", FAULT_FORGET, {}, "0 lines of traceparent"},
    {"pipelined", FAULT_FIRST_ONLY, {}, "0 lines of traceparent"},
    {"not_http", FAULT_ANYTHING, {}, "another byte at 0"},
    {"calls", FAULT_NONE, BrokenCall{__NR_writev, 0, {}, 0, EFAULT}, "EFAULT"},
    {"iovecs", FAULT_LOSE_A_BYTE, {}, "another byte at"},
    {"large", FAULT_LOSE_A_BYTE, {}, "another byte at"},
    {"back_pressure", FAULT_LOSE_A_BYTE, {}, "another byte at"},
    {"full_queue", FAULT_BLIND, {}, "another byte at"},
    {"blocking_send", FAULT_DROP_LARGE, {}, "a send of"},
    {"blocking_read", FAULT_NONE, BrokenCall{__NR_recvfrom, 0, 3, MSG_WAITALL, EAGAIN},
     "EAGAIN, then EAGAIN"},
    {"two_ways", FAULT_NONE, BrokenCall{__NR_recvfrom, 0, 3, MSG_WAITALL, EPERM}, "EPERM"},
    {"two_ways_polled", FAULT_NONE, BrokenCall{__NR_recvfrom, 0, 3, MSG_WAITALL, EPERM}, "EPERM"},
    {"epoll", FAULT_NONE, BrokenCall{__NR_epoll_ctl, 2, {}, 0, 0}, "a stall"},
    {"fionread", FAULT_NONE, BrokenCall{__NR_ioctl, 0, {}, 0, 0}, "-1, -1"},
    {"peek", FAULT_NONE, BrokenCall{__NR_recvfrom, 0, 3, MSG_PEEK, EAGAIN}, "EAGAIN"},
    {"half_close", FAULT_NONE, BrokenCall{__NR_shutdown, 0, {}, 0, 0}, "a stall"},
    {"peer_half_close", FAULT_NOTHING, {}, "0 lines"},
    {"urgent", FAULT_NONE, BrokenCall{__NR_sendto, 0, 3, MSG_OOB, EOPNOTSUPP}, "a send of 1"},
    {"sendfile", FAULT_LOSE_A_BYTE, {}, "another byte at"},
    {"sendfile_head", FAULT_TWICE, {}, "2 lines"},
    {"splice", FAULT_NONE, BrokenCall{__NR_splice, 2, {}, 0, EINVAL}, "EINVAL"},
    {"splice_from", FAULT_NONE, BrokenCall{__NR_splice, 0, {}, 0, 0}, "0 bytes, not as sent"},
    {"cork", FAULT_CORK, {}, "a stall"},
    {"more", FAULT_CORK, {}, "a stall"},
    {"zerocopy", FAULT_NONE, BrokenCall{__NR_recvmsg, 0, {}, 0, EAGAIN}, "a stall"},
    {"tcp_info", FAULT_NONE, BrokenCall{__NR_getsockopt, 0, {}, 0, ENOPROTOOPT}, "none"},
    {"reset", FAULT_NONE, BrokenCall{__NR_close, 0, {}, 0, 0}, "a stall"},
    {"reset_by_peer", FAULT_NONE, BrokenCall{__NR_recvfrom, 0, {}, 0, 0}, "the end"},
    {"taken_out", FAULT_CORK, {}, "another byte at"},
    {"exchanges", FAULT_DROP_LATE, {}, "send 4999: EACCES"},
});

// Every check, and a mistake that it must notice.
TEST(SelfTest, EachCheckCanFail) {
  std::set<std::string_view> left;
  for (const CheckDescription& check : self_test_checks()) {
    left.insert(check.name);
  }
  for (const Mistake& mistake : kMistakes) {
    SCOPED_TRACE(mistake.check);
    left.erase(mistake.check);
    const Inserter inserter(mistake.fault);
    ProgramUnderTest program = inserter.program();
    program.put_in = [&](int fd) {
      const Status status = inserter.put_in(fd);
      if (mistake.call) {
        break_call(*mistake.call, fd);
      }
      return status;
    };
    SelfTestOptions how = options();
    how.limit_each = scaled(
        std::chrono::milliseconds(mistake.seen == std::string_view("a stall") ? 500 : 15'000));
    how.only = {mistake.check};
    const std::vector<SelfTestCheck> checks = run(program, how);
    ASSERT_EQ(checks.size(), 1U);
    EXPECT_TRUE(checks[0].made);
    EXPECT_FALSE(checks[0].passed());
    EXPECT_THAT(checks[0].seen, testing::HasSubstr(mistake.seen));
    const Oddities oddities = judge(checks, {});
    EXPECT_THAT(checks[0].of_blocking ? oddities.of_blocking : oddities.of_all,
                testing::StartsWith(std::string(mistake.check) + ":"));
    EXPECT_EQ(checks[0].of_blocking ? oddities.of_all : oddities.of_blocking, "");
  }
  EXPECT_THAT(left, testing::IsEmpty()) << "no mistake for these checks";
}

TEST(SelfTest, NoticesARedirect) {
  const Inserter inserter(FAULT_REDIRECT_LATE);
  SelfTestOptions how = options();
  how.limit_each = scaled(std::chrono::seconds(1));
  how.only = {"pieces", "calls", "exchanges"};
  EXPECT_EQ(failed(run(inserter.program(), how)),
            (std::set<std::string>{"pieces", "calls", "exchanges"}));
}

TEST(SelfTest, WhatCannotBePutInHasFailed) {
  const ProgramUnderTest program{[](int) { return fail(ErrorCode::kPermission, "not allowed"); },
                                 [](int) { return fail(ErrorCode::kPermission, "not allowed"); }};
  const std::vector<SelfTestCheck> checks = run(program, options());
  EXPECT_EQ(failed(checks).size(), self_test_checks().size());
  const Oddities oddities = judge(checks, {});
  EXPECT_THAT(oddities.of_all, testing::HasSubstr("not allowed"));
  EXPECT_THAT(oddities.of_blocking, testing::HasSubstr("not allowed"));
}

// The time for all is over, or the agent ends: what was not done has not passed.
TEST(SelfTest, EndsInTime) {
  const Inserter inserter;
  SelfTestOptions how = options();
  how.limit = std::chrono::milliseconds(0);
  std::vector<SelfTestCheck> checks = run(inserter.program(), how);
  EXPECT_EQ(failed(checks).size(), self_test_checks().size());

  std::stop_source stop;
  stop.request_stop();
  checks = run_self_test(inserter.program(), options(), stop.get_token());
  EXPECT_EQ(failed(checks).size(), self_test_checks().size());
}

}  // namespace
}  // namespace zerospan::propagation
