// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The connections of one shard: keeps a parser for each, feeds it in order, and tells which
// connections need no more capturing. Owned and called by one worker thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/model/connection.h"
#include "agent/protocols/parser.h"
#include "agent/protocols/registry.h"

namespace zerospan::conn {

// The next stage: what protocols::ExchangeSink gets, with the connection that it came on. The
// references are valid during the call.
class TrafficSink {
 public:
  virtual ~TrafficSink() = default;
  virtual void on_request(const model::Connection& connection,
                          const protocols::RequestStart& start) = 0;
  virtual void on_exchange(const model::Connection& connection, model::Exchange&& exchange) = 0;
  // The connection is not followed any more; `why` is for people.
  virtual void on_given_up(const model::Connection& connection, std::string&& why) = 0;
};

struct TableOptions {
  std::span<const protocols::Protocol> protocols = protocols::all_protocols();
  uint32_t enabled = UINT32_MAX;   // bit n: protocols[n] is followed
  size_t max_connections = 65536;  // beyond, those that were quiet the longest are given up
};

struct TableCounters {
  uint64_t opened = 0;
  uint64_t closed = 0;
  uint64_t evicted =
      0;  // given up because the table was full; what was open on them was given out, flagged
  uint64_t unknown_records = 0;  // chunks and closes of connections that are not in the table
  uint64_t opaque = 0;           // found to have nothing (more) to tell
  uint64_t unrecognised = 0;     // of them: no protocol accepted the first bytes
};

// A connection that the kernel side may stop recording.
struct Mute {
  uint64_t socket = 0;
  uint64_t connection_id = 0;
  bool forget = false;  // it is not in the table any more, and may be met again as another one
};

class ConnectionTable {
 public:
  ConnectionTable(TableOptions options, TrafficSink& sink);
  ~ConnectionTable();

  void on_connection(const model::Connection& connection, uint64_t socket);
  void on_chunk(uint64_t connection_id, const model::Chunk& chunk);
  void on_close(uint64_t connection_id, const model::Closed& closed);
  // A record of this time came: UDP sockets that were quiet for long are forgotten. No close is
  // seen of them, and the kernel side begins a new connection when one is used again.
  void forget_quiet(uint64_t time_ns) {
    if (!datagrams_.empty() && datagrams_.front().second + kQuietNs < time_ns) {
      forget_datagrams(time_ns);
    }
  }
  // Gives up the connections of these processes, because nothing is recorded of them any more: if
  // they are traced again, what was not seen must not be taken for silence.
  void give_up(const std::vector<uint32_t>& pids);
  // The agent ends: gives out what is open on all connections, flagged.
  void finish(uint64_t time_ns);

  // Connections found opaque, or given up, since the last call.
  [[nodiscard]] std::vector<Mute> take_mutes();

  [[nodiscard]] const TableCounters& counters() const { return counters_; }
  // By the index of the protocol in TableOptions::protocols.
  [[nodiscard]] const std::vector<protocols::ParserCounters>& parser_counters() const {
    return parser_counters_;
  }
  [[nodiscard]] size_t size() const { return entries_.size(); }

 private:
  struct Entry;

  void feed(Entry& entry, const model::Chunk& chunk);
  void make_opaque(Entry& entry);
  void evict_quietest();
  void forget_datagrams(uint64_t time_ns);
  bool evict_datagrams();

  // More than the kernel side waits for (ZS_DATAGRAM_QUIET_NS).
  static constexpr uint64_t kQuietNs = 12'000'000'000;
  TableOptions options_;
  TrafficSink& sink_;
  protocols::Shared shared_;  // outlives the parsers in entries_
  std::unordered_map<uint64_t, std::unique_ptr<Entry>> entries_;
  // UDP sockets, by when they are known to have been used last; also some that are gone.
  std::deque<std::pair<uint64_t, uint64_t>> datagrams_;
  std::vector<Mute> mutes_;
  TableCounters counters_;
  std::vector<protocols::ParserCounters> parser_counters_;
};

}  // namespace zerospan::conn
