// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/conn/connection_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace zerospan::conn {

namespace {

// How many operations a connection that was open before us may begin with bytes that no protocol
// accepts: it may be in the middle of a message.
constexpr uint8_t kRefusalsWhenJoined = 16;
// Of a full table, this part is given up at once: to find the quietest means to look at all.
constexpr size_t kEvictedFraction = 64;

// In hexadecimal; too few to hold a secret.
std::string first_bytes(std::string_view bytes) {
  constexpr size_t kMost = 6;
  std::string text;
  for (const char byte : bytes.substr(0, kMost)) {
    std::array<char, 4> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x ", static_cast<uint8_t>(byte));
    text += digits.data();
  }
  return text.empty() ? "not captured" : text.substr(0, text.size() - 1);
}

}  // namespace

struct ConnectionTable::Entry final : protocols::ExchangeSink {
  Entry(const model::Connection& of, uint64_t socket_key, TrafficSink& next)
      : connection(of), socket(socket_key), sink(next), last_ns(of.time_ns) {}

  void on_request(const protocols::RequestStart& start) override {
    sink.on_request(connection, start);
  }
  void on_exchange(model::Exchange&& exchange) override {
    sink.on_exchange(connection, std::move(exchange));
  }

  model::Connection connection;
  uint64_t socket;
  TrafficSink& sink;
  uint64_t last_ns;
  std::unique_ptr<protocols::ConnectionParser> parser;  // null until recognised
  std::string_view protocol;                            // the parser's
  bool opaque = false;
  uint8_t refusals = 0;
};

ConnectionTable::ConnectionTable(TableOptions options, TrafficSink& sink)
    : options_(options), sink_(sink), parser_counters_(options.protocols.size()) {}

ConnectionTable::~ConnectionTable() = default;

void ConnectionTable::on_connection(const model::Connection& connection, uint64_t socket) {
  if (entries_.contains(connection.id)) {
    return;
  }
  // Of UDP sockets that are quiet most are closed, unlike connections.
  const bool full = entries_.size() >= options_.max_connections;
  if ((full || datagrams_.size() >= 2 * options_.max_connections) && !evict_datagrams() && full) {
    evict_quietest();
  }
  if (connection.transport == model::Transport::kUdp) {
    datagrams_.emplace_back(connection.id, connection.time_ns);
  }
  auto entry = std::make_unique<Entry>(connection, socket, sink_);
  entries_.emplace(connection.id, std::move(entry));
  ++counters_.opened;
}

void ConnectionTable::on_chunk(uint64_t connection_id, const model::Chunk& chunk) {
  const auto found = entries_.find(connection_id);
  if (found == entries_.end()) {
    ++counters_.unknown_records;
    return;
  }
  Entry& entry = *found->second;
  entry.last_ns = chunk.time_ns;
  if (!entry.opaque) {
    feed(entry, chunk);
  }
}

void ConnectionTable::feed(Entry& entry, const model::Chunk& chunk) {
  if (!entry.parser) {
    for (size_t i = 0; i < options_.protocols.size() && !entry.parser; ++i) {
      const protocols::Protocol& protocol = options_.protocols[i];
      const bool fits =
          protocol.detect == nullptr
              ? entry.connection.is_dns
              : !entry.connection.is_dns && protocol.detect(chunk.direction, chunk.head);
      if ((options_.enabled >> i & 1U) != 0 && fits) {
        entry.parser = protocol.make(entry.connection, &parser_counters_[i], &shared_);
        entry.protocol = protocol.name;
      }
    }
    if (!entry.parser) {
      if (entry.connection.seen_from_start || ++entry.refusals > kRefusalsWhenJoined) {
        ++counters_.unrecognised;
        make_opaque(entry);
        sink_.on_given_up(entry.connection,
                          "begins like no known protocol: " + first_bytes(chunk.head));
      }
      return;
    }
  }
  const protocols::Verdict verdict = entry.parser->on_chunk(chunk, entry);
  entry.connection.role = entry.parser->role();
  if (verdict == protocols::Verdict::kOpaque) {
    make_opaque(entry);
    sink_.on_given_up(entry.connection, "is not " + std::string(entry.protocol) +
                                            " any more: an upgrade, a tunnel, or not parsed");
  }
}

