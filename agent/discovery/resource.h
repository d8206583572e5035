// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The OpenTelemetry resource of a process: service.*, process.*, host.*, os.*, container.id and
// telemetry.distro.*, as the semantic conventions' registry names them
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/). telemetry.sdk.* is not set:
// no SDK made these spans.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/discovery/process_info.h"
#include "agent/discovery/procfs.h"
#include "agent/discovery/service_name.h"
#include "agent/model/span.h"

namespace zerospan::discovery {

// What is the same for all processes of this host. An empty string is left out of resources.
struct Host {
  std::string name{};
  std::string id{};    // machine-id(5)
  std::string arch{};  // amd64, arm64, ...
  std::string boot_id{};
  uint64_t boot_time_unix_s = 0;  // 0: unknown
  uint32_t ticks_per_second = 100;
};

// `root` is where the host's file system is seen: "/" or, in a container, where it is mounted.
[[nodiscard]] Host read_host(const std::string& root, const ProcFs& procfs);

// Names a service by what its process is. All conditions that are given must hold; at least one
// must be given. Globs as in SelectionRules.
struct NamingRule {
  std::string executable{};
  std::string command_line{};
  uint16_t port = 0;  // it listens on this port
  std::string name{};
  std::string service_namespace{};  // may be empty
};

struct ResourceOptions {
  Host host;
  std::string agent_version;      // telemetry.distro.version
  std::vector<NamingRule> rules;  // the first that fits is taken
  // Set on every resource unless the process itself says otherwise (OTEL_RESOURCE_ATTRIBUTES).
  std::vector<std::pair<std::string, std::string>> attributes;
  // process.command_args: arguments may hold secrets, so the convention says not by default.
  bool command_args = false;
};

// Makes resources. One thread; `malformed_variables` may be read by any.
//
// service.name: OTEL_SERVICE_NAME of the process's environment; else service.name in its
// OTEL_RESOURCE_ATTRIBUTES; else -Dotel.service.name on a Java command line; else the first rule
// that fits; else service.name in an annotation of its pod; else the one configured for all; else
// what its pod belongs to; else guess_service_name().
//
// service.instance.id: a UUID version 5 in the namespace that the convention gives, of the host's
// machine id, the boot id, the pid and the process's start time: the same each time that the agent
// is started, different for each process of a service. In a pod: namespace, pod and container.
//
// The process's own attributes win over its pod's annotations, those over configured ones, and
// those over observed ones, but for process.* and telemetry.distro.*, which are what we saw.
class ResourceBuilder {
 public:
  explicit ResourceBuilder(ResourceOptions options) : options_(std::move(options)) {}

  // For resources from now on.
  void set_options(ResourceOptions options) { options_ = std::move(options); }

  // `info` without its resource. `environment` as ProcFs::environment gives it.
  [[nodiscard]] std::shared_ptr<const model::Resource> build(
      const ProcessInfo& info, const std::vector<std::string>& arguments,
      std::string_view environment, std::string_view working_directory,
      const PackageName& package_name);
  // For a child that runs its parent's program: the same service, another instance.
  [[nodiscard]] std::shared_ptr<const model::Resource> build_for_fork(const ProcessInfo& parent,
                                                                      const ProcessInfo& child);
  [[nodiscard]] bool names_by_port() const;
  // How many processes had an OTEL_RESOURCE_ATTRIBUTES that could not be used.
  [[nodiscard]] uint64_t malformed_variables() const {
    return malformed_variables_.load(std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] std::string instance_id(uint32_t pid, uint64_t start_time) const;
  [[nodiscard]] std::string creation_time(uint64_t start_time) const;

  ResourceOptions options_;
  uint64_t next_id_ = 1;
  std::atomic<uint64_t> malformed_variables_{0};
};

// RFC 9562 section 5.5: the name-based UUID of `name` in the namespace of service.instance.id.
[[nodiscard]] std::string service_instance_uuid(std::string_view name);

}  // namespace zerospan::discovery
