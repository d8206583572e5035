// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sql/statement.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "agent/sql/tokens.h"
#include "agent/sql/words.h"

namespace zerospan::sql {
namespace {

constexpr size_t kMaxSummaryBytes = 255;  // as the convention asks

// Follows which words are operations, and which names are what they work on.
class Summary {
 public:
  explicit Summary(Statement& out) : out_(out) {}

  // Tells the word's class, which the text needs as well.
  Word on_word(std::string_view text, bool operator_before) {
    // Part of a name, or @variable, :parameter, %s, is no word of SQL's.
    const Word word =
        operator_before || before_.dot || !may_be_known(text) ? Word::kOther : classify(text);
    if (word == Word::kOther && begun_ && wanted_ == Wanted::kNothing) {
      plain();  // nothing is being read: the usual name
      return word;
    }
    if (!begun_) {
      begin_statement(text, word);
    } else {
      go_on(text, word);
    }
    before_ = {.word = word};
    return word;
  }

  void on_name(std::string_view text) {
    if (begun_ && !before_.dot) {
      end_target();
    }
    if (wanted_ != Wanted::kNothing && begun_) {
      take_name(text);
    }
    plain();
  }

  void on_dot() { before_.dot = true; }

  void on_open() {
    // A name with values behind it is a function's, but for what is defined, or filled.
    if (!target_.empty() && in_from_target_) {
      target_ = {};
    }
    end_target();
    wanted_ = Wanted::kNothing;
    if (depth_ + 1 < kMaxDepth) {
      levels_[depth_ + 1] = {};
    }
    ++depth_;
    plain();
    before_.open = true;
  }

  void on_close() {
    end_target();
    if (depth_ > 0) {
      --depth_;
    }
    wanted_ = Wanted::kNothing;
    plain();
    before_.close = true;
  }

  void on_comma() {
    end_target();
    wanted_ = level().from_list ? Wanted::kFromTarget : Wanted::kNothing;
    plain();
  }

  void on_other() {
    if (wanted_ != Wanted::kNothing) {
      end_target();
      wanted_ = Wanted::kNothing;
    }
    plain();
  }

  void on_semicolon() {
    end_target();
    depth_ = 0;
    levels_[0] = {};
    begun_ = false;
    wanted_ = Wanted::kNothing;
    first_ = Word::kOther;
    plain();
  }

  void finish() {
    end_target();
    if (out_.statements != 1 || operations_ != 1) {
      out_.operation.clear();
    }
    if (out_.statements != 1 || operations_ != 1 || targets_ != 1) {
      out_.collection.clear();
    }
  }

 private:
  static constexpr size_t kMaxDepth = 64;
  enum class Wanted : uint8_t { kNothing, kTarget, kFromTarget, kKind };
  // The token before this one; four bytes that are set at once.
  struct Before {
    Word word = Word::kOther;
    bool dot = false;
    bool open = false;
    bool close = false;
  };
  struct Level {
    bool operation = false;  // FROM belongs to a query, not to a function's arguments
    bool from_list = false;
  };

  Level& level() { return levels_[std::min(depth_, kMaxDepth - 1)]; }

  void plain() { before_ = {}; }

  void append(std::string_view text) {
    if (full_) {
      return;
    }
    const size_t space = out_.summary.empty() ? 0 : 1;
    if (out_.summary.size() + space + text.size() > kMaxSummaryBytes) {
      full_ = true;
      return;
    }
    if (space != 0) {
      out_.summary.push_back(' ');
    }
    out_.summary.append(text);
  }

  void operation(std::string_view text) {
    append(text);
    if (++operations_ == 1) {
      out_.operation.assign(text);
    }
    level().operation = true;
    level().from_list = false;
    wanted_ = Wanted::kNothing;
  }

  void begin_statement(std::string_view text, Word word) {
    ++out_.statements;
    begun_ = true;
    first_ = word;
    if (word == Word::kWith) {
      return;
    }
    operation(text);
    want_after(word);
  }

  void want_after(Word operation) {
    if (operation == Word::kUpdate || operation == Word::kOnObject || operation == Word::kCopy) {
      wanted_ = Wanted::kTarget;
    } else if (operation == Word::kDefine) {
      wanted_ = Wanted::kKind;
    }
  }

