// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/process_table.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/discovery/fake_proc.h"

namespace zerospan::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Action selected(uint32_t pid, bool is_go = false, bool uses_epoll = false) {
  return {Action::Kind::kSelect, pid, is_go, uses_epoll};
}
Action deselected(uint32_t pid) {
  return {Action::Kind::kDeselect, pid, false, false};
}

std::string service(const ProcessInfo& info) {
  for (const auto& attribute : info.resource->attributes) {
    if (attribute.key == "service.name") {
      return std::get<std::string>(attribute.value);
    }
  }
  return {};
}

class ProcessTableTest : public testing::Test {
 protected:
  void make(SelectionRules include, SelectionRules exclude = {}) {
    options_.selection.include = std::move(include);
    options_.selection.exclude = std::move(exclude);
    options_.selection.self_pid = 9999;
    options_.passwd_path = fake_.root() + "/passwd";
    fake_.write("passwd", "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nbroken\n");
    table_ =
        std::make_unique<ProcessTable>(options_, ProcFs(fake_.root()), [this] { return now_ns_; });
    reader_ = std::make_unique<ProcessReader>(table_->view());
  }
  std::shared_ptr<const ProcessInfo> lookup(uint32_t pid) { return reader_->lookup(pid); }

  FakeProc fake_;
  ProcessTableOptions options_;
  uint64_t now_ns_ = 1;
  std::unique_ptr<ProcessTable> table_;
  std::unique_ptr<ProcessReader> reader_;
};

TEST_F(ProcessTableTest, ScanSelectsByExecutable) {
  fake_.put({.pid = 2, .parent = 0, .command = "kthreadd", .kernel_thread = true});
  fake_.put({.pid = 10, .executable = "/usr/sbin/nginx", .arguments = {"nginx: master"}});
  fake_.put({.pid = 11,
             .parent = 10,
             .executable = "/usr/sbin/nginx",
             .arguments = {"nginx: worker"},
             .uid = 33,
             .fds = {"anon_inode:[eventpoll]"}});
  fake_.put({.pid = 12, .executable = "/bin/other"});
  fake_.put({.pid = 13, .executable = "/usr/sbin/nginx", .state = 'Z'});
  make({.executables = {"nginx"}});
  EXPECT_THAT(table_->scan_running(),
              UnorderedElementsAre(selected(10), selected(11, false, true)));
  ASSERT_NE(lookup(11), nullptr);
  EXPECT_EQ(lookup(11)->user, "www-data");
  EXPECT_EQ(lookup(11)->parent_pid, 10U);
  EXPECT_EQ(lookup(11)->namespace_pid, 7U);
  EXPECT_EQ(service(*lookup(11)), "nginx");
  EXPECT_EQ(lookup(12), nullptr);
  EXPECT_EQ(table_->counters().selected, 2U);
  EXPECT_EQ(table_->counters().known, 4U);
  EXPECT_THAT(table_->scan_running(), IsEmpty());  // nothing changed
}

TEST_F(ProcessTableTest, AScanMakesUpForLostEvents) {
  fake_.put({.pid = 10, .executable = "/a/srv"});
  fake_.put({.pid = 11, .executable = "/a/srv"});
  fake_.put({.pid = 12, .executable = "/a/srv"});
  make({.executables = {"srv"}});
  static_cast<void>(table_->scan_running());
  fake_.remove(10);
  fake_.put({.pid = 11, .start_time = 500, .executable = "/a/srv"});  // the pid was reused
  fake_.put({.pid = 12, .executable = "/bin/sh"});                    // executed something else
  fake_.put({.pid = 13, .executable = "/a/srv"});
  EXPECT_THAT(table_->scan_running(),
              UnorderedElementsAre(deselected(10), deselected(11), selected(11), deselected(12),
                                   selected(13)));
  EXPECT_EQ(lookup(11)->start_time, 500U);
}

