// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The static table of HPACK (RFC 7541 appendix A). Index 1 of the RFC is the first here.
#pragma once

#include <array>
#include <string_view>

namespace zerospan::protocols::http2 {

struct StaticField {
  std::string_view name;
  std::string_view value;
};

inline constexpr std::array<StaticField, 61> kStaticTable = {{{":authority", ""},
                                                              {":method", "GET"},
                                                              {":method", "POST"},
                                                              {":path", "/"},
                                                              {":path", "/index.html"},
                                                              {":scheme", "http"},
                                                              {":scheme", "https"},
                                                              {":status", "200"},
                                                              {":status", "204"},
                                                              {":status", "206"},
                                                              {":status", "304"},
                                                              {":status", "400"},
                                                              {":status", "404"},
                                                              {":status", "500"},
                                                              {"accept-charset", ""},
                                                              {"accept-encoding", "gzip, deflate"},
                                                              {"accept-language", ""},
                                                              {"accept-ranges", ""},
                                                              {"accept", ""},
                                                              {"access-control-allow-origin", ""},
                                                              {"age", ""},
                                                              {"allow", ""},
                                                              {"authorization", ""},
                                                              {"cache-control", ""},
                                                              {"content-disposition", ""},
                                                              {"content-encoding", ""},
                                                              {"content-language", ""},
                                                              {"content-length", ""},
                                                              {"content-location", ""},
                                                              {"content-range", ""},
                                                              {"content-type", ""},
                                                              {"cookie", ""},
                                                              {"date", ""},
                                                              {"etag", ""},
                                                              {"expect", ""},
                                                              {"expires", ""},
                                                              {"from", ""},
                                                              {"host", ""},
                                                              {"if-match", ""},
                                                              {"if-modified-since", ""},
                                                              {"if-none-match", ""},
                                                              {"if-range", ""},
                                                              {"if-unmodified-since", ""},
                                                              {"last-modified", ""},
                                                              {"link", ""},
                                                              {"location", ""},
                                                              {"max-forwards", ""},
                                                              {"proxy-authenticate", ""},
                                                              {"proxy-authorization", ""},
                                                              {"range", ""},
                                                              {"referer", ""},
                                                              {"refresh", ""},
                                                              {"retry-after", ""},
                                                              {"server", ""},
                                                              {"set-cookie", ""},
                                                              {"strict-transport-security", ""},
                                                              {"transfer-encoding", ""},
                                                              {"user-agent", ""},
                                                              {"vary", ""},
                                                              {"via", ""},
                                                              {"www-authenticate", ""}}};

}  // namespace zerospan::protocols::http2
