// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/nats/lines.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace zerospan::protocols::nats {
namespace {

constexpr uint64_t kLargest = 100'000'000;  // servers allow 64 MiB at most
constexpr size_t kMostWords = 6;
constexpr size_t kContextBytes = 55;

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return upper(x) == upper(y); });
}

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

std::optional<uint64_t> number(std::string_view word) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || value > kLargest) {
    return std::nullopt;
  }
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_space(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace

std::string_view first_word(std::string_view line) {
  return line.substr(0, line.find_first_of(" \t\r"));
}

Verb verb_of(std::string_view word) {
  constexpr auto kVerbs = std::to_array<std::pair<std::string_view, Verb>>({
      {"CONNECT", Verb::kConnect},
      {"PUB", Verb::kPub},
      {"HPUB", Verb::kHpub},
      {"SUB", Verb::kSub},
      {"UNSUB", Verb::kUnsub},
      {"INFO", Verb::kInfo},
      {"MSG", Verb::kMsg},
      {"HMSG", Verb::kHmsg},
      {"+OK", Verb::kOk},
      {"-ERR", Verb::kErr},
      {"PING", Verb::kPing},
      {"PONG", Verb::kPong},
  });
  for (const auto& [name, verb] : kVerbs) {
    if (same(word, name)) {
      return verb;
    }
  }
  return Verb::kUnknown;
}

bool is_from(Verb verb, bool client) {
  if (verb == Verb::kPing || verb == Verb::kPong) {
    return true;
  }
  return client == (verb == Verb::kConnect || verb == Verb::kPub || verb == Verb::kHpub ||
                    verb == Verb::kSub || verb == Verb::kUnsub);
}

bool resumes(std::string_view bytes) {
  const std::string_view word = first_word(bytes.substr(0, 8));
  if (word.size() >= bytes.size()) {
    return false;
  }
  const Verb verb = verb_of(word);
  const char end = bytes[word.size()];
  return is_message(verb) ? end == ' '
                          : end == '\r' && (verb == Verb::kPing || verb == Verb::kPong);
}

std::optional<Message> read_message(Verb verb, std::string_view line) {
  std::array<std::string_view, kMostWords> words;
  size_t count = 0;
  for (size_t at = 0; at < line.size();) {
    if (is_space(line[at])) {
      ++at;
      continue;
    }
    const size_t end = std::min(line.find_first_of(" \t", at), line.size());
    if (count == words.size()) {
      return std::nullopt;
    }
    words[count++] = line.substr(at, end - at);
    at = end;
  }
  const bool headers = verb == Verb::kHpub || verb == Verb::kHmsg;
  const bool delivered = verb == Verb::kMsg || verb == Verb::kHmsg;
  // The verb, the subject, the subscription's number, the sizes.
  const size_t least = 3 + (headers ? 1 : 0) + (delivered ? 1 : 0);
  if (count < least || count > least + 1) {
    return std::nullopt;
  }
  Message message;
  message.subject = words[1];
  if (count > least) {
    message.reply = words[delivered ? 3 : 2];
  }
  const auto size = number(words[count - 1]);
  const auto before = headers ? number(words[count - 2]) : 0;
  if (!size || !before || *before > *size) {
    return std::nullopt;
  }
  message.size = *size;
  message.headers = *before;
  return message;
}

bool is_temporary(std::string_view subject) {
  // Of a caller; the same across accounts; of a message of JetStream's that is acknowledged.
  constexpr auto kPrefixes = std::to_array<std::string_view>({"_INBOX.", "_R_.", "$JS.ACK."});
  return std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](std::string_view prefix) {
    return subject.substr(0, prefix.size()) == prefix;
  });
}

HeaderFacts read_headers(std::string_view bytes) {
  HeaderFacts facts;
  bool first = true;
  while (!bytes.empty()) {
    const size_t end = bytes.find("\r\n");
    if (end == std::string_view::npos) {
      break;
    }
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 2);
    if (first) {
      first = false;
      constexpr std::string_view kNoResponders = "NATS/1.0 503";
      if (line.substr(0, kNoResponders.size()) == kNoResponders) {
        facts.error = "no_responders";
      }
      continue;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && same(line.substr(0, colon), "traceparent") &&
        facts.traceparent.empty()) {
      facts.traceparent = trimmed(line.substr(colon + 1)).substr(0, kContextBytes);
    }
  }
  return facts;
}

ErrorFacts read_error(std::string_view line) {
  // What servers of version 2 say; other texts may have any names in them.
  constexpr auto kErrors = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"Authorization Violation", "authorization_violation"},
      {"Authorization Timeout", "authentication_timeout"},
      {"Authentication Timeout", "authentication_timeout"},
      {"Authentication Expired", "authentication_expired"},
      {"User Authentication Expired", "user_authentication_expired"},
      {"User Authentication Revoked", "user_authentication_revoked"},
      {"Account Authentication Expired", "account_authentication_expired"},
      {"Permissions Violation", "permissions_violation"},
      {"Maximum Payload Violation", "maximum_payload_violation"},
      {"Maximum Connections Exceeded", "maximum_connections_exceeded"},
      {"Maximum Account Active Connections Exceeded",
       "maximum_account_active_connections_exceeded"},
      {"Maximum Subscriptions Exceeded", "maximum_subscriptions_exceeded"},
      {"Maximum Control Line Exceeded", "maximum_control_line_exceeded"},
      {"Invalid Client Protocol", "invalid_client_protocol"},
      {"Invalid Subject", "invalid_subject"},
      {"Invalid Publish Subject", "invalid_publish_subject"},
      {"Unknown Protocol Operation", "unknown_protocol_operation"},
      {"Parser Error", "parser_error"},
      {"Secure Connection - TLS Required", "tls_required"},
      {"Slow Consumer", "slow_consumer"},
      {"Stale Connection", "stale_connection"},
      {"Server Shutdown", "server_shutdown"},
      {"No Responders Requires Headers Support", "no_responders_requires_headers"},
      {"Message Headers Not Supported", "headers_not_supported"},
  });
  ErrorFacts facts;
  facts.name = "_OTHER";
  std::string_view text = line.substr(first_word(line).size());
  while (!text.empty() && (is_space(text.front()) || text.front() == '\'')) {
    text.remove_prefix(1);
  }
  for (const auto& [said, name] : kErrors) {
    if (same(text.substr(0, said.size()), said)) {
      facts.name = name;
      break;
    }
  }
  const size_t quote = text.find('"');
  const size_t end = quote == std::string_view::npos ? quote : text.find('"', quote + 1);
  if (end != std::string_view::npos && facts.name == "permissions_violation") {
    facts.subject = text.substr(quote + 1, end - quote - 1);
  }
  return facts;
}

}  // namespace zerospan::protocols::nats
