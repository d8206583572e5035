// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sampling/health_checks.h"

#include <fnmatch.h>

#include <algorithm>

namespace zerospan::sampling {

namespace {

// The text is whoever's that can reach the program: fnmatch(3) gets no more of it than a health
// check needs.
constexpr size_t kMaxText = 256;

}  // namespace

HealthChecks::HealthChecks(const HealthCheckOptions& options) {
  if (options.drop) {
    paths_ = compile(options.paths);
    user_agents_ = compile(options.user_agents);
  }
}

std::vector<HealthChecks::Rule> HealthChecks::compile(const std::vector<std::string>& globs) {
  std::vector<Rule> rules;
  rules.reserve(globs.size());
  for (const std::string& glob : globs) {
    rules.push_back({glob, std::min(glob.find_first_of("*?[\\"), glob.size())});
  }
  return rules;
}

// Nearly every request is none: most are told by the bytes before a glob's first mark.
bool HealthChecks::match_any(const std::vector<Rule>& rules, std::string_view text) {
  if (text.size() > kMaxText || text.find('\0') != std::string_view::npos) {
    return false;
  }
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
    const std::string_view beginning = std::string_view(rule.glob).substr(0, rule.literal);
    if (rule.literal == rule.glob.size()) {
      return text == beginning;
    }
    return text.starts_with(beginning) &&
           ::fnmatch(rule.glob.c_str(), std::string(text).c_str(), 0) == 0;
  });
}

bool HealthChecks::match(const model::HttpExchange& request) const {
  if (!paths_.empty()) {
    const std::string_view target = request.target;
    if (match_any(paths_, target.substr(0, target.find('?')))) {
      return true;
    }
  }
  if (!user_agents_.empty() &&
      request.request_headers.has_any(model::header_bit(model::KnownHeader::kUserAgent))) {
    return match_any(user_agents_, request.request_headers.find("user-agent"));
  }
  return false;
}

}  // namespace zerospan::sampling
