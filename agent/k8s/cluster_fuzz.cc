// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Any objects in any order: what is found under a pod's uid is that pod's, nothing is found of what
// is gone, and a list's end leaves only what the list had.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "agent/k8s/cluster.h"

namespace {

using zerospan::k8s::Cluster;
using zerospan::k8s::kPods;

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

std::string uid_of(const zerospan::model::Workload& workload) {
  for (const auto& attribute : workload.observed) {
    if (attribute.key == "k8s.pod.uid") {
      return std::get<std::string>(attribute.value);
    }
  }
  return {};
}

}  // namespace

// Lines: an operation's letter, and an object as JSON.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zerospan::k8s::ClusterOptions options;
  options.choice.selectors = {{.namespaces = {"s*"}}, {.owner_kind = "Deployment"}};
  Cluster cluster(options);
  cluster.set_get([](const std::string&, const zerospan::k8s::Client::Done&) { return true; });
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) {
      continue;
    }
    const size_t collection = line[0] & 1;
    const nlohmann::json object = nlohmann::json::parse(line.substr(1), nullptr, false);
    const std::string uid = zerospan::k8s::read_metadata(object, "uid");
    bool deleted = false;
    switch (line[0] >> 1 & 3) {
      case 0:
        if (!uid.empty()) {
          cluster.on_object(collection, object);
        }
        break;
      case 1:
        cluster.on_deleted(collection, object);
        deleted = collection == kPods;
        break;
      case 2:
        cluster.on_list_begin(collection);
        break;
      default:
        cluster.on_list_end(collection);
        break;
    }
    const auto workload = cluster.workload(uid, "");
    if (workload && workload->chosen) {
      check(!uid.empty() && !uid_of(*workload).empty());
    }
    // A static pod's hash may be what another pod has as its uid.
    check(!deleted || !workload || uid_of(*workload) != uid);
  }
  cluster.on_list_begin(kPods);
  cluster.on_list_end(kPods);
  check(cluster.counters().pods == 0 && cluster.counters().owners == 0);
  return 0;
}
