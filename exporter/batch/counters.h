// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where every span went. offered = exported + dropped (all reasons) + queued or in flight.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zerospan::batch {

enum class DropReason : uint8_t {
  kQueueFull = 0,         // the receiver is away or slower than the spans come
  kExportRefused = 1,     // the receiver answered that it will never take the request
  kRetryExhausted = 2,    // RetryOptions::max_elapsed passed without success
  kRejectedByPeer = 3,    // partial success
  kShutdownDeadline = 4,  // not sent before the agent had to end, or offered after that
};
inline constexpr size_t kDropReasons = 5;

// The names as metrics show them.
[[nodiscard]] constexpr std::string_view drop_reason_name(DropReason reason) {
  constexpr std::array<std::string_view, kDropReasons> kNames = {
      "queue_full", "export_refused", "retry_exhausted", "rejected_by_peer", "shutdown_deadline"};
  return kNames[static_cast<size_t>(reason)];
}

// Written by producers and the exporter's thread, read by any.
struct ExportCounters {
  std::atomic<uint64_t> spans_offered{0};
  std::atomic<uint64_t> spans_exported{0};
  std::array<std::atomic<uint64_t>, kDropReasons> spans_dropped{};
  std::atomic<uint64_t> requests{0};  // sends, retries included
  std::atomic<uint64_t> retries{0};   // sends that repeat an earlier one
  std::atomic<uint64_t> bytes{0};     // of encoded requests that were accepted, before compression

  std::atomic<uint64_t> send_ns{0};  // spent in those sends

  [[nodiscard]] std::atomic<uint64_t>& dropped(DropReason reason) {
    return spans_dropped[static_cast<size_t>(reason)];
  }
  [[nodiscard]] uint64_t dropped(DropReason reason) const {
    return spans_dropped[static_cast<size_t>(reason)].load();
  }
  [[nodiscard]] uint64_t dropped_total() const {
    uint64_t total = 0;
    for (const auto& count : spans_dropped) {
      total += count.load();
    }
    return total;
  }
};

}  // namespace zerospan::batch
