// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Spans of data stores, by the conventions for database spans.

#include <utility>

#include "agent/bson/command.h"
#include "agent/commands/arguments.h"
#include "agent/spans/interruption.h"
#include "agent/spans/span_builder.h"
#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

std::string_view system_name(model::DbSystem system) {
  switch (system) {
    case model::DbSystem::kPostgresql:
      return "postgresql";
    case model::DbSystem::kMysql:
      return "mysql";
    case model::DbSystem::kMariadb:
      return "mariadb";
    case model::DbSystem::kRedis:
      return "redis";
    case model::DbSystem::kMemcached:
      return "memcached";
    case model::DbSystem::kMongodb:
      return "mongodb";
    case model::DbSystem::kCassandra:
      return "cassandra";
  }
  return "other_sql";
}

const sql::Dialect& dialect_of(const model::DbExchange& db) {
  if (db.system == model::DbSystem::kPostgresql) {
    return db.backslash_escapes ? sql::kPostgresqlOldStrings : sql::kPostgresql;
  }
  if (db.system == model::DbSystem::kCassandra) {
    return sql::kCql;
  }
  return db.backslash_escapes ? sql::kMysql : sql::kMysqlNoBackslash;
}

void add_int(model::Span& span, std::string_view key, uint64_t value) {
  span.attributes.add_int(key, static_cast<int64_t>(value));
}

}  // namespace

void SpanBuilder::add_statement(std::string_view statement, const sql::Dialect& dialect, bool cut,
                                uint32_t batch_size, model::Span& span) {
  sql::describe(statement, dialect, cut, sql::Limits{.max_text_bytes = options_.max_query_bytes},
                statement_);
  if (options_.query_text != QueryText::kOff) {
    const bool raw = options_.query_text == QueryText::kRaw;
    const std::string_view text = raw ? statement : statement_.text;
    span.attributes.add_written_text("db.query.text", [&](std::string& out) {
      append_text(out, text, out.size() + options_.max_query_bytes);
    });
  }
  if (batch_size != 0) {
    // Of several statements that are the same `statement` is one.
    const bool same = statement_.statements == 1;
    statement_.summary = same ? "BATCH " + statement_.summary : "BATCH";
    statement_.operation = same ? "BATCH " + statement_.operation : "BATCH";
    add_int(span, "db.operation.batch.size", batch_size);
  }
  if (!statement_.summary.empty()) {
    span.name = to_text(statement_.summary, options_.max_value_bytes);
    add_text(span, "db.query.summary", statement_.summary);
  }
  // Only what cannot be one of several.
  if (!statement_.operation.empty() && !statement_.cut) {
    add_text(span, "db.operation.name", statement_.operation);
  }
  if (!statement_.collection.empty() && !statement_.cut) {
    add_text(span, "db.collection.name", statement_.collection);
  }
}

// A statement that came over HTTP.
void SpanBuilder::add_clickhouse_call(const ClickhouseCall& call, model::Span& span) {
  span.name = "clickhouse";
  span.attributes.add_text("db.system.name", "clickhouse");
  if (!call.database.empty()) {
    add_text(span, "db.namespace", call.database);
  }
  if (!call.statement.empty()) {
    add_statement(call.statement, sql::kClickhouse, call.cut, 0, span);
  }
  if (!call.error_code.empty()) {
    add_text(span, "db.response.status_code", call.error_code);
  }
}

// A command of a key-value store, which is a list of arguments.
void SpanBuilder::add_command(const model::DbExchange& db, model::Span& span) {
  std::string_view packed = db.statement;
  commands::Argument name;
  static_cast<void>(commands::next_argument(packed, name));
  const commands::Syntax* const syntax = db.system == model::DbSystem::kRedis
                                             ? commands::find_redis(name.bytes)
                                             : commands::find_memcached(name.bytes);
  commands::describe(db.statement, *syntax, options_.query_text == QueryText::kRaw,
                     options_.max_query_bytes, command_);
  if (command_.operation.empty()) {
    return;
  }
  if (options_.query_text != QueryText::kOff) {
    span.attributes.add_written_text("db.query.text", [&](std::string& out) {
      append_text(out, command_.text, out.size() + options_.max_query_bytes);
    });
  }
  span.name = command_.operation;
  add_text(span, "db.operation.name", command_.operation);
  if (!command_.procedure.empty()) {
    add_text(span, "db.stored_procedure.name", command_.procedure);
  }
  if (db.batch_size != 0) {
    add_int(span, "db.operation.batch.size", db.batch_size);
  }
}

