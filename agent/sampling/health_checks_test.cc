// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sampling/health_checks.h"

#include <gtest/gtest.h>

namespace zerospan::sampling {
namespace {

model::HttpExchange request(const std::string& target, const std::string& user_agent = "") {
  model::HttpExchange http;
  http.method = "GET";
  http.target = target;
  if (!user_agent.empty()) {
    http.request_headers.append_field("User-Agent", user_agent);
  }
  return http;
}

TEST(HealthChecks, TheDefaultsAreWholePathsAndProbesByName) {
  const HealthChecks checks({});
  for (const char* path : {"/healthz", "/readyz", "/livez", "/metrics", "/healthz?verbose=1",
                           "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}) {
    EXPECT_TRUE(checks.match(request(path))) << path;
  }
  for (const char* path : {"/", "", "/healthz/", "/healthzz", "/api/healthz", "/HEALTHZ", "healthz",
                           "/metrics2", "/grpc.health.v1.Health/List", "?/healthz", "*"}) {
    EXPECT_FALSE(checks.match(request(path))) << path;
  }
  EXPECT_TRUE(checks.match(request("/", "kube-probe/1.33")));
  EXPECT_TRUE(checks.match(request("/", "GoogleHC/1.0")));
  EXPECT_TRUE(checks.match(request("/", "ELB-HealthChecker/2.0")));
  EXPECT_FALSE(checks.match(request("/", "curl/8 kube-probe/1.33")));
  EXPECT_FALSE(checks.match(request("/", "kube-probe")));
}

TEST(HealthChecks, ListsReplaceTheDefaults) {
  const HealthChecks checks({.paths = {"/up", "/internal/*", "/[st]tatus"}, .user_agents = {}});
  EXPECT_TRUE(checks.match(request("/up")));
  EXPECT_TRUE(checks.match(request("/internal/a/b?c=d")));
  EXPECT_TRUE(checks.match(request("/status")));
  EXPECT_FALSE(checks.match(request("/healthz")));
  EXPECT_FALSE(checks.match(request("/", "kube-probe/1.33")));
}

TEST(HealthChecks, NothingIsOneWithoutRules) {
  const HealthChecks empty({.paths = {}, .user_agents = {}});
  EXPECT_FALSE(empty.match(request("/healthz", "kube-probe/1.33")));
  const HealthChecks off({.drop = false});
  EXPECT_FALSE(off.match(request("/healthz", "kube-probe/1.33")));
}

TEST(HealthChecks, HostileTextIsNone) {
  const HealthChecks checks({.paths = {"/*a*a*a*a*a*a*b", "/healthz"}});
  EXPECT_FALSE(checks.match(request("/" + std::string(8000, 'a'))));
  EXPECT_FALSE(checks.match(request("/" + std::string(200, 'a'))));
  EXPECT_FALSE(checks.match(request(std::string("/healthz\0/secret", 16))));
}

}  // namespace
}  // namespace zerospan::sampling
