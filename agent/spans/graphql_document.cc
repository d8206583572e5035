// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/graphql_document.h"

#include <algorithm>

#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

constexpr size_t kDeepest = 64;  // brackets within brackets

bool begins_name(char c) {
  return is_alpha(c) || c == '_';
}

struct Token {
  enum class Kind : unsigned char {
    kEnd,       // of the text
    kInvalid,   // no token
    kName,      // text
    kMark,      // a punctuator: text
    kConstant,  // a number or a string
  };
  Kind kind = Kind::kEnd;
  std::string_view text;

  [[nodiscard]] bool is(std::string_view mark) const { return kind == Kind::kMark && text == mark; }
};

// Section 2.1. A token that the end of a cut text touches may go on: it counts as the end.
class Lexer {
 public:
  Lexer(std::string_view text, bool cut) : rest_(text), cut_(cut) {}

  Token next() {
    skip_ignored();
    if (rest_.empty()) {
      return {};
    }
    const char c = rest_.front();
    if (begins_name(c)) {
      return take(Token::Kind::kName,
                  span([](char at) { return begins_name(at) || is_digit(at); }));
    }
    if (is_digit(c) || c == '-') {
      return take(Token::Kind::kConstant, span([](char at) {
                    return begins_name(at) || is_digit(at) || at == '.' || at == '-' || at == '+';
                  }));
    }
    if (c == '"') {
      return string();
    }
    if (c == '.') {
      if (rest_.starts_with("...")) {
        return mark(3);
      }
      return cut_ && std::string_view("...").starts_with(rest_) ? end() : invalid();
    }
    return std::string_view("!$&():=@[]{|}").find(c) != std::string_view::npos ? mark(1)
                                                                               : invalid();
  }

 private:
  void skip_ignored() {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',') {
        rest_.remove_prefix(1);
      } else if (c == '#') {
        rest_.remove_prefix(std::min(rest_.find_first_of("\r\n"), rest_.size()));
      } else if (rest_.starts_with(kByteOrderMark)) {
        rest_.remove_prefix(kByteOrderMark.size());
      } else {
        return;
      }
    }
  }

  template <typename Belongs>
  [[nodiscard]] size_t span(Belongs belongs) const {
    return static_cast<size_t>(std::find_if_not(rest_.begin(), rest_.end(), belongs) -
                               rest_.begin());
  }

  Token take(Token::Kind kind, size_t size) {
    if (cut_ && size == rest_.size()) {
      return end();
    }
    const Token token{kind, rest_.substr(0, size)};
    rest_.remove_prefix(size);
    return token;
  }

  Token mark(size_t size) {
    const Token token{Token::Kind::kMark, rest_.substr(0, size)};
    rest_.remove_prefix(size);
    return token;
  }

  Token string() {
    constexpr std::string_view kBlock = "\"\"\"";
    const bool block = rest_.starts_with(kBlock);
    if (!block && cut_ && rest_ == kBlock.substr(0, rest_.size())) {
      return end();  // empty, or a block's beginning
    }
    size_t at = block ? kBlock.size() : 1;
    while (at < rest_.size()) {
      if (block && rest_.substr(at).starts_with(kBlock)) {
        return take_string(at + kBlock.size());
      }
      if (block && rest_.substr(at).starts_with("\\\"\"\"")) {
        at += 1 + kBlock.size();
        continue;
      }
      if (!block && rest_[at] == '"') {
        return take_string(at + 1);
      }
      if (!block && (rest_[at] == '\n' || rest_[at] == '\r')) {
        return invalid();
      }
      at += !block && rest_[at] == '\\' ? 2 : 1;
    }
    return cut_ ? end() : invalid();
  }

  Token take_string(size_t size) {
    const Token token{Token::Kind::kConstant, rest_.substr(0, size)};
    rest_.remove_prefix(size);
    return token;
  }

  Token end() {
    rest_ = {};
    return {};
  }

  Token invalid() {
    rest_ = {};
    return {Token::Kind::kInvalid, {}};
  }

  std::string_view rest_;
  bool cut_;
};

// Section 2.3 and on, as far as it tells definitions apart.
class Reader {
 public:
  Reader(std::string_view text, bool cut, GraphqlDocument& document)
      : lexer_(text, cut), document_(document) {}

  // False: this is no executable document. `whole`: the text ended between two definitions.
  bool read(bool& whole) {
    whole = false;
    advance();
    while (token_.kind != Token::Kind::kEnd) {
      const Result result = definition();
      if (result != Result::kTaken) {
        return result == Result::kEnd;
      }
    }
    whole = true;
    return true;
  }

 private:
  enum class Result : unsigned char { kTaken, kEnd, kInvalid };

