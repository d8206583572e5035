// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The Huffman code of HPACK string literals (RFC 7541 section 5.2 and appendix B). Pure, any
// thread.
#pragma once

#include <string>
#include <string_view>

namespace zerospan::protocols::http2 {

// Appends the decoded octets of `bytes` to `out`, at most 8/5 of their number. False if they are
// not well-formed: EOS is in them, or what is left at the end is not less than eight bits of EOS.
// `out` then has what came before.
[[nodiscard]] bool huffman_decode(std::string_view bytes, std::string& out);

}  // namespace zerospan::protocols::http2
