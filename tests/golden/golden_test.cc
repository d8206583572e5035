// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Every recording of this folder, replayed, gives the spans beside it, byte for byte. record.py
// makes both.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "agent/app/commands.h"

namespace zerospan::app {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<fs::path> recordings() {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator("tests/golden")) {
    if (entry.path().extension() == ".zsr") {
      found.push_back(entry.path());
    }
  }
  return found;
}

class Golden : public testing::TestWithParam<fs::path> {};

TEST_P(Golden, GivesTheSpansBesideIt) {
  const fs::path output =
      fs::temp_directory_path() / ("zerospan-golden-" + std::to_string(::getpid()) + ".jsonl");
  config::Command command;
  command.command = config::SubCommand::kReplay;
  command.format = config::OutputFormat::kOtlpJson;
  command.recording = GetParam().string();
  command.output = output.string();
  const int code = run_replay(command);
  const std::string got = contents(output);
  fs::remove(output);
  ASSERT_EQ(0, code);
  fs::path expected = GetParam();
  expected.replace_extension(".jsonl");
  const std::string want = contents(expected);
  // Not EXPECT_EQ: a difference of kilobytes on one line helps nobody.
  EXPECT_TRUE(got == want) << "look at it with: zerospan replay " << GetParam()
                           << " --format=otlp-json | diff " << expected << " -";
}

INSTANTIATE_TEST_SUITE_P(Recordings, Golden, testing::ValuesIn(recordings()),
                         [](const auto& recording) { return recording.param.stem().string(); });

}  // namespace
}  // namespace zerospan::app
