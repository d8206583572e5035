// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/nats/detect.h"

#include "agent/protocols/nats/lines.h"

namespace zerospan::protocols::nats {

bool detect(std::string_view first_bytes) {
  for (const std::string_view word : {"INFO ", "CONNECT "}) {
    if (first_bytes.substr(0, word.size()) == word) {
      return first_bytes.size() == word.size() || first_bytes[word.size()] == '{';
    }
  }
  const size_t end = first_bytes.substr(0, kMostLine + 2).find("\r\n");
  if (end == std::string_view::npos) {
    return false;
  }
  const std::string_view line = first_bytes.substr(0, end);
  for (const auto& [word, verb] : {std::pair<std::string_view, Verb>{"PUB ", Verb::kPub},
                                   {"HPUB ", Verb::kHpub},
                                   {"MSG ", Verb::kMsg},
                                   {"HMSG ", Verb::kHmsg}}) {
    if (line.substr(0, word.size()) == word) {
      const auto message = read_message(verb, line);
      // Behind an unknown method of HTTP a path would come.
      return message && message->subject.front() != '/' && line.size() > word.size() &&
             line[word.size()] != '/';
    }
  }
  return false;
}

}  // namespace zerospan::protocols::nats
