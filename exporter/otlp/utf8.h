// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Strings that came from the wire, made fit for OTLP: protobuf's string fields and JSON are UTF-8
// (RFC 3629), and a receiver refuses a whole request for one bad byte. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace zerospan::otlp {

// True for well-formed UTF-8 as Unicode's table 3-7 has it: no overlong forms, no surrogates,
// nothing above U+10FFFF.
[[nodiscard]] bool is_valid_utf8(std::string_view bytes);

[[nodiscard]] bool is_ascii(std::string_view bytes);

// Appends `bytes` to `out` with U+FFFD in place of each maximal ill-formed subpart (Unicode
// standard, section 3.9, "U+FFFD Substitution of Maximal Subparts"). At most three times as long.
void append_as_utf8(std::string_view bytes, std::string& out);

}  // namespace zerospan::otlp
