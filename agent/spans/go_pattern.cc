// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/go_pattern.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace zerospan::spans {
namespace {

// What is before the next slash that is not in braces, taken away with that slash. `more`: there
// was one.
std::string_view take_segment(std::string_view& rest, bool braces, bool& more) {
  int depth = 0;
  size_t end = 0;
  for (; end < rest.size() && (rest[end] != '/' || depth > 0); ++end) {
    depth += braces && rest[end] == '{' ? 1 : 0;
    depth -= braces && rest[end] == '}' && depth > 0 ? 1 : 0;
  }
  const std::string_view segment = rest.substr(0, end);
  more = end < rest.size();
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return segment;
}

int digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

// RFC 3986 section 2.1; what is no escape stays.
std::string decoded(std::string_view encoded) {
  std::string text;
  text.reserve(encoded.size());
  for (size_t i = 0; i < encoded.size(); ++i) {
    char c = encoded[i];
    if (c == '%' && i + 2 < encoded.size() && digit(encoded[i + 1]) >= 0 &&
        digit(encoded[i + 2]) >= 0) {
      c = static_cast<char>(digit(encoded[i + 1]) * 16 + digit(encoded[i + 2]));
      i += 2;
    }
    text.push_back(c);
  }
  return text;
}

// ServeMux and chi.
bool fits_segments(std::string_view pattern, std::string_view path) {
  std::string_view wanted = pattern.substr(1);
  path.remove_prefix(1);
  while (true) {
    bool more_wanted = false;
    bool more_path = false;
    const std::string_view part = take_segment(wanted, true, more_wanted);
    const std::string_view given = take_segment(path, false, more_path);
    const bool last = !more_wanted;
    if (last && (part.empty() || part == "*" || part.ends_with("...}"))) {
      return true;  // and whatever follows
    }
    if (last && part == "{$}") {
      return given.empty() && !more_path;
    }
    if (part.find('{') == std::string_view::npos && decoded(given) != part) {
      return false;
    }
    if (last || !more_path) {
      return last && !more_path;
    }
  }
}

// A pattern as a list of what the path has to have.
struct Token {
  enum class Kind : uint8_t {
    kByte,
    kSegment,  // any bytes that are no slash, also none
    kRest,     // any bytes, also none
  };
  Kind kind = Kind::kByte;
  char byte = 0;
  size_t absent = 0;  // of a byte: it may be absent with what follows it, as many tokens in all
};
using Tokens = std::vector<Token>;

constexpr size_t kMaxPattern = 128;
constexpr size_t kMaxPath = 2048;

void add(Tokens& tokens, Token::Kind kind) {
  tokens.push_back({kind});
}
void add(Tokens& tokens, char byte) {
  tokens.push_back({Token::Kind::kByte, byte});
}
bool ends_in_slash(const Tokens& tokens) {
  return !tokens.empty() && tokens.back().kind == Token::Kind::kByte && tokens.back().byte == '/';
}
// What comes next may be absent, and the slash before it then is, too.
void make_next_optional(Tokens& tokens) {
  if (ends_in_slash(tokens)) {
    tokens.back().absent = 2;
  }
}

// gin, echo and fiber: ":name" and "*". Their parameters begin anywhere in a segment.
Tokens parse_colons(std::string_view pattern, model::Router router) {
  const bool fiber = router == model::Router::kFiber;
  Tokens tokens;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      add(tokens, pattern[++i]);
    } else if (c == ':') {
      // fiber's names end at more characters, and may have a constraint behind them: "<int>".
      const std::string_view ends = fiber ? "/-.:?*+<(" : "/";
      size_t end = std::min(pattern.find_first_of(ends, i + 1), pattern.size());
      if (fiber && end < pattern.size() && pattern[end] == '<') {
        const size_t close = pattern.find(">", end);
        end = close == std::string_view::npos ? pattern.size() : close + 1;
      }
      if (fiber && end < pattern.size() && pattern[end] == '?') {
        make_next_optional(tokens);
        ++end;
      }
      add(tokens, Token::Kind::kSegment);
      i = end - 1;
    } else if (c == '*' || (fiber && c == '+')) {
      if (router != model::Router::kGin) {
        make_next_optional(tokens);
      }
      add(tokens, Token::Kind::kRest);
      if (router == model::Router::kGin) {
        break;  // what follows is its name
      }
    } else {
      add(tokens, c);
    }
  }
  if (fiber) {  // a slash at the end is no difference
    if (ends_in_slash(tokens)) {
      tokens.pop_back();
    }
    tokens.push_back({Token::Kind::kByte, '/', 1});
  }
  return tokens;
}