TEST_F(ProcessTableTest, ExecSelectsAndDeselects) {
  fake_.put({.pid = 10, .executable = "/bin/sh"});
  make({.executables = {"server"}});
  EXPECT_THAT(table_->scan_running(), IsEmpty());
  fake_.put({.pid = 10, .executable = "/opt/server"});
  EXPECT_THAT(table_->on_exec(10), ElementsAre(selected(10)));
  EXPECT_EQ(service(*lookup(10)), "server");
  fake_.put({.pid = 10, .executable = "/bin/sleep"});
  EXPECT_THAT(table_->on_exec(10), ElementsAre(deselected(10)));
  EXPECT_NE(lookup(10), nullptr);  // late spans of the server
  fake_.put({.pid = 20, .executable = "/opt/server"});
  EXPECT_THAT(table_->on_exec(20), ElementsAre(selected(20)));  // its fork was lost
  EXPECT_THAT(table_->on_exec(21), IsEmpty());                  // already gone
  EXPECT_EQ(table_->counters().vanished, 1U);
}

TEST_F(ProcessTableTest, WithoutChildrenEachProcessIsJudgedAlone) {
  options_.selection.children = false;
  fake_.put({.pid = 10, .executable = "/bin/sh"});
  fake_.put({.pid = 11, .parent = 10, .executable = "/bin/make"});
  make({.pids = {10}, .executables = {"cc"}});
  EXPECT_THAT(table_->scan_running(), UnorderedElementsAre(selected(10)));
  fake_.put({.pid = 12, .parent = 10, .executable = "/bin/sh"});
  EXPECT_THAT(table_->on_fork(10, 12), testing::Not(testing::Contains(selected(12))));
  fake_.put({.pid = 13, .parent = 10, .executable = "/bin/cc"});
  EXPECT_THAT(table_->on_fork(10, 13), ElementsAre(selected(13)));
}

TEST_F(ProcessTableTest, AListedPidComesWithItsDescendants) {
  fake_.put({.pid = 10, .executable = "/bin/sh"});
  fake_.put({.pid = 11, .parent = 10, .executable = "/bin/make"});
  fake_.put({.pid = 12, .parent = 11, .executable = "/bin/cc"});
  fake_.put({.pid = 13, .parent = 1, .executable = "/bin/sh"});
  make({.pids = {10}}, {.pids = {15}});
  EXPECT_THAT(table_->scan_running(),
              UnorderedElementsAre(selected(10), selected(11), selected(12)));
  fake_.put({.pid = 14, .parent = 12, .executable = "/bin/cc"});
  EXPECT_THAT(table_->on_fork(12, 14), ElementsAre(selected(14)));
  fake_.put({.pid = 14, .parent = 12, .executable = "/bin/as"});
  EXPECT_THAT(table_->on_exec(14), ElementsAre(selected(14)));
  // The link to the listed pid survives the death of those in between.
  EXPECT_THAT(table_->on_exit(12), ElementsAre(deselected(12)));
  fake_.put({.pid = 14, .parent = 1, .executable = "/bin/ld"});
  EXPECT_THAT(table_->on_exec(14), ElementsAre(selected(14)));
  fake_.put({.pid = 15, .parent = 10, .executable = "/bin/sh"});
  EXPECT_THAT(table_->on_fork(10, 15), IsEmpty());
  fake_.put({.pid = 16, .parent = 15, .executable = "/bin/sh"});
  EXPECT_THAT(table_->on_fork(15, 16), IsEmpty());
  EXPECT_THAT(table_->on_exec(16), IsEmpty());
}

TEST_F(ProcessTableTest, OtherRulesSelectAndDeselectWhatRuns) {
  for (const uint32_t pid : {10, 11, 12}) {
    fake_.put({.pid = pid, .executable = pid == 12 ? "/b/other" : "/a/srv"});
  }
  make({.executables = {"srv"}}, {.pids = {11}});
  EXPECT_THAT(table_->scan_running(), ElementsAre(selected(10)));
  const auto before = lookup(10);
  SelectorOptions selection = options_.selection;
  selection.include = {.executables = {"other", "srv"}};
  selection.exclude = {.pids = {10}};
  EXPECT_THAT(table_->reconfigure(selection, options_.resource),
              UnorderedElementsAre(deselected(10), selected(11), selected(12)));
  EXPECT_EQ(lookup(10), before);  // for spans that are still on their way
  EXPECT_NE(lookup(12), nullptr);
  EXPECT_EQ(table_->counters().selected, 2U);
  EXPECT_THAT(table_->reconfigure(options_.selection, options_.resource),
              UnorderedElementsAre(selected(10), deselected(11), deselected(12)));
}

