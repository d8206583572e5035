// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/testing.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace zerospan::symbols::elf {
namespace {

class OwningSource final : public ByteSource {
 public:
  explicit OwningSource(std::string bytes)
      : bytes_(std::move(bytes)), memory_(std::as_bytes(std::span(bytes_))) {}
  bool read(uint64_t offset, std::span<std::byte> out) const override {
    return memory_.read(offset, out);
  }
  uint64_t size() const override { return bytes_.size(); }

 private:
  std::string bytes_;
  MemorySource memory_;
};

}  // namespace

std::string make_elf(const std::vector<Piece>& pieces, uint16_t machine, uint16_t type) {
  std::vector<Elf64_Phdr> segments;
  std::vector<Elf64_Shdr> sections(1);
  std::string names(1, '\0');
  std::string contents;
  size_t loaded = 0;
  for (const Piece& piece : pieces) {
    loaded += piece.address != 0 ? 1 : 0;
  }
  const size_t base = sizeof(Elf64_Ehdr) + loaded * sizeof(Elf64_Phdr);
  const auto add = [&](const Piece& piece) {
    contents.resize((contents.size() + 15) / 16 * 16);
    Elf64_Shdr section{};
    section.sh_name = static_cast<uint32_t>(names.size());
    section.sh_type = piece.type;
    section.sh_flags = piece.flags;
    section.sh_addr = piece.address;
    section.sh_offset = base + contents.size();
    section.sh_size = piece.bytes.size();
    section.sh_link = piece.link;
    names += piece.name + '\0';
    if (piece.address != 0) {
      Elf64_Phdr segment{};
      segment.p_type = PT_LOAD;
      segment.p_flags = piece.segment_flags;
      segment.p_offset = section.sh_offset;
      segment.p_vaddr = piece.address;
      segment.p_filesz = segment.p_memsz = piece.bytes.size();
      segments.push_back(segment);
    }
    contents += piece.bytes;
    sections.push_back(section);
  };
  for (const Piece& piece : pieces) {
    add(piece);
  }
  const std::string name_of_names = ".shstrtab";
  add({.name = name_of_names, .bytes = names + name_of_names + '\0', .type = SHT_STRTAB});
  contents.resize((contents.size() + 7) / 8 * 8);

  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = type;
  header.e_machine = machine;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<uint16_t>(segments.size());
  header.e_shoff = base + contents.size();
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<uint16_t>(sections.size());
  header.e_shstrndx = static_cast<uint16_t>(sections.size() - 1);
  std::string file;
  append(file, header);
  for (const Elf64_Phdr& segment : segments) {
    append(file, segment);
  }
  file += contents;
  for (const Elf64_Shdr& section : sections) {
    append(file, section);
  }
  return file;
}

std::unique_ptr<ByteSource> source_of(std::string bytes) {
  return std::make_unique<OwningSource>(std::move(bytes));
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = std::filesystem::temp_directory_path() / "zerospan-symbols-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    ADD_FAILURE() << "no temporary folder";
  }
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::operator/(std::string_view name) const {
  return path_ + '/' + std::string(name);
}

std::string TemporaryFolder::write(std::string_view name, std::string_view bytes) const {
  const std::string path = *this / name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string output_of(const std::string& command, int seconds) {
  const std::string limited =
      "exec 2>&1; export LC_ALL=C; timeout " + std::to_string(seconds) + " sh -c '" + command + "'";
  std::FILE* pipe = ::popen(limited.c_str(), "re");
  if (pipe == nullptr) {
    ADD_FAILURE() << "cannot run " << command;
    return {};
  }
  std::string output;
  std::array<char, 65536> buffer;
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), got);
  }
  const int status = ::pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command << "\n" << output;
  return output;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

bool has_program(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null").c_str()) == 0;
}

}  // namespace zerospan::symbols::elf
