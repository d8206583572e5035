// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Structs as compilers lay them out, against what a program that they built says of itself by
// offsetof.
#include "symbols/dwarf/fields.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "symbols/elf/testing.h"

namespace zerospan::symbols::dwarf {
namespace {

using elf::has_program;
using elf::output_of;
using elf::TemporaryFolder;

// Prints "TYPE FIELD OFFSET" for what the test asks.
constexpr std::string_view kProgram = R"(
#include <cstddef>
#include <cstdio>
#include <string>
struct wanted;                       // a declaration first
struct other { char filler[24]; int field; };
struct wanted { char a; long long field; union { int first; char second; } in; short last; };
namespace outer {
struct wanted { int x[7]; char field; };
namespace inner { class type { public: double d; struct nested { char c; int field; } n; }; }
struct derived : wanted { long more; };
}
template <typename T> struct generic { T value; int field; };
wanted a; outer::wanted b; outer::inner::type c; outer::inner::type::nested d; other e;
outer::derived f; generic<double> g; std::string s;
int local() { struct hidden { int q; int field; } h = {1, 2}; return h.field; }
#define TELL(type, field) std::printf("%s %s %zu\n", #type, #field, offsetof(type, field));
int main() {
  TELL(wanted, field) TELL(wanted, last) TELL(wanted, in) TELL(other, field)
  TELL(outer::wanted, field) TELL(outer::inner::type, n) TELL(outer::inner::type::nested, field)
  TELL(outer::derived, more) TELL(generic<double>, field)
  return local() - 2;
}
)";

struct Row {
  std::string type;
  std::string field;
  uint64_t offset;
};

void expect_agreement(const TemporaryFolder& folder, const std::string& compile) {
  static_cast<void>(output_of("cd " + (folder / "") + " && " + compile + " a.cc -o program"));
  std::vector<Row> rows;
  std::istringstream told(output_of(folder / "program"));
  for (Row row; told >> row.type >> row.field >> row.offset;) {
    rows.push_back(row);
  }
  ASSERT_EQ(rows.size(), 9U);
  std::vector<FieldName> names;
  for (const Row& row : rows) {
    names.push_back({row.type, row.field});
  }
  names.push_back({"wanted", "absent"});
  names.push_back({"hidden", "field"});  // inside a function
  names.push_back({"nested", "field"});  // not without its scopes
  const auto file = elf::File::open(folder / "program");
  ASSERT_TRUE(file);
  const auto found = find_field_offsets(*file, names);
  ASSERT_TRUE(found) << compile << ": " << found.error().message;
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ((*found)[i], rows[i].offset)
        << compile << ' ' << rows[i].type << ' ' << rows[i].field;
  }
  for (size_t i = rows.size(); i < names.size(); ++i) {
    EXPECT_EQ((*found)[i], std::nullopt) << compile << ' ' << names[i].type;
  }
}

TEST(Fields, EveryFormOfDwarfThatGccWrites) {
  const TemporaryFolder folder;
  static_cast<void>(folder.write("a.cc", kProgram));
  for (const std::string& options :
       {std::string("-gdwarf-5"), std::string("-gdwarf-4"), std::string("-gdwarf-3"),
        std::string("-gdwarf-5 -gdwarf64"), std::string("-gdwarf-5 -gz=zlib"),
        std::string("-gdwarf-4 -gz=zlib-gnu"), std::string("-gdwarf-4 -gstrict-dwarf -O2")}) {
    expect_agreement(folder, "g++ " + options);
  }
}

TEST(Fields, EveryFormOfDwarfThatClangWrites) {
  if (!has_program("clang++-19")) {
    FAIL() << "clang++-19 is not installed (scripts/install-test-deps.sh)";
  }
  const TemporaryFolder folder;
  static_cast<void>(folder.write("a.cc", kProgram));
  for (const std::string& options :
       {std::string("-gdwarf-5"), std::string("-gdwarf-4"), std::string("-gdwarf-5 -gpubnames")}) {
    expect_agreement(folder, "clang++-19 " + options);
  }
}

