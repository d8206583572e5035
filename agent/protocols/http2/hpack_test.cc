// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The HPACK decoder against nghttp2's encoder, and what it does without having seen all blocks.

#include "agent/protocols/http2/hpack.h"

#include <gtest/gtest.h>

#include <random>

#include "agent/protocols/http2/huffman.h"
#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr size_t kTable = 16 * 1024;

Fields to_fields(const FieldList& list) {
  Fields fields;
  for (size_t i = 0; i < list.size(); ++i) {
    fields.emplace_back(list[i].name, list[i].value);
  }
  return fields;
}

class Hpack : public testing::Test {
 protected:
  Fields decode(std::string_view block) {
    EXPECT_TRUE(decoder.decode(block, true, list));
    return to_fields(list);
  }
  bool fails(std::string_view block) { return !decoder.decode(block, true, list); }

  HpackDecoder decoder{kTable, true};
  FieldList list{64 * 1024};
};

// RFC 7541 appendix C.4: requests with Huffman coding, on one connection.
TEST_F(Hpack, ExamplesOfTheRfc) {
  const Fields first = {
      {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "www.example.com"}};
  EXPECT_EQ(decode("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), first);
  Fields second = first;
  second.emplace_back("cache-control", "no-cache");
  EXPECT_EQ(decode("\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf"), second);
  const Fields third = {{":method", "GET"},
                        {":scheme", "https"},
                        {":path", "/index.html"},
                        {":authority", "www.example.com"},
                        {"custom-key", "custom-value"}};
  EXPECT_EQ(decode("\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9"
                   "\x5b\xb8\xe8\xb4\xbf"),
            third);
  EXPECT_EQ(decoder.entries(), 3U);
}

TEST_F(Hpack, RefusesWhatIsNoBlock) {
  using namespace std::string_view_literals;
  for (const std::string_view block : {
           "\x80"sv,                          // index 0
           "\xbe"sv,                          // an entry that is not there
           "\x7f\xff\xff\xff\xff\xff\xff"sv,  // an integer too large
           "\x82\x3f\xe1\x1f"sv,              // a size update behind a field
           "\x40\x05"
           "abc"sv,  // a name cut off
           "\x40\x01"
           "a\x82\xff\xff"sv,  // EOS in a string is padding of 16 bits
           "\x40\x01"
           "a\x81\xfe"sv,  // padding that is not EOS
           "\x41"sv,
       }) {
    HpackDecoder fresh(kTable, true);
    EXPECT_FALSE(fresh.decode(block, true, list)) << testing::PrintToString(std::string(block));
    EXPECT_FALSE(fresh.complete());
  }
}

TEST_F(Hpack, KnowsEveryOctet) {
  for (int octet = 0; octet < 256; ++octet) {
    Encoder encoder;
    const Fields fields = {{"n", std::string(20, static_cast<char>(octet))}, {"a", "b"}};
    EXPECT_EQ(decode(encoder.encode(fields)), fields) << octet;
    decoder = HpackDecoder(kTable, true);
  }
}

// Fields as programs send them: few names, values that repeat, some long, some never indexed.
class RandomFields {
 public:
  explicit RandomFields(uint32_t seed) : random_(seed) {}
  Fields next() {
    Fields fields = {{":method", "POST"}, {":path", "/" + std::to_string(random_() % 40)}};
    for (size_t i = random_() % 12; i > 0; --i) {
      std::string name = "name-" + std::to_string(random_() % 30);
      if (random_() % 20 == 0) {
        name = "authorization";  // the encoder never indexes it
      }
      std::string value = std::to_string(random_() % 5);
      if (random_() % 10 == 0) {
        value.append(random_() % 600, static_cast<char>('a' + random_() % 26));
      }
      if (random_() % 10 == 0) {
        for (size_t n = random_() % 50; n > 0; --n) {
          value.push_back(static_cast<char>(random_()));
        }
      }
      fields.emplace_back(std::move(name), std::move(value));
    }
    return fields;
  }
  uint32_t number() { return static_cast<uint32_t>(random_()); }

 private:
  std::mt19937 random_;
};

TEST_F(Hpack, DecodesWhatNghttp2Encodes) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    RandomFields random(seed);
    decoder = HpackDecoder(kTable, true);
    Encoder encoder(16 * 1024);
    for (int i = 0; i < 300; ++i) {
      if (random.number() % 25 == 0) {
        encoder.resize(random.number() % 6 == 0 ? 0 : random.number() % 9000);
      }
      const Fields fields = random.next();
      ASSERT_EQ(decode(encoder.encode(fields)), fields) << seed << " " << i;
      ASSERT_TRUE(decoder.complete());
    }
  }
}

