// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sql/statement.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace zerospan::sql {
namespace {

Statement described(std::string_view text, const Dialect& dialect = kPostgresql, bool cut = false,
                    Limits limits = {}) {
  Statement out;
  describe(text, dialect, cut, limits, out);
  return out;
}

std::string sanitised(std::string_view text, const Dialect& dialect = kPostgresql) {
  return described(text, dialect).text;
}

std::string summary(std::string_view text, const Dialect& dialect = kPostgresql) {
  return described(text, dialect).summary;
}

TEST(Sanitised, Literals) {
  EXPECT_EQ(sanitised("SELECT 1"), "SELECT ?");
  EXPECT_EQ(sanitised("SELECT 'it''s', 1.5e-3, .5, 0xFF, 1_000, 12.e+5"),
            "SELECT ?, ?, ?, ?, ?, ?");
  EXPECT_EQ(sanitised("SELECT E'a\\'b', e'\\\\', B'01', x'1f', N'n', U&'\\0041'"),
            "SELECT ?, ?, ?, ?, ?, U&?");
  EXPECT_EQ(sanitised("SELECT $$a'b$$, $t$ $$ $u$ $t$, $1"), "SELECT ?, ?, $1");
  EXPECT_EQ(sanitised("select date '2020-01-01', true, x is true, y is not false"),
            "select date ?, ?, x is true, y is not false");
  EXPECT_EQ(sanitised("SELECT a1, t2.c3, \"4 x\", -5, a-5, now()::int4[3]"),
            "SELECT a1, t2.c3, \"4 x\", -?, a-?, now()::int4[?]");
  EXPECT_EQ(sanitised("SELECT E'a'\n  'b\\'c' , 'd' 'e'"), "SELECT ? , ? ?");
  EXPECT_EQ(sanitised("SELECT E'a' -- c\n 'b\\' secret'"), "SELECT ?");
}

TEST(Sanitised, LiteralsOfCql) {
  EXPECT_EQ(sanitised("UPDATE t SET a = abcdef01-1234-5678-9abc-def012345678, b = "
                      "12345678-1234-5678-9abc-def012345678 WHERE c = "
                      "1234567e-1234-5678-9abc-def012345678",
                      kCql),
            "UPDATE t SET a = ?, b = ? WHERE c = ?");
  EXPECT_EQ(sanitised("SELECT deadbeef - 1, abcdef01-a, p1, p12 - 3, pts, \"P1Y\"", kCql),
            "SELECT deadbeef - ?, abcdef01-a, p1, p12 - ?, pts, \"P1Y\"");
  EXPECT_EQ(sanitised("INSERT (P1Y2M3DT4H5M6S, -P3W, P0001-02-03T04:05:06, 12h30m, 0xCAFE)", kCql),
            "INSERT (?, -?, ?, ?, ?)");
  EXPECT_EQ(
      sanitised("SELECT 'it''s', $$ a 'b' // $$, {'k': 1, 'l': true} // secret\n, ?, :n", kCql),
      "SELECT ?, ?, {?: ?, ?: ?} , ?, :n");
  // Where the text was cut off in one.
  for (const std::string_view text : {"SELECT abcdef01-1234-5678-9a", "SELECT abcdef01-",
                                      "SELECT 12345678-1234-56", "SELECT P0001-02-0"}) {
    EXPECT_EQ(described(text, kCql, true).text, "SELECT") << text;
  }
  // Of other dialects a sum is one.
  EXPECT_EQ(sanitised("SELECT abcdef01-a // b"), "SELECT abcdef01-a // b");
  EXPECT_EQ(summary("CREATE KEYSPACE IF NOT EXISTS shop WITH a = {'b': 1}", kCql),
            "CREATE KEYSPACE shop");
}

TEST(Sanitised, LiteralsOfClickhouse) {
  EXPECT_EQ(sanitised("SELECT 0x1F, 0b101, 1e3, 1_000.5e-3, inf, -NaN, 'it''s \\' so', x'00'",
                      kClickhouse),
            "SELECT ?, ?, ?, ?, ?, -?, ?, ?");
  EXPECT_EQ(sanitised("SELECT `a\\`b 1`, \"c\\\" 'd'\", t.1.2, [1, 'a'], {'k': 2} FROM d.`t`",
                      kClickhouse),
            "SELECT `a\\`b 1`, \"c\\\" 'd'\", t.?, [?, ?], {?: ?} FROM d.`t`");
  EXPECT_EQ(sanitised("SELECT {id:UInt32}, $$ it's $$, $a$ $c '$a$ -- x\r 'y'\n// 'z'\n, 1 # w",
                      kClickhouse),
            "SELECT {id:UInt32}, ?, ? , ?");
  EXPECT_EQ(sanitised("SELECT infinite, nano FROM t WHERE a -> a > 1 /* x */ AND b", kClickhouse),
            "SELECT infinite, nano FROM t WHERE a -> a > ? AND b");
  // Where its versions disagree, nothing more is told.
  EXPECT_EQ(sanitised("SELECT a /* /* */ , b", kClickhouse), "SELECT a");
  EXPECT_EQ(sanitised("SELECT a, \u2018b\u2019, c", kClickhouse), "SELECT a, ?");
  EXPECT_EQ(sanitised("SELECT a, $b, c", kClickhouse), "SELECT a, ?");
  EXPECT_EQ(sanitised("SELECT a, $b '$ ' $b '$, c", kClickhouse), "SELECT a, ?");
  EXPECT_EQ(summary("SELECT a FROM db.t1 FINAL PREWHERE b = 1", kClickhouse), "SELECT db.t1");
}

TEST(Rows, AreNoPartOfAStatement) {
  struct Case {
    std::string_view text;
    std::string_view statement;
    bool fills = true;
    bool rows_next = true;
  };
  const std::vector<Case> cases = {
      {"INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES"},
      {"insert into t (a, values, format) values(1)", "insert into t (a, values, format) values"},
      {"INSERT INTO t FORMAT CSV\n1,it's", "INSERT INTO t FORMAT CSV"},
      {"INSERT INTO t FORMAT /* ' */ `CSV` 1", "INSERT INTO t FORMAT /* ' */ `CSV`"},
      {"INSERT INTO t SELECT * FROM input('a A') FORMAT TSV a b",
       "INSERT INTO t SELECT * FROM input('a A') FORMAT TSV"},
      {"WITH (SELECT 1) AS x INSERT INTO t VALUES (a)",
       "WITH (SELECT 1) AS x INSERT INTO t VALUES"},
      {"INSERT INTO t SELECT values FROM u", "INSERT INTO t SELECT values FROM u", true, false},
      {"INSERT INTO t", "INSERT INTO t", true, false},
      // A table's name may be one of the words: less is told.
      {"INSERT INTO values SELECT 1", "INSERT INTO values", true, false},
      {"INSERT INTO a.values SELECT 1", "INSERT INTO a.values", true, false},
      {"SELECT format, values FROM t FORMAT JSON", "SELECT format, values FROM t FORMAT JSON",
       false, false},
      {"SELECT 'INSERT' FORMAT JSON x", "SELECT 'INSERT' FORMAT JSON x", false, false},
      {"", "", false, false},
  };
  for (const Case& one : cases) {
    const WithoutRows told = without_rows(one.text);
    EXPECT_EQ(told.statement, one.statement) << one.text;
    EXPECT_EQ(told.fills, one.fills) << one.text;
    EXPECT_EQ(told.rows_next, one.rows_next) << one.text;
  }
}

TEST(Sanitised, StringsThatNeverEnd) {
  EXPECT_EQ(sanitised("SELECT 'secret"), "SELECT ?");
  EXPECT_EQ(sanitised("SELECT \"secret"), "SELECT ?");
  EXPECT_EQ(sanitised("SELECT $x$secret$y$"), "SELECT ?");
  EXPECT_EQ(sanitised("SELECT 1 /* secret"), "SELECT ?");
  EXPECT_EQ(sanitised("SELECT `secret", kMysql), "SELECT ?");
}

TEST(Sanitised, CommentsAndSpaces) {
  EXPECT_EQ(sanitised("  SELECT\n\t a -- b\n , c /* d /* e */ f */ FROM t  ;  "),
            "SELECT a , c FROM t");
  EXPECT_EQ(sanitised("SELECT/**/a; ;UPDATE t SET b = 2;"), "SELECT a;; UPDATE t SET b = ?");
  EXPECT_EQ(sanitised("SELECT a ;SELECT b"), "SELECT a; SELECT b");
  EXPECT_EQ(sanitised("SELECT a--\r\n+1"), "SELECT a +?");
}

TEST(Sanitised, ASpaceBehindEachSemicolon) {
  std::string text;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    text += "a;";
    expected += i == 0 ? "a" : "; a";
  }
  EXPECT_EQ(sanitised(text), expected);
}

