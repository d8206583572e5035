// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Commands and answers as tests make them.
#pragma once

#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/lines/testing.h"
#include "agent/protocols/redis/connection.h"

namespace zerospan::protocols::redis {

using Runner = lines::Runner<Connection, Options>;
using lines::Step;

inline std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
inline std::string array(const std::vector<std::string>& elements, char type = '*') {
  std::string out = type + std::to_string(elements.size() / (type == '%' ? 2 : 1)) + "\r\n";
  for (const std::string& element : elements) {
    out += element;
  }
  return out;
}
inline std::string command(std::initializer_list<std::string_view> arguments) {
  std::vector<std::string> elements;
  for (const std::string_view argument : arguments) {
    elements.push_back(bulk(argument));
  }
  return array(elements);
}

// Commands, each of its own key, and their answers; in turns of up to `most` at once.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns, size_t most) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  std::vector<Step> steps;
  size_t id = 0;
  for (size_t turn = 0; turn < turns; ++turn) {
    std::string requests;
    std::string responses;
    for (size_t count = 1 + below(most); count > 0; --count) {
      const std::string key = "k" + std::to_string(id++);
      const std::string value(below(8) == 0 ? 3000 : below(20), below(2) == 0 ? '\n' : '*');
      switch (below(9)) {
        case 0:
          requests += command({"GET", key});
          responses += bulk(value);
          break;
        case 1:
          requests += command({"SET", key, value});
          responses += "+OK\r\n";
          break;
        case 2:
          requests += command({"LPUSH", key, value, value});
          responses += "-WRONGTYPE Operation against a key\r\n";
          break;
        case 3:
          requests += command({"HGETALL", key});
          responses += array({bulk("a"), bulk(value), bulk("b"), "_\r\n"}, '%');
          break;
        case 4:
          requests += "get " + key + "\r\n";
          responses += "$-1\r\n";
          break;
        case 5:
          requests += command({"MULTI"}) + command({"INCR", key}) + command({"SET", key, value}) +
                      command({"EXEC"});
          responses += "+OK\r\n+QUEUED\r\n+QUEUED\r\n" + array({"-ERR no integer\r\n", bulk("OK")});
          break;
        case 6:
          requests += command({"SCAN", key});
          responses += ">2\r\n" + bulk("invalidate") + array({bulk(key)}) +
                       array({bulk("0"), array({bulk(value), array({":1\r\n", ":2\r\n"})})});
          break;
        case 7:
          requests += command({"SELECT", std::to_string(below(4))});
          responses += "+OK\r\n";
          break;
        default:
          requests += command({"INCR", key});
          responses += "|1\r\n+ttl\r\n:3\r\n:-7\r\n";
          break;
      }
    }
    steps.push_back({true, std::move(requests)});
    steps.push_back({false, std::move(responses)});
  }
  return steps;
}

}  // namespace zerospan::protocols::redis
