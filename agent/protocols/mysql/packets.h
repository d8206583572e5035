// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Packets of the MySQL client/server protocol, as MySQL and MariaDB speak it
// (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html,
// https://mariadb.com/kb/en/clientserver-protocol/). Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace zerospan::protocols::mysql {

inline constexpr size_t kHeaderBytes = 4;             // length and sequence number
inline constexpr uint32_t kLargestPacket = 0xffffff;  // another one goes on with the same message

enum Command : uint8_t {
  kQuit = 0x01,
  kInitDb = 0x02,
  kQuery = 0x03,
  kFieldList = 0x04,
  kStatistics = 0x09,
  kPing = 0x0e,
  kChangeUser = 0x11,
  kBinlogDump = 0x12,
  kPrepare = 0x16,
  kExecute = 0x17,
  kSendLongData = 0x18,
  kCloseStatement = 0x19,
  kFetch = 0x1c,
  kBinlogDumpGtid = 0x1e,
  kResetConnection = 0x1f,
  kBulkExecute = 0xfa,  // MariaDB
};

enum Capability : uint32_t {
  kConnectWithDb = 1U << 3U,
  kCompress = 1U << 5U,
  kSsl = 1U << 11U,
  kSecureConnection = 1U << 15U,
  kLengthEncodedAuth = 1U << 21U,
  kDeprecateEof = 1U << 24U,
  kZstd = 1U << 26U,
  kQueryAttributes = 1U << 27U,
};

enum Status : uint16_t {
  kMoreResults = 0x0008,
  kCursorExists = 0x0040,
  kNoBackslashEscapes = 0x0200,
};

struct Header {
  uint32_t length = 0;
  uint8_t sequence = 0;
};
[[nodiscard]] Header read_header(std::string_view bytes);  // four bytes at least

// Little-endian, of at most eight bytes.
[[nodiscard]] uint64_t read_int(std::string_view bytes, size_t size);
// Takes a length-encoded integer from the front; nullopt: it is not whole, or none.
[[nodiscard]] std::optional<uint64_t> take_length_encoded(std::string_view& bytes);

[[nodiscard]] bool is_command(uint8_t byte);

// Is this the body of a server's greeting (HandshakeV10), as far as it is there?
[[nodiscard]] bool is_greeting(std::string_view body);
// "5.5.5-10.11.6-MariaDB": the server's version.
[[nodiscard]] std::string_view greeting_version(std::string_view body);

struct Login {
  uint32_t capabilities = 0;
  std::string_view database;
};
[[nodiscard]] std::optional<Login> parse_login(std::string_view body);

// OK and EOF packets: the status flags; nullopt: they are not there.
[[nodiscard]] std::optional<uint16_t> ok_status(std::string_view body);
[[nodiscard]] std::optional<uint16_t> eof_status(std::string_view body);
// The number of an ERR packet.
[[nodiscard]] uint16_t error_number(std::string_view body);

// Where the last packet of an answer begins, if `bytes` ends exactly with one: EOF, OK in its
// place, or an error, and no other result follows. npos: nowhere.
[[nodiscard]] size_t find_ending_packet(std::string_view bytes);

}  // namespace zerospan::protocols::mysql