TEST_F(ProcessTableTest, OtherNamesAreGivenToWhatRunsWithoutTheKernelHearingOfIt) {
  fake_.put({.pid = 10, .executable = "/a/srv"});
  fake_.put({.pid = 11,
             .executable = "/a/srv",
             .environment = {"OTEL_SERVICE_NAME=own"},
             .fds = {"anon_inode:[eventpoll]"}});
  make({.executables = {"srv"}});
  static_cast<void>(table_->scan_running());
  const uint64_t id = lookup(10)->resource->id;
  ResourceOptions resource = options_.resource;
  resource.rules = {{.executable = "srv", .name = "shop"}};
  EXPECT_THAT(table_->reconfigure(options_.selection, resource), IsEmpty());
  EXPECT_EQ(service(*lookup(10)), "shop");
  EXPECT_NE(lookup(10)->resource->id, id);
  EXPECT_EQ(service(*lookup(11)), "own");
}

TEST_F(ProcessTableTest, DescendantsOfListedPidsStaySelectedUnlessTheListChanges) {
  fake_.put({.pid = 10, .executable = "/bin/sh"});
  fake_.put({.pid = 11, .parent = 10, .executable = "/bin/sh"});
  fake_.put({.pid = 12, .parent = 11, .executable = "/a/srv"});
  make({.pids = {10}});
  EXPECT_THAT(table_->scan_running(),
              UnorderedElementsAre(selected(10), selected(11), selected(12)));
  // What was between ends: only the table knows now where 12 came from.
  fake_.remove(11);
  EXPECT_THAT(table_->on_exit(11), ElementsAre(deselected(11)));
  fake_.put({.pid = 12, .parent = 1, .executable = "/a/srv"});
  SelectorOptions selection = options_.selection;
  selection.exclude = {.executables = {"nobody"}};
  EXPECT_THAT(table_->reconfigure(selection, options_.resource), IsEmpty());
  selection.include = {.pids = {77}};
  EXPECT_THAT(table_->reconfigure(selection, options_.resource),
              UnorderedElementsAre(deselected(10), deselected(12)));
}

TEST_F(ProcessTableTest, AForkedChildIsItsParentsProgramUntilItExecs) {
  fake_.put({.pid = 10,
             .executable = "/usr/bin/python3",
             .arguments = {"python3", "app.py"},
             .environment = {"OTEL_SERVICE_NAME=cart"}});
  make({.command_lines = {"*app.py*"}});
  static_cast<void>(table_->scan_running());
  fake_.put({.pid = 11, .parent = 10, .start_time = 200, .executable = "/nowhere"});
  EXPECT_THAT(table_->on_fork(10, 11), ElementsAre(selected(11)));
  EXPECT_EQ(service(*lookup(11)), "cart");
  EXPECT_EQ(lookup(11)->start_time, 200U);
  EXPECT_NE(lookup(11)->resource->id, lookup(10)->resource->id);
  EXPECT_THAT(table_->on_fork(10, 11), IsEmpty());  // told twice
  // A child that had ended before we heard of it still gets a name for its spans.
  EXPECT_THAT(table_->on_fork(10, 12), ElementsAre(selected(12)));
  EXPECT_THAT(table_->on_exit(12), ElementsAre(deselected(12)));
  EXPECT_EQ(service(*lookup(12)), "cart");
  // A child of what is not selected is not.
  fake_.put({.pid = 20, .executable = "/bin/sh"});
  fake_.put({.pid = 21, .parent = 20, .executable = "/bin/sh"});
  EXPECT_THAT(table_->on_exec(20), IsEmpty());
  EXPECT_THAT(table_->on_fork(20, 21), IsEmpty());
  // One whose parent we do not know is judged by itself.
  fake_.put({.pid = 30, .parent = 29, .executable = "/bin/x", .arguments = {"x", "app.py"}});
  EXPECT_THAT(table_->on_fork(29, 30), ElementsAre(selected(30)));
}

