// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/pclntab.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <string>

#include "symbols/elf/cursor.h"
#include "symbols/elf/relocations.h"
#include "symbols/elf/string_search.h"

namespace zerospan::symbols::go {
namespace {

constexpr uint32_t kGo116Magic = 0xfffffffa;
constexpr uint32_t kGo118Magic = 0xfffffff0;
constexpr uint32_t kGo120Magic = 0xfffffff1;
constexpr uint64_t kHeaderBytes = 8 + 8 * 8;
constexpr uint64_t kMaxFunctions = 10'000'000;
constexpr uint64_t kMaxSearchBytes = uint64_t{1} << 30U;
constexpr size_t kMaxTries = 64;   // places that could be the module data
constexpr size_t kAlignment = 16;  // Go 1.26's; more before

// In runtime.moduledata of Go 1.16 to 1.27: behind the pointer to the table come six slices, three
// words, and then the beginning of the text.
constexpr uint64_t kModuleDataText = 8 + 6 * 24 + 3 * 8;

constexpr auto kSectionNames =
    std::to_array<std::string_view>({".gopclntab", ".data.rel.ro.gopclntab"});

}  // namespace

std::optional<FunctionTable::Header> FunctionTable::read_header(const elf::File& file,
                                                                uint64_t address, uint64_t size) {
  std::array<std::byte, kHeaderBytes> bytes{};
  const std::optional<uint64_t> offset = file.file_offset(address);
  if (!offset || size < kHeaderBytes || !file.read_address(address, bytes)) {
    return std::nullopt;
  }
  elf::Cursor cursor(bytes);
  Header header{.address = address, .offset = *offset, .size = size};
  header.magic = cursor.fixed<uint32_t>();
  const bool zeros = cursor.fixed<uint16_t>() == 0;
  const auto quantum = cursor.fixed<uint8_t>();
  const auto pointer_size = cursor.fixed<uint8_t>();
  if (!zeros || quantum != (file.machine() == elf::Machine::kX86_64 ? 1 : 4) || pointer_size != 8) {
    return std::nullopt;
  }
  header.function_count = cursor.fixed<uint64_t>();
  static_cast<void>(cursor.fixed<uint64_t>());  // number of files
  if (header.magic == kGo118Magic || header.magic == kGo120Magic) {
    header.text_start = cursor.fixed<uint64_t>();
  } else if (header.magic != kGo116Magic) {
    return std::nullopt;
  }
  header.names = cursor.fixed<uint64_t>();
  header.names_end = cursor.fixed<uint64_t>();  // where the table of units begins
  const auto files = cursor.fixed<uint64_t>();
  const auto lines = cursor.fixed<uint64_t>();
  header.functions = cursor.fixed<uint64_t>();
  const uint64_t entry_bytes = header.magic == kGo116Magic ? 16 : 8;
  if (header.function_count == 0 || header.function_count > kMaxFunctions ||
      header.names > header.names_end || header.names_end > files || files > lines ||
      lines > header.functions || header.functions > size ||
      header.function_count * entry_bytes > size - header.functions) {
    return std::nullopt;
  }
  return header;
}

std::optional<FunctionTable::Header> FunctionTable::search(const elf::File& file) {
  uint64_t left = kMaxSearchBytes;
  for (const elf::Segment& segment : file.segments()) {
    // With external linking read-only data and code can be in one segment.
    if (segment.type != PT_LOAD) {
      continue;
    }
    elf::Window window(file.source(), segment.offset, segment.file_size);
    const uint64_t skew = (kAlignment - segment.address % kAlignment) % kAlignment;
    for (uint64_t at = skew; left > 0;
         at += kAlignment, left -= std::min<uint64_t>(left, kAlignment)) {
      const std::span<const std::byte> bytes = window.at(at, 8);
      if (bytes.empty()) {
        break;
      }
      // The last byte of the magic, and what must follow it, rule nearly all places out.
      if (bytes[3] != std::byte{0xff} || bytes[4] != std::byte{0} || bytes[7] != std::byte{8}) {
        continue;
      }
      if (auto header = read_header(file, segment.address + at, segment.file_size - at)) {
        return header;
      }
    }
  }
  return std::nullopt;
}

Result<FunctionTable> FunctionTable::open(const elf::File& file) {
  std::optional<Header> header;
  for (const std::string_view name : kSectionNames) {
    const elf::Section* section = file.section(name);
    if (section != nullptr && section->in_file() && !header) {
      header = read_header(file, section->address, section->size);
    }
  }
  if (!header) {
    header = search(file);
  }
  if (!header) {
    return fail(ErrorCode::kNotFound, "The program has no table of Go functions.");
  }
  FunctionTable table(file, *header);
  if (header->magic != kGo116Magic) {
    const std::optional<uint64_t> text_start = table.find_text_start();
    if (!text_start) {
      return fail(ErrorCode::kUnsupported,
                  "The table of Go functions is there, but not where the code begins.");
    }
    table.text_start_ = *text_start;
  }
  return table;
}

// The first and the last function must be code.
bool FunctionTable::believable_text_start(uint64_t address) const {
  std::array<std::byte, 4> first;
  std::array<std::byte, 4> last;
  const uint64_t functions = header_.address + header_.functions;
  return address != 0 && file_->read_address(functions, first) &&
         file_->read_address(functions + (header_.function_count - 1) * 8, last) &&
         file_->executable(address + elf::load<uint32_t>(first)) &&
         file_->executable(address + elf::load<uint32_t>(last));
}

std::optional<uint64_t> FunctionTable::find_text_start() const {
  if (believable_text_start(header_.text_start)) {
    return header_.text_start;
  }
  // Go 1.26 has a section for the module data, and position-independent programs a relocation for
  // its first field.
  std::vector<uint64_t> places;
  if (const elf::Section* section = file_->section(".go.module")) {
    places.push_back(section->address);
  }
  if (file_->position_independent()) {
    const std::vector<uint64_t> relocated = elf::relocated_places(*file_, header_.address);
    places.insert(places.end(), relocated.begin(), relocated.end());
  }
  const auto text_of = [&](uint64_t place) -> std::optional<uint64_t> {
    const std::array<uint64_t, 2> addresses = {place, place + kModuleDataText};
    const auto words = elf::read_pointers(*file_, addresses);
    const bool is_it = words[0] == header_.address && words[1] && believable_text_start(*words[1]);
    return is_it ? words[1] : std::nullopt;
  };
  for (const uint64_t place : places) {
    if (const auto text = text_of(place)) {
      return text;
    }
  }
  // Else the pointer itself is in writable data.
  uint64_t left = kMaxSearchBytes;
  size_t tries = kMaxTries;
  for (const elf::Segment& segment : file_->segments()) {
    if (segment.type != PT_LOAD || (segment.flags & PF_W) == 0) {
      continue;
    }
    elf::Window window(file_->source(), segment.offset, segment.file_size);
    for (uint64_t at = 0; left > 0 && tries > 0; at += 8, left -= std::min<uint64_t>(left, 8)) {
      const std::span<const std::byte> bytes = window.at(at, 8);
      if (bytes.empty()) {
        break;
      }
      if (elf::load<uint64_t>(bytes) == header_.address) {
        --tries;
        if (const auto text = text_of(segment.address + at)) {
          return text;
        }
      }
    }
  }
  return std::nullopt;
}

Result<std::vector<std::optional<Function>>> FunctionTable::find(
    std::span<const std::string_view> names) const {
  // First where the names are, then which functions refer to them: both in the order of the file.
  uint64_t at = header_.offset + header_.names;
  const uint64_t end = header_.offset + header_.names_end;
  const auto strings = elf::StringOffsets::find(
      [&](std::span<std::byte> out) -> size_t {
        out = out.first(std::min<uint64_t>(out.size(), end - at));
        if (out.empty() || !file_->source().read(at, out)) {
          return 0;
        }
        at += out.size();
        return out.size();
      },
      names);
  if (!strings) {
    return tl::unexpected(strings.error());
  }
  const bool addresses = header_.magic == kGo116Magic;  // else offsets of 32 bits
  const size_t field = addresses ? 8 : 4;
  const auto number = [&](std::span<const std::byte> bytes) -> uint64_t {
    return addresses ? elf::load<uint64_t>(bytes) : elf::load<uint32_t>(bytes);
  };
  elf::Window entries(file_->source(), header_.offset + header_.functions,
                      header_.size - header_.functions);
  elf::Window functions(file_->source(), header_.offset + header_.functions,
                        header_.size - header_.functions);
  std::vector<std::optional<Function>> found(names.size());
  size_t left = names.size();
  uint64_t last_offset = 0;
  for (uint64_t i = 0; i < header_.function_count && left > 0; ++i) {
    // An entry, and the address at which the next one, or the table's end, begins.
    const std::span<const std::byte> entry = entries.at(i * 2 * field, 3 * field);
    if (entry.empty()) {
      return fail(ErrorCode::kMalformed, "The table of Go functions is cut short.");
    }
    const uint64_t begin = number(entry);
    const uint64_t next = number(entry.subspan(2 * field));
    // The linker writes them in order. Out of order each could cost a read of the whole window.
    const uint64_t function_offset = number(entry.subspan(field));
    if (function_offset < last_offset || function_offset > header_.size) {
      return fail(ErrorCode::kMalformed, "The table of Go functions is not in order.");
    }
    last_offset = function_offset;
    const std::span<const std::byte> function = functions.at(function_offset + field, 4);
    if (function.empty()) {
      continue;
    }
    const std::optional<size_t> name = strings->name_at(elf::load<uint32_t>(function));
    if (!name || found[*name] || next <= begin || !file_->executable(text_start_ + begin)) {
      continue;
    }
    found[*name] = Function{text_start_ + begin, next - begin};
    --left;
  }
  return found;
}

}  // namespace zerospan::symbols::go
