// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Arbitrary answers, one after the other. Whatever they are: the same bytes in other pieces give
// the same events, what is told is bounded by what came, a list ends only after it began, each
// object has a name, and the next request is never put off for ever.
//
// Input: answers of a byte that picks the status, one that says how it ended, two of the length,
// and the body.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "agent/k8s/api/reflector.h"
#include "agent/k8s/api/testing.h"

namespace {

using namespace zerospan::k8s;  // NOLINT(google-build-using-namespace)
using std::chrono::seconds;

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

ApiServerOptions small() {
  ApiServerOptions options;
  options.max_object_bytes = 512;
  options.max_decoded_bytes = 4096;
  return options;
}

// The lines told; pieces of `step` bytes.
std::vector<std::string> run(std::string_view input, size_t step) {
  static const ApiServerOptions kOptions = small();
  static const Collection kCollection{"pods", "/api/v1/pods", "a=b", "", false};
  constexpr int kStatuses[] = {200, 200, 200, 0, 400, 401, 403, 404, 410, 429, 500, 504};
  zerospan::k8s::testing::Recorder recorder;
  TimePoint now{seconds(1000)};
  Reflector reflector(0, kCollection, kOptions, recorder, now);
  while (input.size() > 4) {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(input[i]); };
    Outcome outcome;
    outcome.status = kStatuses[at(0) % std::size(kStatuses)];
    outcome.complete = (at(1) & 1U) != 0;
    outcome.silent = !outcome.complete && (at(1) & 2U) != 0;
    const auto lasted = seconds((at(1) >> 2U) & 7U);
    std::string_view body = input.substr(4, at(2) | at(3) << 8U);
    input.remove_prefix(4 + body.size());
    require(reflector.due().has_value(), "a request is due");
    require(*reflector.due() - now <= seconds(151), "soon");
    now = std::max(now, *reflector.due());
    const Reflector::Request request = reflector.begin(now, 0.5);
    require(request.target.starts_with("/api/v1/pods?fieldSelector=a%3Db&"), "the target");
    while (!body.empty() && outcome.status != 0) {
      const std::string_view piece = body.substr(0, step);
      body.remove_prefix(piece.size());
      if (!reflector.on_body(outcome.status, piece)) {
        outcome.complete = false;
        break;
      }
    }
    now += lasted;
    reflector.end(outcome, now, 0.5);
  }
  require(!recorder.unnamed, "each object has a name");
  bool in_list = false;
  for (const std::string& line : recorder.lines) {
    require(line != "end" || in_list, "a list ends after it began");
    in_list = line == "begin" || (in_list && line != "end");
    require(line.size() < 2000, "bounded lines");
  }
  return recorder.lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto whole = run(input, size + 1);
  require(whole == run(input, 1), "the same in single bytes");
  require(whole == run(input, 7), "the same in pieces");
  return 0;
}