// gorilla/mux: "{name}" and "{name:expression}". A pattern may be a prefix, which it does not say.
Tokens parse_braces(std::string_view pattern) {
  Tokens tokens;
  while (!pattern.empty()) {
    if (pattern.front() != '{') {
      add(tokens, pattern.front());
      pattern.remove_prefix(1);
      continue;
    }
    size_t end = 0;
    int depth = 0;
    do {
      depth += pattern[end] == '{' ? 1 : 0;
      depth -= pattern[end] == '}' ? 1 : 0;
      ++end;
    } while (depth > 0 && end < pattern.size());
    const bool expression = pattern.substr(0, end).find(':') != std::string_view::npos;
    add(tokens, expression ? Token::Kind::kRest : Token::Kind::kSegment);
    pattern.remove_prefix(end);
  }
  make_next_optional(tokens);
  add(tokens, Token::Kind::kRest);
  return tokens;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// All ways to read the path are followed at once: for each, how many tokens it has passed.
bool fits_tokens(const Tokens& tokens, std::string_view path, bool any_case) {
  std::vector<bool> at(tokens.size() + 1);
  std::vector<bool> next(tokens.size() + 1);
  const auto skip = [&](std::vector<bool>& ways) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const size_t count = tokens[i].kind == Token::Kind::kByte ? tokens[i].absent : 1;
      if (ways[i] && count > 0 && i + count <= tokens.size()) {
        ways[i + count] = true;
      }
    }
  };
  at[0] = true;
  skip(at);
  for (const char c : path) {
    next.assign(next.size(), false);
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (!at[i]) {
        continue;
      }
      const Token& token = tokens[i];
      if (token.kind == Token::Kind::kByte) {
        if (token.byte == c || (any_case && lower(token.byte) == lower(c))) {
          next[i + 1] = true;
        }
      } else if (token.kind == Token::Kind::kRest || c != '/') {
        next[i] = true;
      }
    }
    skip(next);
    at.swap(next);
  }
  return at[tokens.size()];
}

bool fits(model::Router router, std::string_view pattern, std::string_view path) {
  if (router == model::Router::kPattern) {
    return fits_segments(pattern, path);
  }
  if (pattern.size() > kMaxPattern || path.size() > kMaxPath) {
    return false;
  }
  const Tokens tokens =
      router == model::Router::kMux ? parse_braces(pattern) : parse_colons(pattern, router);
  const bool any_case = router == model::Router::kFiber;
  const std::string plain = decoded(path);  // they look at either, as they are told to
  return fits_tokens(tokens, plain, any_case) ||
         (plain != path && fits_tokens(tokens, path, any_case));
}

}  // namespace

std::string_view route_of_pattern(model::Router router, std::string_view pattern,
                                  std::string_view target) {
  if (router == model::Router::kPattern) {
    if (const size_t blank = pattern.find_first_of(" \t"); blank < pattern.find('/')) {
      pattern.remove_prefix(blank);
    }
    pattern.remove_prefix(std::min(pattern.find('/'), pattern.size()));
  }
  if (!pattern.starts_with('/') || !target.starts_with('/') ||
      std::any_of(pattern.begin(), pattern.end(),
                  [](char c) { return static_cast<uint8_t>(c) < ' ' || c == '\x7f'; })) {
    return {};
  }
  return fits(router, pattern, target.substr(0, target.find('?'))) ? pattern : std::string_view();
}

}  // namespace zerospan::spans
