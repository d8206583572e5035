// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zerospan::discovery {
namespace {

using testing::HasSubstr;

Subject nginx() {
  static const uint16_t kPorts[] = {80, 8443};
  return {.pid = 10,
          .executable = "/usr/sbin/nginx",
          .command_line = "nginx: worker process",
          .uid = 33,
          .user = "www-data",
          .container_id = "abcdef0123",
          .listen_ports = kPorts};
}

Decision decide(SelectorOptions options, const Subject& subject = nginx()) {
  return Selector(std::move(options)).decide(subject);
}

TEST(Selector, NothingChosenSelectsNothing) {
  const Decision decision = decide({});
  EXPECT_FALSE(decision.selected);
  EXPECT_TRUE(decision.final);
  EXPECT_THAT(decision.reason, HasSubstr("nothing is chosen"));
}

TEST(Selector, EachRuleSelectsAndSaysWhy) {
  struct Case {
    SelectionRules rules;
    const char* reason;
  };
  const Case cases[] = {
      {{.all = true}, "all processes"},
      {{.pids = {9, 10}}, "pid 10"},
      {{.ports = {{8000, 9000}}}, "port 8443"},
      {{.ports = {{80, 80}}}, "port 80"},
      {{.executables = {"nginx"}}, "/usr/sbin/nginx matches 'nginx'"},
      {{.executables = {"ng?nx"}}, "matches"},
      {{.executables = {"/usr/*"}}, "matches"},
      {{.executables = {"*/nginx"}}, "matches"},
      {{.command_lines = {"*worker*"}}, "command line matches '*worker*'"},
      {{.users = {"www-data"}}, "user www-data"},
      {{.users = {"33"}}, "user 33"},
      {{.containers = {"abcdef"}}, "container abcdef"},
  };
  for (const Case& c : cases) {
    const Decision included = decide({.include = c.rules});
    EXPECT_TRUE(included.selected) << c.reason;
    EXPECT_THAT(included.reason, HasSubstr(c.reason));
    EXPECT_THAT(included.reason, testing::StartsWith("selected: "));
    const Decision excluded = decide({.include = {.all = true}, .exclude = c.rules});
    EXPECT_FALSE(excluded.selected) << c.reason;
    EXPECT_THAT(excluded.reason, HasSubstr(c.reason));
    EXPECT_THAT(excluded.reason, testing::StartsWith("excluded: "));
  }
}

TEST(Selector, WhatDoesNotMatch) {
  const SelectionRules rules[] = {
      {.pids = {11}},
      {.ports = {{81, 8442}}},
      {.executables = {"ngin"}},
      {.executables = {"sbin/nginx"}},
      {.executables = {"/bin/nginx"}},
      {.command_lines = {"worker"}},
      {.users = {"www", "330", "3"}},
      {.containers = {"bcdef", "", "abcdef01234"}},
  };
  for (const SelectionRules& r : rules) {
    EXPECT_FALSE(decide({.include = r}).selected);
    EXPECT_TRUE(decide({.include = {.all = true}, .exclude = r}).selected);
  }
}

TEST(Selector, DescendantsOfListedPids) {
  Subject child = nginx();
  child.below_included = true;
  EXPECT_TRUE(decide({.include = {.pids = {1}}}, child).selected);
  child.below_excluded = true;
  EXPECT_FALSE(decide({.include = {.pids = {1}}, .exclude = {.pids = {2}}}, child).selected);
}

TEST(Selector, NeverItselfNorTheKernel) {
  EXPECT_THAT(decide({.include = {.all = true}, .self_pid = 10}).reason,
              HasSubstr("zerospan itself"));
  Subject thread = nginx();
  thread.kernel_thread = true;
  EXPECT_FALSE(decide({.include = {.all = true}}, thread).selected);
}

TEST(Selector, APortMayComeLater) {
  Subject subject = nginx();
  subject.listen_ports = {};
  const Decision decision = decide({.include = {.ports = {{80, 80}}}}, subject);
  EXPECT_FALSE(decision.selected);
  EXPECT_FALSE(decision.final);
  EXPECT_THAT(decision.reason, HasSubstr("yet"));
}

TEST(Selector, NeedsOnlyWhatItsRulesAskFor) {
  const Selector plain({.include = {.all = true}});
  EXPECT_FALSE(plain.needs_ports() || plain.needs_users() || plain.needs_containers());
  const Selector full(
      {.include = {.ports = {{1, 2}}}, .exclude = {.users = {"root"}, .containers = {"a"}}});
  EXPECT_TRUE(full.needs_ports() && full.needs_users() && full.needs_containers());
}

TEST(Selector, AHostileTextIsMatchedInBoundedTime) {
  const std::string text(1'000'000, 'a');
  Subject subject = nginx();
  subject.command_line = text;
  EXPECT_FALSE(decide({.include = {.command_lines = {"*a*a*b"}}}, subject).selected);
}

}  // namespace
}  // namespace zerospan::discovery
