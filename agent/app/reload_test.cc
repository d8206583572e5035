// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/reload.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace zerospan::app {
namespace {

namespace fs = std::filesystem;

class FollowedFileTest : public ::testing::Test {
 protected:
  FollowedFileTest() {
    std::string pattern = (fs::temp_directory_path() / "reload.XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~FollowedFileTest() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::trunc) << text;
  }
  [[nodiscard]] FollowedFile follow(const std::string& name, const std::string& text) const {
    return {(folder_ / name).string(), text};
  }
  // Two looks, of which the first never tells.
  static std::string told(FollowedFile& file) {
    EXPECT_FALSE(file.look().has_value());
    const auto found = file.look();
    return !found ? "nothing" : *found ? **found : "an error";
  }

  fs::path folder_;
};

TEST_F(FollowedFileTest, TellsAChangeOnceAndWhenItHasSettled) {
  write("a", "one");
  FollowedFile file = follow("a", "one");
  EXPECT_EQ(told(file), "nothing");
  write("a", "two");
  EXPECT_EQ(told(file), "two");
  EXPECT_EQ(told(file), "nothing");
  write("a", "");  // an editor has cut it off and goes on to write
  EXPECT_FALSE(file.look().has_value());
  write("a", "three, half");
  EXPECT_FALSE(file.look().has_value());
  write("a", "three, whole");
  EXPECT_EQ(told(file), "three, whole");
  write("a", "x");
  EXPECT_FALSE(file.look().has_value());
  write("a", "three, whole");  // and back
  EXPECT_EQ(told(file), "nothing");
}

TEST_F(FollowedFileTest, ARenamedFileIsSeen) {
  write("a", "one");
  FollowedFile file = follow("a", "one");
  write("b", "two");
  fs::rename(folder_ / "b", folder_ / "a");
  EXPECT_EQ(told(file), "two");
}

// As a kubelet changes the files of a ConfigMap: config.yaml -> ..data/config.yaml, ..data -> ..1.
TEST_F(FollowedFileTest, ALinkOnTheWayIsSeen) {
  write("..1/config.yaml", "one");
  write("..2/config.yaml", "two");
  fs::create_symlink("..1", folder_ / "..data");
  fs::create_symlink("..data/config.yaml", folder_ / "config.yaml");
  FollowedFile file = follow("config.yaml", "one");
  EXPECT_EQ(told(file), "nothing");
  fs::create_symlink("..2", folder_ / "..data_tmp");
  fs::rename(folder_ / "..data_tmp", folder_ / "..data");
  fs::remove_all(folder_ / "..1");
  EXPECT_EQ(told(file), "two");
}

TEST_F(FollowedFileTest, AFileThatIsGoneIsToldOnce) {
  write("a", "one");
  FollowedFile file = follow("a", "one");
  fs::remove(folder_ / "a");
  EXPECT_EQ(told(file), "an error");
  EXPECT_EQ(told(file), "nothing");
  write("a", "one");
  EXPECT_EQ(told(file), "one");
}

TEST_F(FollowedFileTest, APipeIsReadOnlyOnce) {
  ASSERT_EQ(::mkfifo((folder_ / "p").c_str(), 0600), 0);
  FollowedFile file = follow("p", "what came through it");
  EXPECT_EQ(told(file), "nothing");
  EXPECT_FALSE(file.read());
  // Nor is one opened that comes in a file's place.
  write("a", "one");
  FollowedFile other = follow("a", "one");
  fs::rename(folder_ / "p", folder_ / "a");
  EXPECT_EQ(told(other), "an error");
}

TEST_F(FollowedFileTest, ReadTellsAtOnceAndOnlyOnce) {
  write("a", "one");
  FollowedFile file = follow("a", "one");
  EXPECT_EQ(file.read().value(), "one");
  write("a", "two");
  EXPECT_EQ(file.read().value(), "two");
  EXPECT_EQ(told(file), "nothing");
}

config::Command command(const fs::path& file, const std::string& yaml) {
  config::Command made;
  made.command = config::SubCommand::kRun;
  made.sources.file_name = file.string();
  made.sources.yaml = yaml;
  made.config = config::reload(made, yaml).value();
  return made;
}

std::string metrics(const Reloader& reloader) {
  selfobs::Metrics all;
  all.add([&](selfobs::Samples& samples) { reloader.collect(samples); });
  return all.render();
}

class ReloaderTest : public FollowedFileTest {};

TEST_F(ReloaderTest, AppliesWhatIsGoodAndKeepsTheRest) {
  const std::string first = "selection: {all: true}\n";
  write("c", first);
  const config::Command started = command(folder_ / "c", first);
  std::vector<std::vector<std::string>> applied;
  bool refuse = false;
  Reloader reloader(started, [&](const config::ConfigChange& change) -> Status {
    if (refuse) {
      return fail(ErrorCode::kNotFound, "no");
    }
    applied.push_back(change.applied);
    return {};
  });
  write("c", first + "http: {routes: [/a]}\ncapture: {workers: 2}\n");
  reloader.read_now();
  ASSERT_EQ(applied.size(), 1U);
  EXPECT_EQ(applied[0], std::vector<std::string>{"http.routes"});
  EXPECT_EQ(reloader.config().http.routes, std::vector<std::string>{"/a"});
  EXPECT_FALSE(reloader.config().capture.workers.has_value());

  for (const char* wrong : {"selection: {all: maybe}\n", "nonsense: 1\n", "", "{", "http: {}\n"}) {
    write("c", wrong);
    reloader.read_now();
  }
  fs::remove(folder_ / "c");
  reloader.read_now();
  refuse = true;
  write("c", "selection: {all: true}\nlog: {level: debug}\n");
  reloader.read_now();
  EXPECT_EQ(applied.size(), 1U);
  EXPECT_EQ(reloader.config().http.routes, std::vector<std::string>{"/a"});
  std::string text = metrics(reloader);
  EXPECT_NE(text.find("zerospan_config_reloads_total{result=\"applied\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("zerospan_config_reloads_total{result=\"refused\"} 7\n"), std::string::npos);
  EXPECT_NE(text.find("zerospan_config_last_reload_success 0\n"), std::string::npos);
  EXPECT_NE(text.find("zerospan_config_restart_needed 1\n"), std::string::npos) << text;

  refuse = false;
  write("c", first + "# nothing new\nhttp: {routes: [/a]}\n");
  reloader.read_now();
  text = metrics(reloader);
  EXPECT_NE(text.find("zerospan_config_reloads_total{result=\"unchanged\"} 1\n"),
            std::string::npos);
  EXPECT_NE(text.find("zerospan_config_last_reload_success 1\n"), std::string::npos);
  EXPECT_NE(text.find("zerospan_config_restart_needed 0\n"), std::string::npos);
}

TEST_F(ReloaderTest, FlagsStillWin) {
  write("c", "selection: {all: true}\n");
  const std::string path = (folder_ / "c").string();
  const char* argv[] = {"zerospan", "run", "--config", path.c_str(), "--log-level", "warn"};
  const auto parsed = config::parse_command_line(
      6, argv, [](const std::string&) -> std::optional<std::string> { return std::nullopt; });
  ASSERT_TRUE(std::holds_alternative<config::Command>(parsed));
  const auto& started = std::get<config::Command>(parsed);
  Reloader reloader(started, [](const config::ConfigChange&) -> Status { return {}; });
  write("c", "selection: {all: true}\nlog: {level: error, format: json}\n");
  reloader.read_now();
  EXPECT_EQ(reloader.config().log.level, config::LogLevel::kWarn);
  EXPECT_EQ(reloader.config().log.format, config::LogFormat::kJson);
}

}  // namespace
}  // namespace zerospan::app
