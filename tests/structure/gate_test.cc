// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's gate must let through whatever the parser's detection accepts: what it refuses is
// never seen again.
#include "bpf/lib/gate_amqp.h"
#include "bpf/lib/gate_cassandra.h"
#include "bpf/lib/gate_http1.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/protocols/amqp/detect.h"
#include "agent/protocols/cassandra/detect.h"
#include "agent/protocols/cassandra/testing.h"
#include "agent/protocols/http1/detect.h"
#include "agent/protocols/kafka/detect.h"
#include "agent/protocols/memcached/detect.h"
#include "agent/protocols/mongodb/detect.h"
#include "agent/protocols/mqtt/detect.h"
#include "agent/protocols/mysql/detect.h"
#include "agent/protocols/nats/detect.h"
#include "agent/protocols/postgresql/detect.h"
#include "agent/protocols/redis/detect.h"
#include "bpf/lib/gate_dns.h"
#include "bpf/lib/gate_kafka.h"
#include "bpf/lib/gate_memcached.h"
#include "bpf/lib/gate_mongodb.h"
#include "bpf/lib/gate_mqtt.h"
#include "bpf/lib/gate_mysql.h"
#include "bpf/lib/gate_nats.h"
#include "bpf/lib/gate_postgresql.h"
#include "bpf/lib/gate_redis.h"

namespace zerospan {
namespace {

using protocols::http1::Detection;

// As the kernel side calls it: a fixed buffer, with what an earlier connection left in it.
zs_gate gate(std::string_view bytes, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_http1(first.data(), static_cast<__u32>(count));
}

Detection detect(std::string_view bytes) {
  return protocols::http1::detect(model::Direction::kReceive, bytes);
}

std::string printable(std::string_view bytes) {
  return ::testing::PrintToString(std::string(bytes));
}

// True if the gate agrees well enough with the detection.
::testing::AssertionResult lets_through(std::string_view bytes) {
  const Detection detected = detect(bytes);
  for (const char leftover : {'X', ' ', '\0', '\n'}) {
    const zs_gate said = gate(bytes, leftover);
    const bool fits =
        detected == Detection::kNo || (detected == Detection::kMaybe && said != ZS_GATE_NO) ||
        (detected == Detection::kRequest && (said == ZS_GATE_REQUEST || said == ZS_GATE_PARTIAL)) ||
        (detected == Detection::kResponse && (said == ZS_GATE_RESPONSE || said == ZS_GATE_PARTIAL));
    if (!fits) {
      return ::testing::AssertionFailure()
             << printable(bytes) << ": detected " << static_cast<int>(detected)
             << ", the gate says " << static_cast<int>(said);
    }
  }
  return ::testing::AssertionSuccess();
}

TEST(Gate, Requests) {
  for (const std::string_view bytes :
       {"GET / HTTP/1.1\r\n", "POST http://a/b HTTP/1.0\r\n", "OPTIONS * HTTP/1.1\r\n",
        "CONNECT a:1 HTTP/1.1\r\n", "M-SEARCH * HTTP/1.1\r\n", "UPDATEREDIRECTREF /a HTTP/1.1\r\n",
        "MY_OWN /a HTTP/1.1\r\n", "GET ", "X1 /"}) {
    EXPECT_EQ(gate(bytes), ZS_GATE_REQUEST) << bytes;
  }
}

TEST(Gate, Responses) {
  for (const std::string_view bytes : {"HTTP/1.1 200 OK\r\n", "HTTP/1.0 404", "HTTP/"}) {
    EXPECT_EQ(gate(bytes), ZS_GATE_RESPONSE) << bytes;
  }
}

TEST(Gate, TooShortToTell) {
  for (const std::string_view bytes :
       {"", "G", "GET", "H", "HTTP", "\r\nGET / HTTP/1.1\r\n", "\nHTTP/1.1 200"}) {
    EXPECT_EQ(gate(bytes), ZS_GATE_PARTIAL) << bytes;
  }
}

TEST(Gate, OtherProtocols) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes :
       {"\x16\x03\x01\x02\x00\x01"sv, "\x00\x00\x00\x08\x04\xd2\x16\x2f"sv,
        "SSH-2.0-OpenSSH_9.2\r\n"sv, "*1\r\n$4\r\nPING\r\n"sv, "get / HTTP/1.1\r\n"sv,
        "{\"json\": 1}"sv, " GET /"sv, "\0"sv}) {
    EXPECT_EQ(gate(bytes), ZS_GATE_NO) << printable(bytes);
  }
  EXPECT_EQ(gate(std::string(ZS_GATE_BYTES, 'A')), ZS_GATE_NO);
}

TEST(Gate, LongestMethod) {
  const std::string method(ZS_GATE_BYTES - 1, 'A');
  EXPECT_EQ(detect(method + " / HTTP/1.1\r\n"), Detection::kRequest)
      << "or the gate needs fewer bytes";
  EXPECT_EQ(gate(method + " / HTTP/1.1\r\n"), ZS_GATE_REQUEST);
  EXPECT_EQ(detect(method + "A / HTTP/1.1\r\n"), Detection::kNo);
}

