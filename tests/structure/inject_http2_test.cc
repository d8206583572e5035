// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel side's injection into HTTP/2, and its reading of incoming contexts, compiled for the
// host, against nghttp2's decoder.
#include "bpf/lib/inject_http2.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/propagation/trace_headers.h"
#include "agent/protocols/http2/testing.h"
#include "tests/structure/http2_inject.h"

namespace zerospan {
namespace {

using protocols::http2::Encoder;
using protocols::http2::Fields;
using protocols::http2::frame;
using protocols::http2::FrameType;
using tests::BlockReader;
using tests::Http2Injector;
using tests::octets;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::string_view kValue = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const std::string kSettings = frame(FrameType::kSettings, 0, 0, "");

size_t traceparents(const Fields& fields) {
  return static_cast<size_t>(std::count_if(fields.begin(), fields.end(), [](const auto& field) {
    return field.first == "traceparent";
  }));
}

// RFC 7541 appendix B, of the characters whose codes have 5 to 7 bits.
std::string huffman(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kByLength = {
      "012aceiost", " %-./3456789=A_bdfghlmnpru", ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"};
  static constexpr std::array<uint32_t, 3> kFirst = {0, 0x14, 0x5c};
  std::string out;
  uint64_t bits = 0;
  size_t count = 0;
  for (const char c : text) {
    for (size_t i = 0; i < kByLength.size(); ++i) {
      const size_t at = kByLength[i].find(c);
      if (at != std::string_view::npos) {
        bits = bits << (5 + i) | (kFirst[i] + at);
        count += 5 + i;
      }
    }
    while (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count));
    }
  }
  if (count != 0) {
    out.push_back(static_cast<char>(bits << (8 - count) | ((1U << (8 - count)) - 1)));
  }
  return out;
}

std::string integer(uint32_t value, uint32_t prefix, uint8_t form) {
  const uint32_t most = (1U << prefix) - 1;
  if (value < most) {
    return {static_cast<char>(form | value)};
  }
  std::string out = {static_cast<char>(form | most)};
  for (value -= most; value >= 128; value >>= 7U) {
    out.push_back(static_cast<char>(value % 128 | 128));
  }
  out.push_back(static_cast<char>(value));
  return out;
}

std::string string(std::string_view text, bool coded) {
  const std::string bytes = coded ? huffman(text) : std::string(text);
  return integer(static_cast<uint32_t>(bytes.size()), 7, coded ? 0x80 : 0) + bytes;
}

// An encoder that chooses among all forms that the specification has.
class RandomEncoder {
 public:
  RandomEncoder(std::mt19937_64& random, size_t table_bytes)
      : random_(random), limit_(table_bytes), resized_(table_bytes != 4096) {}

  std::string encode(const Fields& fields) {
    std::string block;
    if (resized_ || random_() % 20 == 0) {
      if (!resized_) {
        limit_ = random_() % 4096;
      }
      resized_ = false;
      evict();
      block += integer(static_cast<uint32_t>(limit_), 5, 0x20);
    }
    for (const auto& field : fields) {
      add(block, field);
    }
    return block;
  }

 private:
  void evict() {
    while (size_ > limit_) {
      size_ -= table_.back().first.size() + table_.back().second.size() + ZS_HPACK_FIELD_BYTES;
      table_.pop_back();
    }
  }

  void add(std::string& block, const std::pair<std::string, std::string>& field) {
    const auto whole = std::find(table_.begin(), table_.end(), field);
    if (whole != table_.end() && random_() % 4 != 0) {
      block += integer(static_cast<uint32_t>(62 + (whole - table_.begin())), 7, 0x80);
      return;
    }
    const auto name = std::find_if(table_.begin(), table_.end(),
                                   [&](const auto& entry) { return entry.first == field.first; });
    uint32_t index = 0;
    if (name != table_.end() && random_() % 4 != 0) {
      index = static_cast<uint32_t>(62 + (name - table_.begin()));
    } else if (field.first == ":path" && random_() % 2 == 0) {
      index = 4 + random_() % 2;  // of the static table
    }
    const uint64_t form = random_() % 3;
    block += form == 0 ? integer(index, 6, 0x40) : integer(index, 4, form == 1 ? 0x10 : 0);
    if (index == 0) {
      block += string(field.first, random_() % 2 == 0);
    }
    block += string(field.second, random_() % 2 == 0);
    if (form == 0) {
      table_.push_front(field);
      size_ += field.first.size() + field.second.size() + ZS_HPACK_FIELD_BYTES;
      evict();
    }
  }