  void advance() { token_ = lexer_.next(); }
  // What stands here does not belong here, unless it is the end of the text.
  [[nodiscard]] Result unexpected() const {
    return token_.kind == Token::Kind::kEnd ? Result::kEnd : Result::kInvalid;
  }

  Result definition() {
    if (token_.is("{")) {
      document_.shorthand = true;
      add({"query", {}});
      return selection_set();
    }
    if (token_.kind != Token::Kind::kName) {
      return unexpected();
    }
    const std::string_view keyword = token_.text;
    const bool fragment = keyword == "fragment";
    if (!fragment && keyword != "query" && keyword != "mutation" && keyword != "subscription") {
      return Result::kInvalid;
    }
    advance();
    GraphqlOperation operation{keyword, {}};
    if (token_.kind == Token::Kind::kName) {
      operation.name = token_.text;
      advance();
    } else if (fragment) {
      return unexpected();
    }
    if (fragment) {
      if (token_.kind != Token::Kind::kName || token_.text != "on") {
        return unexpected();
      }
      advance();
      if (token_.kind != Token::Kind::kName) {
        return unexpected();
      }
      advance();
    } else if (token_.is("(")) {
      if (const Result result = group(); result != Result::kTaken) {
        return result;
      }
    }
    if (const Result result = directives(); result != Result::kTaken) {
      return result;
    }
    if (!token_.is("{")) {
      return unexpected();
    }
    if (!fragment) {
      add(operation);
    }
    return selection_set();
  }

  void add(const GraphqlOperation& operation) {
    if (document_.count < GraphqlDocument::kMost) {
      document_.operations.at(document_.count) = operation;
    }
    ++document_.count;
  }

  // "(" to its ")": variables or arguments, of which only the brackets matter.
  Result group() {
    std::array<char, kDeepest> closers{};
    size_t depth = 0;
    do {
      if (token_.kind == Token::Kind::kEnd || token_.kind == Token::Kind::kInvalid) {
        return unexpected();
      }
      const char mark = token_.kind == Token::Kind::kMark ? token_.text.front() : ' ';
      if (mark == '(' || mark == '[' || mark == '{') {
        if (depth == kDeepest) {
          return Result::kInvalid;
        }
        closers.at(depth++) = mark == '(' ? ')' : mark == '[' ? ']' : '}';
      } else if ((mark == ')' || mark == ']' || mark == '}') && closers.at(--depth) != mark) {
        return Result::kInvalid;
      }
      advance();
    } while (depth != 0);
    return Result::kTaken;
  }

  Result directives() {
    while (token_.is("@")) {
      advance();
      if (token_.kind != Token::Kind::kName) {
        return unexpected();
      }
      advance();
      if (token_.is("(")) {
        if (const Result result = group(); result != Result::kTaken) {
          return result;
        }
      }
    }
    return Result::kTaken;
  }

  // From "{" to its "}".
  Result selection_set() {
    size_t depth = 0;
    bool may_open = true;  // a "{" belongs to what stands before it
    bool empty = false;
    do {
      if (token_.is("{")) {
        if (!may_open || ++depth > kDeepest) {
          return Result::kInvalid;
        }
        may_open = false;
        empty = true;
        advance();
      } else if (token_.is("}")) {
        if (empty) {
          return Result::kInvalid;
        }
        --depth;
        may_open = false;
        advance();
      } else {
        if (const Result result = selection(); result != Result::kTaken) {
          return result;
        }
        may_open = true;
        empty = false;
      }
    } while (depth != 0);
    return Result::kTaken;
  }

  // A field, or a fragment, without its selection set.
  Result selection() {
    if (token_.is("...")) {
      advance();
      if (token_.kind == Token::Kind::kName) {
        const bool type = token_.text == "on";
        advance();
        if (type) {
          if (token_.kind != Token::Kind::kName) {
            return unexpected();
          }
          advance();
        }
      }
      return directives();
    }
    if (token_.kind != Token::Kind::kName) {
      return unexpected();
    }
    advance();
    if (token_.is(":")) {
      advance();
      if (token_.kind != Token::Kind::kName) {
        return unexpected();
      }
      advance();
    }
    if (token_.is("(")) {
      if (const Result result = group(); result != Result::kTaken) {
        return result;
      }
    }
    return directives();
  }

  Lexer lexer_;
  Token token_;
  GraphqlDocument& document_;
};

}  // namespace

GraphqlDocument read_graphql(std::string_view text, bool cut) {
  GraphqlDocument document;
  bool whole = false;
  const bool executable = Reader(text, cut, document).read(whole);
  document.valid = executable && (cut || whole) && document.count > 0 &&
                   document.count <= GraphqlDocument::kMost;
  document.whole = !cut && whole;
  return document;
}

}  // namespace zerospan::spans
