// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Beside another agent's programs at the same sockets. As root.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "agent/kernel/socket_programs.h"
#include "agent/propagation/loopback.h"
#include "foreign.skel.h"
#include "inserter.skel.h"

namespace zerospan::kernel {
namespace {

using propagation::Deadline;
using propagation::Pair;
using testing::Contains;
using testing::Field;

// Where the unified hierarchy is mounted.
std::string cgroup_root() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string device, folder, type, rest;
       mounts >> device >> folder >> type && std::getline(mounts, rest);) {
    if (type == "cgroup2") {
      return folder;
    }
  }
  return "";
}

// A cgroup for this process, so that nobody else's connections are touched.
class OwnCgroup {
 public:
  OwnCgroup()
      : root_(cgroup_root()), path_(root_ + "/zerospan-test-" + std::to_string(::getpid())) {
    std::string line;
    for (std::ifstream file("/proc/self/cgroup"); std::getline(file, line);) {
      if (line.rfind("0::", 0) == 0) {
        before_ = root_ + line.substr(3);
      }
    }
    EXPECT_EQ(::mkdir(path_.c_str(), 0755), 0) << path_;
    enter(path_);
    fd_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~OwnCgroup() {
    enter(before_);
    EXPECT_EQ(::rmdir(path_.c_str()), 0);
  }
  OwnCgroup(const OwnCgroup&) = delete;
  OwnCgroup& operator=(const OwnCgroup&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  static void enter(const std::string& path) {
    std::ofstream file(path + "/cgroup.procs");
    file << ::getpid() << std::flush;
    EXPECT_TRUE(file.good()) << path;
  }
  std::string root_;
  std::string path_;
  std::string before_;
  UniqueFd fd_;
};

struct Programs {
  Programs() : foreign(foreign_bpf::open_and_load()), ours(inserter_bpf::open_and_load()) {
    EXPECT_NE(foreign, nullptr) << "run it as root";
    EXPECT_NE(ours, nullptr);
    attach(ours->progs.inserter, ours->maps.sockets, BPF_SK_MSG_VERDICT);
  }
  ~Programs() {
    foreign_bpf::destroy(foreign);
    inserter_bpf::destroy(ours);
  }
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  static void attach(const bpf_program* program, const bpf_map* map, bpf_attach_type type) {
    EXPECT_EQ(::bpf_prog_attach(bpf_program__fd(program), bpf_map__fd(map), type, 0), 0);
  }
  static int put(const bpf_map* map, int socket) {
    const uint64_t key = static_cast<uint64_t>(socket);
    const uint64_t value = key;
    return ::bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY) == 0 ? 0 : errno;
  }
  foreign_bpf* foreign;
  inserter_bpf* ours;
};

// What arrives of one request.
std::string arrives(const Pair& pair, const Deadline& deadline) {
  const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  EXPECT_EQ(::send(pair.client.get(), request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  std::string received;
  propagation::read_some(pair.server.get(), received, request.size(), deadline);
  return received;
}

class Coexistence : public testing::Test {
 protected:
  std::stop_token stop_;
  Deadline deadline_{std::chrono::steady_clock::now() + std::chrono::seconds(60), stop_};
};

TEST_F(Coexistence, OthersAreFound) {
  const auto find = [](const char* name, SocketProgram::Kind kind) {
    return Contains(
        testing::AllOf(Field(&SocketProgram::name, name), Field(&SocketProgram::kind, kind)));
  };
  const auto sockops = find("foreign__sockop", SocketProgram::Kind::kSockops);
  const auto messages = find("foreign__messag", SocketProgram::Kind::kMessages);
  const auto verdict = find("foreign__verdic", SocketProgram::Kind::kVerdict);
  {
    const Programs programs;
    const Result<std::vector<SocketProgram>> found = foreign_socket_programs();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_THAT(*found, sockops);
    EXPECT_THAT(*found, messages);
    EXPECT_THAT(*found, verdict);
    EXPECT_THAT(reason_to_stand_aside(*found), testing::HasSubstr("sk_msg"));
  }
  const Result<std::vector<SocketProgram>> after = foreign_socket_programs();
  ASSERT_TRUE(after);
  EXPECT_THAT(*after, testing::Not(messages));
}

TEST_F(Coexistence, OnlyMessagesAreAReason) {
  using Kind = SocketProgram::Kind;
  EXPECT_EQ(reason_to_stand_aside({}), "");
  EXPECT_EQ(reason_to_stand_aside(
                std::vector<SocketProgram>{{Kind::kSockops, 1, "a"}, {Kind::kVerdict, 2, "b"}}),
            "");
  EXPECT_THAT(reason_to_stand_aside(std::vector<SocketProgram>{{Kind::kMessages, 3, "c"}}),
              testing::HasSubstr("(c, id 3)"));
}

// The other agent was first: its sockets stay its own, and both programs of the cgroup run.
TEST_F(Coexistence, WhoWasFirstKeepsTheSocket) {
  const OwnCgroup cgroup;
  const Programs programs;
  Programs::attach(programs.foreign->progs.foreign__messages,
                   programs.foreign->maps.foreign_sockets, BPF_SK_MSG_VERDICT);
  const std::unique_ptr<bpf_link, decltype(&bpf_link__destroy)> link(
      bpf_program__attach_cgroup(programs.foreign->progs.foreign__sockops, cgroup.fd()),
      &bpf_link__destroy);
  ASSERT_NE(link, nullptr);
  const Pair pair = Pair::make(AF_INET, deadline_);
  ASSERT_EQ(programs.foreign->bss->established, 1U);
  EXPECT_EQ(Programs::put(programs.ours->maps.sockets, pair.client.get()), EBUSY);
  EXPECT_THAT(arrives(pair, deadline_), testing::Not(testing::HasSubstr("traceparent")));
  EXPECT_EQ(programs.foreign->bss->messages, 1U);
}

// The other way round it would lose: why zerospan stands aside where such a program is loaded.
TEST_F(Coexistence, WhoComesSecondIsRefused) {
  const Programs programs;
  Programs::attach(programs.foreign->progs.foreign__messages,
                   programs.foreign->maps.foreign_sockets, BPF_SK_MSG_VERDICT);
  const Pair pair = Pair::make(AF_INET, deadline_);
  EXPECT_EQ(Programs::put(programs.ours->maps.sockets, pair.client.get()), 0);
  EXPECT_EQ(Programs::put(programs.foreign->maps.foreign_sockets, pair.client.get()), EBUSY);
  EXPECT_THAT(arrives(pair, deadline_), testing::HasSubstr("traceparent"));
  EXPECT_EQ(programs.foreign->bss->messages, 0U);
}

// A map that only looks at what is received has the socket beside ours, in either order.
TEST_F(Coexistence, AVerdictProgramStandsBesideOurs) {
  for (const bool ours_first : {false, true}) {
    SCOPED_TRACE(ours_first);
    const Programs programs;
    Programs::attach(programs.foreign->progs.foreign__verdict,
                     programs.foreign->maps.foreign_sockets, BPF_SK_SKB_STREAM_VERDICT);
    const Pair pair = Pair::make(AF_INET, deadline_);
    const auto maps =
        ours_first
            ? std::array{programs.ours->maps.sockets, programs.foreign->maps.foreign_sockets}
            : std::array{programs.foreign->maps.foreign_sockets, programs.ours->maps.sockets};
    for (const bpf_map* map : maps) {
      EXPECT_EQ(Programs::put(map, pair.client.get()), 0);
    }
    EXPECT_THAT(arrives(pair, deadline_), testing::HasSubstr("traceparent"));
    EXPECT_EQ(::send(pair.server.get(), "abc", 3, 0), 3);
    std::string answer;
    propagation::read_some(pair.client.get(), answer, 3, deadline_);
    EXPECT_EQ(answer, "abc");
    EXPECT_EQ(programs.foreign->bss->received, 1U);
  }
}

}  // namespace
}  // namespace zerospan::kernel