TEST(Gate, LetsThroughEveryShortStart) {
  // Bytes of every class that either side tells apart.
  constexpr std::string_view kAlphabet = "AHTPGZaz019-_ /.:*\r\n\t!~\x7f\xff";
  std::string bytes;
  for (const char a : kAlphabet) {
    for (const char b : kAlphabet) {
      for (const char c : kAlphabet) {
        for (const char d : kAlphabet) {
          bytes = {a, b, c, d};
          ASSERT_TRUE(lets_through(bytes));
        }
      }
    }
  }
}

TEST(Gate, LetsThroughEveryFirstPairOfBytes) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string start = {static_cast<char>(a), static_cast<char>(b)};
      ASSERT_TRUE(lets_through(start));
      ASSERT_TRUE(lets_through(start + " / HTTP/1.1\r\n"));
      ASSERT_TRUE(lets_through("GE" + start + "T / HTTP/1.1\r\n"));
      ASSERT_TRUE(lets_through("HTT" + start + "1.1 200 OK\r\n"));
    }
  }
}

TEST(Gate, LetsThroughMutatedStartLines) {
  const std::vector<std::string> lines = {
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",   "DELETE /a?b HTTP/1.0\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\n\r\n",          "CONNECT a.test:443 HTTP/1.1\r\n\r\n",
      "VERSION-CONTROL /a HTTP/1.1\r\n\r\n", "MKREDIRECTREF /a HTTP/1.1\r\n\r\n",
      "V2_METHOD /a HTTP/1.1\r\n\r\n",       "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 /a HTTP/1.1\r\n\r\n",
      "\r\n\r\nGET / HTTP/1.1\r\n\r\n",      "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
      "HTTP/1.0 404 Not Found\n\n",          "\nHTTP/1.1 100 \r\n\r\n",
  };
  std::mt19937_64 random(20261121);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  constexpr std::string_view kInserted = "AZ09-_ /.\r\nHTTP";
  size_t accepted = 0;
  for (int i = 0; i < 400'000; ++i) {
    std::string bytes = lines[below(lines.size())];
    for (size_t changes = below(4); changes > 0; --changes) {
      const size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.insert(at, below(12), kInserted[below(kInserted.size())]);
          break;
        case 2:
          bytes[at] = kInserted[below(kInserted.size())];
          break;
        default:
          bytes.erase(at, 1 + below(3));
          break;
      }
      if (bytes.empty()) {
        bytes = "G";
      }
    }
    bytes.resize(1 + below(bytes.size()));
    ASSERT_TRUE(lets_through(bytes));
    accepted += detect(bytes) != Detection::kNo ? 1 : 0;
  }
  EXPECT_GT(accepted, 100'000U);  // or this proves little
}

zs_gate gate_postgresql(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_postgresql(first.data(), static_cast<__u32>(count), known);
}

TEST(GatePostgresql, KindsOfMessages) {
  using namespace std::string_view_literals;
  EXPECT_EQ(gate_postgresql("\0\0\0\x10\0\3\0\0user"sv, false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_postgresql("\0\0\0\x08\x04\xd2\x16\x2f"sv, false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_postgresql("Q\0\0\0\x0dSELECT 1"sv, false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_postgresql("T\0\0\0\x20"sv, false), ZS_GATE_RESPONSE);
  EXPECT_EQ(gate_postgresql("D\0\0\0\x20"sv, false), ZS_GATE_NO);
  EXPECT_EQ(gate_postgresql("D\0\0\0\x20"sv, true), ZS_GATE_PARTIAL);
  EXPECT_EQ(gate_postgresql("p\0\0\0\x0asecret"sv, true), ZS_GATE_SECRET);
  EXPECT_EQ(gate_postgresql("N"sv, true), ZS_GATE_NO);
  EXPECT_EQ(gate_postgresql("GET / HTTP/1.1\r\n"sv, false), ZS_GATE_NO);
  EXPECT_EQ(gate_postgresql("\x16\x03\x01\x02\0\x01"sv, false), ZS_GATE_NO);
}

TEST(GatePostgresql, LetsThroughWhateverIsDetected) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261122);
  std::vector<std::string> starts = {"\0\0\0\x10\0\3\0\0user\0a\0\0"s,
                                     "\0\0\0\x10\0\3\0\2user\0a\0\0"s,
                                     "\0\0\0\x08\x04\xd2\x16\x2f"s, "\0\0\0\x08\x04\xd2\x16\x30"s,
                                     "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"s};
  for (int type = 0; type < 256; ++type) {
    for (const unsigned length : {4U, 5U, 6U, 8U, 12U, 30U, 200U}) {
      starts.push_back(std::string(1, static_cast<char>(type)) + "\0\0\0"s +
                       static_cast<char>(length) + std::string(length - 4, '\0'));
    }
  }
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % std::min<size_t>(bytes.size(), 12)] = static_cast<char>(random());
    }
    bytes.resize(1 + random() % bytes.size());
    if (protocols::postgresql::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_postgresql(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
    }
  }
  EXPECT_GT(accepted, 5'000U);  // or this proves little
}

