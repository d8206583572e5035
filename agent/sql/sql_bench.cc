// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Bytes of SQL described per second and core. `sql_bench`.
#include <benchmark/benchmark.h>

#include <array>
#include <string_view>

#include "agent/sql/statement.h"

namespace {

using namespace zerospan::sql;

// What pgbench and an object-relational mapper send, with values in the text.
constexpr std::array kStatements = {
    std::string_view("SELECT abalance FROM pgbench_accounts WHERE aid = 48213;"),
    std::string_view("UPDATE pgbench_accounts SET abalance = abalance + -1423 WHERE aid = 48213;"),
    std::string_view("INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, "
                     "48213, -1423, CURRENT_TIMESTAMP);"),
    std::string_view(
        "SELECT \"auth_user\".\"id\", \"auth_user\".\"password\", \"auth_user\".\"last_login\", "
        "\"auth_user\".\"is_superuser\", \"auth_user\".\"username\", \"auth_user\".\"first_name\" "
        "FROM \"auth_user\" INNER JOIN \"orders\" ON (\"auth_user\".\"id\" = "
        "\"orders\".\"user_id\") WHERE (\"orders\".\"state\" IN ('open', 'paid', 'sent') AND "
        "\"auth_user\".\"username\" = 'someone@example.com') ORDER BY \"orders\".\"id\" DESC LIMIT "
        "21"),
    std::string_view(
        "WITH recent AS (SELECT customer_id, max(created_at) AS latest FROM purchases WHERE "
        "created_at > '2026-01-01 00:00:00' GROUP BY customer_id) SELECT c.id, c.name, c.email, "
        "r.latest, coalesce(sum(p.amount), 0) AS total FROM customers c LEFT JOIN recent r ON "
        "r.customer_id = c.id LEFT JOIN purchases p ON p.customer_id = c.id AND p.state <> "
        "'cancelled' WHERE c.region = 'north' AND c.active = true GROUP BY c.id, c.name, c.email, "
        "r.latest HAVING sum(p.amount) > 1000.50 ORDER BY total DESC LIMIT 50 OFFSET 100"),
};

void describe_all(benchmark::State& state) {
  Statement out;
  size_t bytes = 0;
  for (auto _ : state) {
    for (const std::string_view text : kStatements) {
      describe(text, kPostgresql, false, Limits{}, out);
      benchmark::DoNotOptimize(out.text.data());
      bytes += text.size();
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kStatements.size()));
}
BENCHMARK(describe_all);

}  // namespace
