// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/tree_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "agent/viewer/span_fields.h"

namespace zerospan::viewer {

namespace {

constexpr size_t kMaxTextBytes = 1024;  // of a span's name, path or service, before escaping
constexpr size_t kTimeColumns = 12;
constexpr size_t kStatusColumns = 3;
constexpr size_t kDurationColumns = 8;
constexpr size_t kMinServiceColumns = 4;

std::string bounded_escape(std::string_view text, bool unicode) {
  return escape(text.substr(0, kMaxTextBytes), unicode);
}

// What a person wants to see of the URL: the path of a server's, host and path of a client's. The
// query is left out; it is in the other formats.
std::string_view human_target(const model::Span& span) {
  std::string_view target = text_attribute(span, "url.path");
  if (target.empty()) {
    target = text_attribute(span, "url.full");
    if (target.starts_with("http://")) {
      target.remove_prefix(7);
    }
  }
  return target.substr(0, target.find('?'));
}

Colour status_colour(int64_t status) {
  if (status >= 500) {
    return Colour::kRed;
  }
  if (status >= 400) {
    return Colour::kYellow;
  }
  return status >= 300 ? Colour::kCyan : Colour::kGreen;
}

std::string_view glyph(model::SpanKind kind, bool unicode) {
  switch (kind) {
    case model::SpanKind::kServer:
    case model::SpanKind::kConsumer:
      return unicode ? "▶" : ">";
    case model::SpanKind::kClient:
    case model::SpanKind::kProducer:
      return unicode ? "◀" : "<";
    case model::SpanKind::kInternal:
      break;
  }
  return unicode ? "•" : "-";
}

Colour kind_colour(model::SpanKind kind) {
  return kind == model::SpanKind::kServer   ? Colour::kBlue
         : kind == model::SpanKind::kClient ? Colour::kMagenta
                                            : Colour::kCyan;
}

}  // namespace

TreeView::TreeView(TreeViewOptions options, Sink sink) : options_(options), sink_(std::move(sink)) {
  // time, tree, operation, status, duration, bar, with one space between; the tree and the bar get
  // a share each, the operation what is left.
  const size_t columns = options_.terminal.columns;
  const size_t fixed = kTimeColumns + kStatusColumns + kDurationColumns + 5;
  layout_.tree = std::clamp<size_t>(columns / 6 + 2, 14, 40);
  layout_.bar = std::clamp<size_t>((std::max<size_t>(columns, 64) - 40) / 3, 8, 60);
  const size_t taken = fixed + layout_.tree + layout_.bar;
  layout_.operation = columns > taken + 10 ? columns - taken : 10;
  // Deep trees may take half of the operation's room, beside branch, glyph and service; deeper
  // spans all stand at that depth.
  layout_.max_indent = layout_.tree + layout_.operation / 2 - 4 - kMinServiceColumns;
}

TreeView::Row TreeView::make_row(const model::Span& span) const {
  const bool unicode = options_.terminal.unicode;
  Row row;
  row.id = span.span_id;
  row.parent = span.parent_span_id;
  row.parent_is_remote = span.parent_is_remote;
  row.kind = span.kind;
  row.error = span.status == model::StatusCode::kError;
  row.status = int_attribute(span, "http.response.status_code");
  row.start = span.start_unix_ns;
  row.end = std::max(span.start_unix_ns, span.end_unix_ns);
  row.service = bounded_escape(service_name(span), unicode);

  std::string_view method = text_attribute(span, "http.request.method_original");
  if (method.empty()) {
    method = text_attribute(span, "http.request.method");
  }
  if (method.empty()) {
    row.operation = bounded_escape(span.name, unicode);
  } else {
    row.operation = bounded_escape(method, unicode);
    if (const std::string_view target = human_target(span); !target.empty()) {
      row.operation += ' ' + bounded_escape(target, unicode);
    }
  }

  // A status code's own error type is in the status column already.
  const std::string_view error_type = text_attribute(span, "error.type");
  if (!error_type.empty() && error_type != std::to_string(row.status)) {
    row.remark = bounded_escape(error_type, unicode);
  }
  const auto incomplete = find_attribute(span, "zerospan.incomplete");
  const auto* reasons =
      incomplete ? std::get_if<std::vector<std::string_view>>(&*incomplete) : nullptr;
  if (reasons != nullptr) {
    for (const std::string_view reason : *reasons) {
      row.remark += (row.remark.empty() ? "~" : " ~") + bounded_escape(reason, unicode);
    }
  }
  return row;
}

void TreeView::add(const model::Span& span, uint64_t now_ns) {
  auto place = places_.find(span.trace_id);
  if (place == places_.end()) {
    if (traces_.size() >= options_.max_traces) {
      print(traces_.begin()->second);
    }
    place = places_.emplace(span.trace_id, next_place_).first;
    traces_.emplace(next_place_, Trace{span.trace_id, {}, now_ns});
    ++next_place_;
  }
  Trace& trace = traces_.at(place->second);
  trace.rows.push_back(make_row(span));
  trace.last_ns = now_ns;
  ++spans_;
  if (trace.rows.size() >= options_.max_spans_per_trace) {
    print(trace);
  }
  if (spans_ > options_.max_spans) {
    print(traces_.begin()->second);
  }
}

void TreeView::tick(uint64_t now_ns) {
  for (auto at = traces_.begin(); at != traces_.end();) {
    const Trace& trace = (at++)->second;  // print() erases the trace
    const uint64_t quiet_ns = now_ns - trace.last_ns;
    if (quiet_ns >= options_.open_parent_ns ||
        (quiet_ns >= options_.quiet_ns && !awaits_parent(trace))) {
      print(trace);
    }
  }
}

bool TreeView::awaits_parent(const Trace& trace) {
  std::set<model::SpanId> ids;
  for (const Row& row : trace.rows) {
    ids.insert(row.id);
  }
  return std::any_of(trace.rows.begin(), trace.rows.end(), [&](const Row& row) {
    return row.parent.valid() && !row.parent_is_remote && !ids.contains(row.parent);
  });
}

void TreeView::flush() {
  while (!traces_.empty()) {
    print(traces_.begin()->second);
  }
}

void TreeView::print(const Trace& trace) {
  const std::vector<Row>& rows = trace.rows;
  Scale scale{rows.front().start, rows.front().end, rows.size() == 1};
  std::map<model::SpanId, size_t> by_id;
  for (size_t i = 0; i < rows.size(); ++i) {
    scale.start = std::min(scale.start, rows[i].start);
    scale.end = std::max(scale.end, rows[i].end);
    by_id.emplace(rows[i].id, i);
  }
  std::vector<size_t> by_start(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    by_start[i] = i;
  }
  std::sort(by_start.begin(), by_start.end(), [&](size_t a, size_t b) {
    return std::pair(rows[a].start, a) < std::pair(rows[b].start, b);
  });
  std::vector<std::vector<size_t>> children(rows.size());
  std::vector<size_t> roots;
  for (size_t i : by_start) {
    const auto parent = by_id.find(rows[i].parent);
    if (!rows[i].parent.valid() || parent == by_id.end() || parent->second == i) {
      roots.push_back(i);
    } else {
      children[parent->second].push_back(i);
    }
  }

  const Terminal& terminal = options_.terminal;
  const bool unicode = terminal.unicode;
  std::string out;
  std::vector<bool> printed(rows.size(), false);
  model::SpanId marked_parent;  // orphans with the same parent share one mark
  // `indent` is what the children's lines begin with, drawn up to their parent.
  const auto print_subtree = [&](const auto& self, size_t index, const std::string& lead,
                                 const std::string& indent, bool is_root) -> void {
    printed[index] = true;
    print_row(rows[index], lead, is_root, scale, out);
    for (size_t i = 0; i < children[index].size(); ++i) {
      const size_t child = children[index][i];
      if (printed[child]) {
        continue;
      }
      const bool last = i + 1 == children[index].size();
      const bool deep = display_width(indent) + 2 > layout_.max_indent;
      const std::string branch = unicode ? (last ? "└─" : "├─") : (last ? "`-" : "|-");
      const std::string trunk = last ? "  " : (unicode ? "│ " : "| ");
      self(self, child, indent + branch, deep ? indent : indent + trunk, false);
    }
  };
  const auto print_root = [&](size_t index) {
    const Row& row = rows[index];
    if (row.parent.valid() && row.parent != marked_parent) {
      marked_parent = row.parent;
      const std::string mark =
          fmt::format("{} {} {}", unicode ? "↳" : "\\_",
                      row.parent_is_remote ? "remote parent" : "parent not ended or not seen:",
                      model::to_hex(row.parent));
      out += std::string(kTimeColumns + 1, ' ') + paint(terminal, Colour::kDim, mark) + '\n';
    }
    print_subtree(print_subtree, index, "", "", true);
  };
  for (size_t index : roots) {
    print_root(index);
  }
  // What no root leads to is a circle of parents; it is shown from its earliest span on.
  for (size_t index : by_start) {
    if (!printed[index]) {
      print_root(index);
    }
  }

  spans_ -= rows.size();
  const auto place = places_.find(trace.id);
  const uint64_t key = place->second;
  places_.erase(place);
  traces_.erase(key);  // `trace` and `rows` are gone
  sink_(out);
}

void TreeView::print_row(const Row& row, std::string_view indent, bool is_root, const Scale& scale,
                         std::string& out) const {
  const Terminal& terminal = options_.terminal;
  const bool unicode = terminal.unicode;

  const std::string time = is_root ? local_time(row.start)
                                   : fit("+" + format_duration(row.start - scale.start, unicode),
                                         kTimeColumns, unicode, Align::kRight);
  out += paint(terminal, Colour::kDim, time) + ' ';

  const size_t indent_columns = display_width(indent);
  const size_t beside = indent_columns + 2;  // the glyph and its space
  const size_t service_columns = std::max(layout_.tree, beside + kMinServiceColumns) - beside;
  out += paint(terminal, Colour::kDim, indent);
  out += paint(terminal, kind_colour(row.kind), glyph(row.kind, unicode)) + ' ';
  out += paint(terminal, Colour::kBold, fit(row.service, service_columns, unicode)) + ' ';

  // What a deep tree takes too much is the operation's, so that the columns after it stay aligned.
  const size_t room = layout_.operation - (beside + service_columns - layout_.tree);
  const size_t operation_share = std::min(display_width(row.operation), room / 2);
  const std::string remark = elide_middle(row.remark, room - operation_share - 1, unicode);
  const size_t remark_columns = display_width(remark);
  if (remark_columns == 0) {
    out += fit(row.operation, room, unicode);
  } else {
    const std::string operation = elide_middle(row.operation, room - remark_columns - 1, unicode);
    const size_t filling = room - display_width(operation) - remark_columns;
    out += operation + ' ' + paint(terminal, row.error ? Colour::kRed : Colour::kYellow, remark) +
           std::string(filling - 1, ' ');
  }

  const std::string status = row.status > 0 ? std::to_string(row.status)
                             : row.error    ? "ERR"
                             : unicode      ? "—"
                                            : "-";
  out += ' ' + paint(terminal,
                     row.status > 0 ? status_colour(row.status)
                                    : (row.error ? Colour::kRed : Colour::kDim),
                     fit(status, kStatusColumns, unicode));
  out += ' ' + fit(format_duration(row.end - row.start, unicode), kDurationColumns, unicode,
                   Align::kRight);
  const std::string drawn = bar(row, scale);
  const size_t first = std::min(drawn.find_first_not_of(' '), drawn.size());
  const Colour bar_colour =
      row.error ? Colour::kRed : (scale.single ? Colour::kDim : kind_colour(row.kind));
  out += ' ' + drawn.substr(0, first) + paint(terminal, bar_colour, drawn.substr(first)) + '\n';
}

std::string TreeView::bar(const Row& row, const Scale& scale) const {
  const bool unicode = options_.terminal.unicode;
  const uint64_t total = std::max<uint64_t>(scale.end - scale.start, 1);
  // In half cells; doubles are exact enough here, and cannot overflow.
  const size_t halves = layout_.bar * 2;
  const auto half_at = [&](uint64_t time) {
    return static_cast<double>(time - scale.start) / static_cast<double>(total) *
           static_cast<double>(halves);
  };
  const size_t first = std::min(static_cast<size_t>(half_at(row.start)), halves - 1);
  const size_t last = std::clamp(static_cast<size_t>(half_at(row.end) + 0.999), first + 1, halves);
  std::string out(first / 2, ' ');
  for (size_t cell = first / 2; cell * 2 < last; ++cell) {
    const bool left = cell * 2 >= first;
    const bool right = cell * 2 + 1 < last;
    if (scale.single) {
      out += unicode ? "─" : "-";
    } else if (!unicode) {
      out += '=';
    } else {
      out += left && right ? "━" : (left ? "╸" : "╺");
    }
  }
  return out;
}

}  // namespace zerospan::viewer
