// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/value.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

namespace zerospan::config {

namespace {

constexpr size_t kMaxBytes = 1U << 20U;
constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxNodes = 20'000;
constexpr size_t kMaxShown = 60;

// Thrown inside yaml-cpp's parser, caught in read_yaml.
struct Refusal {
  Mark mark;
  std::string message;
};

Mark mark_of(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxShown)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return out + (text.size() > kMaxShown ? "...\"" : "\"");
}

// Builds the tree from the parser's events. The open containers are a stack of values; a map waits
// in `has_key_` for a key or for the value of its last key.
class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, "", anchor, Value::Kind::kNull, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw Refusal{mark_of(mark), "an alias (*name) is not allowed here; write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const bool null = tag == "?" && (text.empty() || text == "~" || text == "null");
    add(mark, tag, anchor, null ? Value::Kind::kNull : Value::Kind::kScalar, text);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Value::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Value::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

  [[nodiscard]] Value take() { return std::move(root_); }

 private:
  static void refuse_extras(Mark mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      throw Refusal{mark, "an anchor (&name) is not allowed here; write the value out"};
    }
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw Refusal{mark, "a tag (" + shown(tag) + ") is not allowed here"};
    }
  }

  [[nodiscard]] bool wants_key() const {
    return !stack_.empty() && stack_.back().kind == Value::Kind::kMap &&
           stack_.back().keys.size() == stack_.back().items.size();
  }

  void count(Mark mark) {
    if (++nodes_ > kMaxNodes) {
      throw Refusal{mark, fmt::format("there are more than {} values in this file", kMaxNodes)};
    }
  }

  void add(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor, Value::Kind kind,
           const std::string& text) {
    const Mark mark = mark_of(at);
    refuse_extras(mark, tag, anchor);
    count(mark);
    if (wants_key()) {
      add_key(mark, kind == Value::Kind::kNull ? std::string() : text);
      return;
    }
    Value value;
    value.kind = kind;
    value.mark = mark;
    if (kind == Value::Kind::kScalar) {
      value.scalar = text;
    }
    place(std::move(value));
  }

  void add_key(Mark mark, const std::string& key) {
    Value& map = stack_.back();
    const auto same = std::find(map.keys.begin(), map.keys.end(), key);
    if (same != map.keys.end()) {
      const Mark first = map.key_marks[static_cast<size_t>(same - map.keys.begin())];
      throw Refusal{mark, fmt::format("the key {} is here twice; it stands in line {} already",
                                      shown(key), first.line)};
    }
    map.keys.push_back(key);
    map.key_marks.push_back(mark);
  }

  void open(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor, Value::Kind kind) {
    const Mark mark = mark_of(at);
    refuse_extras(mark, tag, anchor);
    count(mark);
    if (wants_key()) {
      throw Refusal{mark, "a list or a map cannot be a key"};
    }
    if (stack_.size() >= kMaxDepth) {
      throw Refusal{mark, fmt::format("values are nested more than {} levels deep", kMaxDepth)};
    }
    Value value;
    value.kind = kind;
    value.mark = mark;
    stack_.push_back(std::move(value));
  }

  void close() {
    Value value = std::move(stack_.back());
    stack_.pop_back();
    place(std::move(value));
  }

  void place(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else {
      stack_.back().items.push_back(std::move(value));
    }
  }

  Value root_;
  std::vector<Value> stack_;
  size_t nodes_ = 0;
};

tl::unexpected<Error> refused(const std::string& name, Mark mark, const std::string& message) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}:{}:{}: {}.", name, mark.line, mark.column, message));
}

}  // namespace

std::string describe(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return "nothing";
    case Value::Kind::kScalar:
      return shown(value.scalar);
    case Value::Kind::kList:
      return "a list";
    case Value::Kind::kMap:
      return "a map";
  }
  return "nothing";
}

Result<Value> read_yaml(const std::string& text, const std::string& name) {
  if (text.size() > kMaxBytes) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: the file has {} bytes; at most {} are read. Is it a config file?",
                            name, text.size(), kMaxBytes));
  }
  TreeBuilder builder;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      return Value{};
    }
    TreeBuilder rest;
    if (parser.HandleNextDocument(rest)) {
      return fail(ErrorCode::kInvalidArgument,
                  name + ": there is more than one YAML document in this file; expected one.");
    }
  } catch (const Refusal& refusal) {
    return refused(name, refusal.mark, refusal.message);
  } catch (const YAML::Exception& error) {
    return refused(name, mark_of(error.mark), "this is not valid YAML: " + error.msg);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument, name + ": cannot be read as YAML: " + error.what());
  }
  Value root = builder.take();
  if (root.kind != Value::Kind::kMap && root.kind != Value::Kind::kNull) {
    return refused(name, root.mark,
                   "found " + describe(root) + ", expected a map such as \"selection:\"");
  }
  return root;
}

}  // namespace zerospan::config
