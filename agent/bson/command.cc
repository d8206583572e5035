// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/bson/command.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "agent/bson/element.h"

namespace zerospan::bson {
namespace {

constexpr auto kForCollections = std::to_array<std::string_view>({"aggregate",
                                                                  "collMod",
                                                                  "collStats",
                                                                  "collstats",
                                                                  "compact",
                                                                  "convertToCapped",
                                                                  "count",
                                                                  "create",
                                                                  "createIndexes",
                                                                  "createSearchIndexes",
                                                                  "delete",
                                                                  "deleteIndexes",
                                                                  "distinct",
                                                                  "drop",
                                                                  "dropIndexes",
                                                                  "dropSearchIndex",
                                                                  "find",
                                                                  "findAndModify",
                                                                  "findandmodify",
                                                                  "insert",
                                                                  "killCursors",
                                                                  "listIndexes",
                                                                  "listSearchIndexes",
                                                                  "mapReduce",
                                                                  "mapreduce",
                                                                  "planCacheClear",
                                                                  "reIndex",
                                                                  "update",
                                                                  "updateSearchIndex",
                                                                  "validate"});
constexpr auto kSecret = std::to_array<std::string_view>(
    {"authenticate", "copydb", "copydbgetnonce", "copydbsaslstart", "createUser", "getnonce",
     "saslContinue", "saslStart", "updateUser"});
constexpr auto kDriversOwn =
    std::to_array<std::string_view>({"$clusterTime", "$db", "$readPreference", "apiVersion",
                                     "autocommit", "lsid", "startTransaction", "txnNumber"});

constexpr int kDeepest = 32;

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Writer {
 public:
  Writer(std::string_view bytes, std::string_view collection, bool raw, size_t max_bytes,
         std::string& out)
      : bytes_(bytes), collection_(collection), raw_(raw), max_bytes_(max_bytes), out_(out) {}

  void write_sections(bool cut) {
    put("{");
    bool first = true;
    bool whole = true;
    for (uint64_t at = 0; whole && at < bytes_.size();) {
      const char kind = bytes_[at++];
      if (kind == 0) {
        // Its length may be more than there is of it.
        whole = write_elements(at, UINT64_MAX, 0, first);
      } else if (kind == 1) {
        whole = write_sequence(at, first);
      } else {
        whole = false;
      }
    }
    if (whole && !cut) {
      put("}");
    }
  }

 private:
  // False: the rest is out of reach.
  bool put(std::string_view text) {
    if (text.size() > max_bytes_ - std::min(max_bytes_, out_.size())) {
      full_ = true;
    }
    if (!full_) {
      out_.append(text);
    }
    return !full_;
  }

  bool put_quoted(std::string_view text) {
    put("\"");
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      if (c == '"' || c == '\\') {
        const char escaped[] = {'\\', c};
        put({escaped, 2});
      } else if (byte < ' ') {
        constexpr std::string_view kHex = "0123456789abcdef";
        const char escaped[] = {'\\', 'u', '0', '0', kHex[byte >> 4U], kHex[byte & 15U]};
        put({escaped, 6});
      } else {
        put({&c, 1});
      }
      if (full_) {
        return false;
      }
    }
    return put("\"");
  }

  template <typename Number>
  bool put_number(Number value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value);
    return put({digits, static_cast<size_t>(end.ptr - digits)});
  }

  [[nodiscard]] std::string_view from(uint64_t at) const {
    return at < bytes_.size() ? bytes_.substr(at) : std::string_view();
  }
  [[nodiscard]] auto source() const {
    return [this](uint64_t at) { return from(at); };
  }

  // The elements of the document at `at`, without braces; `at` is set to behind it. `first`:
  // nothing was written in front of them.
  bool write_elements(uint64_t& at, uint64_t limit, int depth, bool& first) {
    uint64_t end = 0;
    if (begin_document(source(), limit, at, end) != Step::kElement) {
      return false;
    }
    Element element;
    for (size_t index = 0;; ++index) {
      const Step step = next_element(source(), end, at, element);
      if (step == Step::kEnd) {
        at = end + 1;
        return true;
      }
      // Of the last one the name may be there, and its value's length.
      if (step != Step::kElement) {
        return false;
      }
      if (depth == 0 && contains(kDriversOwn, element.name)) {
        continue;
      }
      put(first ? "" : ", ");
      first = false;
      put_quoted(element.name);
      put(": ");
      const bool name = depth == 0 && !collection_.empty() && element.type == kString &&
                        (index == 0 || element.name == "collection");
      if (name && from(element.value_at).size() < element.value_size) {
        return false;
      }
      if (name && string_value(element, from(element.value_at)) == collection_
              ? !put_quoted(collection_)
              : !write_value(element, depth)) {
        return false;
      }
    }
  }