TEST_F(ProcessTableTest, ExitKeepsTheInfoForTheGraceTime) {
  fake_.put({.pid = 10, .executable = "/a/srv"});
  fake_.put({.pid = 11, .executable = "/a/srv"});
  options_.grace = std::chrono::nanoseconds(1000);
  make({.executables = {"srv"}});
  static_cast<void>(table_->scan_running());
  const auto before = lookup(10);
  EXPECT_THAT(table_->on_exit(10), ElementsAre(deselected(10)));
  EXPECT_THAT(table_->on_exit(10), IsEmpty());
  EXPECT_EQ(lookup(10), before);
  now_ns_ += 999;
  EXPECT_THAT(table_->on_exit(77), IsEmpty());
  EXPECT_EQ(lookup(10), before);
  now_ns_ += 1;
  EXPECT_THAT(table_->on_exit(77), IsEmpty());
  EXPECT_EQ(lookup(10), nullptr);
  EXPECT_NE(lookup(11), nullptr);
  EXPECT_EQ(table_->counters().selected, 1U);
}

TEST_F(ProcessTableTest, APidThatIsReusedInTheGraceTimeIsTheNewProcess) {
  fake_.put({.pid = 10, .executable = "/a/srv"});
  options_.grace = std::chrono::nanoseconds(1000);
  make({.executables = {"srv"}});
  static_cast<void>(table_->scan_running());
  EXPECT_THAT(table_->on_exit(10), ElementsAre(deselected(10)));
  fake_.put({.pid = 10, .start_time = 900, .executable = "/b/srv"});
  EXPECT_THAT(table_->on_exec(10), ElementsAre(selected(10)));
  now_ns_ += 5000;
  EXPECT_THAT(table_->on_exit(77), IsEmpty());
  ASSERT_NE(lookup(10), nullptr);  // the old one's expiry does not take the new one away
  EXPECT_EQ(lookup(10)->executable, "/b/srv");
  // Its exit lost: the start time tells.
  fake_.put({.pid = 10, .start_time = 950, .executable = "/c/srv"});
  EXPECT_THAT(table_->on_exec(10), ElementsAre(deselected(10), selected(10)));
  EXPECT_EQ(lookup(10)->executable, "/c/srv");
}

TEST_F(ProcessTableTest, EndedProcessesAreBounded) {
  options_.max_ended = 3;
  make({.all = true});
  for (uint32_t pid = 10; pid < 20; ++pid) {
    fake_.put({.pid = pid, .executable = "/a/srv"});
    EXPECT_THAT(table_->on_exec(pid), ElementsAre(selected(pid)));
    EXPECT_THAT(table_->on_exit(pid), ElementsAre(deselected(pid)));
  }
  EXPECT_EQ(reader_->snapshot().size(), 3U);
  EXPECT_NE(lookup(19), nullptr);
}

TEST_F(ProcessTableTest, SelectedProcessesAreBoundedAndTheRestCounted) {
  options_.max_selected = 2;
  make({.all = true});
  for (uint32_t pid = 10; pid < 15; ++pid) {
    fake_.put({.pid = pid, .executable = "/a/srv"});
  }
  EXPECT_EQ(table_->scan_running().size(), 2U);
  EXPECT_EQ(table_->counters().over_limit, 3U);
}

TEST_F(ProcessTableTest, PortsOfRunningProcessesAndLaterOnes) {
  fake_.put({.pid = 10,
             .executable = "/a/web",
             .fds = {"socket:[1]", "socket:[2]"},
             .tcp = FakeProc::tcp_line(8080, 2)});
  fake_.put({.pid = 11,
             .executable = "/a/db",
             .fds = {"socket:[3]"},
             .tcp = FakeProc::tcp_line(5432, 3)});
  fake_.put({.pid = 12, .executable = "/a/late"});
  fake_.put({.pid = 13,
             .executable = "/a/otherns",
             .fds = {"socket:[2]"},
             .network = "net:[2]",
             .tcp = FakeProc::tcp_line(8080, 99)});
  make({.ports = {{8000, 8999}}});
  // 11 shares the table that was read for 10's network namespace, or the other way round: the fake
  // gives each its own file, so only one of them has both lines.
  fake_.write("11/net/tcp", "h\n" + FakeProc::tcp_line(8080, 2) + FakeProc::tcp_line(5432, 3));
  fake_.write("10/net/tcp", "h\n" + FakeProc::tcp_line(8080, 2) + FakeProc::tcp_line(5432, 3));
  EXPECT_THAT(table_->scan_running(), ElementsAre(selected(10)));
  EXPECT_THAT(lookup(10)->listen_ports, ElementsAre(8080));
  EXPECT_THAT(table_->on_listen(12, 9000), IsEmpty());
  EXPECT_THAT(table_->on_listen(12, 8500), ElementsAre(selected(12)));
  EXPECT_THAT(lookup(12)->listen_ports, ElementsAre(8500, 9000));
  EXPECT_THAT(table_->on_listen(12, 8500), IsEmpty());
  EXPECT_THAT(table_->on_listen(12, 8600), IsEmpty());  // selected already; but known now
  EXPECT_THAT(lookup(12)->listen_ports, ElementsAre(8500, 8600, 9000));
  // A worker forked by a listener has its sockets.
  fake_.put({.pid = 20, .parent = 12, .executable = "/a/late"});
  EXPECT_THAT(table_->on_fork(12, 20), ElementsAre(selected(20)));
  // What it executes has them only if they stayed open.
  fake_.put({.pid = 20, .parent = 12, .executable = "/bin/sh"});
  EXPECT_THAT(table_->on_exec(20), ElementsAre(deselected(20)));
}