  std::mt19937_64& random_;
  std::deque<std::pair<std::string, std::string>> table_;
  size_t size_ = 0;
  size_t limit_;
  bool resized_;
};

std::string random_text(std::mt19937_64& random, size_t longest) {
  static constexpr std::string_view kLetters = "012aceiost-3456789bdfghlmnprujkqvwxyz";
  std::string text;
  for (size_t count = random() % (longest + 1); count > 0; --count) {
    text.push_back(kLetters[random() % kLetters.size()]);
  }
  return text;
}

std::string random_traceparent(std::mt19937_64& random) {
  std::string value = "00-";
  for (size_t i = 0; i < 52; ++i) {
    value += i == 32 || i == 49 ? '-' : "0123456789abcdef"[random() % 16];
  }
  return value;
}

Fields random_fields(std::mt19937_64& random, const std::vector<std::string>& contexts) {
  // Names that are as long as traceparent, plain and coded, among others.
  static const std::vector<std::string> kNames = {
      "x-id",        "user-agent",   "grpc-timeout", "traceparenx", "tracestate",
      "xraceparent", "te",           "x-header-a",   "tracepar-en", "traceparen",
      "baggage",     "traceparents", "accept"};
  Fields fields = {{":method", "get"}, {":path", "/" + random_text(random, 40)}};
  for (size_t count = random() % 12; count > 0; --count) {
    const size_t longest = random() % 30 == 0 ? 700 : 30;
    fields.emplace_back(kNames[random() % kNames.size()], random_text(random, longest));
  }
  if (random() % 4 == 0) {
    const std::string value = random() % 2 == 0   ? contexts[random() % contexts.size()]
                              : random() % 4 == 0 ? random_text(random, 60)
                                                  : random_traceparent(random);
    fields.insert(fields.begin() + static_cast<ptrdiff_t>(2 + random() % (fields.size() - 1)),
                  {"traceparent", value});
  }
  return fields;
}

struct Block {
  uint32_t stream = 0;
  Fields fields;
  bool request = false;
  size_t last_header = 0;  // where the header of its last frame begins
  size_t end = 0;          // of the block, behind its last byte
};

// What a client sends, and what is in it.
struct Client {
  std::string bytes = std::string(kPreface) + kSettings;
  std::vector<Block> blocks;

  void block(std::mt19937_64& random, Block block, std::string_view encoded) {
    size_t at = 0;
    bool first = true;
    const size_t part = random() % 4 == 0 ? 1 + random() % (encoded.size() + 1) : encoded.size();
    do {
      const std::string_view piece = encoded.substr(at, std::min(part, encoded.size() - at));
      at += piece.size();
      const bool last = at == encoded.size() && (part == encoded.size() || random() % 4 != 0);
      uint8_t flags = last ? ZS_HTTP2_END_HEADERS : 0;
      std::string payload;
      size_t padding = 0;
      if (first) {
        if (random() % 3 == 0) {
          padding = random() % 200;
          flags |= ZS_HTTP2_PADDED;
          payload.push_back(static_cast<char>(padding));
        }
        if (random() % 3 == 0) {
          flags |= ZS_HTTP2_HAS_PRIORITY;
          payload += std::string("\0\0\0\0\17", ZS_HTTP2_PRIORITY_BYTES);
        }
        if (random() % 2 == 0) {
          flags |= protocols::http2::kEndStream;
        }
      }
      payload += piece;
      block.last_header = bytes.size();
      bytes += frame(first ? FrameType::kHeaders : FrameType::kContinuation, flags, block.stream,
                     payload + std::string(padding, '\0'));
      block.end = bytes.size() - padding;
      first = false;
      if (last) {
        break;
      }
    } while (true);
    blocks.push_back(std::move(block));
  }

