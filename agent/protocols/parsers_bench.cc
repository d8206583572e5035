// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Exchanges per second and core of each parser: whole short connections with their login, from the
// seeds of its fuzz target (fuzz_connection.h), as far as they have exchanges in them. HTTP has
// benchmarks of its own. Argument: the folder agent/protocols.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "agent/protocols/registry.h"

namespace zerospan::protocols {
namespace {

class Sink final : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override { benchmark::DoNotOptimize(&start); }
  void on_exchange(model::Exchange&& exchange) override {
    ++exchanges;
    incomplete += exchange.incomplete != model::kIncompleteNone ? 1 : 0;
    benchmark::DoNotOptimize(&exchange);
  }
  size_t exchanges = 0;
  size_t incomplete = 0;
};

struct Conversation {
  std::string bytes;
  model::Connection connection;
  std::vector<model::Chunk> chunks;  // views into `bytes`
};

// Only what was captured whole: seeds with holes are not what a parser does most of the time.
std::unique_ptr<Conversation> read(const std::filesystem::path& path) {
  auto conversation = std::make_unique<Conversation>();
  std::ifstream file(path, std::ios::binary);
  conversation->bytes.assign(std::istreambuf_iterator<char>(file), {});
  const std::string& bytes = conversation->bytes;
  if (bytes.empty()) {
    return nullptr;
  }
  const auto first = static_cast<uint8_t>(bytes[0]);
  conversation->connection.seen_from_start = (first & 1U) != 0;
  conversation->connection.role = static_cast<model::Role>((first >> 1U) % 3);
  uint64_t offsets[2] = {0, 0};
  uint64_t now = 1000;
  for (size_t at = 1; at + 2 <= bytes.size();) {
    const auto control = static_cast<uint8_t>(bytes[at]);
    const size_t length =
        std::min<size_t>(static_cast<uint8_t>(bytes[at + 1]), bytes.size() - at - 2);
    if ((control & 6U) != 0) {
      return nullptr;
    }
    const unsigned way = control & 1U;
    model::Chunk chunk;
    chunk.direction = way != 0 ? model::Direction::kSend : model::Direction::kReceive;
    chunk.offset = offsets[way];
    chunk.length = static_cast<uint32_t>(length);
    chunk.head = std::string_view(bytes).substr(at + 2, length);
    chunk.time_ns = chunk.departed_ns = now += 10;
    chunk.request_id = control;
    conversation->chunks.push_back(chunk);
    offsets[way] += length;
    at += 2 + length;
  }
  return conversation;
}

void play(const Protocol& protocol, const Conversation& conversation, Shared& shared, Sink& sink) {
  ParserCounters counters;
  const std::unique_ptr<ConnectionParser> parser =
      protocol.make(conversation.connection, &counters, &shared);
  for (const model::Chunk& chunk : conversation.chunks) {
    if (parser->on_chunk(chunk, sink) == Verdict::kOpaque) {
      break;
    }
  }
  parser->finish(conversation.chunks.back().time_ns, sink);
}

void exchanges(benchmark::State& state, const Protocol* protocol,
               const std::vector<std::unique_ptr<Conversation>>* conversations) {
  Sink sink;
  Shared shared;
  for (auto _ : state) {
    for (const auto& conversation : *conversations) {
      play(*protocol, *conversation, shared, sink);
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(sink.exchanges));
}

}  // namespace
}  // namespace zerospan::protocols

int main(int argc, char** argv) {
  using namespace zerospan::protocols;
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: parsers_bench agent/protocols\n");
    return 2;
  }
  std::vector<std::vector<std::unique_ptr<Conversation>>> all;
  all.reserve(all_protocols().size());
  for (const Protocol& protocol : all_protocols()) {
    const std::string name(protocol.name);
    if (name.starts_with("http")) {
      continue;
    }
    auto& mine = all.emplace_back();
    const std::filesystem::path folder =
        std::filesystem::path(argv[1]) / name / "corpus" / ("fuzz_" + name);
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      auto conversation = read(entry.path());
      if (conversation == nullptr || conversation->chunks.empty()) {
        continue;
      }
      Sink sink;
      Shared shared;
      play(protocol, *conversation, shared, sink);
      if (sink.exchanges > sink.incomplete) {
        mine.push_back(std::move(conversation));
      }
    }
    if (mine.empty()) {
      std::fprintf(stderr, "%s: no seed with an exchange\n", folder.c_str());
      return 1;
    }
    benchmark::RegisterBenchmark(name.c_str(), exchanges, &protocol, &mine);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