zs_gate gate_mysql(std::string_view bytes, bool known) {
  std::array<__u8, ZS_GATE_BYTES> first{};
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_mysql(first.data(), static_cast<__u32>(count), static_cast<__u32>(bytes.size()),
                       known);
}

TEST(GateMysql, LetsThroughWhateverIsDetected) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261123);
  const auto packet = [](const std::string& body) {
    return std::string{static_cast<char>(body.size()), static_cast<char>(body.size() >> 8U), '\0',
                       '\0'} +
           body;
  };
  const std::vector<std::string> starts = {
      packet("\x0a"
             "11.4.2-MariaDB\0"s +
             std::string(4, '7') + "abcdefgh\0"s + std::string(20, 'x')),
      packet("\x03SELECT 1"s),
      packet("\x03"s + std::string(3000, 'x')),
      packet("\x16SELECT ?"s),
      packet("\x17\5\0\0\0\0\1\0\0\0"s),
      "\x4a\0\0\0"s};
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % std::min<size_t>(bytes.size(), 24)] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::mysql::detect(bytes)) {
      ++accepted;
      ASSERT_NE(gate_mysql(bytes, false), ZS_GATE_NO) << printable(bytes);
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
  EXPECT_EQ(gate_mysql(starts[0], false), ZS_GATE_RESPONSE);
  EXPECT_EQ(gate_mysql(starts[1], false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_mysql("Q\0\0\0\x16SELECT 1, 2, 3, 4\0"s, false), ZS_GATE_NO);
  EXPECT_EQ(gate_mysql("GET / HTTP/1.1\r\n"s, false), ZS_GATE_NO);
}

zs_gate gate_redis(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_redis(first.data(), static_cast<__u32>(count), known);
}

TEST(GateRedis, KindsOfMessages) {
  EXPECT_EQ(gate_redis("*1\r\n$4\r\nPING\r\n", false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_redis("PING\r\n", false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_redis("GET a\r\n", true), ZS_GATE_PARTIAL);
  for (const std::string_view secret :
       {"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", "*3\r\n$4\r\nauth\r\n$1\r\nu\r\n$6\r\nsecret\r\n",
        "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n", "*5\r\n$5\r\nhello\r\n$1\r\n3\r\n"}) {
    for (const bool known : {false, true}) {
      EXPECT_EQ(gate_redis(secret, known), ZS_GATE_SECRET) << secret;
    }
    EXPECT_EQ(secret.substr(0, ZS_REDIS_SECRET_BYTES).find("secret"), std::string_view::npos);
  }
  for (const std::string_view answer :
       {"+OK\r\n", "-ERR no\r\n", ":1\r\n", "$1\r\na\r\n", "_\r\n1", "#t\r\n", ",1.5\r\n",
        "(99\r\n", "!3\r\nERR\r\n", "=7\r\ntxt:abc\r\n", "%1\r\n+a\r\n+b\r\n", "~1\r\n:1\r\n",
        ">1\r\n:1\r\n", "|1\r\n+a\r\n+b\r\n"}) {
    EXPECT_EQ(gate_redis(answer, true), ZS_GATE_RESPONSE) << answer;
    EXPECT_EQ(gate_redis(answer, false), ZS_GATE_NO) << answer;
  }
  for (const std::string_view other : {"GET / HTTP/1.1\r\n", "get a\r\n", "HTTP/1.1 200 OK\r\n",
                                       "* OK IMAP4 ready\r\n", "\x16\x03\x01\x02", ""}) {
    EXPECT_EQ(gate_redis(other, false), ZS_GATE_NO) << printable(other);
  }
}

TEST(GateRedis, LetsThroughWhateverIsDetected) {
  std::mt19937_64 random(20261124);
  const std::vector<std::string> starts = {"*1\r\n$4\r\nPING\r\n",
                                           "PING\r\n",
                                           "ping\r\n",
                                           "*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\nb\r\n",
                                           "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n",
                                           "*1201\r\n$4\r\nMSET\r\n$1\r\na\r\n"};
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::redis::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_redis(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
      // And no other gate, which is asked before, takes it.
      ASSERT_EQ(gate(bytes), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_mysql(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_postgresql(bytes, false), ZS_GATE_NO) << printable(bytes);
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

zs_gate gate_memcached(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_memcached(first.data(), static_cast<__u32>(count), known);
}

TEST(GateMemcached, LetsThroughWhateverIsDetected) {
  for (const std::string_view answer : {"STORED\r\n", "VALUE a 0 1\r\n", "17\r\n", "HD\r\n"}) {
    EXPECT_EQ(gate_memcached(answer, true), ZS_GATE_RESPONSE) << answer;
    EXPECT_EQ(gate_memcached(answer, false), ZS_GATE_NO) << answer;
  }
  std::mt19937_64 random(20261125);
  const std::vector<std::string> starts = {"get a b\r\n",
                                           "gets a\r\n",
                                           "gat 60 a\r\n",
                                           "set a 0 60 5\r\nhello\r\n",
                                           "add a 0 0 1\r\n1",
                                           "replace a 0 0 1\r\n",
                                           "append a 0 0 1\r\n",
                                           "prepend a 0 0 1\r\n",
                                           "cas a 0 0 1 9\r\n1",
                                           "incr a 1\r\n",
                                           "decr a 1\r\n",
                                           "delete a\r\n",
                                           "touch a 1\r\n",
                                           "stats items\r\n",
                                           "version\r\n",
                                           "mg a v\r\n",
                                           "ms a 1 T0\r\n1\r\n",
                                           "md a\r\n",
                                           "ma a\r\n",
                                           "me a\r\n",
                                           "mn\r\n",
                                           "mn\n"};
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::memcached::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_memcached(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
      // And no other gate, which is asked before, takes it.
      ASSERT_EQ(gate(bytes), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_mysql(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_postgresql(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_redis(bytes, false), ZS_GATE_NO) << printable(bytes);
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

zs_gate gate_kafka(std::string_view bytes, bool known, char leftover = 'X', size_t copied = 33) {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min({bytes.size(), first.size(), copied});
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_kafka(first.data(), static_cast<__u32>(count), static_cast<__u32>(bytes.size()),
                       known);
}

TEST(GateKafka, KindsOfMessages) {
  using namespace std::string_literals;
  const std::string request =
      "\0\0\0\x12\0\x12\0\3\0\0\0\1\0\x06"
      "client\0\0"s;
  EXPECT_EQ(request.size(), 4U + 18U);
  for (const bool known : {false, true}) {
    EXPECT_EQ(gate_kafka(request, known), ZS_GATE_REQUEST);
    // Length and message in two buffers.
    EXPECT_EQ(gate_kafka(request, known, 'X', 4), ZS_GATE_REQUEST);
    EXPECT_EQ(gate_kafka("\0\0\0\x20\0\x24\0\2\0\0\0\1\0\6"
                         "client"s,
                         known),
              ZS_GATE_SECRET);
    EXPECT_EQ(gate_kafka("\0\x24\0\2\0\0\0\1\0\6"
                         "client\0\7secret"s,
                         known),
              ZS_GATE_SECRET);
  }
  EXPECT_EQ(gate_kafka(request.substr(4), false), ZS_GATE_REQUEST);
  EXPECT_NE(gate_kafka(request.substr(4), true), ZS_GATE_NO);
  EXPECT_EQ(gate_kafka(request.substr(0, 4), false), ZS_GATE_NO);
  // Frames of HTTP/2: DATA with a message of gRPC's, HEADERS, SETTINGS, PING.
  for (const std::string& frame :
       {"\0\0\x0c\0\0\0\0\0\1\0\0\0\0\7{\"a\":1}"s, "\0\0\x20\1\4\0\0\0\3\x83\x86\x44\0\7abcdef"s,
        "\0\0\x12\4\0\0\0\0\0\0\3\0\0\x40\0\0\4\0\0\x40\0"s,
        "\0\0\x08\6\0\0\0\0\0\1\2\3\4\5\6\7\x08"s}) {
    EXPECT_EQ(gate_kafka(frame, false), ZS_GATE_NO) << printable(frame);
    EXPECT_FALSE(protocols::kafka::detect(frame)) << printable(frame);
  }
  EXPECT_EQ(gate_kafka(request.substr(0, 4), true), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_kafka("\0\0\0\x06\0\0\0\1\0\0"s, true), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_kafka("more of a message"s, true), ZS_GATE_PARTIAL);
  // Messages of a batch, the first with a length that is SaslAuthenticate's number.
  EXPECT_NE(gate_kafka("\0\x24\0\2\x10\1\x18secret 10000\0\x24\0\2"s, true), ZS_GATE_SECRET);
  for (const std::string& other : {"\0\0\0\x08\x04\xd2\x16\x2f"s, "GET / HTTP/1.1\r\n"s,
                                   "*1\r\n$4\r\nPING\r\n"s, ""s, "\x16\x03\x01\x02\0\x01"s,
                                   "\x4a\0\0\0\x0a"
                                   "11.4.2-MariaDB\0"s}) {
    EXPECT_EQ(gate_kafka(other, false), ZS_GATE_NO) << printable(other);
  }
  // Nor is a secret told by what is copied of it.
  const std::string secret =
      "\0\x24\0\2\0\0\0\1\0\3"
      "abc\0\7secret"s;
  EXPECT_EQ(secret.substr(0, ZS_KAFKA_SECRET_BYTES).find("secret"), std::string::npos);
}

TEST(GateKafka, LetsThroughWhateverIsDetected) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261126);
  std::vector<std::string> starts;
  for (char key = 0; key < 88; ++key) {
    const std::string message =
        "\0"s + key + "\0"s + static_cast<char>(key % 20) + "\0\0\1\7\0\x0aproducer-1\0\1\2"s;
    starts.push_back(message);
    starts.push_back("\0\0\0"s + static_cast<char>(message.size()) + message);
    starts.push_back("\0\x0f\x42\x40"s + message);
  }
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % std::min<size_t>(bytes.size(), 24)] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::kafka::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_kafka(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

// It is asked before all others.
TEST(GateKafka, TakesNoOtherProtocolsConnection) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261127);
  const auto word = [&] {
    std::string out;
    for (size_t count = 1 + random() % 12; count > 0; --count) {
      out.push_back(static_cast<char>('a' + random() % 26));
    }
    return out;
  };
  const auto sized = [](const std::string& type, const std::string& body, size_t own) {
    const size_t length = body.size() + own;
    return type + "\0\0"s + static_cast<char>(length >> 8U) + static_cast<char>(length) + body;
  };
  size_t detected = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string value = word();
    const std::string number(1, static_cast<char>(random()));
    const std::string frame_length = "\0"s + number + static_cast<char>(random());
    const std::string stream =
        "\0\0"s + static_cast<char>(random() % 4) + static_cast<char>(random() | 1U);
    const std::vector<std::string> starts = {
        sized("", "\0\3\0\0user\0"s + value + "\0database\0" + word() + "\0\0"s, 4),
        sized("Q", "SELECT '" + value + "'\0"s, 4),
        sized("P", "\0SELECT $1\0\0\0"s, 4),
        sized("B",
              "\0\0\0\0\0\1\0\0\0"s + number + std::string(static_cast<uint8_t>(number[0]), 'v') +
                  "\0\0"s,
              4),
        // Frames of HTTP/2: HEADERS, DATA with a message of gRPC's.
        frame_length + "\1\4" + stream + "\x83\x86\x44" + value,
        frame_length + "\0\0"s + stream + "\0\0\0\0"s + number + value,
    };
    for (const std::string& bytes : starts) {
      ASSERT_EQ(gate_kafka(bytes, false), ZS_GATE_NO) << printable(bytes);
      detected += protocols::postgresql::detect(bytes) ? 1 : 0;
    }
  }
  EXPECT_GT(detected, 400'000U);  // or this proves little
}

zs_gate gate_amqp(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_amqp(first.data(), static_cast<__u32>(count), known);
}

TEST(GateAmqp, KindsOfFrames) {
  using namespace std::string_literals;
  EXPECT_EQ(gate_amqp("AMQP\0\0\x09\x01"s, false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_amqp("AMQP\0\x01\0\0"s, false), ZS_GATE_NO);
  EXPECT_EQ(gate_amqp("\x08\0\0\0\0\0\0\xce"s, false), ZS_GATE_IDLE);
  const std::string publish = "\1\0\1\0\0\0\x0b\0\x3c\0\x28\0\0\0\3abc\0\xce"s;
  EXPECT_EQ(gate_amqp(publish, false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_amqp("\1\0\1\0\0\0\x0b\0\x3c\0\x3c"s, false), ZS_GATE_RESPONSE);
  EXPECT_EQ(gate_amqp("\1\0\1\0\0\0\x0b\0\x32\0\x0b"s, false), ZS_GATE_RESPONSE);
  // Either side may acknowledge.
  EXPECT_EQ(gate_amqp("\1\0\1\0\0\0\x0d\0\x3c\0\x50"s, false), ZS_GATE_NO);
  EXPECT_EQ(gate_amqp(publish, true), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_amqp("of a body"s, true), ZS_GATE_PARTIAL);
  // Passwords, also where a program reads a frame in two parts.
  EXPECT_EQ(gate_amqp("\1\0\0\0\0\1\0\0\x0a\0\x0b\0\0"s, true), ZS_GATE_SECRET);
  EXPECT_EQ(gate_amqp("\0\x0a\0\x0b\0\0\0"s, true), ZS_GATE_SECRET);
  for (const std::string& other : {"GET / HTTP/1.1\r\n"s, "*1\r\n$4\r\nPING\r\n"s, ""s,
                                   "\x16\x03\x01\x02\0\x01"s, "\1\0\0\0\1"s,
                                   "\x4a\0\0\0\x0a"
                                   "11.4.2-MariaDB\0"s,
                                   "\0\0\0\x12\0\x12\0\3\0\0\0\1\0\6client\0\0"s}) {
    EXPECT_EQ(gate_amqp(other, false), ZS_GATE_NO) << printable(other);
  }
}

TEST(GateAmqp, LetsThroughWhateverIsDetected) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261128);
  std::vector<std::string> starts = {"AMQP\0\0\x09\x01"s};
  for (const int group : {20, 40, 50, 60, 90}) {
    for (const int number : {10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 70, 71, 72, 90, 110}) {
      starts.push_back("\1\0\1\0\0\0\x20\0"s + static_cast<char>(group) + "\0"s +
                       static_cast<char>(number) + "\0\0\0\3abc\0"s);
    }
  }
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::amqp::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_amqp(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
      // And no other gate, which is asked before, takes it.
      ASSERT_EQ(gate_kafka(bytes, false), ZS_GATE_NO) << printable(bytes);
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

// It is asked before all others but Kafka's.
TEST(GateAmqp, TakesNoFramesOfHttp2) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261129);
  for (int i = 0; i < 300'000; ++i) {
    const auto byte = [&] { return std::string(1, static_cast<char>(random())); };
    // A client's stream, or none.
    const std::string stream = random() % 4 == 0
                                   ? "\0\0\0\0"s
                                   : "\0"s + byte() + byte() + static_cast<char>(random() | 1U);
    const std::string frame = byte() + byte() + byte() + static_cast<char>(random() % 10) +
                              static_cast<char>(random() % 2) + stream + "\0"s + byte() + byte();
    ASSERT_EQ(gate_amqp(frame, false), ZS_GATE_NO) << printable(frame);
  }
}

zs_gate gate_mqtt(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_mqtt(first.data(), static_cast<__u32>(count), static_cast<__u32>(bytes.size()),
                      known);
}

TEST(GateMqtt, KindsOfPackets) {
  using namespace std::string_literals;
  const std::string connect = "\x10\x14\0\4MQTT\4\xc2\0\x3c\0\1c\0\1u\0\1p"s;
  EXPECT_EQ(gate_mqtt(connect, false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_mqtt("\x10"s, false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_mqtt("\x10\x14"s, false), ZS_GATE_NO);
  EXPECT_EQ(gate_mqtt(connect, true), ZS_GATE_SECRET);
  EXPECT_EQ(gate_mqtt(connect.substr(2), true), ZS_GATE_SECRET);
  EXPECT_EQ(gate_mqtt("\x30\x05\0\1axx"s, true), ZS_GATE_REQUEST);
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n"s, "*1\r\n$4\r\nPING\r\n"s, ""s, "\x16\x03\x01\x02\0\x01"s,
        "\x10\x0c\0\6MQIsdp\3\2\0\x3c"s, "\x30\x05\0\1axx"s, "AMQP\0\0\x09\x01"s}) {
    EXPECT_EQ(gate_mqtt(other, false), ZS_GATE_NO) << printable(other);
  }
}

TEST(GateMqtt, LetsThroughWhateverIsDetected) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261130);
  const std::vector<std::string> starts = {"\x10\x14\0\4MQTT\4\xc2\0\x3c\0\1c\0\1u\0\1p"s,
                                           "\x10\x90\2\0\4MQTT\5\xc2\0\x3c\0\0\1c"s, "\x10"s};
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::mqtt::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_mqtt(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
      // And no other gate, which is asked before, takes it.
      ASSERT_EQ(gate_kafka(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_amqp(bytes, false), ZS_GATE_NO) << printable(bytes);
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

zs_gate gate_mongodb(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_mongodb(first.data(), static_cast<__u32>(count), static_cast<__u32>(bytes.size()),
                         known);
}

std::string mongodb_message(const std::string& answers, const std::string& command,
                            const std::string& kind = std::string("\xdd\x07\0\0", 4)) {
  using namespace std::string_literals;
  const std::string body = "\0\0\0\0\0\x40\0\0\0\2"s + command + "\0\6\0\0\0users\0\0"s;
  return static_cast<char>(body.size() + 16) + "\0\0\0\7\0\0\0"s + answers + kind + body;
}

TEST(GateMongodb, KindsOfMessages) {
  using namespace std::string_literals;
  const std::string asked = mongodb_message("\0\0\0\0"s, "find");
  const std::string answered = mongodb_message("\7\0\0\0"s, "cursor");
  for (const bool known : {false, true}) {
    EXPECT_EQ(gate_mongodb(asked, known), ZS_GATE_REQUEST);
    EXPECT_EQ(gate_mongodb(asked.substr(0, 16), known), ZS_GATE_REQUEST);
    EXPECT_EQ(gate_mongodb(answered, known), ZS_GATE_RESPONSE);
    EXPECT_EQ(gate_mongodb(mongodb_message("\0\0\0\0"s, "isMaster", "\xd4\x07\0\0"s), known),
              ZS_GATE_REQUEST);
    for (const char* secret :
         {"saslStart", "saslContinue", "authenticate", "createUser", "updateUser"}) {
      const std::string command = mongodb_message("\0\0\0\0"s, secret);
      EXPECT_EQ(gate_mongodb(command, known), ZS_GATE_SECRET) << secret;
      // Behind its header, which was read by itself.
      EXPECT_EQ(gate_mongodb(command.substr(16), known), known ? ZS_GATE_SECRET : ZS_GATE_NO);
      // What is copied ends inside of the name.
      EXPECT_LE(static_cast<size_t>(ZS_MONGODB_SECRET_BYTES),
                command.find(secret) + std::string_view(secret).size());
    }
    for (const char* plain : {"createIndexes", "update", "create", "saslSupported", "updateRole"}) {
      EXPECT_EQ(gate_mongodb(mongodb_message("\0\0\0\0"s, plain), known), ZS_GATE_REQUEST) << plain;
    }
  }
  EXPECT_EQ(gate_mongodb(mongodb_message("\7\0\0\0"s, "ok", "\1\0\0\0"s), true), ZS_GATE_RESPONSE);
  EXPECT_EQ(gate_mongodb(mongodb_message("\7\0\0\0"s, "ok", "\1\0\0\0"s), false), ZS_GATE_NO);
  EXPECT_EQ(gate_mongodb(asked.substr(0, 4), true), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_mongodb(asked.substr(16), true), ZS_GATE_PARTIAL);
  EXPECT_EQ(gate_mongodb(asked.substr(0, 4), false), ZS_GATE_NO);
  for (const std::string& other : {"GET / HTTP/1.1\r\n"s, "*1\r\n$4\r\nPING\r\n"s, ""s,
                                   "\0\0\0\x12\0\x12\0\3\0\0\0\1\0\x06"
                                   "client\0\0"s,
                                   "\0\0\x0c\0\0\0\0\0\1\0\0\0\0\7{\"a\":1}"s,
                                   "\0\0\0\x29\0\3\0\0user\0postgres\0database\0"s}) {
    EXPECT_EQ(gate_mongodb(other, false), ZS_GATE_NO) << printable(other);
  }
  EXPECT_EQ(gate_kafka(asked, false), ZS_GATE_NO);  // which is asked before
}

TEST(GateMongodb, LetsThroughWhateverIsDetected) {
  using namespace std::string_literals;
  std::mt19937_64 random(20261128);
  std::vector<std::string> starts;
  for (const char* command : {"find", "saslStart", "hello", "getMore"}) {
    for (const std::string& kind : {"\xdd\x07\0\0"s, "\xdc\x07\0\0"s, "\xd4\x07\0\0"s}) {
      starts.push_back(mongodb_message("\0\0\0\0"s, command, kind));
      starts.push_back(mongodb_message("\7\0\0\0"s, command, kind));
    }
  }
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % std::min<size_t>(bytes.size(), 24)] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::mongodb::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_mongodb(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

zs_gate gate_nats(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_nats(first.data(), static_cast<__u32>(count), known);
}

TEST(GateNats, KindsOfLines) {
  using namespace std::string_literals;
  EXPECT_EQ(gate_nats("INFO {\"server_id\":1}\r\n", false), ZS_GATE_RESPONSE);
  EXPECT_EQ(gate_nats("MSG a 1 1\r\nx\r\n", false), ZS_GATE_RESPONSE);
  EXPECT_EQ(gate_nats("HMSG a 1 1 1\r\nx\r\n", false), ZS_GATE_RESPONSE);
  EXPECT_EQ(gate_nats("PUB a 1\r\nx\r\n", false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_nats("HPUB a 1 1\r\nx\r\n", false), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_nats("PING\r\n", false), ZS_GATE_IDLE);
  EXPECT_EQ(gate_nats("PONG\r\n", false), ZS_GATE_IDLE);
  EXPECT_EQ(gate_nats("SUB a 1\r\n", true), ZS_GATE_REQUEST);
  for (const bool known : {false, true}) {
    EXPECT_EQ(gate_nats("CONNECT {\"pass\":1}\r\n", known), ZS_GATE_SECRET);
  }
  EXPECT_EQ(gate_nats("PING\r\n", true), ZS_GATE_REQUEST);
  EXPECT_EQ(gate_nats("\"pass\":\"secret\"}\r\n", true), ZS_GATE_SECRET);
  EXPECT_EQ(gate_nats("pass", true), ZS_GATE_SECRET);
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n"s, "PING\r\nPING\r\n"s, "SUB a 1\r\n"s, ""s, "PUB /a HTTP/1.1\r\n"s,
        "INFO / HTTP/1.1\r\n"s, "CONNECT a:443 HTTP/1.1\r\n"s, "*1\r\n$4\r\nPING\r\n"s,
        "\x16\x03\x01\x02\0\x01"s}) {
    EXPECT_EQ(gate_nats(other, false), ZS_GATE_NO) << printable(other);
  }
}

TEST(GateNats, LetsThroughWhateverIsDetected) {
  std::mt19937_64 random(20261201);
  const std::vector<std::string> starts = {"INFO {\"a\":1}\r\n", "CONNECT {\"a\":1}\r\n",
                                           "PUB a.b 1\r\nx\r\n", "HPUB a.b c 1 1\r\nx\r\n",
                                           "MSG a 9 1\r\nx\r\n", "HMSG a.b 9 c 1 1\r\nx\r\n"};
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    // The walk captures no more than the word of such a line.
    if (protocols::nats::detect(bytes) && bytes != "INFO " && bytes != "CONNECT ") {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_nats(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
      // And no other gate, which is asked before, takes it.
      ASSERT_EQ(gate_kafka(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_amqp(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_mqtt(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_mongodb(bytes, false), ZS_GATE_NO) << printable(bytes);
    }
  }
  EXPECT_GT(accepted, 50'000U);  // or this proves little
}

// DNS is known by its port: its gate only tells queries from answers, where it sees a whole header.
TEST(GateDns, QueriesAndAnswers) {
  for (const __u32 header : {0U, ZS_DNS_LENGTH_BYTES + 0U}) {
    std::array<__u8, ZS_GATE_BYTES> bytes{};
    for (__u32 count = 0; count <= bytes.size(); ++count) {
      const bool whole = count >= header + ZS_DNS_HEADER_BYTES;
      bytes[header + 2] = 0x01;
      EXPECT_EQ(zs_gate_dns(bytes.data(), count, header),
                whole ? ZS_GATE_REQUEST : ZS_GATE_PARTIAL);
      bytes[header + 2] = 0x81;
      EXPECT_EQ(zs_gate_dns(bytes.data(), count, header),
                whole ? ZS_GATE_RESPONSE : ZS_GATE_PARTIAL);
    }
  }
}

zs_gate gate_cassandra(std::string_view bytes, bool known, char leftover = 'X') {
  std::array<__u8, ZS_GATE_BYTES> first{};
  first.fill(static_cast<__u8>(leftover));
  const size_t count = std::min(bytes.size(), first.size());
  if (count > 0) {
    std::memcpy(first.data(), bytes.data(), count);
  }
  return zs_gate_cassandra(first.data(), static_cast<__u32>(count), known);
}

TEST(GateCassandra, KindsOfFrames) {
  using namespace protocols::cassandra;
  using namespace std::string_literals;
  for (const unsigned v : {3U, 4U, 5U}) {
    EXPECT_EQ(gate_cassandra(startup(v, 1), false), ZS_GATE_REQUEST);
    EXPECT_EQ(gate_cassandra(packed(v, query(v, 1, "SELECT 1")), false), ZS_GATE_REQUEST);
    EXPECT_EQ(gate_cassandra(packed(v, rows(v, 1, 1)), false), ZS_GATE_RESPONSE);
    const std::string login = packed(v, frame(v, 1, Opcode::kAuthResponse, text32("secret")));
    EXPECT_EQ(gate_cassandra(login, true), ZS_GATE_SECRET);
    EXPECT_EQ(gate_cassandra(login.substr(9), true), ZS_GATE_SECRET);
  }
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n"s, "PING\r\n"s, ""s, "\x16\x03\x01\x02\0\x01\0\x01\xfc"s,
        "\x03\0\0\0\x03\x53\x45\x4c\x45"s, frame(6, 0, Opcode::kOptions, "")}) {
    EXPECT_EQ(gate_cassandra(other, false), ZS_GATE_NO) << printable(other);
  }
}

TEST(GateCassandra, LetsThroughWhateverIsDetected) {
  using namespace protocols::cassandra;
  std::mt19937_64 random(20261122);
  std::vector<std::string> starts = {frame(0x42, 0, Opcode::kOptions, "")};
  for (const unsigned v : {3U, 4U, 5U}) {
    starts.push_back(startup(v, 1));
    for (const std::string& each :
         {frame(v, 0, Opcode::kOptions, ""), query(v, 1, "SELECT 1"), prepare(v, 2, "SELECT 1"),
          execute(v, 3, id_of(1)), rows(v, 4, 1), error(v, 5, 0x2200), done(v, 6),
          frame(v, 7, Opcode::kAuthResponse, text32("secret"))}) {
      starts.push_back(packed(v, each));
    }
  }
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string bytes = starts[random() % starts.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) {
      bytes[random() % std::min<size_t>(bytes.size(), 20)] = static_cast<char>(random());
    }
    if (random() % 4 == 0) {
      bytes.resize(1 + random() % bytes.size());
    }
    if (protocols::cassandra::detect(bytes)) {
      ++accepted;
      for (const char leftover : {'X', '\0'}) {
        ASSERT_NE(gate_cassandra(bytes, false, leftover), ZS_GATE_NO) << printable(bytes);
      }
      // And no other gate, which is asked before, takes it.
      ASSERT_EQ(gate_kafka(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_amqp(bytes, false), ZS_GATE_NO) << printable(bytes);
      ASSERT_EQ(gate_mongodb(bytes, false), ZS_GATE_NO) << printable(bytes);
    }
  }
  EXPECT_GT(accepted, 100'000U);  // or this proves little
}

}  // namespace
}  // namespace zerospan