  void other(std::mt19937_64& random, uint32_t stream) {
    switch (random() % 6) {
      case 0:
        bytes += frame(FrameType::kWindowUpdate, 0, 0, std::string("\0\0\1\0", 4));
        break;
      case 1:
        bytes += frame(FrameType::kPing, 0, 0, "pingpong");
        break;
      case 2:
        bytes += frame(FrameType::kData, 0, stream, random_text(random, 3000));
        break;
      case 3:
        // What looks like a request, and is a body.
        bytes += frame(FrameType::kData, 0, stream,
                       frame(FrameType::kHeaders, ZS_HTTP2_END_HEADERS, stream + 2, "\x82"));
        break;
      case 4:
        bytes += frame(static_cast<FrameType>(0xf0), 0xff, stream, random_text(random, 20));
        break;
      default:
        bytes += frame(FrameType::kSettings, ZS_HTTP2_ACK, 0, "");
        break;
    }
  }
};

Client random_client(std::mt19937_64& random, bool of_nghttp2) {
  Client client;
  const std::array<size_t, 4> tables = {4096, 4096, 300, 0};
  const size_t table = tables[random() % tables.size()];
  Encoder library(table);
  RandomEncoder own(random, table);
  std::vector<std::string> contexts;
  for (size_t i = 0; i < 3; ++i) {
    contexts.push_back(random_traceparent(random));
  }
  uint32_t stream = 1;
  for (size_t count = 1 + random() % 40; count > 0; --count) {
    Block block;
    block.fields = random_fields(random, contexts);
    block.request = client.blocks.empty() || random() % 5 != 0;
    stream += block.request ? 2 + 2 * static_cast<uint32_t>(random() % 3) : 0;
    block.stream = stream;
    const std::string encoded =
        of_nghttp2 ? library.encode(block.fields) : own.encode(block.fields);
    client.block(random, block, encoded);
    while (random() % 2 == 0) {
      client.other(random, stream);
    }
  }
  return client;
}

// The fields after are those before, and one traceparent where one was due; all else is as it was.
void expect_injected(const Client& client, const std::string& got, const Http2Injector& injector,
                     const std::vector<bool>& at_hand) {
  BlockReader reader(4096);
  ASSERT_TRUE(reader.read(std::string_view(got).substr(kPreface.size())));
  ASSERT_EQ(reader.blocks.size(), client.blocks.size());
  ASSERT_EQ(injector.verdicts.size(), client.blocks.size());
  std::string restored = got;
  size_t put_in = 0;
  for (size_t i = 0; i < client.blocks.size(); ++i) {
    const Block& block = client.blocks[i];
    Fields fields = block.fields;
    const zs_requests_verdict due = !block.request              ? ZS_REQUESTS_TRAILER
                                    : traceparents(fields) != 0 ? ZS_REQUESTS_CARRIES
                                    : at_hand[i]                ? ZS_REQUESTS_INJECT
                                                                : ZS_REQUESTS_SPLIT;
    ASSERT_EQ(injector.verdicts[i], due) << i;
    if (due == ZS_REQUESTS_INJECT) {
      ASSERT_LT(put_in, injector.values.size());
      fields.emplace_back("traceparent", injector.values[put_in++]);
      restored.erase(block.end, ZS_HTTP2_FIELD_BYTES);
      auto* header = reinterpret_cast<__u8*>(restored.data()) + block.last_header;
      zs_http2_length(header,
                      (header[0] << 16U | header[1] << 8U | header[2]) - ZS_HTTP2_FIELD_BYTES);
    }
    ASSERT_EQ(reader.blocks[i].stream, block.stream);
    ASSERT_EQ(reader.blocks[i].fields, fields) << i;
  }
  EXPECT_EQ(put_in, injector.values.size());
  EXPECT_EQ(restored, client.bytes);
}

void play(const Client& client, const std::vector<size_t>& ends) {
  Http2Injector injector;
  std::string got;
  std::vector<bool> at_hand(client.blocks.size());
  size_t begin = 0;
  for (const size_t end : ends) {
    got += injector.send(client.bytes.substr(begin, end - begin));
    for (size_t i = 0; i < client.blocks.size(); ++i) {
      at_hand[i] =
          at_hand[i] || (client.blocks[i].last_header >= begin && client.blocks[i].end <= end);
    }
    begin = end;
  }
  ASSERT_EQ(begin, client.bytes.size());
  expect_injected(client, got, injector, at_hand);
}

TEST(InjectHttp2, PutsOneFieldIntoEachRequestInOneSend) {
  std::mt19937_64 random(20261122);
  for (int round = 0; round < 3000; ++round) {
    const Client client = random_client(random, round % 2 == 0);
    ASSERT_NO_FATAL_FAILURE(play(client, {client.bytes.size()})) << round;
  }
}

TEST(InjectHttp2, FollowsSendsThatAreCutAnywhere) {
  std::mt19937_64 random(20261123);
  for (int round = 0; round < 3000; ++round) {
    const Client client = random_client(random, round % 2 == 0);
    std::vector<size_t> ends;
    const size_t longest = 1 + random() % 2000;
    for (size_t at = 0; at < client.bytes.size();) {
      at = std::min(client.bytes.size(), at + 1 + random() % longest);
      ends.push_back(at);
    }
    ASSERT_NO_FATAL_FAILURE(play(client, ends)) << round;
  }
}

TEST(InjectHttp2, FollowsSendsThatAreCutAtEachByte) {
  std::mt19937_64 random(20261124);
  for (int round = 0; round < 5; ++round) {
    const Client client = random_client(random, round % 2 == 0);
    for (size_t at = 1; at < client.bytes.size(); ++at) {
      ASSERT_NO_FATAL_FAILURE(play(client, {at, client.bytes.size()})) << round << " " << at;
    }
  }
}

// Sends of which the socket takes only a part, so that the program sends the rest again: followed
// where that is of no interest, else told.
TEST(InjectHttp2, FollowsSendsThatAreTakenInPart) {
  std::mt19937_64 random(20261129);
  size_t followed = 0;
  size_t refused = 0;
  for (int round = 0; round < 3000; ++round) {
    const Client client = random_client(random, round % 2 == 0);
    Http2Injector injector;
    std::string got;
    std::vector<bool> at_hand(client.blocks.size());
    for (size_t at = 0; at < client.bytes.size();) {
      const size_t end = std::min(client.bytes.size(), at + 1 + random() % 2000);
      const size_t blocks = injector.verdicts.size();
      const std::string sent = injector.send(client.bytes.substr(at, end - at));
      size_t back = random() % 2 == 0 ? random() % (end - at + 1) : 0;
      if (back != 0) {
        const zs_requests before = injector.requests;
        if (zs_requests_take_back(&injector.requests, static_cast<__u32>(back)) == 0) {
          ++refused;
          injector.requests = before;
          back = 0;  // as if it had been taken
        } else {
          ++followed;
        }
      }
      got += sent.substr(0, sent.size() - back);
      for (size_t i = blocks; i < injector.verdicts.size(); ++i) {
        ASSERT_LE(client.blocks[i].end, end - back);  // no block is judged twice
        at_hand[i] = client.blocks[i].last_header >= at;
      }
      at = end - back;
    }
    ASSERT_NO_FATAL_FAILURE(expect_injected(client, got, injector, at_hand)) << round;
  }
  EXPECT_GT(followed, 500U);
  EXPECT_GT(refused, 500U);
}

// The peer's limits, from 0 to more than enough.
TEST(InjectHttp2, RespectsTheListsLimit) {
  std::mt19937_64 random(20261125);
  size_t refused = 0;
  for (int round = 0; round < 2000; ++round) {
    const Client client = random_client(random, round % 2 == 0);
    Http2Injector injector;
    injector.list_limit = static_cast<uint32_t>(random() % 1500);
    const std::string got = injector.send(client.bytes);
    BlockReader reader(4096);
    ASSERT_TRUE(reader.read(std::string_view(got).substr(kPreface.size())));
    for (size_t i = 0; i < client.blocks.size(); ++i) {
      const auto size = [](const Fields& fields) {
        size_t bytes = 0;
        for (const auto& [name, value] : fields) {
          bytes += name.size() + value.size() + 32;
        }
        return bytes;
      };
      if (injector.verdicts[i] == ZS_REQUESTS_INJECT) {
        ASSERT_LE(size(reader.blocks[i].fields), injector.list_limit);
      } else if (injector.verdicts[i] == ZS_REQUESTS_LIST_FULL) {
        ++refused;
        // What is known of the sizes is an upper bound, and not a far one.
        ASSERT_GT(size(client.blocks[i].fields) * 2 + 400, injector.list_limit);
      }
    }
  }
  EXPECT_GT(refused, 1000U);
}

TEST(InjectHttp2, MakesNoFrameLongerThanAnyPeerMustTake) {
  for (const size_t length : {16314U, 16315U, 16316U, 16400U}) {
    Http2Injector injector;
    // A literal field whose value fills the payload up to `length`.
    std::string payload = std::string("\0\1x", 3);
    std::string value(length - payload.size() - 3, 'v');
    payload += integer(static_cast<uint32_t>(value.size()), 7, 0) + value;
    ASSERT_EQ(payload.size(), length);
    injector.send(std::string(kPreface) + kSettings +
                  frame(FrameType::kHeaders, ZS_HTTP2_END_HEADERS, 1, payload));
    ASSERT_EQ(injector.verdicts.size(), 1U);
    EXPECT_EQ(injector.verdicts[0], length <= 16315 ? ZS_REQUESTS_INJECT : ZS_REQUESTS_FULL);
  }
}

TEST(InjectHttp2, LeavesAloneWhatIsNotProven) {
  const std::string request = frame(FrameType::kHeaders, ZS_HTTP2_END_HEADERS, 1, "\x82\x86\x84");
  const auto untouched = [](const std::string& bytes) {
    Http2Injector injector;
    EXPECT_EQ(injector.send(bytes), bytes);
    return injector.requests.at == ZS_REQUESTS_OFF;
  };
  const std::string preface(kPreface);
  EXPECT_TRUE(untouched(request));
  EXPECT_TRUE(untouched(kSettings + request));
  EXPECT_TRUE(untouched(preface + request));  // no SETTINGS
  EXPECT_TRUE(untouched(preface + frame(FrameType::kSettings, ZS_HTTP2_ACK, 0, "") + request));
  EXPECT_TRUE(untouched("PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n" + kSettings + request));
  EXPECT_TRUE(untouched("GET / HTTP/1.1\r\n\r\n" + preface + kSettings + request));
  // yamux: a window update and data, then frames that look like HTTP/2's.
  EXPECT_TRUE(untouched(std::string("\0\1\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\30", 24) +
                        preface + kSettings + request));
  EXPECT_TRUE(untouched(std::string("\x16\3\1\0\x55\1\0\0\x51\3\3", 11) + request));
  const std::string begin = preface + kSettings;
  // Frames that no client sends, or not there.
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, ZS_HTTP2_END_HEADERS, 2, "\x82")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, ZS_HTTP2_END_HEADERS, 0, "\x82")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kContinuation, 4, 1, "\x82")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kContinuation, 4, 0, "\x82")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kPushPromise, 4, 1, "\0\0\0\2")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 0, 1, "\x82") +
                        frame(FrameType::kContinuation, 4, 3, "\x86")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 0, 1, "\x82") +
                        frame(FrameType::kPing, 0, 0, "pingpong") +
                        frame(FrameType::kContinuation, 4, 1, "\x86")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 0x0c, 1, "\x05\x82")));  // padding
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 0x24, 1, "\x82")));      // priority
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 0x0c, 1, "")));
  // Blocks that are no HPACK, or are cut.
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 4, 1, "\x80")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 4, 1, "\x82\x40\x05x-i")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 4, 1, "\xff\xff\xff\xff\xff\x7f")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 4, 1, "\xff\xff\xff\xff\xff\xff\1")));
  EXPECT_TRUE(untouched(begin + frame(FrameType::kHeaders, 4, 1, "\x82\x7f")));
  // An entry that is not known, for this block only.
  Http2Injector injector;
  injector.send(begin + frame(FrameType::kHeaders, 4, 1, "\x82\xbe") +
                frame(FrameType::kHeaders, 4, 3, "\x82\x84"));
  EXPECT_EQ(injector.verdicts, (std::vector{ZS_REQUESTS_UNKNOWN, ZS_REQUESTS_INJECT}));
}

