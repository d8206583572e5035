// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Writes the seeds of the fuzz targets anew, into the folders named corpus/ beside them:
//
//	cd symbols && zerospan_symbols_corpus
//
// Needs gcc and objcopy. All seeds are small files: no libraries, a few structs.
#include <filesystem>
#include <fstream>
#include <string>

#include "symbols/go/testing.h"

namespace {

using namespace zerospan::symbols;  // NOLINT(google-build-using-namespace)

void write(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

void compile(const std::string& options, const std::string& path) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  // In the root folder, so that no other one's name is in the debug information.
  static_cast<void>(elf::output_of(
      "cd / && "
      "printf \"namespace a { struct t { char c; int f; }; } a::t v; struct s { long a, b; } w;"
      " extern \\\"C\\\" void _start() {}\" | g++ -x c++ -nostdlib -static -Wl,--build-id=sha1,-z,"
      "noseparate-code -fno-asynchronous-unwind-tables " +
      options + " - -o " + std::filesystem::absolute(path).string()));
}

}  // namespace

int main() {
  for (const std::string& folder :
       {std::string("elf/corpus/fuzz_elf"), std::string("dwarf/corpus/fuzz_dwarf")}) {
    compile("-gdwarf-4", folder + "/dwarf4");
    compile("-gdwarf-5", folder + "/dwarf5");
    compile("-gdwarf-5 -gz=zlib", folder + "/zlib");
    compile("-gdwarf-4 -gz=zlib-gnu", folder + "/zlib_gnu");
    static_cast<void>(elf::output_of("objcopy --compress-debug-sections=zstd " + folder +
                                     "/dwarf5 " + folder + "/zstd"));
  }
  compile("-static-pie", "elf/corpus/fuzz_elf/pie");
  write("dwarf/corpus/fuzz_dwarf/abbreviations",
        std::string("\x01\x11\x01\x03\x08\0\0\x02\x13\x01\x03\x0e\0\0\x07\x0d\0\x38\x21\x2a\0\0\0",
                    22));

  const std::vector<std::string> names = {"main.main", "net/http.(*conn).serve",
                                          "net/http.serverHandler.ServeHTTP", "z.serve"};
  int number = 0;
  for (const auto format : {go::TableFormat::kGo116, go::TableFormat::kGo118,
                            go::TableFormat::kGo120, go::TableFormat::kGo126}) {
    const std::string name = "go/corpus/fuzz_inspect/format" + std::to_string(number++);
    auto pieces = go::make_program(format, names);
    write(name, elf::make_elf(pieces));
    for (elf::Piece& piece : pieces) {
      piece.name = ".data";
    }
    write(name + "_by_search", elf::make_elf(pieces, EM_X86_64, ET_DYN));
  }
  write("go/corpus/fuzz_modules/modules",
        "go1.22.1\npath\texample.com/a\nmod\texample.com\tv1.2.3\th1:x=\n"
        "dep\tgoogle.golang.org/grpc\tv1.60.0\n=>\texample.com/fork\tv1.60.1\n"
        "dep\tgo.opentelemetry.io/otel/sdk\tv1.30.0\n");
  write("probe/corpus/fuzz_placement/grows",
        std::string("\x01\x49\x3b\x66\x10\x76\x03\x55\x5d\xc3\xe8\0\x01\0\0\xeb\xf0", 17));
  write("probe/corpus/fuzz_placement/c", "\x02\x55\x48\x89\xe5\x5d\xc3");
  return 0;
}
