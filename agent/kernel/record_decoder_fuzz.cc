// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as a record of the kernel side: the decoder refuses them, or gives one event whose
// views lie inside of them.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "agent/kernel/record_decoder.h"

namespace {

using namespace zerospan;  // NOLINT(google-build-using-namespace)

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

struct Checker : kernel::ConnectionEvents {
  explicit Checker(std::string_view bytes) : record(bytes) {}

  void on_connection(const model::Connection& connection, uint64_t) override {
    ++events;
    require(connection.local.address.size() <= 108 && connection.peer.address.size() <= 108,
            "bounded addresses");
    require(connection.role <= model::Role::kClient, "a known role");
  }
  void on_chunk(uint64_t, const model::Chunk& chunk) override {
    ++events;
    require_inside(chunk.head);
    require_inside(chunk.tail);
    require(chunk.head.size() + chunk.tail.size() <= chunk.length, "no more captured than moved");
    require(chunk.direction <= model::Direction::kSend, "a known direction");
    require(chunk.evidence <= model::Evidence::kGoroutine, "a known evidence");
  }
  void on_stream(uint64_t, const model::StreamOrigin& origin) override {
    ++events;
    require(origin.evidence <= model::Evidence::kGoroutine, "a known evidence");
  }
  void on_injection(uint64_t, const model::Injection& injection) override {
    ++events;
    require(injection.evidence <= model::Evidence::kGoroutine, "a known evidence");
    require(injection.span_id != 0 && (injection.trace_id_high | injection.trace_id_low) != 0,
            "ids that are valid");
  }
  void on_close(uint64_t, const model::Closed& closed) override {
    ++events;
    require(closed.kind <= model::CloseKind::kReset, "a known kind of close");
  }
  void on_route(uint64_t, const model::ToldRoute& route) override {
    ++events;
    require_inside(route.text);
  }
  void require_inside(std::string_view view) const {
    const std::less_equal<const char*> not_after;
    require(view.empty() || (not_after(record.data(), view.data()) &&
                             not_after(view.data() + view.size(), record.data() + record.size())),
            "views point into the record");
  }

  std::string_view record;
  int events = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto bytes = std::as_bytes(std::span(text));
  Checker checker(text);
  const kernel::DecodeStatus status = kernel::decode_record(bytes, checker);
  require((status == kernel::DecodeStatus::kOk) == (checker.events == 1) && checker.events <= 1,
          "one event for a good record, none for another");
  require(size >= 24 || kernel::record_time_ns(bytes) == 0, "a record without a time has none");
  return 0;
}