// Of a table that has more entries than are kept, the old ones are unknown, and none is mistaken.
TEST(InjectHttp2, TellsWhatItDoesNotKnow) {
  Http2Injector injector;
  const auto header = [](uint32_t stream, std::string_view payload) {
    return frame(FrameType::kHeaders, ZS_HTTP2_END_HEADERS, stream, payload);
  };
  injector.send(std::string(kPreface) + kSettings);
  injector.send(header(1, "\x40" + string("traceparent", true) + string(kValue, true)));
  std::string fillers;
  for (int i = 0; i < ZS_HPACK_ENTRIES - 1; ++i) {
    fillers += "\x40" + string("a", false) + string("b", false);
  }
  injector.send(header(3, fillers));
  injector.send(header(5, integer(62 + ZS_HPACK_ENTRIES - 1, 7, 0x80)));
  injector.send(header(7, integer(62 + ZS_HPACK_ENTRIES - 2, 7, 0x80)));
  injector.send(header(9, integer(62 + ZS_HPACK_ENTRIES, 7, 0x80)));
  // An entry with the name of an unknown one is unknown, too.
  injector.send(header(11, integer(62 + ZS_HPACK_ENTRIES, 6, 0x40) + string("v", false)));
  injector.send(header(13, "\xbe"));
  injector.send(header(15, "\xbf"));
  EXPECT_EQ(injector.verdicts,
            (std::vector{ZS_REQUESTS_CARRIES, ZS_REQUESTS_INJECT, ZS_REQUESTS_CARRIES,
                         ZS_REQUESTS_INJECT, ZS_REQUESTS_UNKNOWN, ZS_REQUESTS_UNKNOWN,
                         ZS_REQUESTS_UNKNOWN, ZS_REQUESTS_INJECT}));
}