  // Where a statement may stand in another one.
  [[nodiscard]] bool may_begin_operation() const {
    return before_.open || before_.word == Word::kExplain ||
           (before_.word == Word::kAs && first_ != Word::kSelect) ||
           (before_.close && (first_ == Word::kWith || first_ == Word::kExplain)) ||
           (first_ == Word::kExplain &&
            (before_.word == Word::kModifier || before_.word == Word::kOnObject));
  }

  void go_on(std::string_view text, Word word) {
    if (before_.dot) {
      if (wanted_ != Wanted::kNothing) {
        take_name(text);
      }
      return;
    }
    switch (word) {
      case Word::kSelect:
        end_target();
        operation(text);
        return;
      case Word::kChange:
      case Word::kUpdate:
        if (may_begin_operation()) {
          end_target();
          operation(text);
          want_after(word);
          return;
        }
        break;
      case Word::kFrom:
        end_target();
        if (level().operation && first_ != Word::kCopy && before_.word != Word::kDistinct) {
          wanted_ = Wanted::kFromTarget;
          level().from_list = true;
        } else if (before_.word == Word::kDistinct) {
          wanted_ = Wanted::kNothing;
        }
        return;
      case Word::kTarget:
        end_target();
        wanted_ = Wanted::kTarget;
        // A list goes on behind a join, and what is joined may be a function.
        if (level().from_list) {
          wanted_ = Wanted::kFromTarget;
        }
        return;
      case Word::kEndOfFrom:
        end_target();
        level().from_list = false;
        wanted_ = Wanted::kNothing;
        return;
      case Word::kKind:
        if (wanted_ == Wanted::kKind) {
          extend_operation(text);
          wanted_ = Wanted::kTarget;
          return;
        }
        if (wanted_ == Wanted::kTarget && target_.empty() && before_.word == Word::kOnObject) {
          return;  // TRUNCATE TABLE
        }
        break;
      case Word::kModifier:
        if (wanted_ != Wanted::kNothing && target_.empty()) {
          return;
        }
        break;
      case Word::kOnObject:
        if (wanted_ == Wanted::kTarget && target_.empty()) {
          return;  // VACUUM ANALYZE
        }
        break;
      default:
        break;
    }
    end_target();
    if (wanted_ != Wanted::kNothing) {
      take_name(text);
    }
  }

  // CREATE INDEX names the index and then its table.
  void extend_operation(std::string_view kind) {
    append(kind);
    if (operations_ == 1) {
      out_.operation.append(" ").append(kind);
    }
  }

  // A part of the name that is being read, or its first.
  void take_name(std::string_view text) {
    if (wanted_ == Wanted::kKind) {
      wanted_ = Wanted::kNothing;  // an object of a kind that is not followed
      return;
    }
    if (before_.dot && !target_.empty()) {
      const char* const end = text.data() + text.size();
      // Only what is written without a gap is one word of the text.
      target_ = target_.data() + target_.size() + 1 == text.data()
                    ? std::string_view(target_.data(), static_cast<size_t>(end - target_.data()))
                    : std::string_view{};
      return;
    }
    if (!target_.empty()) {
      return;
    }
    target_ = text;
    in_from_target_ = wanted_ == Wanted::kFromTarget;
  }

  void end_target() {
    if (!target_.empty()) {
      tell_target();
    }
  }
  [[gnu::noinline]] void tell_target() {
    const std::string_view target = target_;
    target_ = {};
    wanted_ = Wanted::kNothing;
    append(target);
    if (++targets_ == 1) {
      out_.collection.assign(target);
    }
  }

  Statement& out_;
  std::array<Level, kMaxDepth> levels_{};
  size_t depth_ = 0;
  size_t operations_ = 0;
  size_t targets_ = 0;
  std::string_view target_;  // being read
  Word first_ = Word::kOther;
  Before before_;
  Wanted wanted_ = Wanted::kNothing;
  bool in_from_target_ = false;
  bool begun_ = false;
  bool full_ = false;
};

// Writes the text, and makes one value of a list behind IN. What stays as it was is copied in runs.
class Text {
 public:
  Text(Statement& out, size_t room, size_t limit) : out_(out.text), limit_(limit), left_(limit) {
    out_.resize(room);
    at_ = out_.data();
  }

