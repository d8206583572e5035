// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/resource.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "agent/discovery/resource_attributes.h"
#include "agent/discovery/selector.h"

namespace zerospan::discovery {
namespace {

constexpr std::string_view kServiceName = "service.name";
constexpr std::string_view kServiceNamespace = "service.namespace";
constexpr std::string_view kServiceInstanceId = "service.instance.id";
constexpr std::string_view kProcessPid = "process.pid";
constexpr std::string_view kProcessCreationTime = "process.creation.time";

std::string first_line(const Result<std::string>& text) {
  return text ? text->substr(0, text->find('\n')) : std::string{};
}

std::string_view arch_name(std::string_view machine) {
  // host.arch has well-known values; any other is passed on as it is.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kNames = {{
      {"x86_64", "amd64"},
      {"aarch64", "arm64"},
      {"armv7l", "arm32"},
      {"armv6l", "arm32"},
      {"i686", "x86"},
      {"i386", "x86"},
      {"ppc64le", "ppc64"},
      {"ppc", "ppc32"},
  }};
  for (const auto& [kernel, convention] : kNames) {
    if (machine == kernel) {
      return convention;
    }
  }
  return machine;
}

class Attributes {
 public:
  void set(std::string_view key, model::AttributeValue value) {
    if (model::ResourceAttribute* found = find(key)) {
      found->value = std::move(value);
    } else {
      list_.push_back({std::string(key), std::move(value)});
    }
  }
  void set_text(std::string_view key, std::string_view value) {
    if (!value.empty()) {
      set(key, to_utf8(value));
    }
  }
  [[nodiscard]] model::ResourceAttribute* find(std::string_view key) {
    const auto found = std::find_if(list_.begin(), list_.end(),
                                    [&](const auto& attribute) { return attribute.key == key; });
    return found == list_.end() ? nullptr : &*found;
  }
  [[nodiscard]] std::vector<model::ResourceAttribute> take() { return std::move(list_); }

 private:
  std::vector<model::ResourceAttribute> list_;
};

bool observed(std::string_view key) {
  return key.starts_with("process.") || key.starts_with("telemetry.distro.");
}

bool fits(const NamingRule& rule, const ProcessInfo& info) {
  if (rule.executable.empty() && rule.command_line.empty() && rule.port == 0) {
    return false;
  }
  return (rule.executable.empty() || matches_executable(rule.executable, info.executable)) &&
         (rule.command_line.empty() || matches_glob(rule.command_line, info.command_line)) &&
         (rule.port == 0 || std::find(info.listen_ports.begin(), info.listen_ports.end(),
                                      rule.port) != info.listen_ports.end());
}

}  // namespace

Host read_host(const std::string& root, const ProcFs& procfs) {
  constexpr size_t kMaxFile = 4096;
  Host host;
  utsname names{};
  if (::uname(&names) == 0) {
    host.name = names.nodename;
    host.arch = arch_name(names.machine);
  }
  host.id = first_line(read_file(root + "/etc/machine-id", kMaxFile));
  if (host.id.empty()) {
    host.id = first_line(read_file(root + "/var/lib/dbus/machine-id", kMaxFile));
  }
  host.boot_id = first_line(procfs.file("sys/kernel/random/boot_id"));
  if (const auto stat = procfs.file("stat")) {
    constexpr std::string_view kKey = "\nbtime ";
    const size_t at = stat->find(kKey);
    if (at != std::string::npos) {
      const char* const end = stat->data() + stat->size();
      std::from_chars(stat->data() + at + kKey.size(), end, host.boot_time_unix_s);
    }
  }
  const long ticks = ::sysconf(_SC_CLK_TCK);
  host.ticks_per_second = ticks > 0 ? static_cast<uint32_t>(ticks) : 100;
  return host;
}

std::string service_instance_uuid(std::string_view name) {
  // 4d63009a-8d0f-11ee-aad7-4c796ed8e320, from the registry's note on service.instance.id.
  constexpr std::array<uint8_t, 16> kNamespace = {0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee,
                                                  0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20};
  std::string input(kNamespace.begin(), kNamespace.end());
  input += name;
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
  if (EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1) {
    return {};  // no SHA-1 in this build of the library: no instance id
  }
  digest[6] = static_cast<uint8_t>((digest[6] & 0x0fU) | 0x50U);
  digest[8] = static_cast<uint8_t>((digest[8] & 0x3fU) | 0x80U);
  std::string out;
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      out += '-';
    }
    out += fmt::format("{:02x}", digest[i]);
  }
  return out;
}

std::string ResourceBuilder::instance_id(uint32_t pid, uint64_t start_time) const {
  return service_instance_uuid(
      fmt::format("{}/{}/{}/{}", options_.host.id, options_.host.boot_id, pid, start_time));
}

// ISO 8601 in UTC with milliseconds; empty when the time of boot is not known.
std::string ResourceBuilder::creation_time(uint64_t start_time) const {
  if (options_.host.boot_time_unix_s == 0) {
    return {};
  }
  const uint64_t ticks = options_.host.ticks_per_second;
  const auto seconds =
      static_cast<std::time_t>(options_.host.boot_time_unix_s + start_time / ticks);
  const uint64_t millis = start_time % ticks * 1000 / ticks;
  std::tm utc{};
  if (::gmtime_r(&seconds, &utc) == nullptr) {
    return {};
  }
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, millis);
}