// nghttp2's own server takes the frames, the padding and the rest as whole requests.
TEST(InjectHttp2, IsTakenByARealServer) {
  struct Seen {
    std::vector<std::string> values;
    size_t fields = 0;
  } seen;
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                    const uint8_t* name, size_t name_bytes, const uint8_t* value,
                    size_t value_bytes, uint8_t /*flags*/, void* user) {
        auto* out = static_cast<Seen*>(user);
        ++out->fields;
        if (std::string(name, name + name_bytes) == "traceparent") {
          out->values.emplace_back(value, value + value_bytes);
        }
        return 0;
      });
  nghttp2_session* session = nullptr;
  nghttp2_session_server_new(&session, callbacks, &seen);
  nghttp2_session_callbacks_del(callbacks);
  std::mt19937_64 random(20261126);
  Client client;
  Encoder encoder(4096);
  const Fields fields = {{":method", "GET"},
                         {":scheme", "http"},
                         {":authority", "localhost"},
                         {":path", "/x"},
                         {"user-agent", "test"}};
  for (uint32_t stream = 1; stream < 180; stream += 2) {
    client.block(random, Block{stream, fields, true}, encoder.encode(fields));
  }
  Http2Injector injector;
  const std::string got = injector.send(client.bytes);
  EXPECT_EQ(nghttp2_session_mem_recv(session, octets(got), got.size()),
            static_cast<ssize_t>(got.size()));
  EXPECT_EQ(nghttp2_session_want_read(session), 1);  // no connection error
  EXPECT_EQ(seen.values, injector.values);
  EXPECT_EQ(seen.values.size(), 90U);
  EXPECT_EQ(seen.fields, 90 * (fields.size() + 1));
  nghttp2_session_del(session);
}

