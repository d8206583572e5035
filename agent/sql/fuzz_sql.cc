// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Any text in any dialect, whole and cut anywhere. What is told of a cut statement must be what the
// whole one begins with, and describing twice must change nothing more.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/sql/statement.h"

using namespace zerospan::sql;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr std::array kDialects = {
      kPostgresql, kPostgresqlOldStrings, kMysql, kMysqlNoBackslash, kOtherSql, kCql, kClickhouse};
  if (size < 2) {
    return 0;
  }
  const Dialect& dialect = kDialects[data[0] % kDialects.size()];
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  const Limits limits{.max_text_bytes = 1 + static_cast<size_t>(data[1]) * 64};
  Statement whole;
  describe(text, dialect, false, limits, whole);
  if (whole.text.size() > limits.max_text_bytes || whole.summary.size() > 255) {
    std::abort();
  }
  static_cast<void>(find_context(text, dialect));
  const WithoutRows statement = without_rows(text);
  if (!text.starts_with(statement.statement) || (statement.rows_next && !statement.fills)) {
    std::abort();
  }
  Statement cut;
  describe(text.substr(0, text.size() / 2), dialect, true, Limits{.max_text_bytes = SIZE_MAX}, cut);
  if (!cut.cut || cut.text.size() > text.size()) {
    std::abort();
  }
  return 0;
}
