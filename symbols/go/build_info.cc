// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/build_info.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <optional>

#include "symbols/elf/cursor.h"
#include "symbols/elf/relocations.h"

namespace zerospan::symbols::go {
namespace {

// Header of the section: magic, pointer size, flags; strings or pointers follow.
constexpr std::string_view kMagic = "\xff Go buildinf:";
constexpr size_t kAlignment = 16;
constexpr size_t kHeaderBytes = 32;
constexpr uint8_t kBigEndian = 1;
constexpr uint8_t kInlineStrings = 2;
constexpr uint64_t kMaxVersionBytes = 256;
constexpr uint64_t kMaxTextBytes = 4 * 1024 * 1024;
constexpr uint64_t kMaxSearchBytes = 64 * 1024 * 1024;
constexpr size_t kMaxModules = 10'000;
constexpr size_t kFrameBytes = 16;  // in front of the module text and behind it

// The address of the header. Without a section it is in writable data, aligned.
std::optional<uint64_t> find_header(const elf::File& file) {
  if (const elf::Section* section = file.section(".go.buildinfo")) {
    return section->address;
  }
  uint64_t left = kMaxSearchBytes;
  for (const elf::Segment& segment : file.segments()) {
    if (segment.type != PT_LOAD || (segment.flags & PF_W) == 0) {
      continue;
    }
    elf::Window window(file.source(), segment.offset, segment.file_size);
    for (uint64_t at = 0; left > 0;
         at += kAlignment, left -= std::min<uint64_t>(left, kAlignment)) {
      const std::span<const std::byte> bytes = window.at(at, kAlignment);
      if (bytes.empty()) {
        break;
      }
      if (elf::as_text(bytes).starts_with(kMagic)) {
        return segment.address + at;
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> read_text(const elf::File& file, uint64_t address, uint64_t length,
                                     uint64_t limit) {
  // Before anything is allocated: the length is the file's.
  if (length > limit || length > file.source().size()) {
    return std::nullopt;
  }
  if (length == 0) {
    return "";  // it may be where the segment ends
  }
  std::string text(length, '\0');
  if (!file.read_address(address, std::as_writable_bytes(std::span(text)))) {
    return std::nullopt;
  }
  return text;
}

// A varint (encoding/binary) and as many bytes; moves `address` behind them.
std::optional<std::string> read_inline(const elf::File& file, uint64_t& address, uint64_t limit) {
  uint64_t length = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    std::array<std::byte, 1> byte;
    if (!file.read_address(address++, byte)) {
      return std::nullopt;
    }
    length |= std::to_integer<uint64_t>(byte[0] & std::byte{0x7f}) << shift;
    if ((byte[0] & std::byte{0x80}) == std::byte{0}) {
      std::optional<std::string> text = read_text(file, address, length, limit);
      address += length;
      return text;
    }
  }
  return std::nullopt;
}

// A Go string by the address of its header: data and length.
std::optional<std::string> read_go_string(const elf::File& file, uint64_t address, uint64_t limit) {
  const std::array<uint64_t, 2> addresses = {address, address + 8};
  const auto words = elf::read_pointers(file, addresses);
  if (!words[0] || !words[1]) {
    return std::nullopt;
  }
  return read_text(file, *words[0], *words[1], limit);
}

std::string_view next_field(std::string_view& line) {
  const size_t tab = line.find('\t');
  const std::string_view field = line.substr(0, tab);
  line.remove_prefix(tab == std::string_view::npos ? line.size() : tab + 1);
  return field;
}

}  // namespace

const Module* BuildInfo::module(std::string_view path) const {
  const auto is_it = [&](const Module& module) {
    return (module.replaced_path.empty() ? module.path : module.replaced_path) == path;
  };
  if (is_it(main)) {
    return &main;
  }
  const auto found = std::find_if(modules.begin(), modules.end(), is_it);
  return found == modules.end() ? nullptr : &*found;
}

void parse_module_text(std::string_view text, BuildInfo& info) {
  Module* last = nullptr;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view kind = next_field(line);
    const std::string_view path = next_field(line);
    const std::string_view version = next_field(line);
    if (kind == "path") {
      info.main_package = path;
    } else if (kind == "mod") {
      info.main = {std::string(path), std::string(version), {}};
      last = &info.main;
    } else if (kind == "dep" && info.modules.size() < kMaxModules) {
      info.modules.push_back({std::string(path), std::string(version), {}});
      last = &info.modules.back();
    } else if (kind == "=>" && last != nullptr) {
      *last = {std::string(path), std::string(version), std::move(last->path)};
      last = nullptr;
    }
  }
}

Result<BuildInfo> read_build_info(const elf::File& file) {
  const std::optional<uint64_t> header = find_header(file);
  if (!header) {
    return fail(ErrorCode::kNotFound, "The program has no Go build information.");
  }
  std::array<std::byte, kHeaderBytes> bytes;
  if (!file.read_address(*header, bytes) || !elf::as_text(bytes).starts_with(kMagic)) {
    return fail(ErrorCode::kMalformed, "The program's Go build information has no header.");
  }
  const auto pointer_size = std::to_integer<uint8_t>(bytes[14]);
  const auto flags = std::to_integer<uint8_t>(bytes[15]);
  std::optional<std::string> version;
  std::optional<std::string> text;
  if ((flags & kInlineStrings) != 0) {
    uint64_t address = *header + kHeaderBytes;
    version = read_inline(file, address, kMaxVersionBytes);
    text = version ? read_inline(file, address, kMaxTextBytes) : std::nullopt;
  } else if (pointer_size == 8 && (flags & kBigEndian) == 0) {
    const std::array<uint64_t, 2> addresses = {*header + 16, *header + 24};
    const auto pointers = elf::read_pointers(file, addresses);
    if (pointers[0] && pointers[1]) {
      version = read_go_string(file, *pointers[0], kMaxVersionBytes);
      // Without modules the second string is nil.
      text = read_go_string(file, *pointers[1], kMaxTextBytes).value_or("");
    }
  }
  if (!version || version->empty() || !text) {
    return fail(ErrorCode::kMalformed, "The program's Go build information is cut short.");
  }
  BuildInfo info;
  info.go_version = *version;
  if (text->size() >= 2 * kFrameBytes + 1 && (*text)[text->size() - kFrameBytes - 1] == '\n') {
    parse_module_text(std::string_view(*text).substr(kFrameBytes, text->size() - 2 * kFrameBytes),
                      info);
  }
  return info;
}

}  // namespace zerospan::symbols::go