// The server's side knows each context that the decoder and the agent's own parser know, but for
// those whose table entry is too old, and none that is not there.
TEST(ContextHttp2, ReadsWhatTheParserReads) {
  std::mt19937_64 random(20261127);
  size_t known = 0;
  size_t missed = 0;
  for (int round = 0; round < 4000; ++round) {
    const Client client = random_client(random, round % 2 == 0);
    zs_requests requests{};
    zs_hpack_values values{};
    size_t block = 0;
    for (size_t at = 0; at < client.bytes.size();) {
      // Cut anywhere.
      const size_t left = std::min<size_t>(client.bytes.size() - at, 1 + random() % 300);
      at +=
          zs_requests_step(&requests, &values, octets(client.bytes)[at], static_cast<__u32>(left));
      if (requests.ended == 0) {
        continue;
      }
      const Block& expected = client.blocks[block++];
      ASSERT_EQ(at, expected.end);
      ASSERT_EQ(requests.stream, expected.stream);
      ASSERT_EQ(requests.request != 0, expected.request);
      ASSERT_EQ(requests.hpack.carried, traceparents(expected.fields));
      std::optional<model::RemoteContext> context;
      for (const auto& [name, value] : expected.fields) {
        if (name == "traceparent" && expected.request) {
          context = propagation::parse_traceparent(value);
        }
      }
      const zs_traceparent* found = zs_requests_context(&requests, &values);
      if (found == nullptr) {
        missed += context.has_value() ? 1 : 0;
        continue;
      }
      ++known;
      ASSERT_TRUE(context.has_value());
      EXPECT_TRUE(std::equal(context->trace_id.bytes.begin(), context->trace_id.bytes.end(),
                             found->trace_id));
      EXPECT_TRUE(
          std::equal(context->span_id.bytes.begin(), context->span_id.bytes.end(), found->span_id));
      EXPECT_EQ(*context->sampled, (found->flags & 1U) != 0);
    }
    ASSERT_EQ(block, client.blocks.size());
  }
  EXPECT_GT(known, 5000U);
  EXPECT_LT(missed * 100, known);
}

