// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What to ask the API server about one collection, and what its answers mean: a list in pages, then
// watches that resume where the last one ended
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). No
// I/O and no clock: bytes, times and random numbers come in, requests and the observer's calls go
// out. Used by one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "agent/k8s/api/client.h"
#include "agent/k8s/api/json_splitter.h"

namespace zerospan::k8s {

using TimePoint = std::chrono::steady_clock::time_point;

// How a request ended.
struct Outcome {
  int status = 0;            // of HTTP; 0: there was none
  bool complete = false;     // the answer ended as HTTP says, it was not cut
  bool silent = false;       // it was given up for silence
  std::string failure = {};  // when it is not complete: why, for the operator
  std::optional<std::chrono::seconds> retry_after = {};
};

// The wait after `failures` of them in a row; random is in [0, 1).
[[nodiscard]] std::chrono::milliseconds backoff(const ApiServerOptions& options, unsigned failures,
                                                double random);
// What an answer other than 200 means. `what`: "list pods"; `body`: a Status object, or anything.
[[nodiscard]] Error error_of_status(int status, std::string_view body, std::string_view what);
// The Accept header for an object, or for a list of them.
[[nodiscard]] std::string_view accept_header(bool metadata_only, bool list);

class Reflector {
 public:
  struct Request {
    std::string target;  // path and query
    std::string_view accept;
    bool watch = false;
  };

  // All three outlive it. The first list is not before `first`.
  Reflector(size_t index, const Collection& collection, const ApiServerOptions& options,
            Observer& observer, TimePoint first);

  // When the next request is to be made; nothing while one is under way.
  [[nodiscard]] std::optional<TimePoint> due() const;
  // Makes it; end() must follow.
  [[nodiscard]] Request begin(TimePoint now, double random);
  // A part of the answer's body. False: what follows is of no use, so end the request now.
  [[nodiscard]] bool on_body(int status, std::string_view bytes);
  void end(const Outcome& outcome, TimePoint now, double random);

  [[nodiscard]] const CollectionCounters& counters() const { return counters_; }

 private:
  // What the server said within an answer of 200 that ends it.
  struct Stop {
    Error error;
    int status = 0;  // of an ERROR event; 0: the answer cannot be understood
  };

  [[nodiscard]] bool on_piece(const JsonSplitter::Piece& piece);
  [[nodiscard]] bool on_list_metadata(std::string_view text);
  [[nodiscard]] bool on_item(std::string_view text);
  [[nodiscard]] bool on_event(std::string_view text);
  [[nodiscard]] bool stop(ErrorCode code, std::string message, int status = 0);
  // Has a name and an id; else it is counted as skipped.
  [[nodiscard]] bool usable(const nlohmann::json& object);

  void end_list(const Outcome& outcome, TimePoint now, double random);
  void end_watch(const Outcome& outcome, TimePoint now, double random);
  // The next request is a list: of the newest version, or of any from the last one on.
  void relist(bool newest);
  void fail_until(const Outcome& outcome, TimePoint now, double random);
  void report(const Error& error);
  [[nodiscard]] std::string describe(const char* verb) const;

  size_t index_;
  const Collection& collection_;
  const ApiServerOptions& options_;
  Observer& observer_;
  CollectionCounters counters_;

  bool watching_ = false;  // the request under way or next is a watch
  bool running_ = false;
  TimePoint due_;
  TimePoint began_{};
  unsigned failures_ = 0;  // in a row

  std::string version_ = "0";  // "0": any that the server has at hand; empty: the newest
  std::string continue_;       // the next page's token

  // Of the answer under way.
  std::optional<JsonSplitter> splitter_;
  std::string error_body_;
  std::optional<Stop> stop_;
  bool progress_ = false;      // an event or a bookmark came
  bool told_begin_ = false;    // on_list_begin
  bool has_metadata_ = false;  // with tokens that can be used
  std::string page_version_, page_continue_;
};

}  // namespace zerospan::k8s
