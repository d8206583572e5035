// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What may be told of an SQL statement: its text without literals and comments, and a summary of
// it, by the semantic conventions for database spans
// (https://opentelemetry.io/docs/specs/semconv/db/database-spans/). One pass of a tokeniser, no
// grammar: whatever the bytes, a literal is never taken for anything else. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace zerospan::sql {

// What the dialects disagree about, as far as it decides where a literal or a comment ends.
struct Dialect {
  bool backslash_escapes = false;      // in '...'
  bool double_quoted_strings = false;  // "..." is a literal, not a name
  bool backtick_names = false;         // `...` is a name
  bool escape_strings = false;         // E'...' has backslash escapes
  bool dollar_quotes = false;          // $tag$...$tag$
  bool joined_strings = false;  // 'a' and, on another line, 'b': one literal with 'a' 's escapes
  bool nested_comments = false;
  bool hash_comments = false;
  bool dash_comments_need_space = false;
  bool executable_comments = false;  // what is in /*! ... */ is part of the statement
  bool cql = false;                  // UUIDs and durations are literals, // begins a comment
  // Backslashes in quoted names too, $any text$ quotes, “ and ‘ quote, inf and nan are literals, //
  // begins a comment, and lines end with a line feed only.
  bool clickhouse = false;
};

// https://www.postgresql.org/docs/current/sql-syntax-lexical.html
inline constexpr Dialect kPostgresql{
    .escape_strings = true, .dollar_quotes = true, .joined_strings = true, .nested_comments = true};
// The same with standard_conforming_strings = off.
inline constexpr Dialect kPostgresqlOldStrings{.backslash_escapes = true,
                                               .escape_strings = true,
                                               .dollar_quotes = true,
                                               .joined_strings = true,
                                               .nested_comments = true};
// https://dev.mysql.com/doc/refman/8.4/en/language-structure.html, and MariaDB. A name in double
// quotes (sql_mode ANSI_QUOTES) cannot be told from a string, and is replaced as one.
inline constexpr Dialect kMysql{.backslash_escapes = true,
                                .double_quoted_strings = true,
                                .backtick_names = true,
                                .hash_comments = true,
                                .dash_comments_need_space = true,
                                .executable_comments = true};
// The same with sql_mode NO_BACKSLASH_ESCAPES.
inline constexpr Dialect kMysqlNoBackslash{.double_quoted_strings = true,
                                           .backtick_names = true,
                                           .hash_comments = true,
                                           .dash_comments_need_space = true,
                                           .executable_comments = true};
// Cassandra's, https://cassandra.apache.org/doc/latest/cassandra/developing/cql/definitions.html
inline constexpr Dialect kCql{.dollar_quotes = true, .cql = true};
// ClickHouse's, https://clickhouse.com/docs/sql-reference/syntax; # only begins a comment there if
// a space or ! follows, and is an error elsewhere.
inline constexpr Dialect kClickhouse{
    .backslash_escapes = true, .backtick_names = true, .hash_comments = true, .clickhouse = true};
inline constexpr Dialect kOtherSql{.double_quoted_strings = true, .backtick_names = true};

struct Statement {
  // Literals are "?", lists of values behind IN are one value, comments are gone, white space is
  // one space.
  std::string text;
  // "{operation} {target} {target} {operation} ..." as written; at most 255 bytes, whole words.
  std::string summary;
  std::string operation;   // of the only statement, if it has only one
  std::string collection;  // what it works on, if that is only one
  uint32_t statements = 0;
  bool cut = false;  // the text ends before the statement does, between two tokens

  void clear();
};

struct Limits {
  size_t max_text_bytes = 4096;  // of Statement::text
};

// `cut`: `text` is only the beginning of a statement; its last token is not trusted.
void describe(std::string_view text, const Dialect& dialect, bool cut, const Limits& limits,
              Statement& out);

// ClickHouse: a statement that fills a table may have the rows behind it, in any format. This is
// the statement without them, up to VALUES or the format's name.
struct WithoutRows {
  std::string_view statement;
  bool fills = false;      // INSERT is a word of it
  bool rows_next = false;  // what followed, if anything, was rows
};
[[nodiscard]] WithoutRows without_rows(std::string_view text);

// The values of a sqlcommenter comment (https://google.github.io/sqlcommenter/spec/), as they are
// in `text`; percent-encoding stays.
struct CommentedContext {
  std::string_view traceparent;
  std::string_view tracestate;
};
[[nodiscard]] CommentedContext find_context(std::string_view text, const Dialect& dialect);

}  // namespace zerospan::sql
