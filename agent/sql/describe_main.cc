// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// sql_describe postgresql|mysql|clickhouse|other: reads statements that end in a zero byte, and
// writes for each the sanitised text and the summary, each ended by a zero byte.
#include <iostream>
#include <string>
#include <string_view>

#include "agent/sql/statement.h"

int main(int argc, char** argv) {
  using namespace zerospan::sql;
  const std::string_view name = argc == 2 ? argv[1] : "";
  if (name != "postgresql" && name != "mysql" && name != "clickhouse" && name != "other") {
    std::cerr << "usage: sql_describe postgresql|mysql|clickhouse|other\n";
    return 2;
  }
  const Dialect dialect = name == "postgresql"   ? kPostgresql
                          : name == "mysql"      ? kMysql
                          : name == "clickhouse" ? kClickhouse
                                                 : kOtherSql;
  Statement statement;
  for (std::string text; std::getline(std::cin, text, '\0');) {
    describe(text, dialect, false, Limits{.max_text_bytes = text.size() + 1}, statement);
    std::cout << statement.text << '\0' << statement.summary << '\0';
  }
}