// What is told as known is right, and something is.
TEST_F(Hpack, NeverTellsAWrongFieldWhenBlocksWereMissed) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    RandomFields random(1000 + seed);
    decoder = HpackDecoder(seed % 3 == 0 ? 1024 : kTable, seed % 2 == 0);
    Encoder encoder;
    size_t known = 0;
    size_t unknown = 0;
    for (int i = 0; i < 300; ++i) {
      if (random.number() % 40 == 0) {
        encoder.resize(random.number() % 6 == 0 ? 0 : random.number() % 5000);
      }
      const Fields fields = random.next();
      const std::string block = encoder.encode(fields);
      if (i < 40 && seed % 2 == 1) {
        continue;  // before us
      }
      const uint32_t fate = random.number() % 12;
      if (fate == 0) {
        decoder.forget();  // lost
        continue;
      }
      if (fate == 1 && block.size() > 2) {
        const size_t part = random.number() % block.size();
        ASSERT_TRUE(decoder.decode(block.substr(0, part), false, list));
      } else {
        ASSERT_TRUE(decoder.decode(block, true, list)) << seed << " " << i;
        ASSERT_EQ(list.size() + list.unknown(), fields.size());
      }
      known += list.size();
      unknown += list.unknown();
      // The known ones are the true ones in their order.
      size_t at = 0;
      for (const auto& field : to_fields(list)) {
        while (at < fields.size() && fields[at] != field) {
          ++at;
        }
        ASSERT_LT(at, fields.size()) << seed << " " << i << " " << field.first;
        ++at;
      }
    }
    EXPECT_GT(known, unknown);
  }
}

TEST_F(Hpack, LearnsEntriesAgain) {
  Encoder encoder;
  const Fields fields = {{"x-method", "/pkg.Shop/Buy"}, {"x-tenant", "blue"}};
  (void)encoder.encode(fields);
  decoder = HpackDecoder(kTable, false);
  EXPECT_TRUE(decode(encoder.encode(fields)).empty());
  EXPECT_EQ(list.unknown(), 2U);
  EXPECT_EQ(decode(encoder.encode({{"x-new", "1"}})).size(), 1U);
  EXPECT_EQ(decode(encoder.encode({{"x-new", "1"}})).size(), 1U);  // by its index
  EXPECT_EQ(list.unknown(), 0U);
  // Only an empty table proves that all is known.
  encoder.resize(0);
  (void)decode(encoder.encode({{"x-a", "1"}}));
  EXPECT_TRUE(decoder.complete());
}

// An entry whose name is the index of an entry that was never seen.
TEST_F(Hpack, KeepsPlaceOfAnEntryWithAnUnknownName) {
  decoder = HpackDecoder(kTable, false);
  EXPECT_TRUE(decode(std::string("\x7e\x01v", 3)).empty());  // name: index 62, unknown
  EXPECT_EQ(list.unknown(), 1U);
  EXPECT_EQ(decode(std::string("\x40\x01k\x01w", 5)), (Fields{{"k", "w"}}));
  EXPECT_TRUE(decode("\xbf").empty());
  EXPECT_EQ(list.unknown(), 1U);
  EXPECT_EQ(decode("\xbe"), (Fields{{"k", "w"}}));
}

// Section 4.4: an entry larger than the table empties it, and is not in it.
TEST_F(Hpack, EntryLargerThanTheTable) {
  EXPECT_EQ(decode(std::string("\x3f\x21\x40\x01k\x01w", 7)).size(), 1U);  // 64 bytes of table
  std::string block("\x40\x01k\x7f\x01", 5);
  block.append(128, 'v');
  EXPECT_EQ(decode(block).size(), 1U);
  EXPECT_EQ(decoder.entries(), 0U);
  EXPECT_TRUE(fails("\xbe"));
}

TEST_F(Hpack, IsBounded) {
  decoder = HpackDecoder(1024, true);
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = std::to_string(i);
    (void)decode("\x3f\xe1\xff\x03" + std::string("\x40", 1) +
                 std::string(1, static_cast<char>(name.size())) + name + std::string("\x01v", 2));
    ASSERT_LE(decoder.entries(), 1024U / 32);
  }
  EXPECT_LT(decoder.memory_bytes(), 8192U);
  FieldList small(100);
  std::string block;
  for (int i = 0; i < 1000; ++i) {
    block += '\x82';
  }
  EXPECT_TRUE(decoder.decode(block, true, small));
  EXPECT_LE(small.bytes(), 100U);
  EXPECT_TRUE(small.truncated());
}

}  // namespace
}  // namespace zerospan::protocols::http2
