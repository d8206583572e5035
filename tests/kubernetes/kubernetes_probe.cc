// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Follows collections of a Kubernetes API server with agent/k8s/api, for
// tests/integration/test_kubernetes_api.py.
//
// The first line of its input is a JSON object: "url", files, times in
// milliseconds, and "collections". Then commands: `known` prints what it knows of each collection,
// `counters` the client's counters, `get PATH` an object. What it is told and what it answers goes
// to its output, one JSON object a line. It ends with its input.

#include <cstdio>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "agent/k8s/api/client.h"

namespace {

using namespace zerospan::k8s;  // NOLINT(google-build-using-namespace)
using nlohmann::json;

std::mutex mutex;

void print(const json& line) {
  std::puts(line.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

class Store final : public Observer {
 public:
  explicit Store(size_t collections)
      : known_(collections), fields_(collections), listed_(collections) {}

  void on_list_begin(size_t collection) override {
    const std::lock_guard lock(mutex);
    listed_[collection].clear();
    print({{"begin", collection}});
  }
  void on_object(size_t collection, const json& object) override {
    const std::lock_guard lock(mutex);
    const std::string key = key_of(object);
    known_[collection][key] = object["metadata"]["resourceVersion"];
    listed_[collection].insert(key);
    for (const auto* part : {&object, &object["metadata"]}) {
      for (const auto& field : part->items()) {
        fields_[collection].insert(field.key());
      }
    }
  }
  void on_deleted(size_t collection, const json& object) override {
    const std::lock_guard lock(mutex);
    known_[collection].erase(key_of(object));
  }
  void on_list_end(size_t collection) override {
    const std::lock_guard lock(mutex);
    std::erase_if(known_[collection],
                  [&](const auto& each) { return !listed_[collection].contains(each.first); });
    print({{"end", collection}, {"objects", known_[collection].size()}});
  }
  void on_error(size_t collection, const zerospan::Error& error) override {
    const std::lock_guard lock(mutex);
    print({{"error", collection}, {"message", error.message}});
  }

  void print_known() {
    const std::lock_guard lock(mutex);
    print({{"known", known_}, {"fields", fields_}});
  }

 private:
  static std::string key_of(const json& object) {
    const json& metadata = object["metadata"];
    return metadata.value("namespace", "") + "/" + std::string(metadata["name"]) + "/" +
           std::string(metadata["uid"]);
  }

  std::vector<std::map<std::string, std::string>> known_;  // key: version
  std::vector<std::set<std::string>> fields_;              // of objects and their metadata
  std::vector<std::set<std::string>> listed_;              // since the list began
};

json counters_of(const Client& client) {
  const Counters counters = client.counters();
  json collections = json::array();
  for (const CollectionCounters& each : counters.collections) {
    collections.push_back({{"lists", each.lists},
                           {"pages", each.pages},
                           {"watches", each.watches},
                           {"objects", each.objects},
                           {"deleted", each.deleted},
                           {"bookmarks", each.bookmarks},
                           {"relists_gone", each.relists_gone},
                           {"silent", each.silent},
                           {"errors", each.errors},
                           {"unknown_events", each.unknown_events},
                           {"skipped_objects", each.skipped_objects},
                           {"synced", each.synced}});
  }
  return {{"collections", collections},      {"requests", counters.requests},
          {"gets", counters.gets},           {"unauthorized", counters.unauthorized},
          {"forbidden", counters.forbidden}, {"bytes", counters.bytes},
          {"synced", client.synced()}};
}

}  // namespace

int main() {
  std::string line;
  std::getline(std::cin, line);
  const json config = json::parse(line);
  ApiServerOptions options;
  options.url = config.at("url");
  options.token_file = config.value("token_file", "");
  options.ca_file = config.value("ca_file", "");
  options.certificate_file = config.value("certificate_file", "");
  options.key_file = config.value("key_file", "");
  options.user_agent = "kubernetes-probe";
  options.page_size = config.value("page_size", options.page_size);
  const auto time = [&](const char* name, auto& field) {
    field = std::chrono::duration_cast<std::remove_reference_t<decltype(field)>>(
        std::chrono::milliseconds(config.value(
            name, int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(field).count()})));
  };
  time("start_jitter", options.start_jitter);
  time("max_backoff", options.max_backoff);
  time("watch_silence", options.watch_silence);
  time("request_silence", options.request_silence);
  time("min_watch", options.min_watch);
  time("max_watch", options.max_watch);
  time("token_interval", options.token_interval);
  std::vector<Collection> collections;
  for (const json& each : config.at("collections")) {
    collections.push_back({each.at("name"), each.at("path"), each.value("field_selector", ""),
                           each.value("label_selector", ""), each.value("metadata_only", false)});
  }
  Store store(collections.size());
  auto client = Client::start(options, collections, store);
  if (!client) {
    std::cerr << client.error().message << "\n";
    return 1;
  }
  while (std::getline(std::cin, line)) {
    if (line == "known") {
      store.print_known();
    } else if (line == "counters") {
      const json counters = counters_of(**client);
      const std::lock_guard lock(mutex);
      print({{"counters", counters}});
    } else if (line.starts_with("get ")) {
      (void)(*client)->get(line.substr(4), true, [](const zerospan::Result<json>& result) {
        const std::lock_guard lock(mutex);
        print(result ? json{{"got", *result}}
                     : json{{"got", nullptr}, {"message", result.error().message}});
      });
    }
  }
  return 0;
}
