// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/procfs.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/discovery/fake_proc.h"

namespace zerospan::discovery {
namespace {

using testing::ElementsAre;

class ProcFsTest : public testing::Test {
 protected:
  FakeProc fake_;
  ProcFs procfs_{fake_.root()};
};

TEST_F(ProcFsTest, StatWithAHostileName) {
  fake_.put({.pid = 5, .parent = 4, .start_time = 77, .command = "a) R 1 (b"});
  const auto stat = procfs_.stat(5);
  ASSERT_TRUE(stat) << stat.error().message;
  EXPECT_EQ(stat->command, "a) R 1 (b");
  EXPECT_EQ(stat->parent_pid, 4U);
  EXPECT_EQ(stat->start_time, 77U);
  EXPECT_FALSE(stat->kernel_thread);
  fake_.put({.pid = 6, .kernel_thread = true});
  EXPECT_TRUE(procfs_.stat(6)->kernel_thread);
}

TEST_F(ProcFsTest, StatusArgumentsEnvironmentExecutable) {
  fake_.put({.pid = 5,
             .executable = "/opt/app (deleted)",
             .arguments = {"app", "", "x", "", ""},
             .environment = {"A=1", "OTEL_SERVICE_NAME=shop", "AB"},
             .uid = 33});
  const auto status = procfs_.status(5);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->uid, 33U);
  EXPECT_EQ(status->namespace_pid, 7U);
  EXPECT_TRUE(status->seccomp_filter);
  EXPECT_THAT(procfs_.arguments(5).value(), ElementsAre("app", "", "x"));
  EXPECT_EQ(procfs_.executable(5).value(), "/opt/app");
  const std::string environment = procfs_.environment(5).value();
  EXPECT_EQ(find_variable(environment, "OTEL_SERVICE_NAME"), "shop");
  EXPECT_EQ(find_variable(environment, "A"), "1");
  EXPECT_EQ(find_variable(environment, "AB").data(), nullptr);
}

TEST_F(ProcFsTest, WhatIsGoneIsNotFound) {
  EXPECT_EQ(procfs_.stat(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.status(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.arguments(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.environment(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.executable(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.open_executable(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.fds(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.listening(99).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(procfs_.file_of(99, "a", 10).error().code, ErrorCode::kNotFound);
}

TEST_F(ProcFsTest, MalformedFilesAreErrors) {
  for (const char* text : {"", "5", "5 (x", "5 (x)", "5 (x) S", "5 (x) S y 1 1 1 1 1", ")("}) {
    fake_.write("5/stat", text);
    const auto stat = procfs_.stat(5);
    ASSERT_FALSE(stat) << text;
    EXPECT_EQ(stat.error().code, ErrorCode::kMalformed) << text;
  }
  fake_.write("5/status", "Name: x\n");
  EXPECT_EQ(procfs_.status(5).error().code, ErrorCode::kMalformed);
}

TEST_F(ProcFsTest, LongFilesAreCut) {
  fake_.put({.pid = 5});
  fake_.write("5/cmdline", std::string(1'000'000, 'a'));
  EXPECT_EQ(procfs_.arguments(5).value().at(0).size(), 128U * 1024);
}

TEST_F(ProcFsTest, ListenersComeFirstAndTheRestIsNotRead) {
  fake_.put({.pid = 5,
             .tcp = FakeProc::tcp_line(80, 11) + FakeProc::tcp_line(8080, 12) +
                    FakeProc::tcp_line(5000, 13, "01") + FakeProc::tcp_line(443, 14)});
  const auto table = procfs_.listening(5);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table, (ListenTable{{11, 80}, {12, 8080}}));
  fake_.write("5/net/tcp6", "header\n" + FakeProc::tcp_line(9090, 15) + "garbage\n");
  EXPECT_EQ(procfs_.listening(5)->size(), 3U);
}

TEST_F(ProcFsTest, Descriptors) {
  fake_.put({.pid = 5, .fds = {"/dev/null", "socket:[42]", "socket:[x]", "anon_inode:[eventfd]"}});
  EXPECT_THAT(procfs_.fds(5)->socket_inodes, ElementsAre(42U));
  EXPECT_FALSE(procfs_.fds(5)->epoll);
  fake_.put({.pid = 5, .fds = {"anon_inode:[eventpoll]"}});
  EXPECT_TRUE(procfs_.fds(5)->epoll);
}

TEST_F(ProcFsTest, FilesOfAProcessStayInsideItsRoot) {
  fake_.put({.pid = 5});
  fake_.write("5/cwd/package.json", "inside");
  fake_.write("5/root/app/package.json", "absolute");
  EXPECT_EQ(procfs_.file_of(5, "package.json", 100).value(), "inside");
  EXPECT_EQ(procfs_.file_of(5, "/app/package.json", 100).value(), "absolute");
  EXPECT_FALSE(procfs_.file_of(5, "package.json", 5));
  EXPECT_FALSE(procfs_.file_of(5, "../stat", 1000));
  EXPECT_FALSE(procfs_.file_of(5, "/../stat", 1000));
  std::filesystem::create_symlink("/etc/passwd", fake_.root() + "/5/root/app/link");
  EXPECT_FALSE(procfs_.file_of(5, "/app/link", 1'000'000));
  ASSERT_EQ(::mkfifo((fake_.root() + "/5/cwd/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(procfs_.file_of(5, "fifo", 1000));
}

TEST(ProcFsReal, ThisProcess) {
  const ProcFs procfs;
  const auto pid = static_cast<uint32_t>(::getpid());
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));

  EXPECT_THAT(procfs.pids().value(), testing::Contains(pid));
  EXPECT_EQ(procfs.stat(pid)->parent_pid, static_cast<uint32_t>(::getppid()));
  EXPECT_EQ(procfs.status(pid)->uid, ::geteuid());
  EXPECT_EQ(procfs.executable(pid).value(), std::filesystem::read_symlink("/proc/self/exe"));
  EXPECT_TRUE(procfs.fds(pid)->epoll);
  EXPECT_FALSE(procfs.mapped_files(pid)->empty());
  const auto table = procfs.listening(pid);
  ASSERT_TRUE(table) << table.error().message;
  const auto fds = procfs.fds(pid);
  EXPECT_TRUE(std::any_of(fds->socket_inodes.begin(), fds->socket_inodes.end(), [&](uint64_t i) {
    const auto found = table->find(i);
    return found != table->end() && found->second == ntohs(address.sin_port);
  }));
}

}  // namespace
}  // namespace zerospan::discovery