void ConnectionTable::on_close(uint64_t connection_id, const model::Closed& closed) {
  const auto found = entries_.find(connection_id);
  if (found == entries_.end()) {
    ++counters_.unknown_records;
    return;
  }
  Entry& entry = *found->second;
  if (entry.parser && !entry.opaque) {
    if (entry.parser->on_close(closed, entry) == protocols::Verdict::kOpaque) {
      make_opaque(entry);
    }
  }
  if (closed.kind == model::CloseKind::kClosed || closed.kind == model::CloseKind::kReset) {
    entries_.erase(found);
    ++counters_.closed;
  }
}

void ConnectionTable::make_opaque(Entry& entry) {
  entry.opaque = true;
  entry.parser.reset();
  ++counters_.opaque;
  mutes_.push_back({entry.socket, entry.connection.id});
}

void ConnectionTable::evict_quietest() {
  const auto quieter = [](const Entry* a, const Entry* b) {
    return std::tie(a->last_ns, a->connection.id) < std::tie(b->last_ns, b->connection.id);
  };
  std::vector<Entry*> order;
  order.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) {
    order.push_back(entry.get());
  }
  const size_t count = std::max<size_t>(1, order.size() / kEvictedFraction);
  // Sorted, so that a replay gives out the same spans in the same order.
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
                    quieter);
  for (size_t i = 0; i < count; ++i) {
    Entry& entry = *order[i];
    if (entry.parser) {
      entry.parser->finish(entry.last_ns, entry);
    }
    mutes_.push_back({entry.socket, entry.connection.id});
    entries_.erase(entry.connection.id);
    ++counters_.evicted;
  }
}

void ConnectionTable::forget_datagrams(uint64_t time_ns) {
  while (!datagrams_.empty() && datagrams_.front().second + kQuietNs < time_ns) {
    const uint64_t id = datagrams_.front().first;
    datagrams_.pop_front();
    const auto found = entries_.find(id);
    if (found == entries_.end()) {
      continue;
    }
    Entry& entry = *found->second;
    if (entry.last_ns + kQuietNs >= time_ns) {
      datagrams_.emplace_back(id, entry.last_ns);
      continue;
    }
    if (entry.parser) {
      entry.parser->finish(time_ns, entry);
    }
    entries_.erase(found);
    ++counters_.closed;
  }
}

// Gives up one that was quiet for the longest; false if there is none.
bool ConnectionTable::evict_datagrams() {
  while (!datagrams_.empty()) {
    const auto [id, used_ns] = datagrams_.front();
    datagrams_.pop_front();
    const auto found = entries_.find(id);
    if (found != entries_.end()) {
      Entry& entry = *found->second;
      if (entry.last_ns != used_ns) {
        datagrams_.emplace_back(id, entry.last_ns);
        continue;
      }
      if (entry.parser) {
        entry.parser->finish(entry.last_ns, entry);
      }
      entries_.erase(found);
      ++counters_.evicted;
      return true;
    }
  }
  return false;
}

void ConnectionTable::give_up(const std::vector<uint32_t>& pids) {
  const std::unordered_set<uint32_t> left(pids.begin(), pids.end());
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = *it->second;
    // What a UDP socket carries is paired by its own numbers, and it is forgotten when it is quiet.
    if (!left.contains(entry.connection.pid) ||
        entry.connection.transport == model::Transport::kUdp) {
      ++it;
      continue;
    }
    if (entry.parser) {
      entry.parser->finish(entry.last_ns, entry);
    }
    mutes_.push_back({entry.socket, entry.connection.id, true});
    it = entries_.erase(it);
    ++counters_.closed;
  }
}

void ConnectionTable::finish(uint64_t time_ns) {
  // In the order of their ids, so that a replay gives out the same spans in the same order.
  std::vector<Entry*> order;
  order.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) {
    order.push_back(entry.get());
  }
  std::sort(order.begin(), order.end(),
            [](const Entry* a, const Entry* b) { return a->connection.id < b->connection.id; });
  for (Entry* entry : order) {
    if (entry->parser) {
      entry->parser->finish(time_ns, *entry);
    }
  }
  entries_.clear();
}

std::vector<Mute> ConnectionTable::take_mutes() {
  return std::exchange(mutes_, {});
}

}  // namespace zerospan::conn
