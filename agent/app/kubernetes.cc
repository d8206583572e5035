// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/kubernetes.h"

#include <fstream>
#include <sstream>
#include <thread>

#include "agent/app/settings.h"
#include "agent/selfobs/logging.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;

void log_error(const std::string& collection, const Error& error) {
  log::warn("Kubernetes API, {}: {}", collection, error.message);
}

}  // namespace

Kubernetes::Kubernetes(const config::Kubernetes& config)
    : cluster_(cluster_options(config), log_error),
      collections_(k8s::Cluster::collections(config.node_name, config.peers)) {}

Result<std::unique_ptr<Kubernetes>> Kubernetes::start(const config::Kubernetes& config) {
  std::unique_ptr<Kubernetes> kubernetes(new Kubernetes(config));
  k8s::ApiServerOptions options;
  options.url = config.api_server;
  options.token_file = config.token_file;
  options.ca_file = config.api_server.starts_with("https:") ? config.ca_file : "";
  options.user_agent = std::string("zerospan/") + kVersion;
  options.start_jitter = config.start_jitter;
  Result<std::unique_ptr<k8s::Client>> client =
      k8s::Client::start(std::move(options), kubernetes->collections_, kubernetes->cluster_);
  if (!client) {
    Error error = client.error();
    error.message +=
        " (options kubernetes.api_server, .token_file and .ca_file; kubernetes.enabled: false does "
        "without)";
    return tl::unexpected(std::move(error));
  }
  kubernetes->client_ = std::move(*client);
  kubernetes->cluster_.set_get(
      [raw = kubernetes->client_.get()](std::string path, k8s::Client::Done done) {
        return raw->get(std::move(path), true, std::move(done));
      });
  if (config.node_name.empty()) {
    log::warn(
        "kubernetes.node_name is not set (ZEROSPAN_NODE_NAME): following the pods of all nodes");
  }
  return kubernetes;
}

Kubernetes::~Kubernetes() {
  cluster_.set_get(nullptr);
}

bool Kubernetes::wait_synced(std::chrono::milliseconds patience) const {
  constexpr std::chrono::milliseconds kLook{10};
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!client_->synced()) {
    if (std::chrono::steady_clock::now() >= end) {
      return false;
    }
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

void Kubernetes::collect(selfobs::Samples& samples) const {
  const k8s::Cluster::Counters cluster = cluster_.counters();
  const auto gauge = [&](const char* name, const char* help, uint64_t value) {
    samples.gauge(name, help, static_cast<double>(value));
  };
  gauge("zerospan_k8s_pods", "pods of this node that are known", cluster.pods);
  gauge("zerospan_k8s_chosen_pods", "pods with processes that are to be traced",
        cluster.chosen_pods);
  gauge("zerospan_k8s_namespaces", "namespaces that are known", cluster.namespaces);
  gauge("zerospan_k8s_owners", "ReplicaSets and Jobs whose owners are known or asked for",
        cluster.owners);
  gauge("zerospan_k8s_synced", "1 once everything was listed", client_->synced() ? 1 : 0);
  samples.counter("zerospan_k8s_owners_failed_total", "ReplicaSets and Jobs that could not be got",
                  static_cast<double>(cluster.owners_failed));
  const k8s::Peers::Counters peers = cluster_.peers().counters();
  gauge("zerospan_k8s_peer_addresses", "addresses and ports of Services that have a name",
        peers.addresses);
  samples.counter("zerospan_k8s_peer_addresses_refused_total",
                  "addresses and ports that were over the limit",
                  static_cast<double>(peers.refused));
  const k8s::Counters api = client_->counters();
  const auto counter = [&](const char* name, const char* help, uint64_t value,
                           selfobs::Labels labels = {}) {
    samples.counter(name, help, static_cast<double>(value), std::move(labels));
  };
  counter("zerospan_k8s_api_requests_total", "requests to the API server", api.requests);
  counter("zerospan_k8s_api_gets_total", "requests for single objects", api.gets);
  counter("zerospan_k8s_api_unauthorized_total", "answers 401", api.unauthorized);
  counter("zerospan_k8s_api_forbidden_total", "answers 403", api.forbidden);
  counter("zerospan_k8s_api_bytes_total", "bytes of answers", api.bytes);
  for (size_t i = 0; i < api.collections.size() && i < collections_.size(); ++i) {
    const k8s::CollectionCounters& each = api.collections[i];
    const selfobs::Labels labels = {{"collection", collections_[i].name}};
    counter("zerospan_k8s_lists_total", "lists begun", each.lists, labels);
    counter("zerospan_k8s_watches_total", "watches begun", each.watches, labels);
    counter("zerospan_k8s_objects_total", "objects listed, added or changed", each.objects, labels);
    counter("zerospan_k8s_deleted_total", "objects deleted", each.deleted, labels);
    counter("zerospan_k8s_relists_total", "lists made anew after 410 Gone", each.relists_gone,
            labels);
    counter("zerospan_k8s_errors_total", "requests that failed", each.errors, labels);
    counter("zerospan_k8s_skipped_objects_total", "objects that could not be used",
            each.skipped_objects, labels);
  }
}

// DEVICE MOUNTPOINT TYPE OPTIONS ... (proc_pid_mounts(5))
std::string find_cgroup_root() {
  std::ifstream mounts("/proc/self/mounts");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string device;
    std::string mount_point;
    std::string type;
    if (fields >> device >> mount_point >> type && type == "cgroup2") {
      return mount_point;
    }
  }
  return {};
}

}  // namespace zerospan::app
