// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "symbols/elf/cursor.h"
#include "symbols/elf/debug_file.h"
#include "symbols/elf/notes.h"
#include "symbols/elf/section_stream.h"
#include "symbols/elf/string_search.h"
#include "symbols/elf/testing.h"

namespace zerospan::symbols::elf {
namespace {

constexpr uint64_t kLimit = 64 * 1024 * 1024;

std::string read_info(const std::string& path) {
  const auto file = File::open(path);
  if (!file || debug_section(*file, "info") == nullptr) {
    return {};
  }
  const auto bytes = read_section(*file, *debug_section(*file, "info"), kLimit);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes ? std::string(as_text(*bytes)) : std::string();
}

// A program in C whose debug information is worth compressing.
std::string build_program(const TemporaryFolder& folder) {
  std::string source = "#include <stdio.h>\n";
  for (int i = 0; i < 500; ++i) {
    source += "struct s" + std::to_string(i) + " { int a; char *b; struct s" +
              std::to_string(i / 2) + " *c; } v" + std::to_string(i) + ";\n";
  }
  static_cast<void>(folder.write("a.c", source + "int main(void) { return 0; }\n"));
  static_cast<void>(output_of("cd " + (folder / "") + " && gcc -g -Wl,--build-id a.c -o plain"));
  return folder / "plain";
}

TEST(SectionStream, EveryCompressionGivesTheSameBytes) {
  const TemporaryFolder folder;
  const std::string plain = read_info(build_program(folder));
  ASSERT_GT(plain.size(), 10'000U);
  for (const std::string& kind :
       {std::string("zlib-gabi"), std::string("zlib-gnu"), std::string("zstd")}) {
    static_cast<void>(output_of("cd " + (folder / "") + " && objcopy --compress-debug-sections=" +
                                kind + " plain " + kind));
    EXPECT_LT(std::stoul(output_of("stat -c %s " + (folder / kind))),
              std::stoul(output_of("stat -c %s " + (folder / "plain"))));
    EXPECT_EQ(read_info(folder / kind), plain) << kind;
  }
}

std::string compressed_section(uint32_t type, uint64_t told_size, const std::string& stored) {
  std::string bytes;
  append(bytes, Elf64_Chdr{type, 0, told_size, 1});
  return make_elf({{.name = ".debug_info", .bytes = bytes + stored, .flags = SHF_COMPRESSED}});
}

std::string deflated(const std::string& plain) {
  std::string out(compressBound(plain.size()), '\0');
  uLongf size = out.size();
  compress(reinterpret_cast<Bytef*>(out.data()), &size,
           reinterpret_cast<const Bytef*>(plain.data()), plain.size());
  out.resize(size);
  return out;
}

TEST(SectionStream, ASizeThatIsNotTrueIsNotAllocated) {
  const std::string plain(100'000, 'x');
  const auto read = [&](uint64_t told) {
    const auto file = File::open(source_of(compressed_section(1, told, deflated(plain))));
    EXPECT_TRUE(file);
    return read_section(*file, *file->section(".debug_info"), uint64_t{1} << 60U);
  };
  EXPECT_EQ(read(100'000)->size(), 100'000U);
  EXPECT_EQ(read(99'000)->size(), 99'000U) << "no more than told";
  EXPECT_EQ(read(uint64_t{1} << 59U).error().code, ErrorCode::kMalformed);
}

TEST(SectionStream, BrokenContentsAreErrors) {
  for (const auto& [type, stored] : std::vector<std::pair<uint32_t, std::string>>{
           {1, "no zlib"}, {2, "no zstd"}, {1, ""}, {2, ""}, {7, "x"}}) {
    const auto file = File::open(source_of(compressed_section(type, 100, stored)));
    ASSERT_TRUE(file);
    EXPECT_FALSE(read_section(*file, *file->section(".debug_info"), kLimit)) << type;
  }
  const auto old =
      File::open(source_of(make_elf({{.name = ".zdebug_info", .bytes = "ZLIP1234567890"}})));
  EXPECT_FALSE(read_section(*old, *debug_section(*old, "info"), kLimit));
}

TEST(StringSearch, FindsTailsAndNamesAcrossChunks) {
  std::string table;
  const std::string filler(1000, 'f');
  std::vector<uint64_t> expected;
  while (table.size() < 2'000'000) {
    table += filler.substr(0, 1 + table.size() % 977) + '\0';
    expected.push_back(table.size() + 4);
    table += std::string("some") + "field" + '\0';
  }
  const std::array<std::string_view, 3> names = {"field", "absent", "ield"};
  size_t at = 0;
  const auto read = [&](std::span<std::byte> out) {
    const size_t step = std::min({out.size(), table.size() - at, size_t{70'001}});
    std::copy_n(std::as_bytes(std::span(table)).begin() + static_cast<std::ptrdiff_t>(at), step,
                out.begin());
    at += step;
    return step;
  };
  const auto found = StringOffsets::find(read, names);
  ASSERT_TRUE(found);
  for (const uint64_t offset : expected) {
    ASSERT_EQ(found->name_at(offset), 0U) << offset;
    ASSERT_EQ(found->name_at(offset + 1), 2U);
    ASSERT_EQ(found->name_at(offset - 1), std::nullopt);
  }
}

TEST(DebugFile, IsFoundByBuildIdAndByLink) {
  const TemporaryFolder folder;
  const std::string whole = build_program(folder);
  const std::string id = build_id(*File::open(whole));
  ASSERT_GT(id.size(), 4U);
  static_cast<void>(output_of(
      "cd " + (folder / "") + " && objcopy --only-keep-debug plain kept && strip -g plain && " +
      "mkdir -p root/.build-id/" + id.substr(0, 2) + " .debug && cp kept root/.build-id/" +
      id.substr(0, 2) + "/" + id.substr(2) + ".debug && cp kept .debug/linked && " +
      "cp kept linked && objcopy --add-gnu-debuglink=linked --remove-section=.note.gnu.build-id " +
      "plain by_link && rm linked"));
  const auto stripped = File::open(whole);
  ASSERT_TRUE(stripped);
  EXPECT_EQ(debug_section(*stripped, "info"), nullptr);
  const auto by_id = open_debug_file(*stripped, whole, folder / "root");
  ASSERT_TRUE(by_id) << by_id.error().message;
  EXPECT_NE(debug_section(*by_id, "info"), nullptr);
  EXPECT_EQ(build_id(*by_id), id);

  const auto linked = File::open(folder / "by_link");
  ASSERT_TRUE(linked);
  EXPECT_EQ(build_id(*linked), "");
  const auto by_link = open_debug_file(*linked, folder / "by_link", "/nonexistent");
  ASSERT_TRUE(by_link) << by_link.error().message;
  EXPECT_NE(debug_section(*by_link, "info"), nullptr);

  static_cast<void>(output_of("echo changed >> " + (folder / ".debug/linked")));
  EXPECT_EQ(open_debug_file(*linked, folder / "by_link", "/nonexistent").error().code,
            ErrorCode::kNotFound)
      << "its CRC is another one";
}

}  // namespace
}  // namespace zerospan::symbols::elf
