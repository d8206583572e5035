// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel side's HTTP/2 gate and frame walker, compiled for the host, against the parser: the
// gate lets through what the detection accepts, and from what the walker captures the parser makes
// the same exchanges as from all bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/mix.h"
#include "agent/protocols/http2/detect.h"
#include "agent/protocols/http2/testing.h"
#include "bpf/lib/frame_http2.h"
#include "bpf/lib/gate_http2.h"
#include "bpf/lib/mix.h"
#include "tests/structure/http2_capture.h"

namespace zerospan {
namespace {

using namespace protocols::http2;  // NOLINT(google-build-using-namespace)
using tests::Http2Capture;

zs_http2_gate gate(std::string_view bytes) {
  std::array<__u8, ZS_HTTP2_PREFACE_BYTES> first{};
  first.fill('P');
  const size_t count = std::min(bytes.size(), first.size());
  std::copy_n(bytes.begin(), count, first.begin());
  return zs_gate_http2(first.data(), static_cast<__u32>(count));
}

TEST(Mix, BothSidesMakeTheSameIds) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t seed = random();
    const uint64_t connection = random();
    const auto stream = static_cast<uint32_t>(random());
    EXPECT_EQ(zs_mix64(seed), mix64(seed));
    EXPECT_EQ(zs_stream_request_id(seed, connection, stream),
              mix64(mix64(seed, connection), stream));
  }
}

TEST(WalkHttp2, KnowsTheHighestStream) {
  Script s;
  Http2Capture capture;
  zs_http2_start(&capture.walk, 1);
  capture.capture(s.preface() + s.settings() + s.request(1, "a", true));
  EXPECT_EQ(capture.walk.last_stream, 1U);
  capture.capture(s.request(7, "b", false) + frame(FrameType::kData, 0, 9, "data"));
  EXPECT_EQ(capture.walk.last_stream, 7U);
  capture.capture(s.request(0x7ffffff1, "c", true) + s.request(3, "d", true));
  EXPECT_EQ(capture.walk.last_stream, 0x7ffffff1U);
}

TEST(GateHttp2, KnowsPrefaceAndFrames) {
  Script s;
  EXPECT_EQ(gate(s.preface()), ZS_GATE_HTTP2_PREFACE);
  EXPECT_EQ(gate("PRI "), ZS_GATE_HTTP2_PREFACE);
  EXPECT_EQ(gate("PRI"), ZS_GATE_HTTP2_NO);
  EXPECT_EQ(gate(s.settings()), ZS_GATE_HTTP2_FRAMES);
  EXPECT_EQ(gate(s.request(1, "a", true)), ZS_GATE_HTTP2_FRAMES);
  EXPECT_EQ(gate("GET / HTTP/1.1\r\n"), ZS_GATE_HTTP2_NO);
  EXPECT_EQ(gate(std::string(24, '\0')), ZS_GATE_HTTP2_NO);
}

