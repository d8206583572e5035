// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/testing.h"

namespace zerospan::symbols::go {
namespace {

constexpr uint64_t kFunctionBytes = 16;

// cmp 0x10(%r14),%rsp; jbe +8 (to the call); push %rbp; pop %rbp; ret; int3s; call; jmp back
std::string function_code() {
  return {"\x49\x3b\x66\x10\x76\x03\x55\x5d\xc3\xe8\x00\x01\x00\x00\xeb\xf0", kFunctionBytes};
}

void append_varint(std::string& out, size_t value) {
  for (; value >= 0x80; value >>= 7U) {
    out += static_cast<char>(value | 0x80U);
  }
  out += static_cast<char>(value);
}

}  // namespace

std::string make_table(TableFormat format, const std::vector<std::string>& names) {
  const bool addresses = format == TableFormat::kGo116;
  const auto number = [&](std::string& out, uint64_t value) {
    if (addresses) {
      elf::append(out, value);
    } else {
      elf::append(out, static_cast<uint32_t>(value));
    }
  };
  std::string name_table;
  std::vector<size_t> name_offsets;
  for (const std::string& name : names) {
    name_offsets.push_back(name_table.size());
    name_table += name + '\0';
  }
  name_table.resize((name_table.size() + 7) / 8 * 8);
  const size_t field = addresses ? 8 : 4;
  const size_t function_bytes = field + 4 + 32;
  const uint64_t text = addresses ? kTextAddress : 0;
  std::string functions;
  for (size_t i = 0; i < names.size(); ++i) {
    number(functions, text + i * kFunctionBytes);
    number(functions, (2 * names.size() + 1) * field + i * function_bytes);
  }
  number(functions, text + names.size() * kFunctionBytes);
  for (size_t i = 0; i < names.size(); ++i) {
    number(functions, text + i * kFunctionBytes);
    elf::append(functions, static_cast<uint32_t>(name_offsets[i]));
    functions.append(32, '\0');
  }
  std::string header;
  const uint32_t magic = format == TableFormat::kGo116   ? 0xfffffffa
                         : format == TableFormat::kGo118 ? 0xfffffff0
                                                         : 0xfffffff1;
  elf::append(header, magic);
  header += std::string("\0\0\x01\x08", 4);
  elf::append(header, uint64_t{names.size()});
  elf::append(header, uint64_t{1});
  if (!addresses) {
    elf::append(header, format == TableFormat::kGo126 ? 0 : kTextAddress);
  }
  const uint64_t begin = header.size() + 5 * 8;
  const uint64_t end = begin + name_table.size();
  for (const uint64_t offset : {begin, end, end, end, end}) {
    elf::append(header, offset);
  }
  return header + name_table + functions;
}

std::string make_module_data() {
  std::string data;
  elf::append(data, kTableAddress);
  data.append(6 * 24 + 3 * 8, '\0');
  elf::append(data, kTextAddress);
  return data;
}

std::string make_build_info(const std::string& version, const std::string& modules) {
  const std::string framed =
      modules.empty() ? "" : std::string(16, '{') + modules + std::string(16, '}');
  std::string info("\xff Go buildinf:\x08\x02", 16);
  info.resize(32);
  append_varint(info, version.size());
  info += version;
  append_varint(info, framed.size());
  return info + framed;
}

std::vector<elf::Piece> make_program(TableFormat format, const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += function_code();
  }
  return {{.name = ".text", .bytes = text, .address = kTextAddress, .segment_flags = PF_R | PF_X},
          {.name = ".gopclntab", .bytes = make_table(format, names), .address = kTableAddress},
          {.name = ".go.module",
           .bytes = make_module_data(),
           .address = kDataAddress,
           .segment_flags = PF_R | PF_W},
          {.name = ".go.buildinfo",
           .bytes = make_build_info("go1.26.8",
                                    "path\texample.com/a\nmod\texample.com/a\tv1.2.3\th1:x=\n"
                                    "dep\tgo.opentelemetry.io/otel/sdk\tv1.30.0\th1:y=\n"),
           .address = kInfoAddress,
           .segment_flags = PF_R | PF_W}};
}

}  // namespace zerospan::symbols::go
