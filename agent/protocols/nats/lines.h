// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the lines of NATS's client protocol tell
// (https://docs.nats.io/reference/reference-protocols/nats-protocol), and a message's headers (ADR
// 4). Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zerospan::protocols::nats {

inline constexpr size_t kMostLine = 512;  // as far as the kernel follows one

enum class Verb : uint8_t {
  kUnknown,
  kConnect,
  kPub,
  kHpub,
  kSub,
  kUnsub,
  kInfo,
  kMsg,
  kHmsg,
  kOk,
  kErr,
  kPing,  // these two are everybody's
  kPong,
};

// Of a line's first word, in letters of any case.
[[nodiscard]] Verb verb_of(std::string_view word);
[[nodiscard]] std::string_view first_word(std::string_view line);
// Not kUnknown.
[[nodiscard]] bool is_from(Verb verb, bool client);
// A line whose arguments nobody needs, and which has passwords or is long.
[[nodiscard]] inline bool is_hidden(Verb verb) {
  return verb == Verb::kConnect || verb == Verb::kInfo;
}
[[nodiscard]] inline bool is_message(Verb verb) {
  return verb == Verb::kPub || verb == Verb::kHpub || verb == Verb::kMsg || verb == Verb::kHmsg;
}
// Where nothing says that a line begins: a message, or a sign of life, which are whole words.
[[nodiscard]] bool resumes(std::string_view bytes);

struct Message {
  std::string subject;
  std::string reply;     // empty: none
  uint64_t headers = 0;  // bytes of what follows the line
  uint64_t size = 0;     // all of them, without the end of line behind them
};

// The line, without its end, whose verb is_message(); nothing if it is none.
[[nodiscard]] std::optional<Message> read_message(Verb verb, std::string_view line);

// A subject that was made up for one caller or one message, as far as its name tells.
[[nodiscard]] bool is_temporary(std::string_view subject);

struct HeaderFacts {
  std::string traceparent;
  std::string error;  // a status that says that nobody answers
};
// Of headers whose end may be missing.
[[nodiscard]] HeaderFacts read_headers(std::string_view bytes);

struct ErrorFacts {
  std::string name;     // one of few
  std::string subject;  // that it is about; empty: none
};
// Of an -ERR line.
[[nodiscard]] ErrorFacts read_error(std::string_view line);

}  // namespace zerospan::protocols::nats
