// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/dwarf/fields.h"

#include <algorithm>
#include <string>

#include "symbols/dwarf/abbreviations.h"
#include "symbols/dwarf/constants.h"
#include "symbols/dwarf/reader.h"
#include "symbols/dwarf/unit.h"
#include "symbols/elf/cursor.h"
#include "symbols/elf/section_stream.h"
#include "symbols/elf/string_search.h"

namespace zerospan::symbols::dwarf {
namespace {

using Offsets = std::vector<std::optional<uint64_t>>;

constexpr uint64_t kMaxInfoBytes = uint64_t{1} << 30U;
constexpr uint64_t kMaxAbbreviationBytes = 32 * 1024 * 1024;
constexpr uint64_t kMaxStringOffsetBytes = 256 * 1024 * 1024;
constexpr size_t kMaxAbbreviationWork = 32'000'000;
// Values may have no bytes, so that the size of .debug_info alone does not bound their number.
constexpr uint64_t kMaxAttributeWork = 1'000'000'000;
constexpr size_t kMaxDepth = 64;  // of scopes that are told apart; deeper ones have no name here

// The parts of names, each once, so that a name in the file becomes a small number: its index.
class Names {
 public:
  static constexpr size_t kNone = SIZE_MAX;

  size_t add(std::string_view text) {
    const size_t index = find(text);
    if (index != kNone) {
      return index;
    }
    texts_.push_back(text);
    return texts_.size() - 1;
  }
  [[nodiscard]] size_t find(std::string_view text) const {
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (texts_[i] == text) {
        return i;
      }
    }
    return kNone;
  }
  [[nodiscard]] std::span<const std::string_view> texts() const { return texts_; }

 private:
  std::vector<std::string_view> texts_;
};

struct Wanted {
  std::vector<size_t> scopes;  // the type's own name is the last
  size_t field = Names::kNone;
};

// What the walk needs of one entry.
struct Entry {
  uint16_t tag = 0;
  bool has_children = false;
  bool declaration = false;
  size_t name = Names::kNone;
  std::optional<uint64_t> member_offset;
  uint64_t sibling = 0;  // position; 0 is none
};

class Walk {
 public:
  Walk(Reader reader, std::vector<std::byte> abbreviations, std::span<const FieldName> fields,
       std::string_view unit)
      : reader_(std::move(reader)),
        abbreviations_(std::move(abbreviations)),
        unit_name_(unit),
        found_(fields.size()),
        left_(fields.size()) {
    for (const FieldName& field : fields) {
      Wanted wanted;
      std::string_view rest = field.type;
      for (size_t at = rest.find("::"); at != std::string_view::npos; at = rest.find("::")) {
        wanted.scopes.push_back(names_.add(rest.substr(0, at)));
        rest.remove_prefix(at + 2);
      }
      wanted.scopes.push_back(names_.add(rest));
      wanted.field = names_.add(field.field);
      wanted_.push_back(std::move(wanted));
    }
    if (!unit.empty()) {
      unit_index_ = names_.add(unit);
    }
  }

  Status find_strings(const elf::File& file);
  Result<Offsets> run();

 private:
  [[nodiscard]] Result<std::optional<elf::StringOffsets>> find_names(const elf::File& file,
                                                                     std::string_view table) const;
  Status walk_unit(UnitHeader unit);
  Entry read_entry(const UnitHeader& unit, const Abbreviation& abbreviation);
  void read_first_entry(UnitHeader& unit, const Abbreviation& abbreviation, Entry& entry);
  [[nodiscard]] size_t name_of(const UnitHeader& unit, const Value& value) const;
  [[nodiscard]] bool in_type(const Wanted& wanted) const;
  void take_member(const Entry& entry);