TEST(Fields, OnlyTheUnitThatIsNamed) {
  const TemporaryFolder folder;
  static_cast<void>(folder.write("a.c", "struct t { int a; int f; } a; int main(void){return 0;}"));
  static_cast<void>(folder.write("b.c", "struct t { int a[8]; int f; } b;"));
  for (const std::string& compiler : {std::string("gcc -gdwarf-5"), std::string("gcc -gdwarf-4")}) {
    static_cast<void>(output_of("cd " + (folder / "") + " && " + compiler + " a.c b.c -o program"));
    const auto file = elf::File::open(folder / "program");
    const std::vector<FieldName> names = {{"t", "f"}};
    EXPECT_EQ(find_field_offsets(*file, names, "b.c")->at(0), 32U);
    EXPECT_EQ(find_field_offsets(*file, names, "a.c")->at(0), 4U);
    EXPECT_EQ(find_field_offsets(*file, names, "c.c")->at(0), std::nullopt);
    EXPECT_EQ(find_field_offsets(*file, names)->at(0), 4U) << "the first";
  }
}

TEST(Fields, NoDwarfIsNotFound) {
  const TemporaryFolder folder;
  static_cast<void>(folder.write("a.c", "int main(void) { return 0; }"));
  static_cast<void>(output_of("cd " + (folder / "") + " && gcc a.c -o program"));
  const std::vector<FieldName> names = {{"t", "f"}};
  EXPECT_EQ(find_field_offsets(*elf::File::open(folder / "program"), names).error().code,
            ErrorCode::kNotFound);
}

// .debug_info and .debug_abbrev by hand.
Result<std::vector<std::optional<uint64_t>>> ask(const std::string& abbreviations,
                                                 const std::string& info) {
  const auto file = elf::File::open(
      elf::source_of(elf::make_elf({{.name = ".debug_abbrev", .bytes = abbreviations},
                                    {.name = ".debug_info", .bytes = info}})));
  const std::vector<FieldName> names = {{"t", "f"}};
  return find_field_offsets(*file, names);
}

std::string unit(const std::string& entries) {
  std::string bytes;
  elf::append(bytes, static_cast<uint32_t>(entries.size() + 7));
  elf::append(bytes, uint16_t{4});
  elf::append(bytes, uint32_t{0});
  elf::append(bytes, uint8_t{8});
  return bytes + entries;
}

TEST(Fields, WhatBreaksTheFormatIsAnError) {
  // Abbreviation 1: a unit with children. 2: a struct with a name. 3: a member with name and
  // offset.
  const std::string abbreviations(
      "\x01\x11\x01\0\0"
      "\x02\x13\x01\x03\x08\0\0"
      "\x03\x0d\0\x03\x08\x38\x0b\0\0"
      "\0",
      22);
  const std::string entries(
      "\x01"
      "\x02t\0"
      "\x03"
      "f\0\x2a"
      "\0\0",
      10);
  const auto good = ask(abbreviations, unit(entries));
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->at(0), 42U);
  EXPECT_EQ(ask(abbreviations, unit("\x09")).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(ask(abbreviations, unit(entries).substr(0, 12)).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(ask(abbreviations.substr(0, 9), unit(entries)).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(ask(abbreviations, std::string("\xf5\xff\xff\xff", 4)).error().code,
            ErrorCode::kMalformed);
  // A unit of a version to come is stepped over.
  std::string future = unit("xyz");
  future[4] = 6;
  EXPECT_EQ(ask(abbreviations, future + unit(entries))->at(0), 42U);
}

TEST(Fields, ManyUnitsWithOneLargeTableCostNoMoreThanOne) {
  std::string abbreviations;
  for (int i = 0; i < 2'000'000; ++i) {
    abbreviations += std::string("\x01\x11\0\0\0", 5);
  }
  std::string info;
  for (uint32_t i = 0; i < 200'000; ++i) {
    std::string bytes = unit("\x01");
    bytes.replace(6, 4, std::string(reinterpret_cast<const char*>(&i), 4));
    info += bytes;
  }
  EXPECT_FALSE(ask(abbreviations + '\0', info));
}

}  // namespace
}  // namespace zerospan::symbols::dwarf
