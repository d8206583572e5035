// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the kernel side does with the sends of an HTTP/2 client, on the host, and a reader of header
// blocks by nghttp2's decoder to judge it by. For the test and the fuzz target.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bpf/lib/inject_http2.h"

namespace zerospan::tests {

inline const __u8* octets(std::string_view text) {
  return reinterpret_cast<const __u8*>(text.data());
}

struct Http2Injector {
  zs_requests requests{};
  uint32_t list_limit = 0xffffffffU;
  std::vector<zs_requests_verdict> verdicts;  // of each block
  std::vector<std::string> values;            // of the fields that were put in

  // One send, as the peer gets it.
  std::string send(std::string bytes) {
    for (size_t at = 0; at < bytes.size();) {
      at += zs_requests_step(&requests, nullptr, octets(bytes)[at],
                             static_cast<__u32>(bytes.size() - at));
      if (requests.ended == 0) {
        continue;
      }
      verdicts.push_back(zs_requests_judge(&requests, static_cast<__u32>(at), list_limit));
      if (verdicts.back() != ZS_REQUESTS_INJECT) {
        continue;
      }
      std::array<__u8, ZS_HTTP2_FIELD_BYTES> field{};
      const std::array<__u64, 2> trace_id = {0x0123456789abcdefULL, values.size() + 1};
      zs_http2_field(field.data(), trace_id.data(), requests.stream | 1ULL << 63U, 1);
      zs_http2_length(reinterpret_cast<__u8*>(bytes.data()) + at - zs_requests_behind(&requests),
                      requests.length + ZS_HTTP2_FIELD_BYTES);
      const std::string text(field.begin(), field.end());
      bytes.insert(at, text);
      at += text.size();
      values.push_back(text.substr(text.size() - ZS_TRACEPARENT_BYTES));
    }
    return bytes;
  }
};

using HeaderFields = std::vector<std::pair<std::string, std::string>>;

// The header blocks of a client's bytes behind the preface, up to what is no header block.
class BlockReader {
 public:
  struct Block {
    uint32_t stream = 0;
    HeaderFields fields;
  };

  explicit BlockReader(size_t table_bytes) {
    nghttp2_hd_inflate_new(&inflater_);
    nghttp2_hd_inflate_change_table_size(inflater_, table_bytes);
  }
  ~BlockReader() { nghttp2_hd_inflate_del(inflater_); }
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  // False: not all could be read; `blocks` are those before.
  bool read(std::string_view bytes) {
    while (bytes.size() >= ZS_HTTP2_HEADER_BYTES) {
      const __u8* header = octets(bytes);
      const size_t length = header[0] << 16U | header[1] << 8U | header[2];
      const __u8 type = header[3];
      const __u8 flags = header[4];
      const uint32_t stream = static_cast<uint32_t>(header[5] & 0x7fU) << 24U |
                              static_cast<uint32_t>(header[6]) << 16U |
                              static_cast<uint32_t>(header[7]) << 8U | header[8];
      bytes.remove_prefix(ZS_HTTP2_HEADER_BYTES);
      if (bytes.size() < length) {
        return false;
      }
      std::string_view payload = bytes.substr(0, length);
      bytes.remove_prefix(length);
      if (open_ != (type == ZS_HTTP2_CONTINUATION) || type == ZS_HTTP2_PUSH_PROMISE) {
        return false;
      }
      if (type != ZS_HTTP2_HEADERS && type != ZS_HTTP2_CONTINUATION) {
        continue;
      }
      if (type == ZS_HTTP2_HEADERS) {
        size_t padding = 0;
        if ((flags & ZS_HTTP2_PADDED) != 0) {
          if (payload.empty()) {
            return false;
          }
          padding = octets(payload)[0];
          payload.remove_prefix(1);
        }
        if ((flags & ZS_HTTP2_HAS_PRIORITY) != 0) {
          if (payload.size() < ZS_HTTP2_PRIORITY_BYTES) {
            return false;
          }
          payload.remove_prefix(ZS_HTTP2_PRIORITY_BYTES);
        }
        if (payload.size() < padding) {
          return false;
        }
        payload.remove_suffix(padding);
        block_.clear();
      }
      block_ += payload;
      open_ = (flags & ZS_HTTP2_END_HEADERS) == 0;
      if ((flags & ZS_HTTP2_END_HEADERS) != 0) {
        Block block{stream, {}};
        if (!inflate(block_, block.fields)) {
          return false;
        }
        blocks.push_back(std::move(block));
      }
    }
    return bytes.empty();
  }

  std::vector<Block> blocks;

 private:
  bool inflate(std::string_view block, HeaderFields& fields) {
    const auto* at = octets(block);
    size_t left = block.size();
    while (true) {
      nghttp2_nv nv;
      int flags = 0;
      const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &nv, &flags, at, left, 1);
      if (taken < 0) {
        return false;
      }
      at += taken;
      left -= static_cast<size_t>(taken);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        fields.emplace_back(std::string(nv.name, nv.name + nv.namelen),
                            std::string(nv.value, nv.value + nv.valuelen));
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
        nghttp2_hd_inflate_end_headers(inflater_);
        return left == 0;
      }
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) {
        return false;
      }
    }
  }

  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string block_;
  bool open_ = false;  // the block goes on
};

}  // namespace zerospan::tests