  // False: the limit is reached, and nothing was written. `token` stays valid until finish().
  [[gnu::always_inline]] bool put(std::string_view token) {
    // Is there in the source between the run and the token what will be between them in the text?
    const size_t between = space_ ? 1 : 0;
    if (run_end_ + between == token.data() && (!space_ || *run_end_ == ' ')) {
      const size_t more = token.size() + between;
      if (more > left_) {
        return false;
      }
      left_ -= more;
      run_end_ += more;
      space_ = false;
      return true;
    }
    return put_apart(token);
  }
  void space() { space_ = true; }
  void no_space() { space_ = false; }

  void begin_list() {
    flush();
    list_ = at_ - out_.data();
    commas_ = 0;
  }
  void in_list(bool value, bool comma) {
    list_ = value ? list_ : -1;
    commas_ += comma ? 1 : 0;
  }
  // At the list's closing parenthesis, before it is written.
  void end_list() {
    if (list_ >= 0 && commas_ != 0) {
      flush();
      at_ = out_.data() + list_;
      *at_++ = '?';
      left_ = limit_ - static_cast<size_t>(at_ - out_.data());
      space_ = false;
    }
    list_ = -1;
  }
  [[nodiscard]] bool has_list() const { return list_ >= 0; }

  void finish() {
    flush();
    out_.resize(static_cast<size_t>(at_ - out_.data()));
  }

 private:
  bool put_apart(std::string_view token) {
    const bool space = space_ && left_ != limit_;
    const size_t more = token.size() + (space ? 1 : 0);
    if (more > left_) {
      return false;
    }
    left_ -= more;
    flush();
    if (space) {
      *at_++ = ' ';
    }
    run_ = token.data();
    run_end_ = run_ + token.size();
    space_ = false;
    return true;
  }
  void flush() {
    const auto size = static_cast<size_t>(run_end_ - run_);
    if (size != 0) {
      std::memcpy(at_, run_, size);
      at_ += size;
    }
    run_ = run_end_ = kNoRun;
  }