TEST_F(ProcessTableTest, AnExcludedPortIsRespectedWhenItComesLate) {
  fake_.put({.pid = 10, .executable = "/a/web"});
  make({.all = true}, {.ports = {{9090, 9090}}});
  EXPECT_THAT(table_->scan_running(), ElementsAre(selected(10)));
  EXPECT_THAT(table_->on_listen(10, 9090), ElementsAre(deselected(10)));
}

TEST_F(ProcessTableTest, APortThatNamesTheServiceIsNoticed) {
  options_.resource.rules = {{.port = 8080, .name = "shop"}};
  fake_.put({.pid = 10, .executable = "/a/web"});
  make({.all = true});
  static_cast<void>(table_->scan_running());
  EXPECT_EQ(service(*lookup(10)), "web");
  EXPECT_THAT(table_->on_listen(10, 8080), IsEmpty());
  EXPECT_EQ(service(*lookup(10)), "shop");
}

TEST_F(ProcessTableTest, ContainersAndUsers) {
  const std::string id(64, 'c');
  fake_.put({.pid = 10, .executable = "/a/web", .cgroup = "0::/docker/" + id + "\n"});
  fake_.put({.pid = 11, .executable = "/a/web", .uid = 33});
  fake_.put({.pid = 12, .executable = "/a/web", .uid = 34});
  make({.users = {"www-data"}, .containers = {"cccc"}});
  EXPECT_THAT(table_->scan_running(), UnorderedElementsAre(selected(10), selected(11)));
  EXPECT_EQ(lookup(10)->container_id, id);
}

TEST_F(ProcessTableTest, NodePackageNames) {
  fake_.put({.pid = 10, .executable = "/usr/bin/node", .arguments = {"node", "dist/server.js"}});
  fake_.write("10/cwd/package.json", R"({"name":"@acme/cart","version":"1"})");
  fake_.put({.pid = 11, .executable = "/usr/bin/node", .arguments = {"node", "/app/x.js"}});
  fake_.write("11/root/app/package.json", R"({"name":["no"]})");
  make({.all = true});
  static_cast<void>(table_->scan_running());
  EXPECT_EQ(service(*lookup(10)), "cart");
  EXPECT_EQ(service(*lookup(11)), "x");
}