TEST(GateHttp2, LetsThroughWhatTheDetectionAccepts) {
  Script s;
  std::vector<std::string> starts = {
      s.preface(),
      s.settings(),
      s.settings({{3, 100}, {4, 65535}}),
      s.request(1, "a", true),
      s.response(3, "a", false),
      Script::reset(5, 8),
      Script::goaway(7, 0),
      frame(FrameType::kPing, 0, 0, "pingpong"),
      frame(FrameType::kWindowUpdate, 0, 9, std::string("\0\0\1\0", 4)),
      s.push_promise(1, 2, {{":path", "/"}}),
      Script::data(1, "abc", true),
  };
  std::mt19937_64 random(20261121);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  size_t accepted = 0;
  for (int i = 0; i < 400'000; ++i) {
    std::string bytes = starts[below(starts.size())];
    for (size_t changes = below(3); changes > 0; --changes) {
      // Small numbers are what headers are made of.
      bytes[below(std::min<size_t>(bytes.size(), 12))] =
          static_cast<char>(random() % 2 == 0 ? random() % 16 : random());
    }
    bytes.resize(1 + below(bytes.size()));
    const bool detected = detect(model::Direction::kReceive, bytes);
    ASSERT_TRUE(!detected || gate(bytes) != ZS_GATE_HTTP2_NO) << ::testing::PrintToString(bytes);
    accepted += detected ? 1 : 0;
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

std::vector<std::string> descriptions(const Player& player) {
  std::vector<std::string> all;
  for (const model::Exchange& exchange : player.sink.exchanges) {
    all.push_back(describe(exchange));
  }
  std::sort(all.begin(), all.end());
  return all;
}

// Plays a conversation, each operation as the walker captures it.
std::vector<std::string> walked(const Conversation& says, model::Role role, size_t& captured) {
  Player player(role);
  std::array<Http2Capture, 2> walks;
  zs_http2_start(&walks[0].walk, 1);
  zs_http2_start(&walks[1].walk, 0);
  for (const Say& say : says) {
    for (const model::Chunk& piece : walks[static_cast<size_t>(say.from)].capture(say.bytes)) {
      model::Chunk chunk = piece;
      chunk.request_id = role == model::Role::kServer ? say.request_id : 0;
      captured += chunk.head.size();
      player.play(chunk, say.from);
    }
  }
  player.close(model::CloseKind::kClosed);
  EXPECT_EQ(player.counters.resyncs, 0U);
  EXPECT_EQ(player.counters.unparsed_bytes, 0U);
  return descriptions(player);
}

std::vector<std::string> captured_whole(const Conversation& says, model::Role role) {
  Player player(role);
  for (const Say& say : says) {
    player.say(say.from, say.bytes, role == model::Role::kServer ? say.request_id : 0);
  }
  player.close(model::CloseKind::kClosed);
  return descriptions(player);
}

TEST(WalkHttp2, GivesTheParserTheSameExchanges) {
  std::mt19937 random(20261122);
  for (const NamedConversation& conversation : conversations()) {
    SCOPED_TRACE(conversation.name);
    size_t total = 0;
    for (const Say& say : conversation.says) {
      total += say.bytes.size();
    }
    for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
      const auto expected = captured_whole(conversation.says, role);
      size_t captured = 0;
      ASSERT_EQ(walked(conversation.says, role, captured), expected);
      EXPECT_LE(captured, total);
      // Cut anywhere: header bytes, kept payload and skipped payload over operations.
      for (int round = 0; round < 300; ++round) {
        Conversation cut;
        const size_t longest = round == 0 ? 1 : 1 + random() % 200;
        for (const Say& say : conversation.says) {
          for (size_t at = 0; at < say.bytes.size();) {
            const size_t count = 1 + random() % longest;
            cut.push_back({say.from, say.bytes.substr(at, count), say.request_id});
            at += count;
          }
        }
        ASSERT_EQ(walked(cut, role, captured), expected) << round;
      }
    }
  }
}

TEST(WalkHttp2, StepsOverLargeData) {
  Http2Capture walk;
  zs_http2_start(&walk.walk, 0);
  Script s;
  const std::string bytes = s.settings() + s.response(1, "a", false) +
                            Script::data(1, std::string(10'000, 'd'), false) +
                            Script::data(1, std::string(16'000, 'e'), true);
  size_t captured = 0;
  for (const model::Chunk& chunk : walk.capture(bytes)) {
    captured += chunk.head.size();
  }
  EXPECT_EQ(captured, bytes.size() - 26'000 + 2 * ZS_HTTP2_KEPT_BYTES);
  // What cannot be read is harmless inside of a payload only.
  walk.capture(Script::data(3, std::string(2000, 'f'), false).substr(0, 1900));
  zs_frame_missed(&walk.walk, 109);
  EXPECT_EQ(walk.walk.followed, ZS_FRAME_KNOWN);
  EXPECT_EQ(walk.capture(Script::data(3, "z", true)).front().head.size(), 10U);
  zs_frame_missed(&walk.walk, 5);
  EXPECT_EQ(walk.walk.followed, ZS_FRAME_LOST);
}

// Messages of all sizes, gathered in frames as some implementations do.
TEST(WalkHttp2, CountsMessagesThatShareAFrame) {
  std::mt19937 random(20261123);
  for (int round = 0; round < 3000; ++round) {
    Script s;
    s.say(From::kRequester,
          s.preface() + s.request(1, "a", true, {{"content-type", "application/grpc"}}));
    std::string frames = s.settings() + s.response(1, "a", false);
    const size_t longest = 1 + random() % 400;
    for (size_t count = 1 + random() % 4; count > 0; --count) {
      std::string data;
      for (size_t messages = 1 + random() % 12; messages > 0; --messages) {
        data += grpc_message(random() % longest, random() % 4 == 0);
      }
      frames += Script::data(1, data, count == 1);
    }
    // One cut, as by the size of a reader's buffer.
    const size_t at = random() % 2 == 0 ? frames.size() : 1 + random() % (frames.size() - 1);
    s.say(From::kResponder, frames.substr(0, at));
    if (at != frames.size()) {
      s.say(From::kResponder, frames.substr(at));
    }
    size_t captured = 0;
    ASSERT_EQ(walked(s.says(), model::Role::kClient, captured),
              captured_whole(s.says(), model::Role::kClient))
        << round;
  }
}

// What looks like messages and is none costs a bounded part of the frame.
TEST(WalkHttp2, DoesNotFollowMessagesForEver) {
  Http2Capture walk;
  zs_http2_start(&walk.walk, 0);
  Script s;
  walk.capture(s.settings());
  size_t captured = 0;
  for (const model::Chunk& chunk : walk.capture(Script::data(1, std::string(16'000, '\0'), true))) {
    captured += chunk.head.size();
  }
  EXPECT_EQ(captured, ZS_HTTP2_HEADER_BYTES + (ZS_HTTP2_HOPS + 1) * ZS_HTTP2_KEPT_BYTES);
  EXPECT_EQ(walk.capture(Script::data(3, "z", true)).front().head.size(), 10U);
}

// After an upgrade the client's preface is where the walk of its direction begins.
TEST(WalkHttp2, FindsThePreface) {
  Http2Capture walk;
  Script s;
  const std::string begin = s.preface() + s.request(3, "a", true);
  EXPECT_EQ(walk.capture(begin).front().head.size(), begin.size());
  EXPECT_EQ(walk.walk.followed, ZS_FRAME_KNOWN);
  const std::string more = s.request(5, "b", true);
  EXPECT_EQ(walk.capture(more).front().head.size(), more.size());
}

__u32 h2c_frames(std::string_view head) {
  std::array<__u8, ZS_H2C_HEAD_BYTES> bytes{};
  bytes.fill('\n');
  std::copy_n(head.begin(), std::min(head.size(), bytes.size()), bytes.begin());
  zs_h2c_scan scan{};
  return zs_h2c_frames(&scan, bytes.data(),
                       static_cast<__u32>(std::min(head.size(), bytes.size())));
}

TEST(WalkHttp2, FindsWhereAnUpgradeBegins) {
  const std::string agreed =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
  EXPECT_EQ(h2c_frames(agreed), agreed.size());
  EXPECT_EQ(h2c_frames(agreed + std::string("\0\0\6\4", 4)), agreed.size());
  EXPECT_EQ(h2c_frames(agreed.substr(0, agreed.size() - 1)), 0U);
  EXPECT_EQ(h2c_frames("HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\nUpgrade: h2c\r\n\r\n"), 0U);
  EXPECT_EQ(
      h2c_frames("HTTP/1.1 101 S\r\nX: " + std::string(500, 'x') + "\r\nUpgrade: h2c\r\n\r\n"), 0U);
}

TEST(WalkHttp2, GivesUpAnOperationWithTooManyFrames) {
  Http2Capture walk;
  zs_http2_start(&walk.walk, 0);
  Script s;
  std::string many = s.settings();
  for (int i = 0; i < ZS_FRAME_STEPS_MAX; ++i) {
    many += frame(FrameType::kPing, 0, 0, "pingpong");
  }
  const auto chunks = walk.capture(many);
  EXPECT_LT(chunks.front().head.size(), many.size());
  EXPECT_EQ(walk.walk.followed, ZS_FRAME_LOST);
  // DATA does not prove where frames are; HEADERS do.
  EXPECT_EQ(walk.capture(Script::data(1, "abc", true)).front().head.size(),
            size_t{ZS_HTTP2_HEADER_BYTES});
  const std::string request = s.request(1, "a", true);
  EXPECT_EQ(walk.capture(request).front().head.size(), request.size());
  EXPECT_EQ(walk.walk.followed, ZS_FRAME_GUESSED);
  // A guess is not believed once a frame looks wrong, also if its header ends with the operation.
  walk.capture("garb");
  walk.capture("age b");
  EXPECT_EQ(walk.walk.followed, ZS_FRAME_LOST);
  EXPECT_EQ(walk.walk.header_count, 0);
  EXPECT_EQ(walk.capture(s.request(3, "b", true)).size(), 1U);
  walk.capture("garbage that begins no frame");
  EXPECT_EQ(walk.walk.followed, ZS_FRAME_LOST);
}

}  // namespace
}  // namespace zerospan