  std::string& out_;
  char* at_ = nullptr;
  size_t limit_;
  size_t left_;                          // of it
  static constexpr char kNoRun[2] = {};  // in nobody's text
  const char* run_ = kNoRun;             // to be copied
  const char* run_end_ = kNoRun;
  ptrdiff_t list_ = -1;  // where the list's first value begins in the text
  size_t commas_ = 0;    // in it
  bool space_ = false;
};

bool is_value_operator(char c) {
  return c == '-' || c == '+' || c == '?' || c == '%' || c == ':' || c == '@';
}

}  // namespace

void Statement::clear() {
  text.clear();
  summary.clear();
  operation.clear();
  collection.clear();
  statements = 0;
  cut = false;
}

void describe(std::string_view text, const Dialect& dialect, bool cut, const Limits& limits,
              Statement& out) {
  out.clear();
  out.cut = cut;
  // Nothing gets longer but for a space behind each semicolon.
  size_t semicolons = 0;
  for (size_t at = text.find(';'); at != std::string_view::npos; at = text.find(';', at + 1)) {
    ++semicolons;
  }
  Text written(out, text.size() + semicolons + 1, limits.max_text_bytes);
  Summary summary(out);
  Tokens tokens(text, dialect);
  const char* const end = text.data() + text.size();
  Word previous = Word::kOther;
  Word before_previous = Word::kOther;
  bool operator_before = false;
  std::string_view semicolon;  // the last one is shown only if something follows
  for (;;) {
    const Token token = tokens.next();
    if (token.kind == TokenKind::kEnd) {
      break;
    }
    if (token.space_before) {
      written.space();
      operator_before = false;
    }
    if (token.kind == TokenKind::kSpace || token.kind == TokenKind::kComment) {
      written.space();
      operator_before = false;
      continue;
    }
    if (cut && token.text.data() + token.text.size() == end) {
      break;
    }
    if (!semicolon.empty()) {
      written.no_space();
      const bool fits = written.put(semicolon);
      semicolon = {};
      if (!fits) {
        out.cut = true;
        break;
      }
      written.space();
    }
    std::string_view shown = token.text;
    Word word = Word::kOther;
    bool value = false;
    // By how often they come; a jump through a table would be mispredicted each other time.
    if (token.kind == TokenKind::kWord) {
      word = summary.on_word(token.text, operator_before);
      value = operator_before;  // %s, :name, @name
      if (word == Word::kBoolean) {
        // IS TRUE is an operator.
        if (previous != Word::kIs &&
            !(previous == Word::kModifier && before_previous == Word::kIs)) {
          shown = "?";
        }
        value = true;
      }
      operator_before = false;
    } else if (token.kind == TokenKind::kDot) {
      summary.on_dot();
      operator_before = false;
    } else if (token.kind == TokenKind::kOperator) {
      summary.on_other();
      value = is_value_operator(token.text[0]);
      operator_before = token.text[0] == '@' || token.text[0] == ':' || token.text[0] == '%';
    } else {
      switch (token.kind) {
        case TokenKind::kLiteral:
          shown = "?";
          [[fallthrough]];
        case TokenKind::kParameter:
          summary.on_other();
          value = true;
          break;
        case TokenKind::kQuotedName:
          summary.on_name(token.text);
          break;
        case TokenKind::kOpen:
          summary.on_open();
          break;
        case TokenKind::kClose:
          summary.on_close();
          written.end_list();
          break;
        case TokenKind::kComma:
          summary.on_comma();
          value = true;
          break;
        default:  // kSemicolon
          summary.on_semicolon();
          semicolon = token.text;
          previous = Word::kOther;
          continue;
      }
      operator_before = false;
    }
    if (written.has_list()) {
      written.in_list(value, token.kind == TokenKind::kComma);
    }
    if (!written.put(shown)) {
      out.cut = true;
      break;
    }
    if (token.kind == TokenKind::kOpen && previous == Word::kIn) {
      written.begin_list();
    }
    before_previous = previous;
    previous = word;
  }
  written.finish();
  summary.finish();
}

WithoutRows without_rows(std::string_view text) {
  constexpr std::string_view kInsert = "insert";
  constexpr std::string_view kValues = "values";
  constexpr std::string_view kFormat = "format";
  constexpr std::string_view kSelect = "select";
  constexpr std::string_view kInto = "into";
  constexpr std::string_view kTable = "table";
  const auto is = [](std::string_view word, std::string_view known) {
    return std::equal(word.begin(), word.end(), known.begin(), known.end(),
                      [](char c, char lower) { return (c | 0x20) == lower; });
  };
  WithoutRows out{.statement = text};
  Tokens tokens(text, kClickhouse);
  size_t depth = 0;
  bool select = false;
  bool format = false;
  bool name_next = false;  // what follows may be a table that is called like one of the words
  for (Token token = tokens.next(); token.kind != TokenKind::kEnd; token = tokens.next()) {
    const bool word = token.kind == TokenKind::kWord;
    // A column may have either name, a format's name follows its word at once.
    const bool rows = (format && (word || token.kind == TokenKind::kQuotedName)) ||
                      (word && depth == 0 && !select && is(token.text, kValues));
    if (rows && out.fills) {
      out.rows_next = format || !name_next;
      const char* const end = token.text.data() + token.text.size();
      out.statement = text.substr(0, static_cast<size_t>(end - text.data()));
      return out;
    }
    if (token.kind == TokenKind::kOpen) {
      ++depth;
    } else if (token.kind == TokenKind::kClose && depth != 0) {
      --depth;
    } else if (word) {
      out.fills = out.fills || is(token.text, kInsert);
      select = select || (depth == 0 && is(token.text, kSelect));
    }
    if (token.kind != TokenKind::kComment) {
      format = word && is(token.text, kFormat);
      name_next = token.kind == TokenKind::kDot ||
                  (word && (is(token.text, kInto) || is(token.text, kTable)));
    }
  }
  return out;
}

CommentedContext find_context(std::string_view text, const Dialect& dialect) {
  constexpr std::string_view kKey = "traceparent='";
  CommentedContext found;
  if (text.find(kKey) == std::string_view::npos) {
    return found;
  }
  const auto value_of = [](std::string_view comment, std::string_view key) {
    const size_t at = comment.find(key);
    if (at == std::string_view::npos) {
      return std::string_view{};
    }
    const std::string_view rest = comment.substr(at + key.size());
    const size_t close = rest.find('\'');
    return close == std::string_view::npos ? std::string_view{} : rest.substr(0, close);
  };
  Tokens tokens(text, dialect);
  for (Token token = tokens.next(); token.kind != TokenKind::kEnd; token = tokens.next()) {
    if (token.kind == TokenKind::kComment && token.text.starts_with("/*")) {
      if (const std::string_view parent = value_of(token.text, kKey); !parent.empty()) {
        found = {parent, value_of(token.text, "tracestate='")};
      }
    }
  }
  return found;
}

}  // namespace zerospan::sql
