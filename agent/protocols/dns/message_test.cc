// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/dns/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/protocols/dns/testing.h"

namespace zerospan::protocols::dns {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Message read(const std::string& bytes) {
  auto message = read_message(bytes, bytes.size());
  EXPECT_TRUE(message);
  return message.value_or(Message{});
}

bool refused(const std::string& bytes) {
  return !read_message(bytes, bytes.size());
}

TEST(Message, Query) {
  const Message message = read(query(0xabcd, "www.Example.com", 28));
  EXPECT_EQ(message.id, 0xabcd);
  EXPECT_FALSE(message.response);
  EXPECT_EQ(message.name, "www.Example.com");
  EXPECT_EQ(message.type, 28);
  EXPECT_EQ(message.key, read(query(1, "WWW.example.COM", 28)).key);
  EXPECT_NE(message.key, read(query(1, "www.example.com", 1)).key);
  EXPECT_NE(message.key, read(query(1, "www.example.net", 28)).key);
  EXPECT_EQ(read(query(1, "")).name, ".");
}

TEST(Message, Answers) {
  const Message message = read(reply(
      1, "a.test", 1, 0x8180,
      {record(5, name("b.test")), record(1, "\x01\x02\x03\x04"s),
       record(28, "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"), record(1, "short"s)}));
  EXPECT_TRUE(message.response);
  EXPECT_EQ(message.response_code, 0);
  EXPECT_THAT(message.answers, ElementsAre("1.2.3.4", "2001:db8::1"));
  EXPECT_FALSE(message.cut);
  EXPECT_TRUE(read(reply(1, "a", 1, 0x8380)).truncated);
  EXPECT_EQ(read(reply(1, "a", 1, 0x8183)).response_code, 3);
  const std::vector<std::string> many(100, record(1, "\x01\x02\x03\x04"s));
  EXPECT_THAT(read(reply(1, "a", 1, 0x8180, many)).answers, SizeIs(kMostAnswers));
}

TEST(Message, CodeOfEdns) {
  // BADVERS (16) has its upper bits in the OPT record.
  std::string bytes = reply(1, "a", 1, 0x8180);
  bytes[11] = 1;
  bytes += '\0' + number(41, 2) + number(1232, 2) + number(0x01000000, 4) + number(0, 2);
  EXPECT_EQ(read(bytes).response_code, 16);
}

TEST(Message, WithoutAQuestion) {
  const std::string header = number(7, 2) + number(0x8001, 2) + number(0, 8);
  EXPECT_THAT(read(header).key, IsEmpty());
  EXPECT_EQ(read(header).response_code, 1);
  EXPECT_TRUE(refused(number(7, 2) + number(0x0100, 2) + number(0, 8)));
}

TEST(Message, HostileNames) {
  const std::string header = number(7, 2) + number(0x0100, 2) + number(1, 2) + number(0, 6);
  const std::string end = number(1, 2) + number(1, 2);
  // A pointer to itself, and to the header; a label of 64 bytes; a name of more than 255.
  EXPECT_TRUE(refused(header + "\xc0\x0c"s + end));
  EXPECT_TRUE(refused(header + "\x01"s + "a\xc0\x00"s + end));
  EXPECT_TRUE(refused(header + "\x40"s + std::string(64, 'a') + '\0' + end));
  std::string long_name;
  for (int i = 0; i < 5; ++i) {
    long_name += "\x3f"s + std::string(63, 'a');
  }
  EXPECT_TRUE(refused(header + long_name + '\0' + end));
  EXPECT_EQ(read(header + "\x09"s + "a.b\\c\"\xff\x01\n"s + "\x01"s + "z" + '\0' + end).name,
            "a\\.b\\\\c\\\"\\255\\001\\010.z");
  // Of records: pointers in a circle are not followed, counts are not believed.
  std::string bytes = reply(1, "a", 1, 0x8180, {"\xc0\x0c"s + record(1, "\x01\x02\x03\x04"s)});
  EXPECT_TRUE(read_message(bytes, bytes.size()));
  bytes = reply(1, "a", 1, 0x8180);
  bytes[6] = '\xff';
  bytes[7] = '\xff';
  EXPECT_FALSE(read(bytes).cut);
}

TEST(Message, EveryBeginning) {
  const std::string bytes = reply(1, "www.test", 1, 0x8180, {record(1, "\x01\x02\x03\x04"s)});
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::string copy = bytes.substr(0, length);  // so that a sanitiser sees what is behind
    const auto message = read_message(copy, bytes.size());
    EXPECT_EQ(message.has_value(), length >= kHeaderBytes + question("www.test").size());
    EXPECT_TRUE(!message || message->cut);
  }
}

TEST(Message, OtherKinds) {
  for (const uint64_t flags : {0x2000, 0x2800, 0x7800}) {
    EXPECT_TRUE(refused(number(7, 2) + number(flags, 2) + number(1, 2) + number(0, 6) +
                        question("a.test")));
  }
  EXPECT_TRUE(refused(number(7, 2) + number(0, 2) + number(2, 2) + number(0, 6) + question("a") +
                      question("b")));
}

}  // namespace
}  // namespace zerospan::protocols::dns