TEST_F(ProcessTableTest, InspectExplains) {
  fake_.put({.pid = 10,
             .executable = "/usr/sbin/nginx",
             .fds = {"socket:[1]"},
             .tcp = FakeProc::tcp_line(80, 1)});
  fake_.write("10/maps",
              "00-10 r-xp 0 08:01 1   /usr/lib/libssl.so.3\n10-20 rw-p 0 00:00 0 [heap]\n");
  make({.executables = {"apache2"}});
  const auto inspection = table_->inspect(10);
  ASSERT_TRUE(inspection) << inspection.error().message;
  EXPECT_FALSE(inspection->decision.selected);
  EXPECT_THAT(inspection->decision.reason, HasSubstr("no rule matches"));
  EXPECT_EQ(inspection->info.tls_library, "/usr/lib/libssl.so.3");
  EXPECT_THAT(inspection->info.listen_ports, ElementsAre(80));
  EXPECT_EQ(service(inspection->info), "nginx");
  EXPECT_EQ(table_->inspect(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(lookup(10), nullptr);
}

TEST_F(ProcessTableTest, ReadersOnOtherThreadsSeeWholeSnapshots) {
  make({.all = true});
  for (uint32_t pid = 100; pid < 110; ++pid) {
    fake_.put({.pid = pid, .executable = "/a/srv"});
  }
  std::atomic<bool> done{false};
  std::thread worker([&] {
    ProcessReader reader(table_->view());
    while (!done.load()) {
      for (uint32_t pid = 100; pid < 110; ++pid) {
        if (const auto info = reader.lookup(pid)) {
          EXPECT_EQ(info->pid, pid);
          EXPECT_NE(info->resource, nullptr);
        }
      }
    }
  });
  for (int i = 0; i < 20; ++i) {
    for (uint32_t pid = 100; pid < 110; ++pid) {
      static_cast<void>(table_->on_exec(pid));
      static_cast<void>(table_->on_exit(pid));
    }
  }
  done = true;
  worker.join();
}

// Real processes.

class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int gate[2];
    EXPECT_EQ(::pipe2(gate, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      std::vector<char*> argv;
      for (std::string& argument : arguments) {
        argv.push_back(argument.data());
      }
      argv.push_back(nullptr);
      char name[] = "OTEL_SERVICE_NAME=sleeper";
      char* environment[] = {name, nullptr};
      ::execve(argv[0], argv.data(), environment);
      ::_exit(127);
    }
    // The pipe's other end closes when exec succeeds.
    ::close(gate[1]);
    char byte = 0;
    EXPECT_EQ(::read(gate[0], &byte, 1), 0);
    ::close(gate[0]);
  }
  ~Child() { end(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void end() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
  }
  [[nodiscard]] uint32_t pid() const { return static_cast<uint32_t>(pid_); }

 private:
  pid_t pid_ = -1;
};

uint64_t steady_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

TEST(ProcessTableReal, ARealChildIsFoundNamedAndForgotten) {
  Child child({"/bin/sleep", "1000"});
  ProcessTableOptions options;
  options.selection.include.pids = {static_cast<uint32_t>(::getpid())};
  options.selection.self_pid = static_cast<uint32_t>(::getpid());
  const ProcFs procfs;
  options.resource.host = read_host("/", procfs);
  ProcessTable table(options, procfs, &steady_ns);
  EXPECT_THAT(table.scan_running(), ElementsAre(selected(child.pid())));
  ProcessReader reader(table.view());
  const auto info = reader.lookup(child.pid());
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(service(*info), "sleeper");
  EXPECT_EQ(info->command_line, "/bin/sleep 1000");
  EXPECT_EQ(info->runtime, Runtime::kNative);
  Child second({"/bin/sleep", "1001"});
  EXPECT_THAT(table.on_fork(static_cast<uint32_t>(::getpid()), second.pid()),
              testing::AnyOf(IsEmpty(), ElementsAre(selected(second.pid()))));
  EXPECT_THAT(table.on_exec(second.pid()), ElementsAre(selected(second.pid())));
  EXPECT_EQ(reader.lookup(second.pid())->command_line, "/bin/sleep 1001");
  const uint32_t ended = second.pid();
  second.end();
  EXPECT_THAT(table.on_exit(ended), ElementsAre(deselected(ended)));
}

TEST(ProcessTableReal, ScanningThisHostIsQuick) {
  ProcessTableOptions options;
  options.selection.include.all = true;
  ProcessTable table(options, ProcFs(), &steady_ns);
  const uint64_t start = steady_ns();
  static_cast<void>(table.scan_running());
  const uint64_t took_us = (steady_ns() - start) / 1000;
  const uint64_t known = table.counters().known;
  RecordProperty("scan_us", static_cast<int>(took_us));
  RecordProperty("processes", static_cast<int>(known));
  // 2 ms a process, of which a usual one takes a tenth.
  EXPECT_LT(took_us, 200'000 + 2'000 * known);
}

// Pods: what the cluster says of a process's container decides, and may come late.
class PodsTest : public ProcessTableTest {
 protected:
  static constexpr const char* kUid = "8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f";
  const std::string id_ = std::string(64, 'a');
  const std::string path_ = std::string("/kubepods/pod") + kUid + "/" + id_;

  void make_with_pods(SelectionRules include = {}) {
    options_.selection.pods = true;
    options_.cgroup_root = fake_.root() + "/cgroup";
    options_.workloads = [this](std::string_view pod_uid, std::string_view container_id) {
      EXPECT_EQ(pod_uid, kUid);
      EXPECT_EQ(container_id, id_);
      return workload_;
    };
    make(std::move(include));
  }
  void know(bool chosen, bool complete = true) {
    workload_ = std::make_shared<model::Workload>(
        model::Workload{.chosen = chosen,
                        .reason = "the test says so",
                        .complete = complete,
                        .observed = {{"k8s.pod.name", std::string("cart-1")}},
                        .stated = {},
                        .service_name = "cart"});
  }
  Actions changed(bool chosen = false) {
    return table_->on_workloads({.keys = {kUid}, .chosen = chosen});
  }
  FakeProcess in_pod(uint32_t pid, uint32_t parent = 1) {
    return {
        .pid = pid, .parent = parent, .executable = "/app/server", .cgroup = "0::" + path_ + "\n"};
  }
  uint64_t make_cgroup() {
    const std::string path = options_.cgroup_root + path_;
    std::filesystem::create_directories(path);
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_ino;
  }

  std::shared_ptr<const model::Workload> workload_;
};

TEST_F(PodsTest, AProcessOfAChosenPodAndItsCgroup) {
  fake_.put(in_pod(10));
  fake_.put(in_pod(11));
  fake_.put({.pid = 12, .executable = "/usr/sbin/sshd"});
  know(true);
  make_with_pods();
  const uint64_t cgroup = make_cgroup();
  EXPECT_THAT(
      table_->scan_running(),
      UnorderedElementsAre(selected(10), selected(11),
                           Action{.kind = Action::Kind::kSelectCgroup, .cgroup_id = cgroup}));
  EXPECT_EQ(service(*lookup(10)), "cart");
  EXPECT_FALSE(lookup(10)->awaits_workload);
  EXPECT_THAT(table_->on_exit(10), ElementsAre(deselected(10)));
  EXPECT_THAT(table_->on_exit(11),
              UnorderedElementsAre(deselected(11), Action{.kind = Action::Kind::kDeselectCgroup,
                                                          .cgroup_id = cgroup}));
}

TEST_F(PodsTest, TheChoiceChanges) {
  fake_.put(in_pod(10));
  know(false);
  make_with_pods();
  EXPECT_THAT(table_->scan_running(), IsEmpty());
  know(true);
  EXPECT_THAT(changed(true), ElementsAre(selected(10)));
  EXPECT_THAT(changed(), IsEmpty());  // the same again
  know(false);
  EXPECT_THAT(changed(), ElementsAre(deselected(10)));
}

TEST_F(PodsTest, AChoiceFindsProcessesThatWereForkedUnseen) {
  fake_.put(in_pod(10));
  know(false);
  make_with_pods();
  EXPECT_THAT(table_->scan_running(), IsEmpty());
  fake_.put(in_pod(11, 10));  // forked by one that is not selected: no event
  know(true);
  EXPECT_THAT(changed(true), UnorderedElementsAre(selected(10), selected(11)));
}

TEST_F(PodsTest, ANewProcessOfAnUnknownPodIsCapturedAndWaits) {
  make_with_pods();
  fake_.put(in_pod(10));
  EXPECT_THAT(table_->on_exec(10), ElementsAre(selected(10)));
  EXPECT_TRUE(lookup(10)->awaits_workload);
  EXPECT_EQ(lookup(10)->resource, nullptr);
  fake_.put(in_pod(11, 10));
  EXPECT_THAT(table_->on_fork(10, 11), ElementsAre(selected(11)));
  EXPECT_EQ(lookup(11)->resource, nullptr);
  static_cast<void>(table_->on_time());
  EXPECT_EQ(table_->counters().awaiting_workload, 2U);
  know(true);
  EXPECT_THAT(changed(true), IsEmpty());  // both are captured already
  EXPECT_EQ(service(*lookup(10)), "cart");
  EXPECT_EQ(service(*lookup(11)), "cart");
  EXPECT_FALSE(lookup(11)->awaits_workload);
  static_cast<void>(table_->on_time());
  EXPECT_EQ(table_->counters().awaiting_workload, 0U);
}

TEST_F(PodsTest, ThatItsPodIsNotChosenEndsTheWait) {
  make_with_pods();
  fake_.put(in_pod(10));
  EXPECT_THAT(table_->on_exec(10), ElementsAre(selected(10)));
  know(false);
  EXPECT_THAT(changed(), ElementsAre(deselected(10)));
  EXPECT_EQ(lookup(10), nullptr);  // so that its spans are dropped
}

TEST_F(PodsTest, NobodyWaitsForever) {
  make_with_pods();
  fake_.put(in_pod(10));
  static_cast<void>(table_->on_exec(10));
  now_ns_ += 9'000'000'000;
  EXPECT_THAT(table_->on_time(), IsEmpty());
  now_ns_ += 2'000'000'000;
  EXPECT_THAT(table_->on_time(), ElementsAre(deselected(10)));
  EXPECT_EQ(lookup(10), nullptr);
  EXPECT_EQ(table_->counters().workloads_never_known, 1U);
  EXPECT_THAT(table_->on_exec(10), IsEmpty());  // it has had its time,
  fake_.put(in_pod(11));
  EXPECT_THAT(table_->on_exec(11), IsEmpty());  // and so has its pod
  fake_.remove(11);
  know(true);
  EXPECT_THAT(changed(true), ElementsAre(selected(10)));
}

TEST_F(PodsTest, WhoIsForkedByAWaitingProcessWaitsNoLonger) {
  make_with_pods();
  fake_.put(in_pod(10));
  static_cast<void>(table_->on_exec(10));
  now_ns_ += 9'000'000'000;
  fake_.put(in_pod(11, 10));
  EXPECT_THAT(table_->on_fork(10, 11), ElementsAre(selected(11)));
  now_ns_ += 2'000'000'000;
  EXPECT_THAT(table_->on_time(), UnorderedElementsAre(deselected(10), deselected(11)));
}

TEST_F(PodsTest, WhatIsKnownAlreadyIsToldInTheEnd) {
  know(true, false);
  make_with_pods();
  fake_.put(in_pod(10));
  EXPECT_THAT(table_->on_exec(10), ElementsAre(selected(10)));
  EXPECT_TRUE(lookup(10)->awaits_workload);
  now_ns_ += 11'000'000'000;
  EXPECT_THAT(table_->on_time(), IsEmpty());
  EXPECT_FALSE(lookup(10)->awaits_workload);
  EXPECT_EQ(service(*lookup(10)), "cart");
}

TEST_F(PodsTest, AProcessThatEndsWhileItWaits) {
  know(true, false);
  make_with_pods();
  fake_.put(in_pod(10));
  static_cast<void>(table_->on_exec(10));
  EXPECT_THAT(table_->on_exit(10), ElementsAre(deselected(10)));
  ASSERT_NE(lookup(10), nullptr);  // its late spans
  EXPECT_FALSE(lookup(10)->awaits_workload);
  workload_ = nullptr;
  fake_.put(in_pod(20));
  EXPECT_THAT(table_->on_exec(20), ElementsAre(selected(20)));
  EXPECT_THAT(table_->on_exit(20), ElementsAre(deselected(20)));
  EXPECT_EQ(lookup(20), nullptr);  // it was never chosen
}

TEST_F(PodsTest, OtherRulesHoldBesideThePods) {
  fake_.put(in_pod(10));
  fake_.put({.pid = 11, .executable = "/usr/sbin/nginx"});
  know(false);
  make_with_pods({.executables = {"nginx"}});
  EXPECT_THAT(table_->scan_running(), ElementsAre(selected(11)));
}

TEST_F(PodsTest, WhatRunsAlreadyIsNotCapturedBeforeItsPodIsKnown) {
  fake_.put(in_pod(10));
  make_with_pods();
  EXPECT_THAT(table_->scan_running(), IsEmpty());
}

TEST_F(PodsTest, OnlyAContainersOwnCgroupIsTold) {
  FakeProcess process = in_pod(10);
  process.cgroup = "3:memory:" + path_ + "\n0::/\n";  // the unified hierarchy is not used
  fake_.put(process);
  know(true);
  make_with_pods();
  make_cgroup();
  EXPECT_THAT(table_->scan_running(), ElementsAre(selected(10)));
}

}  // namespace
}  // namespace zerospan::discovery