  Reader reader_;
  std::vector<std::byte> abbreviations_;
  std::vector<std::byte> string_offsets_;
  std::optional<elf::StringOffsets> strings_;       // .debug_str
  std::optional<elf::StringOffsets> line_strings_;  // .debug_line_str: names of units
  Names names_;
  std::vector<Wanted> wanted_;
  std::string_view unit_name_;
  size_t unit_index_ = Names::kNone;
  Offsets found_;
  size_t left_;
  std::vector<size_t> scopes_;  // names of the open namespaces and types around the next entry
  std::vector<bool> is_type_;   // which of them are types
  std::optional<AbbreviationTable> table_;
  uint64_t table_offset_ = 0;
  size_t abbreviation_work_ = kMaxAbbreviationWork;
  uint64_t attribute_work_ = 0;
};

Result<std::optional<elf::StringOffsets>> Walk::find_names(const elf::File& file,
                                                           std::string_view table) const {
  const elf::Section* section = elf::debug_section(file, table);
  if (section == nullptr) {
    return std::nullopt;
  }
  auto stream = elf::SectionStream::open(file, *section);
  if (!stream) {
    return tl::unexpected(stream.error());
  }
  if (stream->size() > kMaxInfoBytes) {
    return fail(ErrorCode::kMalformed, "Section " + section->name + " is larger than is believed.");
  }
  auto found = elf::StringOffsets::find([&](std::span<std::byte> out) { return stream->read(out); },
                                        names_.texts());
  if (!found) {
    return tl::unexpected(found.error());
  }
  return std::move(*found);
}

Status Walk::find_strings(const elf::File& file) {
  auto strings = find_names(file, "str");
  if (!strings) {
    return tl::unexpected(strings.error());
  }
  strings_ = std::move(*strings);
  auto line_strings = find_names(file, "line_str");
  if (!line_strings) {
    return tl::unexpected(line_strings.error());
  }
  line_strings_ = std::move(*line_strings);
  if (const elf::Section* section = elf::debug_section(file, "str_offsets")) {
    auto bytes = elf::read_section(file, *section, kMaxStringOffsetBytes);
    if (!bytes) {
      return tl::unexpected(bytes.error());
    }
    string_offsets_ = std::move(*bytes);
  }
  return {};
}

Result<Offsets> Walk::run() {
  while (left_ > 0 && reader_.position() < reader_.size()) {
    const std::optional<UnitHeader> unit = read_unit_header(reader_);
    if (!unit) {
      return fail(ErrorCode::kMalformed, "A unit of .debug_info has a broken header.");
    }
    if (unit->version != 0) {
      if (const Status status = walk_unit(*unit); !status) {
        return tl::unexpected(status.error());
      }
    }
    reader_.skip(unit->end - reader_.position());
    if (reader_.failed()) {
      return fail(ErrorCode::kMalformed, "The entries of .debug_info cannot be read.");
    }
  }
  return std::move(found_);
}

Status Walk::walk_unit(UnitHeader unit) {
  if (!table_ || table_offset_ != unit.abbreviations) {
    auto table = AbbreviationTable::parse(abbreviations_, unit.abbreviations, abbreviation_work_);
    if (!table) {
      return tl::unexpected(table.error());
    }
    table_ = std::move(*table);
    table_offset_ = unit.abbreviations;
  }
  scopes_.clear();
  is_type_.clear();
  size_t depth = 0;
  // How deep the entries around the next one are that opened no scope (functions, for one): types
  // inside them are not what a name at file level means.
  size_t hidden = 0;
  bool first = true;
  while (left_ > 0 && reader_.position() < unit.end && !reader_.failed()) {
    const uint64_t code = reader_.uleb();
    if (code == 0) {
      if (depth == 0) {
        continue;  // padding
      }
      if (--depth == 0) {
        return {};
      }
      if (hidden > 0) {
        --hidden;
      } else {
        scopes_.pop_back();
        is_type_.pop_back();
      }
      continue;
    }
    const Abbreviation* abbreviation = table_->find(code);
    if (abbreviation == nullptr) {
      return fail(ErrorCode::kMalformed, "An entry of .debug_info has an unknown abbreviation.");
    }
    attribute_work_ += abbreviation->attributes.size();
    if (attribute_work_ > kMaxAttributeWork) {
      return fail(ErrorCode::kMalformed, "The entries of .debug_info have too many attributes.");
    }
    Entry entry;
    if (first) {
      read_first_entry(unit, *abbreviation, entry);
      first = false;
      if (!unit_name_.empty() && entry.name != unit_index_) {
        return {};
      }
      depth = entry.has_children ? 1 : 0;
      if (depth == 0) {
        return {};
      }
      continue;
    }
    entry = read_entry(unit, *abbreviation);
    const bool type =
        entry.tag == kTagStructureType || entry.tag == kTagClassType || entry.tag == kTagUnionType;
    if (entry.tag == kTagMember && hidden == 0) {
      take_member(entry);
    }
    if (!entry.has_children) {
      continue;
    }
    const bool scope = type || entry.tag == kTagNamespace;
    if (scope && hidden == 0 && scopes_.size() < kMaxDepth) {
      scopes_.push_back(entry.declaration ? Names::kNone : entry.name);
      is_type_.push_back(type);
      ++depth;
    } else if (entry.sibling > reader_.position() && entry.sibling <= unit.end) {
      reader_.skip(entry.sibling - reader_.position());
    } else {
      ++hidden;
      ++depth;
    }
  }
  return {};
}

Entry Walk::read_entry(const UnitHeader& unit, const Abbreviation& abbreviation) {
  Entry entry;
  entry.tag = abbreviation.tag;
  entry.has_children = abbreviation.has_children;
  for (const AttributeSpec& spec : abbreviation.attributes) {
    const Value value = read_value(reader_, unit, spec);
    switch (spec.name) {
      case kAtName:
        entry.name = name_of(unit, value);
        break;
      case kAtSibling:
        entry.sibling = value.kind == Value::Kind::kNumber ? unit.begin + value.number : 0;
        break;
      case kAtDeclaration:
        entry.declaration = true;
        break;
      case kAtDataMemberLocation:
        if (value.kind == Value::Kind::kNumber || value.kind == Value::Kind::kMemberOffset) {
          entry.member_offset = value.number;
        }
        break;
      default:
        break;
    }
  }
  return entry;
}

// The unit's own entry says where its indices of strings count from, maybe behind its name.
void Walk::read_first_entry(UnitHeader& unit, const Abbreviation& abbreviation, Entry& entry) {
  entry.has_children = abbreviation.has_children;
  Value name;
  std::string text;
  for (const AttributeSpec& spec : abbreviation.attributes) {
    const Value value = read_value(reader_, unit, spec);
    if (spec.name == kAtName) {
      name = value;
      text = value.text;
    } else if (spec.name == kAtStrOffsetsBase && value.kind == Value::Kind::kNumber) {
      unit.string_offsets_base = value.number;
    }
  }
  name.text = text;
  entry.name = name_of(unit, name);
}

size_t Walk::name_of(const UnitHeader& unit, const Value& value) const {
  uint64_t offset = value.number;
  if (value.kind == Value::Kind::kInlineString) {
    return names_.find(value.text);
  }
  if (value.kind == Value::Kind::kLineStringOffset) {
    return line_strings_ ? line_strings_->name_at(offset).value_or(Names::kNone) : Names::kNone;
  }
  if (value.kind == Value::Kind::kStringIndex) {
    const uint64_t base = unit.string_offsets_base;
    if (base > string_offsets_.size() ||
        value.number >= (string_offsets_.size() - base) / unit.offset_size) {
      return Names::kNone;
    }
    const auto at = std::span(string_offsets_).subspan(base + value.number * unit.offset_size);
    offset = unit.offset_size == 8 ? elf::load<uint64_t>(at) : elf::load<uint32_t>(at);
  } else if (value.kind != Value::Kind::kStringOffset) {
    return Names::kNone;
  }
  return strings_ ? strings_->name_at(offset).value_or(Names::kNone) : Names::kNone;
}

bool Walk::in_type(const Wanted& wanted) const {
  return !scopes_.empty() && is_type_.back() &&
         std::equal(scopes_.begin(), scopes_.end(), wanted.scopes.begin(), wanted.scopes.end());
}

void Walk::take_member(const Entry& entry) {
  if (entry.name == Names::kNone) {
    return;
  }
  for (size_t i = 0; i < wanted_.size(); ++i) {
    if (!found_[i] && wanted_[i].field == entry.name && in_type(wanted_[i]) &&
        entry.member_offset) {
      found_[i] = entry.member_offset;
      --left_;
    }
  }
}

}  // namespace

Result<Offsets> find_field_offsets(const elf::File& file, std::span<const FieldName> fields,
                                   std::string_view unit) {
  const elf::Section* info = elf::debug_section(file, "info");
  const elf::Section* abbrev = elf::debug_section(file, "abbrev");
  if (info == nullptr || abbrev == nullptr) {
    return fail(ErrorCode::kNotFound, "The file has no DWARF.");
  }
  auto abbreviations = elf::read_section(file, *abbrev, kMaxAbbreviationBytes);
  if (!abbreviations) {
    return tl::unexpected(abbreviations.error());
  }
  auto stream = elf::SectionStream::open(file, *info);
  if (!stream) {
    return tl::unexpected(stream.error());
  }
  if (stream->size() > kMaxInfoBytes) {
    return fail(ErrorCode::kMalformed, "Section .debug_info is larger than is believed.");
  }
  Walk walk(Reader(std::move(*stream)), std::move(*abbreviations), fields, unit);
  if (const Status status = walk.find_strings(file); !status) {
    return tl::unexpected(status.error());
  }
  return walk.run();
}

}  // namespace zerospan::symbols::dwarf
