// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Writes the seeds of the fuzz targets from the scripted conversations.
//
//     http2_corpus PROJECT_FOLDER

#include <filesystem>
#include <fstream>
#include <string>

#include "agent/protocols/http2/testing.h"

namespace {

using namespace zerospan::protocols::http2;  // NOLINT(google-build-using-namespace)

void write(const std::filesystem::path& folder, std::string name, const std::string& bytes) {
  for (char& c : name) {
    c = c == ' ' ? '_' : c;
  }
  std::filesystem::create_directories(folder);
  std::ofstream(folder / name, std::ios::binary) << bytes;
}

std::string sized(const std::string& bytes) {
  return std::string{static_cast<char>(bytes.size() >> 8U), static_cast<char>(bytes.size())} +
         bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    return 2;
  }
  const std::filesystem::path root = argv[1];
  const std::filesystem::path folder = root / "agent/protocols/http2/corpus";
  for (const NamedConversation& conversation : conversations()) {
    std::string server("\x10", 1);
    std::string joined("\x18", 1);
    std::string requester;
    std::string walk;
    size_t count = 0;
    for (const Say& say : conversation.says) {
      const bool sent = say.from == From::kResponder;
      const std::string operation = std::string(1, sent ? '\1' : '\0') + sized(say.bytes);
      server += operation;
      if (count++ != 0) {
        joined += operation;
      }
      if (!sent) {
        requester += sized(say.bytes);
      }
      walk += operation;
    }
    write(folder / "fuzz_http2", conversation.name, server);
    write(folder / "fuzz_http2", conversation.name + " joined", joined);
    write(root / "tests/structure/corpus/fuzz_http2_walk", conversation.name, walk);
  }
  Encoder encoder;
  std::string blocks;
  for (int i = 0; i < 6; ++i) {
    if (i == 4) {
      encoder.resize(100);
    }
    blocks += sized(encoder.encode({{":method", "POST"},
                                    {":path", "/pkg.Shop/Buy"},
                                    {"x-tenant", i % 2 == 0 ? "blue" : "green"},
                                    {"authorization", "secret"},
                                    {"x-" + std::to_string(i), std::string(20, '~')}}));
  }
  write(folder / "fuzz_hpack", "requests", blocks);
  write(folder / "fuzz_hpack", "rfc",
        sized("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff") +
            sized("\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf"));
  return 0;
}