// Two are none, as for the agent's parser.
TEST(ContextHttp2, OfTwoTakesNone) {
  Encoder encoder;
  zs_requests requests{};
  zs_hpack_values values{};
  const std::string value(kValue);
  const std::string bytes =
      std::string(kPreface) + kSettings +
      frame(FrameType::kHeaders, 4, 1,
            encoder.encode({{":path", "/"}, {"traceparent", value}, {"traceparent", value}}));
  for (size_t at = 0; at < bytes.size();) {
    at += zs_requests_step(&requests, &values, octets(bytes)[at],
                           static_cast<__u32>(bytes.size() - at));
  }
  EXPECT_EQ(requests.hpack.carried, 2);
  EXPECT_EQ(zs_requests_context(&requests, &values), nullptr);
}

bool reads(std::string_view value, bool coded, zs_traceparent& out) {
  zs_traceparent_reader reader;
  zs_traceparent_begin(&reader);
  for (const char c : coded ? huffman(value) : std::string(value)) {
    if (coded) {
      zs_traceparent_huffman(&reader, static_cast<__u8>(c));
    } else {
      zs_traceparent_take(&reader, zs_traceparent_digit(static_cast<__u8>(c)));
    }
  }
  zs_traceparent_end(&reader, coded ? 1 : 0);
  out = reader.value;
  return reader.value.valid != 0;
}

