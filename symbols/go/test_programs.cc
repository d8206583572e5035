// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/test_programs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>
#include <string_view>
#include <vector>

#include "symbols/go/pclntab.h"

namespace zerospan::symbols::go {
namespace {

using elf::lines_of;
using elf::output_of;

std::string hexadecimal(uint64_t number) {
  std::ostringstream text;
  text << "0x" << std::hex << number;
  return text.str();
}

// Code of the standard library that has one symbol and one entry each: no generics, no assembly.
bool is_plain_function(const std::string& name) {
  return name.starts_with("net/http.") && name.find_first_of("[{\"") == std::string::npos &&
         !name.ends_with(".abi0");
}

}  // namespace

std::string build_go(const elf::TemporaryFolder& folder, const std::string& toolchain,
                     const Variant& variant) {
  const std::string path = folder / variant.name;
  const std::string linker = variant.linker + (variant.stripped ? " -s -w" : "");
  static_cast<void>(output_of("cd tests/programs/go && " + variant.environment +
                                  " GOFLAGS=-buildvcs=false GOWORK=off GOTOOLCHAIN=" + toolchain +
                                  " go build " + variant.flags + " -ldflags=\"" + linker +
                                  "\" -o " + path + " .",
                              600));
  return path;
}

void expect_truth(const std::string& path, const GoBinary& binary, bool stripped) {
  // PATH: go1.26.8
  //	mod	MODULE	(devel)
  const std::string told = output_of("go version -m " + path);
  EXPECT_NE(told.find(": " + binary.build.go_version + "\n"), std::string::npos) << told;
  EXPECT_NE(told.find("\tmod\t" + binary.build.main.path + "\t" + binary.build.main.version),
            std::string::npos)
      << told;
  size_t modules = 0;
  for (const std::string& line : lines_of(told)) {
    modules += line.starts_with("\tdep\t") ? 1 : 0;
  }
  EXPECT_EQ(modules, binary.build.modules.size());

  for (const ProbeSite& probe : binary.probes) {
    EXPECT_GE(probe.address, probe.function_address);
    EXPECT_LT(probe.address, probe.function_address + probe.function_size);
    EXPECT_EQ(probe.site.kind, probe::Kind::kEmulated) << probe.function;
    if (binary.machine == elf::Machine::kAarch64) {
      // "  server.go:2860	0x203d4c	340000e3	CBZW R3, 7(PC)	// cbz w3, .+0x1c"
      const std::string assembly =
          output_of("go tool objdump -gnu " + path + ' ' + hexadecimal(probe.address) + ' ' +
                    hexadecimal(probe.address + 4));
      EXPECT_NE(assembly.find("// " + probe.site.instruction + ' '), std::string::npos)
          << probe.function << ": " << probe.site.instruction << "\n"
          << assembly;
      continue;
    }
    // "  652e2c:	jbe    653d15 <...>"
    const std::string assembly =
        output_of("objdump -d --no-show-raw-insn --start-address=" + hexadecimal(probe.address) +
                  " --stop-address=" + hexadecimal(probe.address + 16) + " " + path);
    std::string mnemonic = probe.site.instruction.substr(0, probe.site.instruction.find(' '));
    if (mnemonic == "jz" || mnemonic == "jnz") {
      mnemonic = mnemonic == "jz" ? "je" : "jne";  // objdump's names of these
    }
    const std::string line = hexadecimal(probe.address).substr(2) + ":\t" + mnemonic;
    EXPECT_NE(assembly.find("  " + line), std::string::npos)
        << probe.function << ": " << probe.site.instruction << "\n"
        << assembly;
  }
  if (stripped) {
    return;
  }
  std::map<std::string, uint64_t> symbols;
  std::map<std::string, uint64_t> variables;
  for (const std::string& line : lines_of(output_of("go tool nm " + path))) {
    std::istringstream fields(line);
    uint64_t address = 0;
    std::string kind;
    std::string name;
    fields >> std::hex >> address >> kind >> name;
    if (fields && (kind == "T" || kind == "t") && is_plain_function(name)) {
      symbols[name] = address;
    } else if (fields &&
               (name == "runtime.sched" || name == "runtime.allgs" || name == "runtime.allp")) {
      variables[name] = address;
    }
  }
  EXPECT_EQ(binary.runtime.goidgen, variables["runtime.sched"]);
  EXPECT_EQ(binary.runtime.allgs, variables["runtime.allgs"]);
  EXPECT_EQ(std::count(binary.runtime.maybe_allp.begin(), binary.runtime.maybe_allp.end(),
                       variables["runtime.allp"]),
            1);
  ASSERT_GT(symbols.size(), 500U);
  std::vector<std::string_view> names;
  for (const auto& [name, address] : symbols) {
    names.push_back(name);
  }
  const auto file = elf::File::open(path);
  const auto table = FunctionTable::open(*file);
  ASSERT_TRUE(table) << table.error().message;
  const auto found = table->find(names);
  ASSERT_TRUE(found) << found.error().message;
  for (size_t i = 0; i < names.size(); ++i) {
    ASSERT_TRUE((*found)[i]) << names[i];
    EXPECT_EQ((*found)[i]->address, symbols[std::string(names[i])]) << names[i];
  }
}

void expect_same_code(const GoBinary& binary, const GoBinary& twin) {
  EXPECT_EQ(binary.function_count, twin.function_count);
  ASSERT_EQ(binary.probes.size(), twin.probes.size());
  for (size_t i = 0; i < binary.probes.size(); ++i) {
    EXPECT_EQ(binary.probes[i].function, twin.probes[i].function);
    EXPECT_EQ(binary.probes[i].address, twin.probes[i].address) << binary.probes[i].function;
    EXPECT_EQ(binary.probes[i].file_offset, twin.probes[i].file_offset);
  }
}

void expect_table_agrees(const GoBinary& binary) {
  ASSERT_EQ(binary.offsets.source(), OffsetSource::kDwarf);
  const Offsets table = table_offsets(binary.build, binary.machine);
  size_t compared = 0;
  for (const FieldInfo& info : kFields) {
    const auto there = binary.offsets.get(info.id);
    if (there) {
      EXPECT_EQ(there, table.get(info.id))
          << info.type << '.' << info.field << " in " << binary.build.go_version;
      ++compared;
    } else if (info.type.starts_with("runtime.") || info.type == "net/http.Request") {
      EXPECT_EQ(table.get(info.id), std::nullopt) << info.field;
    }
  }
  EXPECT_GT(compared, 15U);
}

}  // namespace zerospan::symbols::go