  // A section of documents, which stand for an element of the command.
  bool write_sequence(uint64_t& at, bool& first) {
    uint64_t length = 0;
    if (read_length(source(), at, UINT64_MAX, 5, length) != Step::kElement) {
      return false;
    }
    const uint64_t end = at + length;
    at += sizeof(int32_t);
    const std::string_view bytes = from(at);
    const uint64_t name = c_string_size(bytes);
    if (name == 0 || name > end - at) {
      return false;
    }
    put(first ? "" : ", ");
    first = false;
    put_quoted(bytes.substr(0, name - 1));
    put(": [");
    at += name;
    Repeated repeated;
    while (at < end) {
      begin_item(repeated);
      if (!write_document(at, end, 1)) {
        return leave_item(repeated);
      }
      end_item(repeated);
    }
    return put("]");
  }

  // Elements of an array, of which those are dropped that look like the one before.
  struct Repeated {
    size_t before = 0;  // where the one before begins; 0: there is none
    size_t begin = 0;
    size_t text = 0;
  };
  void begin_item(Repeated& r) {
    r.begin = out_.size();
    put(r.before == 0 ? "" : ", ");
    r.text = out_.size();
  }
  void end_item(Repeated& r) {
    const std::string_view text = std::string_view(out_).substr(r.text);
    if (!raw_ && r.before != 0 &&
        text == std::string_view(out_).substr(r.before, r.begin - r.before)) {
      out_.resize(r.begin);
    } else {
      r.before = r.text;
    }
  }

  // Of one that is cut it may not be known whether it looks like the one before.
  bool leave_item(const Repeated& r) {
    const std::string_view out = out_;
    if (r.before != 0 && out.substr(r.before, r.begin - r.before).starts_with(out.substr(r.text))) {
      out_.resize(r.begin);
    }
    return false;
  }

  bool write_document(uint64_t& at, uint64_t limit, int depth) {
    bool first = true;
    return put("{") && write_elements(at, limit, depth, first) && put("}");
  }

  bool write_array(uint64_t at, uint64_t limit, int depth) {
    uint64_t end = 0;
    if (begin_document(source(), limit, at, end) != Step::kElement) {
      return false;
    }
    put("[");
    Element element;
    Repeated repeated;
    for (;;) {
      const Step step = next_element(source(), end, at, element);
      if (step == Step::kEnd) {
        return put("]");
      }
      if (step != Step::kElement) {
        return false;
      }
      begin_item(repeated);
      if (!write_value(element, depth)) {
        return leave_item(repeated);
      }
      end_item(repeated);
    }
  }

  bool write_value(const Element& element, int depth) {
    uint64_t at = element.value_at;
    if (depth < kDeepest && element.type == kDocument) {
      return write_document(at, at + element.value_size, depth + 1);
    }
    if (depth < kDeepest && element.type == kArray) {
      return write_array(at, at + element.value_size, depth + 1);
    }
    const std::string_view value = from(at);
    if (!raw_ || value.size() < element.value_size) {
      return put("\"?\"");
    }
    switch (element.type) {
      case kString:
        return put_quoted(string_value(element, value));
      case kInt32:
        return put_number(read_number<int32_t>(value));
      case kInt64:
        return put_number(read_number<int64_t>(value));
      case kDouble:
        return put_number(read_number<double>(value));
      case kBoolean:
        return put(value[0] != 0 ? "true" : "false");
      case kNull:
        return put("null");
      case kDate:
        return put("{\"$date\": ") && put_number(read_number<int64_t>(value)) && put("}");
      case kObjectId: {
        put("{\"$oid\": \"");
        for (size_t i = 0; i < element.value_size; ++i) {
          constexpr std::string_view kHex = "0123456789abcdef";
          const auto byte = static_cast<uint8_t>(value[i]);
          const char digits[] = {kHex[byte >> 4U], kHex[byte & 15U]};
          put({digits, 2});
        }
        return put("\"}");
      }
      default:
        return put("\"?\"");
    }
  }

  std::string_view bytes_;
  std::string_view collection_;
  bool raw_;
  size_t max_bytes_;
  std::string& out_;
  bool full_ = false;
};

}  // namespace

bool is_for_collection(std::string_view command) {
  return contains(kForCollections, command);
}

bool is_secret(std::string_view command) {
  return contains(kSecret, command);
}

void describe(std::string_view sections, bool cut, std::string_view collection, bool raw,
              size_t max_bytes, std::string& out) {
  out.clear();
  Writer(sections, collection, raw, max_bytes, out).write_sections(cut);
}

}  // namespace zerospan::bson