TEST(Traceparent, IsReadAsTheAgentReadsIt) {
  std::mt19937_64 random(20261128);
  size_t valid = 0;
  for (int round = 0; round < 300'000; ++round) {
    std::string value = random_traceparent(random);
    if (random() % 4 == 0) {
      value.replace(0, 2, random() % 2 == 0 ? "01" : "ff");
    }
    if (random() % 8 == 0) {
      value.replace(3, 32, 32, '0');
    }
    if (random() % 8 == 0) {
      value.replace(36, 16, 16, '0');
    }
    if (random() % 4 == 0) {
      value += random() % 2 == 0 ? "-" + random_text(random, 9) : random_text(random, 3);
    }
    for (size_t changes = random() % 3; changes > 1; --changes) {
      value[random() % value.size()] = "09afgz-/A: ostx"[random() % 15];
    }
    if (random() % 8 == 0) {
      value.resize(random() % value.size());
    }
    if (value.starts_with(' ') || value.ends_with(' ')) {
      continue;  // no field of HTTP/2 has them there
    }
    const auto expected = propagation::parse_traceparent(value);
    for (const bool coded : {false, true}) {
      zs_traceparent got{};
      ASSERT_EQ(reads(value, coded, got), expected.has_value()) << value << " " << coded;
      if (expected.has_value()) {
        ++valid;
        ASSERT_TRUE(std::equal(expected->trace_id.bytes.begin(), expected->trace_id.bytes.end(),
                               got.trace_id));
        ASSERT_TRUE(std::equal(expected->span_id.bytes.begin(), expected->span_id.bytes.end(),
                               got.span_id));
        ASSERT_EQ(*expected->sampled, (got.flags & 1U) != 0);
        const auto number = [](const __u8* bytes) {
          __u64 sum = 0;
          for (size_t i = 0; i < 8; ++i) {
            sum = sum << 8U | bytes[i];
          }
          return sum;
        };
        const std::array<__u64, 2> trace_id = {number(got.trace_id), number(got.trace_id + 8)};
        std::string again(ZS_TRACEPARENT_BYTES, '?');
        zs_traceparent_write(reinterpret_cast<__u8*>(again.data()), trace_id.data(),
                             number(got.span_id), got.flags & 15U);
        value[53] = '0';  // what is written has the flags of today
        ASSERT_EQ(again.substr(2), value.substr(2, ZS_TRACEPARENT_BYTES - 2));
      }
    }
  }
  EXPECT_GT(valid, 100'000U);
}

// Padding of the code, of each length that the ids can make it.
TEST(Traceparent, MindsThePaddingOfTheCode) {
  zs_traceparent got{};
  std::string value(kValue);
  std::array<int, 8> seen{};
  for (size_t i = 3; i < 35; ++i) {
    value[i] = '0';
    value[34] = 'f';
    const std::string coded = huffman(value);
    size_t bits = 0;
    for (const char c : value) {
      bits += std::string_view("012ace").find(c) != std::string_view::npos ? 5 : 6;
    }
    ++seen[coded.size() * 8 - bits];
    EXPECT_TRUE(reads(value, true, got)) << value;
    zs_traceparent_reader reader;
    // A whole byte of ones more, or a zero in the padding, is an error of the code.
    zs_traceparent_begin(&reader);
    for (const char c : coded + "\xff") {
      zs_traceparent_huffman(&reader, static_cast<__u8>(c));
    }
    zs_traceparent_end(&reader, 1);
    EXPECT_FALSE(reader.value.valid);
    if (coded.size() * 8 != bits) {
      zs_traceparent_begin(&reader);
      for (size_t j = 0; j < coded.size(); ++j) {
        zs_traceparent_huffman(&reader,
                               static_cast<__u8>(coded[j] - (j + 1 == coded.size() ? 1 : 0)));
      }
      zs_traceparent_end(&reader, 1);
      EXPECT_FALSE(reader.value.valid);
    }
  }
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int count) { return count != 0; }));
}

uint32_t announced_limit(const std::string& bytes) {
  zs_announced announced{};
  for (size_t at = 0; at < bytes.size();) {
    at += zs_announced_step(&announced, octets(bytes)[at], static_cast<__u32>(bytes.size() - at));
  }
  zs_announced cut{};
  for (const char c : bytes) {
    EXPECT_EQ(zs_announced_step(&cut, static_cast<__u8>(c), 1), 1U);
  }
  EXPECT_EQ(zs_announced_list_limit(&cut), zs_announced_list_limit(&announced));
  return zs_announced_list_limit(&announced);
}

TEST(AnnouncedHttp2, KnowsTheListsLimit) {
  protocols::http2::Script s;
  EXPECT_EQ(announced_limit(kSettings), 0xffffffffU);
  EXPECT_EQ(announced_limit(s.settings({{3, 100}, {4, 65535}})), 0xffffffffU);
  EXPECT_EQ(announced_limit(s.settings({{3, 100}, {6, 8192}, {4, 65535}})), 8192U);
  EXPECT_EQ(announced_limit(s.settings({{6, 8192}, {6, 0}})), 0U);
  EXPECT_EQ(announced_limit(kSettings + frame(FrameType::kSettings, ZS_HTTP2_ACK, 0, "") +
                            frame(FrameType::kPing, 0, 0, "pingpong") +
                            frame(FrameType::kData, 0, 1, s.settings({{6, 1}})) +
                            s.settings({{6, 16384}}) + frame(FrameType::kData, 0, 1, "abc")),
            16384U);
  EXPECT_EQ(announced_limit("HTTP/1.1 200 OK\r\n\r\n" + s.settings({{6, 1}})), 0xffffffffU);
}

}  // namespace
}  // namespace zerospan
