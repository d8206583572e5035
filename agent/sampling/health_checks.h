// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Which requests are health checks: what kubelets, load balancers and scrapers ask for every few
// seconds, and nobody wants to read about. Immutable: any thread may ask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/model/exchange.h"

namespace zerospan::sampling {

// Globs as of fnmatch(3) without flags: '*' matches a '/' too.
struct HealthCheckOptions {
  bool drop = true;
  // Of the whole path, without the query.
  std::vector<std::string> paths = {"/healthz",
                                    "/readyz",
                                    "/livez",
                                    "/metrics",
                                    "/grpc.health.v1.Health/Check",
                                    "/grpc.health.v1.Health/Watch"};
  std::vector<std::string> user_agents = {"kube-probe/*", "GoogleHC/*", "ELB-HealthChecker/*"};
};

class HealthChecks {
 public:
  explicit HealthChecks(const HealthCheckOptions& options);

  // `request`: method, target and header fields are there. True says nothing about whether it is a
  // trace's first.
  [[nodiscard]] bool match(const model::HttpExchange& request) const;

 private:
  struct Rule {
    std::string glob;
    size_t literal = 0;  // so many bytes at its beginning stand for themselves
  };
  static std::vector<Rule> compile(const std::vector<std::string>& globs);
  static bool match_any(const std::vector<Rule>& rules, std::string_view text);

  std::vector<Rule> paths_;
  std::vector<Rule> user_agents_;
};

}  // namespace zerospan::sampling