// A command of MongoDB, which is a document.
void SpanBuilder::add_document(const model::DbExchange& db, model::Span& span) {
  if (db.operation.empty()) {
    return;
  }
  if (db.statement_known && options_.query_text != QueryText::kOff) {
    bson::describe(db.statement, db.statement_cut, db.collection,
                   options_.query_text == QueryText::kRaw, options_.max_query_bytes, document_);
    span.attributes.add_written_text("db.query.text", [&](std::string& out) {
      append_text(out, document_, out.size() + options_.max_query_bytes);
    });
  }
  add_text(span, "db.operation.name", db.operation);
  const std::string& target = db.collection.empty() ? db.database : db.collection;
  span.name = to_text(target.empty() ? db.operation : db.operation + " " + target,
                      options_.max_value_bytes);
  if (!db.collection.empty()) {
    add_text(span, "db.collection.name", db.collection);
  }
  if (db.batch_size != 0) {
    add_int(span, "db.operation.batch.size", db.batch_size);
  }
}

void SpanBuilder::add_store_address(const model::Connection& connection, model::Span& span) const {
  const bool server = span.kind == model::SpanKind::kServer;
  const model::Endpoint& store = server ? connection.local : connection.peer;
  if (!store.address.empty()) {
    add_text(span, "server.address", server_name(store.address, connection));
    if (store.port != 0) {
      add_int(span, "server.port", store.port);
    }
  }
  if (!connection.peer.address.empty()) {
    add_text(span, "network.peer.address", connection.peer.address);
    if (connection.peer.port != 0) {
      add_int(span, "network.peer.port", connection.peer.port);
    }
  }
  if (connection.transport == model::Transport::kUnix) {
    add_text(span, "network.transport", "unix");
  }
}

void SpanBuilder::build_db(const model::Exchange& exchange, const model::DbExchange& db,
                           const model::Connection& connection, model::Span& span) {
  span.name = system_name(db.system);
  add_text(span, "db.system.name", system_name(db.system));
  if (!db.database.empty()) {
    add_text(span, "db.namespace", db.database);
  }
  if (db.system == model::DbSystem::kRedis || db.system == model::DbSystem::kMemcached) {
    add_command(db, span);
  } else if (db.system == model::DbSystem::kMongodb) {
    add_document(db, span);
  } else if (db.statement_known) {
    add_statement(db.statement, dialect_of(db), db.statement_cut, db.batch_size, span);
  } else {
    if (!db.operation.empty()) {
      add_text(span, "db.operation.name", db.operation);
      span.name = db.operation;
    }
    if (!db.statement_id.empty()) {
      add_text(span, "zerospan.db.statement.id", db.statement_id);
    }
  }
  if (!db.consistency.empty()) {
    add_text(span, "cassandra.consistency.level", db.consistency);
  }
  if (db.page_size) {
    add_int(span, "cassandra.page.size", *db.page_size);
  }

  add_store_address(connection, span);
  if (db.returned_rows) {
    add_int(span, "db.response.returned_rows", *db.returned_rows);
  }
  std::string_view error = interruption(exchange);
  if (db.failed) {
    if (!db.error_code.empty()) {
      add_text(span, "db.response.status_code", db.error_code);
    }
    if (db.skipped) {
      error = "pipeline_aborted";
    } else {
      error = db.error_code;
      if (error.empty()) {
        error = "_OTHER";
      }
    }
  }
  if (!error.empty()) {
    add_text(span, "error.type", error);
    span.status = model::StatusCode::kError;
  }
}

}  // namespace zerospan::spans
