// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What one connection's parser tells those of its process's other connections. Owned by the
// connection table, used by its thread only; outlives the parsers. All connections of a process are
// in one table, in the order in which things happened, so a replay knows the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace zerospan::protocols {

class Shared {
 public:
  // Kafka: which name a topic's id stands for. Ids are unique, but one process is not believed
  // about another's.
  void learn_topic(uint32_t pid, std::string_view id, std::string_view name) {
    if (topics_.size() >= kMostTopics) {
      topics_.erase(topics_.begin());
    }
    topics_.insert_or_assign(std::pair(pid, std::string(id)), name);
  }
  // Empty: not known.
  [[nodiscard]] std::string_view find_topic(uint32_t pid, std::string_view id) const {
    const auto found = topics_.find(std::pair(pid, std::string(id)));
    return found == topics_.end() ? std::string_view() : std::string_view(found->second);
  }

  // Cassandra: which text a prepared statement's id stands for. Servers make the id of the text,
  // and drivers prepare it on one connection for all.
  struct Statement {
    std::string text;
    bool cut = false;  // `text` is only its beginning
  };
  void learn_statement(uint32_t pid, std::string_view id, Statement&& statement) {
    if (statements_.size() >= kMostStatements || statement_bytes_ >= kMostStatementBytes) {
      statement_bytes_ -= statements_.begin()->second.text.size();
      statements_.erase(statements_.begin());
    }
    Statement& known = statements_[std::pair(pid, std::string(id))];
    statement_bytes_ += statement.text.size() - known.text.size();
    known = std::move(statement);
  }
  // Null: not known. Valid until the next one is learned.
  [[nodiscard]] const Statement* find_statement(uint32_t pid, std::string_view id) const {
    const auto found = statements_.find(std::pair(pid, std::string(id)));
    return found == statements_.end() ? nullptr : &found->second;
  }

 private:
  static constexpr size_t kMostStatements = 4096;  // beyond, any of them is forgotten
  static constexpr size_t kMostStatementBytes = 4U << 20U;
  static constexpr size_t kMostTopics = 4096;  // beyond, any of them is forgotten
  std::map<std::pair<uint32_t, std::string>, std::string> topics_;
  std::map<std::pair<uint32_t, std::string>, Statement> statements_;
  size_t statement_bytes_ = 0;
};

}  // namespace zerospan::protocols
