// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel side's injection over arbitrary sends of a client. Input: a control byte (bit 0:
// behind a preface and SETTINGS), then sends of two size bytes and that many bytes. What the peer
// gets must decode to the same fields, with one more where one was put in; and what the server's
// side reads must be what nghttp2's decoder and parse_traceparent make of it.

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/propagation/trace_headers.h"
#include "tests/structure/http2_inject.h"

namespace {

using namespace zerospan;  // NOLINT(google-build-using-namespace)

constexpr size_t kTable = 1U << 20U;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

size_t traceparents(const tests::HeaderFields& fields) {
  size_t count = 0;
  for (const auto& field : fields) {
    count += field.first == "traceparent" ? 1 : 0;
  }
  return count;
}

// The server's side, over whole bytes.
void check_reader(std::string_view bytes, const tests::BlockReader& oracle) {
  zs_requests requests{};
  zs_hpack_values values{};
  size_t block = 0;
  for (size_t at = 0; at < bytes.size();) {
    at += zs_requests_step(&requests, &values, tests::octets(bytes)[at],
                           static_cast<__u32>(bytes.size() - at));
    if (requests.ended == 0) {
      continue;
    }
    if (block == oracle.blocks.size()) {
      return;  // the oracle has met an error
    }
    const tests::HeaderFields& fields = oracle.blocks[block++].fields;
    require(requests.hpack.unknown != 0 || requests.hpack.carried >= 255 ||
                requests.hpack.carried == traceparents(fields),
            "all traceparents are known");
    const zs_traceparent* found = zs_requests_context(&requests, &values);
    if (found == nullptr) {
      continue;
    }
    std::string_view value;
    for (const auto& field : fields) {
      if (field.first == "traceparent") {
        value = field.second;
      }
    }
    const auto context = propagation::parse_traceparent(value);
    require(context.has_value() &&
                std::equal(context->trace_id.bytes.begin(), context->trace_id.bytes.end(),
                           found->trace_id) &&
                std::equal(context->span_id.bytes.begin(), context->span_id.bytes.end(),
                           found->span_id) &&
                *context->sampled == ((found->flags & 1U) != 0),
            "the context is the field's");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) {
    return 0;
  }
  tests::Http2Injector injector;
  std::string before;
  std::string after;
  const auto send = [&](std::string_view bytes) {
    before += bytes;
    after += injector.send(std::string(bytes));
  };
  if ((input[0] & 1) != 0) {
    send(kPreface);
    send(std::string_view("\0\0\0\4\0\0\0\0\0", ZS_HTTP2_HEADER_BYTES));
  }
  input.remove_prefix(1);
  while (input.size() >= 2) {
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(input[0]) << 8U | static_cast<uint8_t>(input[1]));
    input.remove_prefix(2);
    const std::string_view bytes = input.substr(0, length);
    input.remove_prefix(bytes.size());
    send(bytes);
  }
  require(after.size() == before.size() + injector.values.size() * ZS_HTTP2_FIELD_BYTES,
          "nothing but fields is put in");
  if (!std::string_view(before).starts_with(kPreface)) {
    require(injector.values.empty(), "not without the preface");
    return 0;
  }
  tests::BlockReader truth(kTable);
  tests::BlockReader told(kTable);
  const bool whole = truth.read(std::string_view(before).substr(kPreface.size()));
  require(told.read(std::string_view(after).substr(kPreface.size())) == whole,
          "as readable as before");
  require(told.blocks.size() == truth.blocks.size(), "as many blocks as before");
  size_t put_in = 0;
  for (size_t i = 0; i < truth.blocks.size(); ++i) {
    tests::HeaderFields fields = truth.blocks[i].fields;
    require(told.blocks[i].stream == truth.blocks[i].stream, "the same stream");
    if (told.blocks[i].fields.size() != fields.size()) {
      require(traceparents(fields) == 0, "one traceparent at most");
      require(put_in < injector.values.size(), "only what was put in");
      fields.emplace_back("traceparent", injector.values[put_in++]);
    }
    require(told.blocks[i].fields == fields, "all other fields as before");
  }
  require(put_in == injector.values.size() || !whole, "all of it can be read");
  check_reader(before, truth);
  check_reader(after, told);
  return 0;
}
