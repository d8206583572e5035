// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Spans as they end, shown as one tree per trace: one line per span with its service, request,
// status, duration, and a bar that shows where in the trace's time it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/span.h"
#include "agent/viewer/terminal.h"

namespace zerospan::viewer {

struct TreeViewOptions {
  Terminal terminal;
  // A trace is printed when no span of it has come for this long ...
  uint64_t quiet_ns = 300'000'000;
  // ... or for this long while the parent of one of its spans, in a process that we watch, has not
  // ended.
  uint64_t open_parent_ns = 3'000'000'000;
  // Beyond these, the trace concerned (or the oldest) is printed at once: nothing is dropped.
  size_t max_spans_per_trace = 500;
  size_t max_traces = 2'000;
  size_t max_spans = 20'000;
};

// One thread. `now_ns` is any steady clock, the same for all calls.
class TreeView {
 public:
  TreeView(TreeViewOptions options, Sink sink);

  void add(const model::Span& span, uint64_t now_ns);
  // Prints the traces that have become quiet. To be called several times within quiet_ns.
  void tick(uint64_t now_ns);
  // Prints everything that is pending.
  void flush();

 private:
  // What a line needs of a span; its texts are escaped and bounded.
  struct Row {
    model::SpanId id;
    model::SpanId parent;
    bool parent_is_remote = false;
    model::SpanKind kind = model::SpanKind::kInternal;
    bool error = false;
    int64_t status = 0;
    uint64_t start = 0;
    uint64_t end = 0;
    std::string service;
    std::string operation;
    std::string remark;  // error type and incompleteness
  };
  struct Trace {
    model::TraceId id;
    std::vector<Row> rows;
    uint64_t last_ns = 0;
  };
  struct Layout {
    size_t tree, operation, bar, max_indent;  // in cells
  };
  struct Scale {
    uint64_t start, end;
    bool single;  // the trace has one span: a bar would say nothing
  };

  [[nodiscard]] Row make_row(const model::Span& span) const;
  // Whether a span's parent, in a process that we watch, has not come.
  [[nodiscard]] static bool awaits_parent(const Trace& trace);
  void print(const Trace& trace);
  void print_row(const Row& row, std::string_view indent, bool is_root, const Scale& scale,
                 std::string& out) const;
  [[nodiscard]] std::string bar(const Row& row, const Scale& scale) const;

  TreeViewOptions options_;
  Sink sink_;
  Layout layout_{};
  std::map<uint64_t, Trace> traces_;           // by arrival of the first span
  std::map<model::TraceId, uint64_t> places_;  // trace -> key in traces_
  uint64_t next_place_ = 0;
  size_t spans_ = 0;
};

}  // namespace zerospan::viewer