TEST(Sanitised, Lists) {
  EXPECT_EQ(sanitised("SELECT a FROM t WHERE b IN (1, 2, 3) AND c NOT IN ('x','y')"),
            "SELECT a FROM t WHERE b IN (?) AND c NOT IN (?)");
  EXPECT_EQ(sanitised("DELETE FROM t WHERE b in ($1,$2, -3)"), "DELETE FROM t WHERE b in (?)");
  EXPECT_EQ(sanitised("DELETE FROM t WHERE b IN ($1)"), "DELETE FROM t WHERE b IN ($1)");
  EXPECT_EQ(sanitised("SELECT 1 WHERE a IN (SELECT 1, 2) OR b IN (c, 2)"),
            "SELECT ? WHERE a IN (SELECT ?, ?) OR b IN (c, ?)");
  EXPECT_EQ(sanitised("SELECT a WHERE b IN (%s, %s, :x, ?)", kOtherSql), "SELECT a WHERE b IN (?)");
}

TEST(Sanitised, Mysql) {
  EXPECT_EQ(sanitised(R"(SELECT "a\"b", 'c\'d', `e"f`, 0x1F, b'1', _utf8'x', @v # g)", kMysql),
            R"(SELECT ?, ?, `e"f`, ?, ?, _utf8?, @v)");
  EXPECT_EQ(sanitised("SELECT 5--3, a -- b\n, c", kMysql), "SELECT ?--?, a , c");
  EXPECT_EQ(sanitised("/*!40101 SET a = 5 */ /* b */", kMysql), "SET a = ?");
  EXPECT_EQ(sanitised("SELECT /*M!100 'x' */ 1", kMysql), "SELECT ? ?");
  EXPECT_EQ(sanitised(R"(SELECT 'a\', 'secret')", kMysqlNoBackslash), "SELECT ?, ?");
}

TEST(Sanitised, OldStringsOfPostgresql) {
  EXPECT_EQ(sanitised(R"(SELECT 'a\'secret')", kPostgresqlOldStrings), "SELECT ?");
}

TEST(Sanitised, ACutStatementEndsBetweenTokens) {
  const std::string text =
      "SELECT name FROM t WHERE a = 'secret' AND b = 12345 AND c = $q$hidden$q$";
  const std::string whole = sanitised(text);
  for (size_t length = 0; length <= text.size(); ++length) {
    const Statement cut = described(std::string_view(text).substr(0, length), kPostgresql, true);
    EXPECT_TRUE(cut.cut);
    EXPECT_EQ(whole.substr(0, cut.text.size()), cut.text) << length;
    if (cut.text.size() < whole.size() && !cut.text.empty()) {
      const std::string_view border = std::string_view(whole).substr(cut.text.size() - 1, 2);
      EXPECT_FALSE(isalpha(border[0]) && isalpha(border[1])) << cut.text;
    }
  }
}

TEST(Sanitised, TheLimitCutsBetweenTokens) {
  const Statement cut =
      described("SELECT abc, def FROM t", kPostgresql, false, {.max_text_bytes = 13});
  EXPECT_EQ(cut.text, "SELECT abc,");
  EXPECT_TRUE(cut.cut);
  EXPECT_FALSE(described("SELECT a").cut);
}

TEST(Summary, OfTheConvention) {
  EXPECT_EQ(summary("SELECT *\nFROM wuser_table\nWHERE username = ?"), "SELECT wuser_table");
  EXPECT_EQ(summary("INSERT INTO shipping_details (order_id, address) SELECT order_id, address "
                    "FROM orders WHERE order_id = ?"),
            "INSERT shipping_details SELECT orders");
  EXPECT_EQ(summary("SELECT * FROM songs, artists WHERE songs.artist_id == artists.id"),
            "SELECT songs artists");
  EXPECT_EQ(summary("SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON "
                    "o.customer_id = c.customer_id)"),
            "SELECT SELECT orders customers");
  EXPECT_EQ(summary("SELECT * FROM \"song list\", artists"), "SELECT \"song list\" artists");
  EXPECT_EQ(summary("call some_stored_procedure(1)"), "call some_stored_procedure");
}

TEST(Summary, Others) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"update public.t set a = 1 from u, v where b", "update public.t u v"},
      {"UPDATE ONLY t SET a = 1", "UPDATE t"},
      {"DELETE FROM t AS x USING u WHERE 1", "DELETE t"},
      {"select a from t for update", "select t"},
      {"INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2", "INSERT t"},
      {"WITH x AS (SELECT 1 FROM y), z AS (DELETE FROM w RETURNING a) SELECT * FROM x, z",
       "SELECT y DELETE w SELECT x z"},
      {"EXPLAIN ANALYZE SELECT 1 FROM t", "EXPLAIN SELECT t"},
      {"EXPLAIN (ANALYZE) UPDATE t SET a = 1", "EXPLAIN UPDATE t"},
      {"SELECT extract(year from a), substring(b from 2) FROM t", "SELECT t"},
      {"SELECT a IS DISTINCT FROM b FROM t", "SELECT t"},
      {"SELECT * FROM generate_series(1, 9) g, t", "SELECT t"},
      {"SELECT * FROM a LEFT JOIN b ON a.x = b.x, c", "SELECT a b c"},
      {"SELECT 1 UNION ALL SELECT a FROM t", "SELECT SELECT t"},
      {"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", "CREATE INDEX i"},
      {"CREATE TABLE IF NOT EXISTS t (a int, b text)", "CREATE TABLE t"},
      {"DROP TABLE IF EXISTS a.b", "DROP TABLE a.b"},
      {"TRUNCATE TABLE t", "TRUNCATE t"},
      {"COPY t (a, b) FROM STDIN", "COPY t"},
      {"BEGIN", "BEGIN"},
      {"SAVEPOINT s_123", "SAVEPOINT"},
      {"SET search_path = a, b", "SET"},
      {"vacuum analyze pgbench_branches", "vacuum pgbench_branches"},
      {"SELECT 1 FROM a; INSERT INTO b VALUES (2)", "SELECT a INSERT b"},
      {"PREPARE p AS SELECT a FROM t", "PREPARE SELECT t"},
      {"SELECT a INTO b FROM c", "SELECT b c"},
      {"", ""},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(summary(text), expected) << text;
  }
  EXPECT_EQ(summary("REPLACE INTO `a b`.t VALUES (1)", kMysql), "REPLACE `a b`.t");
}

TEST(Summary, IsShort) {
  std::string text = "SELECT 1 FROM a";
  for (int i = 0; i < 100; ++i) {
    text += ", table_" + std::to_string(i);
  }
  const std::string told = summary(text);
  EXPECT_LE(told.size(), 255U);
  EXPECT_GT(told.size(), 240U);
  EXPECT_EQ(text.find(told.substr(told.rfind(' ') + 1) + ","),
            text.find(told.substr(told.rfind(' ') + 1)));
}

TEST(Operation, OnlyWhereItIsOne) {
  const Statement one = described("SELECT a FROM t WHERE b = 1");
  EXPECT_EQ(one.operation, "SELECT");
  EXPECT_EQ(one.collection, "t");
  EXPECT_EQ(described("CREATE TABLE t (a int)").operation, "CREATE TABLE");
  EXPECT_EQ(described("SELECT a FROM t, u").collection, "");
  EXPECT_EQ(described("SELECT a FROM t, u").operation, "SELECT");
  EXPECT_EQ(described("INSERT INTO t SELECT 1").operation, "");
  EXPECT_EQ(described("SELECT 1 FROM t; SELECT 2 FROM t").operation, "");
  EXPECT_EQ(described("SELECT 1; SELECT 2;").statements, 2U);
}

TEST(Context, OfSqlcommenter) {
  const std::string_view parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const std::string text =
      "SELECT 1 /*action='x',traceparent='" + std::string(parent) + "',tracestate='congo%3Dt61'*/";
  EXPECT_EQ(find_context(text, kPostgresql).traceparent, parent);
  EXPECT_EQ(find_context(text, kPostgresql).tracestate, "congo%3Dt61");
  EXPECT_EQ(find_context("SELECT '/*traceparent=''a''*/', \"/*traceparent='b'*/\"", kPostgresql)
                .traceparent,
            "");
  EXPECT_EQ(find_context("SELECT 1 /*traceparent='00-", kPostgresql).traceparent, "");
}

// Each statement hides "secret" or 31337 where a reader of SQL could lose its way.
TEST(Corpus, NoLiteralSurvives) {
  const std::vector<std::string_view> any = {"SELECT 'secret'",
                                             "SELECT '''secret'",
                                             "SELECT ''', secret'",
                                             "SELECT 'a''''secret'",
                                             "SELECT 'a\n\nsecret'",
                                             "SELECT 'secret",
                                             "SELECT /* ' */ 'secret' /* ' */",
                                             "SELECT 1, -- it's\n 'secret'",
                                             "SELECT 'a--b', 'secret'",
                                             "SELECT 'a/*', 'secret', '*/'",
                                             "SELECT 31337",
                                             "SELECT 31337.5",
                                             "SELECT a+31337",
                                             "SELECT(31337)",
                                             "SELECT-31337",
                                             "SELECT 31337e5",
                                             "SELECT .31337",
                                             "LIMIT 31337OFFSET 31337",
                                             "SELECT 0x31337",
                                             "SELECT a FROM t WHERE b IN ('secret',31337)",
                                             "SELECT N'secret'",
                                             "SELECT X'secret'",
                                             "SELECT 1 -- secret",
                                             "SELECT 1 /* secret */",
                                             "SELECT 1 /* secret",
                                             "SET a TO 'secret'",
                                             "ALTER USER u PASSWORD 'secret'",
                                             "INSERT INTO t VALUES('a','secret'),(31337,'b')",
                                             "SELECT a=31337",
                                             "SELECT a<31337>31337",
                                             "SELECT[31337]",
                                             "SELECT a[31337:31337]",
                                             "SELECT 'secret'::text",
                                             "SELECT cast(31337 as int)",
                                             "SELECT '\xff secret'"};
  for (const std::string_view text : any) {
    for (const Dialect& dialect :
         {kPostgresql, kPostgresqlOldStrings, kMysql, kMysqlNoBackslash, kOtherSql, kClickhouse}) {
      for (size_t length = 1; length <= text.size(); ++length) {
        const Statement told = described(text.substr(0, length), dialect, length < text.size());
        EXPECT_EQ(told.text.find("sec"), std::string::npos) << text << " -> " << told.text;
        EXPECT_EQ(told.text.find("313"), std::string::npos) << text << " -> " << told.text;
        EXPECT_EQ(told.summary.find("sec"), std::string::npos) << text << " -> " << told.summary;
      }
    }
  }
  const std::vector<std::string_view> postgresql = {"SELECT $$secret$$",
                                                    "SELECT $a$secret$a$",
                                                    "SELECT $a$ $$ $b$ secret $a$",
                                                    "SELECT $$$a$secret$$",
                                                    "SELECT a$1, $$secret$$",
                                                    "SELECT E'\\'secret'",
                                                    "SELECT e'\\\\', 'secret'",
                                                    "SELECT 'a\\', 'secret'",
                                                    "SELECT E'a'\n'\\'secret'",
                                                    "SELECT U&'secret'",
                                                    "SELECT U&\"a\" , 'secret'",
                                                    "SELECT /* /* ' */ ' */ 'secret'",
                                                    "SELECT \"a'b\", 'secret'",
                                                    "SELECT \"a\"\"'\", 'secret'",
                                                    "DO $do$ BEGIN PERFORM 'secret'; END $do$",
                                                    "SELECT a`b, 'secret`'",
                                                    "SELECT 1_31337",
                                                    "SELECT 0o31337",
                                                    "SELECT 'a' -- '\n 'secret'",
                                                    "SELECT B'31337'"};
  for (const std::string_view text : postgresql) {
    for (size_t length = 1; length <= text.size(); ++length) {
      const Statement told = described(text.substr(0, length), kPostgresql, length < text.size());
      EXPECT_EQ(told.text.find("sec"), std::string::npos) << text << " -> " << told.text;
      EXPECT_EQ(told.text.find("313"), std::string::npos) << text << " -> " << told.text;
    }
  }
  const std::vector<std::string_view> mysql = {"SELECT \"secret\"",
                                               "SELECT \"a\"\"secret\"",
                                               "SELECT \"a\\\"secret\"",
                                               "SELECT 'a\\'secret'",
                                               "SELECT '\\\\', 'secret'",
                                               "SELECT `a'b`, 'secret'",
                                               "SELECT `a``'`, 'secret'",
                                               "SELECT 1 # secret",
                                               "SELECT 1 #'\n, 'secret'",
                                               "SELECT /*! 'secret' */ 1",
                                               "SELECT /*!50000 31337 */ 1",
                                               "SELECT /*M! 31337 */ 1",
                                               "SELECT _utf8mb4'secret'",
                                               "SELECT 5--31337",
                                               "SELECT 0b11, x'31337'",
                                               "SELECT @'secret', 31337",
                                               "SELECT 31337abc",
                                               "SELECT /*! '*/ secret' */ 1",
                                               "SELECT /* /* */ 'secret' /* */"};
  for (const std::string_view text : mysql) {
    for (size_t length = 1; length <= text.size(); ++length) {
      const Statement told = described(text.substr(0, length), kMysql, length < text.size());
      EXPECT_EQ(told.text.find("sec"), std::string::npos) << text << " -> " << told.text;
      EXPECT_EQ(told.text.find("313"), std::string::npos) << text << " -> " << told.text;
    }
  }
  const std::vector<std::string_view> clickhouse = {
      "SELECT 'a\\'secret'",
      "SELECT '\\\\', 'secret'",
      "SELECT `a\\`'`, 'secret'",
      "SELECT `a``'`, 'secret'",
      "SELECT \"a\\\"'\", 'secret'",
      "SELECT \"a'b\", 'secret'",
      "SELECT $$secret$$",
      "SELECT $a$ $$ secret $a$",
      "SELECT $a b'$ secret $a b'$",
      "SELECT a$b, $$'$$, 'secret'",
      "SELECT $secret$",
      "SELECT $a$ secret $b$",
      "SELECT 1 // it's\n, 'secret'",
      "SELECT 1 -- it's\r ' \n, 'secret'",
      "SELECT 1 # it's\n, 'secret'",
      "SELECT 1 #!secret",
      "SELECT /* /* */ don't */ 'secret'",
      "SELECT /* /* */ 'a */ secret'",
      "SELECT \u2018secret\u2019",
      "SELECT a, \u2018it's\u2019, 'secret'",
      "SELECT a\u2018 secret\u2019",
      "SELECT \u201csecret\u201d, \u201c it's\u201d, 'secret'",
      "SELECT x'31337', b'31337', E'secret'",
      "SELECT 0x31337p-31337, 0b31337, 31337e+31337",
      "SELECT t.31337, a[31337], {'k':31337}",
      "SELECT INTERVAL 31337 DAY, -31337, 31337::UInt8",
      "SELECT {name:FixedString(31337)}",
      "CREATE USER u IDENTIFIED WITH plaintext_password BY 'secret'",
      "SELECT * FROM remote('secret', a.b, 'u', 'secret')"};
  for (const std::string_view text : clickhouse) {
    for (size_t length = 1; length <= text.size(); ++length) {
      const Statement told = described(text.substr(0, length), kClickhouse, length < text.size());
      EXPECT_EQ(told.text.find("sec"), std::string::npos) << text << " -> " << told.text;
      EXPECT_EQ(told.text.find("313"), std::string::npos) << text << " -> " << told.text;
    }
  }
}

}  // namespace
}  // namespace zerospan::sql
