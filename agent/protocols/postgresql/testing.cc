// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/postgresql/testing.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::postgresql {
namespace {

std::string number(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
  return out;
}

std::string text(std::string_view value) {
  return std::string(value) + '\0';
}

model::Connection connection_of(model::Role role, bool seen_from_start) {
  model::Connection connection;
  connection.id = 7;
  connection.role = role;
  connection.seen_from_start = seen_from_start;
  return connection;
}

}  // namespace

std::string message(char type, std::string_view body) {
  return type + number(body.size() + 4, 4) + std::string(body);
}

std::string startup() {
  const std::string body =
      number(3U << 16U, 4) + text("user") + text("me") + text("database") + text("shop") + '\0';
  return number(body.size() + 4, 4) + body;
}

std::string query(std::string_view statement) {
  return message('Q', text(statement));
}
std::string parse(std::string_view name, std::string_view statement) {
  return message('P', text(name) + text(statement) + number(0, 2));
}
std::string bind(std::string_view portal, std::string_view statement) {
  return message('B', text(portal) + text(statement) + number(0, 2) + number(0, 2) + number(0, 2));
}
std::string execute(std::string_view portal) {
  return message('E', text(portal) + number(0, 4));
}
std::string sync() {
  return message('S', "");
}
std::string data_rows(size_t count, size_t width) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    out += message('D', number(1, 2) + number(width, 4) + std::string(width, 'r'));
  }
  return out;
}
std::string rows(size_t count, size_t width) {
  return message('T', number(1, 2) + text("a") + std::string(18, '\0')) + data_rows(count, width);
}
std::string done(std::string_view tag) {
  return message('C', text(tag));
}
std::string error(std::string_view code) {
  return message('E', "S" + text("ERROR") + "V" + text("ERROR") + "C" + text(code) + "M" +
                          text("it did not work") + '\0');
}
std::string ready(char status) {
  return message('Z', std::string(1, status));
}

std::vector<Step> random_session(std::mt19937_64& random, size_t turns, bool pipelined) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  std::vector<Step> steps = {
      {true, startup()},
      {false, message('R', number(0, 4)) + message('S', text("server_version") + text("15")) +
                  message('K', number(1, 4) + number(2, 4)) + ready()}};
  size_t id = 0;
  const auto statement = [&] { return "SELECT a FROM t" + std::to_string(id++); };
  std::vector<std::string> prepared;
  std::string requests;
  std::string responses;
  const auto flush = [&] {
    if (!requests.empty()) {
      steps.push_back({true, std::exchange(requests, {})});
      steps.push_back({false, std::exchange(responses, {})});
    }
  };
  for (size_t turn = 0; turn < turns; ++turn) {
    const size_t count = below(5) == 0 ? 300 : below(4);
    const std::string tag = "SELECT " + std::to_string(count);
    switch (below(9)) {
      case 0:
        requests += query(statement());
        responses += rows(count) + done(tag) + ready();
        break;
      case 1:
        requests += query(statement());
        responses += rows(count) + error("22012") + ready();
        break;
      case 2:
        requests += query(statement() + "; UPDATE t SET a = 1");
        responses += rows(count) + done(tag) + done("UPDATE 3") + ready();
        break;
      case 3: {
        requests +=
            parse("", statement()) + bind("", "") + message('D', text("P")) + execute("") + sync();
        responses += message('1', "") + message('2', "") + rows(count) + done(tag) + ready();
        break;
      }
      case 4: {
        if (prepared.empty() || below(3) == 0) {
          prepared.push_back("s" + std::to_string(prepared.size()));
          requests += parse(prepared.back(), statement()) + sync();
          responses += message('1', "") + ready();
          if (!pipelined) {
            flush();
          }
        }
        requests += bind("", prepared[below(prepared.size())]) + execute("") + sync();
        responses += message('2', "") + data_rows(count) + done(tag) + ready();
        break;
      }
      case 5: {  // three, of which the second fails
        for (int i = 0; i < 3; ++i) {
          requests += parse("", statement()) + bind("", "") + execute("");
        }
        requests += sync();
        responses += message('1', "") + message('2', "") + data_rows(count) + done(tag) +
                     message('1', "") + message('2', "") + error("23505") + ready();
        break;
      }
      case 6:
        requests += parse("", "SELEKT " + statement()) + bind("", "") + execute("") + sync();
        responses += error("42601") + ready();
        break;
      case 7:
        if (pipelined) {
          requests += query(statement());
          responses += message('N', "S" + text("NOTICE") + '\0') + message('I', "") + ready('T');
          break;
        }
        flush();
        steps.push_back({true, query("COPY " + statement() + " FROM STDIN")});
        steps.push_back({false, message('G', number(0, 3))});
        steps.push_back({true, message('d', std::string(5000, 'x')) + message('c', "")});
        steps.push_back({false, done("COPY 9") + ready()});
        break;
      default:
        requests += query("COPY " + statement() + " TO STDOUT");
        responses += message('H', number(0, 3)) + message('d', std::string(50 * count, 'x')) +
                     message('c', "") + done("COPY 7") + ready();
        break;
    }
    if (!pipelined || below(3) == 0) {
      flush();
    }
  }
  flush();
  return steps;
}

