// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/debug_file.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

#include "symbols/elf/cursor.h"
#include "symbols/elf/notes.h"

namespace zerospan::symbols::elf {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{4} << 30U;
constexpr size_t kChunkBytes = 64 * 1024;
constexpr uint64_t kMaxLinkBytes = 1024;

Result<File> by_build_id(const std::string& id, const std::string& root) {
  if (id.size() < 4) {
    return fail(ErrorCode::kNotFound, "The file has no build id.");
  }
  auto found = File::open(root + "/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug");
  if (found && build_id(*found) != id) {
    return fail(ErrorCode::kNotFound, "The debug file is another build's.");
  }
  return found;
}

}  // namespace

std::optional<DebugLink> debug_link(const File& file) {
  const Section* section = file.section(".gnu_debuglink");
  if (section == nullptr || !section->in_file()) {
    return std::nullopt;
  }
  const auto bytes = read_bytes(file.source(), section->offset, section->size, kMaxLinkBytes);
  if (!bytes) {
    return std::nullopt;
  }
  const std::string_view text = as_text(*bytes);
  const size_t end = text.find('\0');
  const std::string_view name = text.substr(0, end);
  const size_t crc_at = (name.size() + 4) & ~size_t{3};
  if (end == std::string_view::npos || name.empty() || name == ".." ||
      name.find('/') != std::string_view::npos || crc_at + 4 > bytes->size()) {
    return std::nullopt;
  }
  return DebugLink{std::string(name), load<uint32_t>(std::span(*bytes).subspan(crc_at))};
}

std::optional<uint32_t> crc32_of(const ByteSource& source) {
  if (source.size() > kMaxFileBytes) {
    return std::nullopt;
  }
  std::vector<std::byte> buffer(kChunkBytes);
  uLong crc = ::crc32(0, nullptr, 0);
  for (uint64_t at = 0; at < source.size();) {
    const std::span<std::byte> chunk =
        std::span(buffer).first(std::min<uint64_t>(buffer.size(), source.size() - at));
    if (!source.read(at, chunk)) {
      return std::nullopt;
    }
    crc =
        ::crc32(crc, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
    at += chunk.size();
  }
  return static_cast<uint32_t>(crc);
}

Result<File> open_debug_file(const File& file, const std::string& path, const std::string& root) {
  if (auto found = by_build_id(build_id(file), root)) {
    return found;
  }
  if (const std::optional<DebugLink> link = debug_link(file)) {
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    for (const std::string& candidate :
         {folder + link->name, folder + ".debug/" + link->name, root + "/" + folder + link->name}) {
      auto found = File::open(candidate);
      if (found && crc32_of(found->source()) == link->crc) {
        return found;
      }
    }
  }
  return fail(ErrorCode::kNotFound, "There is no separate debug file for " + path + ".");
}

}  // namespace zerospan::symbols::elf
