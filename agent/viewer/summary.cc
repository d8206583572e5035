// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "agent/viewer/span_fields.h"

namespace zerospan::viewer {

namespace {

constexpr uint32_t kSubBits = 5;
constexpr uint64_t kSubBuckets = 1U << kSubBits;
constexpr size_t kMaxKeyBytes = 256;  // of each text of an operation's key

size_t bucket_of(uint64_t ns) {
  if (ns < kSubBuckets) {
    return static_cast<size_t>(ns);
  }
  const auto power = static_cast<uint32_t>(std::bit_width(ns)) - 1;  // at least kSubBits
  const uint64_t sub = (ns >> (power - kSubBits)) - kSubBuckets;
  return static_cast<size_t>((power - kSubBits + 1) * kSubBuckets + sub);
}

uint64_t middle_of(size_t bucket) {
  if (bucket < kSubBuckets) {
    return bucket;
  }
  const size_t shift = bucket / kSubBuckets - 1;
  const uint64_t low = (kSubBuckets + bucket % kSubBuckets) << shift;
  return low + ((uint64_t{1} << shift) >> 1U);
}

struct Column {
  std::string_view title;
  Align align;
  size_t width;
};

}  // namespace

void DurationHistogram::record(uint64_t ns) {
  ++buckets_[std::min(bucket_of(ns), kBuckets - 1)];
  ++count_;
  min_ = std::min(min_, ns);
  max_ = std::max(max_, ns);
}

uint64_t DurationHistogram::quantile(double q) const {
  if (count_ == 0) {
    return 0;
  }
  const auto rank = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::ceil(q * static_cast<double>(count_))), 1, count_);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) {
      // The last bucket has no upper end: the largest value speaks for it.
      return bucket + 1 == kBuckets ? max_ : std::clamp(middle_of(bucket), min_, max_);
    }
  }
  return max_;
}

void Summary::add(const model::Span& span) {
  ++spans_;
  Key key{std::string(service_name(span).substr(0, kMaxKeyBytes)), span.kind,
          span.name.substr(0, kMaxKeyBytes)};
  if (span.kind == model::SpanKind::kClient) {
    const std::string_view server = text_attribute(span, "server.address");
    if (!server.empty()) {
      key.operation += fmt::format(" @{}", server.substr(0, kMaxKeyBytes));
      if (const int64_t port = int_attribute(span, "server.port"); port != 0) {
        key.operation += fmt::format(":{}", port);
      }
    }
  }
  auto found = operations_.find(key);
  if (found == operations_.end() && operations_.size() < max_operations_) {
    found = operations_.try_emplace(std::move(key)).first;
  }
  Operation& operation = found == operations_.end() ? other_ : found->second;
  operation.errors += span.status == model::StatusCode::kError ? 1 : 0;
  operation.durations.record(duration_ns(span));
}

std::string Summary::render(const Terminal& terminal,
                            const std::vector<std::pair<std::string, uint64_t>>& losses,
                            uint64_t health_checks) const {
  using Row = std::vector<std::string>;
  const bool unicode = terminal.unicode;
  std::vector<const std::pair<const Key, Operation>*> sorted;
  for (const auto& entry : operations_) {
    sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    const uint64_t a_count = a->second.durations.count();
    const uint64_t b_count = b->second.durations.count();
    return a_count != b_count ? a_count > b_count : a->first < b->first;
  });

  std::vector<Row> rows;
  const auto add_row = [&](std::string service, std::string_view kind, std::string operation,
                           const Operation& values) {
    const DurationHistogram& d = values.durations;
    const double share =
        100.0 * static_cast<double>(values.errors) / static_cast<double>(d.count());
    rows.push_back(
        {std::move(service), std::string(kind), std::move(operation), format_count(d.count()),
         values.errors == 0 ? "0"
                            : fmt::format("{} ({:.{}f}%)", format_count(values.errors), share,
                                          share < 9.95 ? 1 : 0),
         format_duration(d.quantile(0.5), unicode), format_duration(d.quantile(0.95), unicode),
         format_duration(d.quantile(0.99), unicode), format_duration(d.max(), unicode)});
  };
  for (const auto* entry : sorted) {
    add_row(escape(entry->first.service, unicode), kind_name(entry->first.kind),
            escape(entry->first.operation, unicode), entry->second);
  }
  if (other_.durations.count() > 0) {
    add_row("(other)", "", "", other_);
  }

  std::string out;
  if (!rows.empty()) {
    std::vector<Column> columns = {
        {"SERVICE", Align::kLeft, 0}, {"KIND", Align::kLeft, 0},    {"OPERATION", Align::kLeft, 0},
        {"COUNT", Align::kRight, 0},  {"ERRORS", Align::kRight, 0}, {"P50", Align::kRight, 0},
        {"P95", Align::kRight, 0},    {"P99", Align::kRight, 0},    {"MAX", Align::kRight, 0}};
    constexpr size_t kService = 0;
    constexpr size_t kOperation = 2;
    constexpr size_t kErrors = 4;
    size_t total = 2 * (columns.size() - 1);
    for (size_t c = 0; c < columns.size(); ++c) {
      columns[c].width = columns[c].title.size();
      for (const Row& row : rows) {
        columns[c].width = std::max(columns[c].width, display_width(row[c]));
      }
      total += columns[c].width;
    }
    // The two texts give way, the operation first: numbers are never cut.
    for (const auto& [column, least] : {std::pair{kOperation, size_t{16}}, {kService, size_t{8}}}) {
      const size_t excess = total > terminal.columns ? total - terminal.columns : 0;
      const size_t spare = columns[column].width > least ? columns[column].width - least : 0;
      columns[column].width -= std::min(excess, spare);
      total -= std::min(excess, spare);
    }
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string title = fit(columns[c].title, columns[c].width, unicode, columns[c].align);
      out += (c > 0 ? "  " : "") + paint(terminal, Colour::kDim, title);
    }
    out += '\n';
    for (const Row& row : rows) {
      for (size_t c = 0; c < columns.size(); ++c) {
        const Colour colour = c == kService                   ? Colour::kBold
                              : c == kErrors && row[c] != "0" ? Colour::kRed
                                                              : Colour::kNone;
        out += (c > 0 ? "  " : "") +
               paint(terminal, colour, fit(row[c], columns[c].width, unicode, columns[c].align));
      }
      out += '\n';
    }
    out += '\n';
  }

  std::string lost;
  for (const auto& [name, value] : losses) {
    if (value > 0) {
      lost += fmt::format("{}{} {}", lost.empty() ? "" : ", ", format_count(value),
                          escape(name, unicode));
    }
  }
  out += fmt::format("{} spans; ", format_count(spans_));
  out += lost.empty() ? paint(terminal, Colour::kGreen, "lost: nothing")
                      : paint(terminal, Colour::kRed, "lost: " + lost);
  if (health_checks > 0) {
    out += fmt::format("; without {} of health checks", format_count(health_checks));
  }
  out += '\n';
  return out;
}

}  // namespace zerospan::viewer