std::string brief(const Told& told) {
  return told.statement + " | " + told.id + " | " + told.error + (told.skipped ? " skipped" : "") +
         " | " + std::to_string(told.rows) + " | " +
         std::to_string(static_cast<int>(told.outcome)) + " | " + told.database;
}

Runner::Runner(model::Role role, bool seen_from_start)
    : connection(connection_of(role, seen_from_start), Options{}, &counters), role_(role) {}

void Runner::on_request(const RequestStart& start) {
  broken = broken || start.sequence != open_.size() || start.db == nullptr;
  open_.push_back(true);
}

void Runner::on_exchange(model::Exchange&& exchange) {
  const auto& db = std::get<model::DbExchange>(exchange.payload);
  if (exchange.sequence >= open_.size() || !open_[exchange.sequence]) {
    broken = true;
    return;
  }
  open_[exchange.sequence] = false;
  broken = broken || exchange.response_end_ns < exchange.request_start_ns;
  told.push_back({db.statement, db.statement_id,
                  db.failed && db.error_code.empty() && !db.skipped ? "?" : db.error_code,
                  db.skipped, db.returned_rows ? static_cast<int64_t>(*db.returned_rows) : -1,
                  exchange.incomplete, exchange.outcome, exchange.evidence, exchange.request_id,
                  exchange.request_start_ns, exchange.response_end_ns, db.database,
                  db.traceparent});
}

void Runner::step(const Step& step, size_t head, size_t tail) {
  now_ns += 1000;
  const bool receive = step.request == (role_ == model::Role::kServer);
  const std::string_view bytes = step.bytes;
  model::Chunk chunk;
  chunk.direction = receive ? model::Direction::kReceive : model::Direction::kSend;
  chunk.offset = offsets_[receive ? 0 : 1];
  chunk.length = static_cast<uint32_t>(bytes.size());
  chunk.head = bytes.substr(0, std::min(head, bytes.size()));
  const size_t left = bytes.size() - chunk.head.size();
  chunk.tail = bytes.substr(bytes.size() - std::min(left, tail));
  chunk.time_ns = chunk.departed_ns = now_ns;
  chunk.request_id = now_ns;
  this->chunk(chunk);
  offsets_[receive ? 0 : 1] += bytes.size();
}

Verdict Runner::chunk(model::Chunk chunk) {
  const Verdict verdict = connection.on_chunk(chunk, *this);
  opaque = verdict == Verdict::kOpaque;
  return verdict;
}

void Runner::lose(const Step& step) {
  now_ns += 1000;
  offsets_[step.request == (role_ == model::Role::kServer) ? 0 : 1] += step.bytes.size();
}

void Runner::close(model::CloseKind kind) {
  model::Closed closed;
  closed.kind = kind;
  closed.time_ns = now_ns += 1000;
  closed.receive_offset = offsets_[0];
  closed.send_offset = offsets_[1];
  static_cast<void>(connection.on_close(closed, *this));
}

void Runner::finish() {
  connection.finish(now_ns += 1000, *this);
  broken = broken || std::find(open_.begin(), open_.end(), true) != open_.end();
}

}  // namespace zerospan::protocols::postgresql
