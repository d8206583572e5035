// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// For the tests of this folder: what an observer was told, as lines.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/k8s/api/client.h"
#include "agent/k8s/api/decode.h"

namespace zerospan::k8s::testing {

class Recorder final : public Observer {
 public:
  void on_list_begin(size_t /*collection*/) override { lines.emplace_back("begin"); }
  void on_object(size_t /*collection*/, const nlohmann::json& object) override {
    lines.push_back("object " + text(object));
  }
  void on_deleted(size_t /*collection*/, const nlohmann::json& object) override {
    lines.push_back("deleted " + text(object));
  }
  void on_list_end(size_t /*collection*/) override { lines.emplace_back("end"); }
  void on_error(size_t /*collection*/, const Error& error) override {
    lines.push_back("error " + error.message);
  }

  std::vector<std::string> lines;
  bool unnamed = false;  // an object had no name or uid

 private:
  std::string text(const nlohmann::json& object) {
    const std::string name = string_at(object, "metadata", "name");
    unnamed = unnamed || name.empty() || string_at(object, "metadata", "uid").empty();
    return name + "@" + string_at(object, "metadata", "resourceVersion");
  }
};

}  // namespace zerospan::k8s::testing
