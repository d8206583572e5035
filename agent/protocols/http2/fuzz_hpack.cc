// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The HPACK decoder beside nghttp2's. Input: blocks, each of two size bytes and that many bytes.
// What nghttp2 accepts, ours must decode to the same fields; one that has missed the first block
// must tell nothing that is not there.

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/http2/hpack.h"

namespace {

using zerospan::protocols::http2::FieldList;
using zerospan::protocols::http2::HpackDecoder;
using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kTable = 1U << 20U;

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

std::string text(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

bool inflate(nghttp2_hd_inflater* inflater, std::string_view block, Fields& fields) {
  const auto* at = reinterpret_cast<const uint8_t*>(block.data());
  size_t left = block.size();
  while (true) {
    nghttp2_nv nv;
    int flags = 0;
    const ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, left, 1);
    if (taken < 0) {
      return false;
    }
    at += taken;
    left -= static_cast<size_t>(taken);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      fields.emplace_back(text(nv.name, nv.namelen), text(nv.value, nv.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
      nghttp2_hd_inflate_end_headers(inflater);
      return left == 0;
    }
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) {
      return false;
    }
  }
}

bool same(const FieldList& list, const Fields& fields) {
  if (list.size() != fields.size()) {
    return false;
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    if (list[i].name != fields[i].first || list[i].value != fields[i].second) {
      return false;
    }
  }
  return true;
}

// Are the known fields among the true ones, in their order?
bool within(const FieldList& list, const Fields& fields) {
  size_t at = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    while (at < fields.size() &&
           (list[i].name != fields[at].first || list[i].value != fields[at].second)) {
      ++at;
    }
    if (at++ >= fields.size()) {
      return false;
    }
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  nghttp2_hd_inflater* inflater = nullptr;
  require(nghttp2_hd_inflate_new(&inflater) == 0, "memory");
  nghttp2_hd_inflate_change_table_size(inflater, kTable);
  HpackDecoder whole(kTable, true);
  HpackDecoder late(2048, false);
  FieldList list(1U << 22U);
  bool first = true;
  while (input.size() >= 2) {
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(input[0]) << 8U | static_cast<uint8_t>(input[1]));
    input.remove_prefix(2);
    const std::string_view block = input.substr(0, length);
    input.remove_prefix(block.size());
    Fields fields;
    if (!inflate(inflater, block, fields)) {
      (void)whole.decode(block, true, list);
      (void)late.decode(block, false, list);
      break;
    }
    require(whole.decode(block, true, list) && same(list, fields), "as nghttp2");
    require(whole.complete(), "nothing was missed");
    if (!first) {
      require(late.decode(block, true, list), "what nghttp2 accepts, without the first block");
      require(within(list, fields), "nothing but the truth");
      require(late.memory_bytes() < 2048 + 64 * 128 + 4 * size + 1024, "bounded memory");
    }
    first = false;
  }
  nghttp2_hd_inflate_del(inflater);
  return 0;
}