bool ResourceBuilder::names_by_port() const {
  return std::any_of(options_.rules.begin(), options_.rules.end(),
                     [](const NamingRule& rule) { return rule.port != 0; });
}

std::shared_ptr<const model::Resource> ResourceBuilder::build(
    const ProcessInfo& info, const std::vector<std::string>& arguments,
    std::string_view environment, std::string_view working_directory,
    const PackageName& package_name) {
  Attributes attributes;
  attributes.set_text("host.name", options_.host.name);
  attributes.set_text("host.id", options_.host.id);
  attributes.set_text("host.arch", options_.host.arch);
  attributes.set("os.type", std::string("linux"));
  attributes.set_text("container.id", info.container_id);
  attributes.set("process.pid", static_cast<int64_t>(info.pid));
  attributes.set_text(kProcessCreationTime, creation_time(info.start_time));
  attributes.set_text("process.executable.name", base_name(info.executable));
  attributes.set_text("process.executable.path", info.executable);
  // In a container the uid's name is another one than on the host, but for root's.
  if (info.container_id.empty() || info.uid == 0) {
    attributes.set_text("process.owner", info.user);
  }
  attributes.set_text("process.runtime.name", runtime_attribute(info.runtime, info.executable));
  if (options_.command_args && !arguments.empty()) {
    constexpr size_t kMaxBytes = 4096;
    std::vector<std::string> kept;
    size_t bytes = 0;
    for (const std::string& argument : arguments) {
      bytes += argument.size();
      if (bytes > kMaxBytes) {
        break;
      }
      kept.push_back(to_utf8(argument));
    }
    attributes.set("process.command_args", std::move(kept));
  }
  attributes.set("telemetry.distro.name", std::string("zerospan"));
  attributes.set_text("telemetry.distro.version", options_.agent_version);
  attributes.set_text(kServiceInstanceId, instance_id(info.pid, info.start_time));

  const model::Workload* const workload = info.workload.get();
  if (workload != nullptr) {
    for (const model::ResourceAttribute& attribute : workload->observed) {
      attributes.set(attribute.key, attribute.value);
    }
  }
  for (const auto& [key, value] : options_.attributes) {
    attributes.set(key, value);
  }
  if (workload != nullptr) {
    for (const model::ResourceAttribute& attribute : workload->stated) {
      if (!observed(attribute.key)) {
        attributes.set(attribute.key, attribute.value);
      }
    }
  }
  const auto stated =
      parse_resource_attributes(find_variable(environment, "OTEL_RESOURCE_ATTRIBUTES"));
  bool name_stated = false;
  if (!stated) {
    malformed_variables_.fetch_add(1, std::memory_order_relaxed);
  } else {
    for (const auto& [key, value] : *stated) {
      if (!observed(key) && !value.empty()) {
        attributes.set(key, value);
        name_stated = name_stated || key == kServiceName;
      }
    }
  }

  const std::string_view variable = find_variable(environment, "OTEL_SERVICE_NAME");
  if (!variable.empty()) {
    attributes.set_text(kServiceName, variable);
  } else if (!name_stated) {
    const auto rule = std::find_if(options_.rules.begin(), options_.rules.end(),
                                   [&](const NamingRule& r) { return fits(r, info); });
    const std::string_view java =
        info.runtime == Runtime::kJava ? stated_java_name(arguments) : std::string_view{};
    if (!java.empty()) {
      attributes.set_text(kServiceName, java);
    } else if (rule != options_.rules.end()) {
      attributes.set_text(kServiceName, rule->name);
      attributes.set_text(kServiceNamespace, rule->service_namespace);
    } else if (attributes.find(kServiceName) != nullptr) {
      // stated by its pod, or configured for all processes
    } else if (workload != nullptr && !workload->service_name.empty()) {
      attributes.set_text(kServiceName, workload->service_name);
    } else {
      const NameEvidence evidence{info.executable, info.command, arguments, info.runtime,
                                  working_directory};
      attributes.set(kServiceName, guess_service_name(evidence, package_name));
    }
  }
  return std::make_shared<model::Resource>(model::Resource{next_id_++, attributes.take()});
}

std::shared_ptr<const model::Resource> ResourceBuilder::build_for_fork(const ProcessInfo& parent,
                                                                       const ProcessInfo& child) {
  auto resource = std::make_shared<model::Resource>(*parent.resource);
  resource->id = next_id_++;
  const model::AttributeValue parent_instance = instance_id(parent.pid, parent.start_time);
  for (model::ResourceAttribute& attribute : resource->attributes) {
    if (attribute.key == kProcessPid) {
      attribute.value = static_cast<int64_t>(child.pid);
    } else if (attribute.key == kProcessCreationTime) {
      attribute.value = creation_time(child.start_time);
    } else if (attribute.key == kServiceInstanceId && attribute.value == parent_instance) {
      attribute.value = instance_id(child.pid, child.start_time);
    }
  }
  return resource;
}

}  // namespace zerospan::discovery
