// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/process_table.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "agent/discovery/cgroup.h"
#include "agent/discovery/elf_traits.h"

namespace zerospan::discovery {
namespace {

constexpr size_t kMaxCommandLine = 4096;
constexpr size_t kMaxPorts = 256;  // of one process
constexpr size_t kMaxGoFiles = 1024;
constexpr size_t kMaxPreloaded = size_t{64} * 1024;
constexpr size_t kMaxPackageJson = size_t{256} * 1024;
constexpr size_t kMaxPasswd = size_t{4} * 1024 * 1024;
constexpr int kMaxAncestors = 256;
constexpr size_t kMaxUnknownPods = 4096;

void bump(std::atomic<uint64_t>& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

std::string join(const std::vector<std::string>& arguments) {
  std::string out;
  for (const std::string& argument : arguments) {
    if (!out.empty()) {
      out += ' ';
    }
    out += argument;
    if (out.size() >= kMaxCommandLine) {
      out.resize(kMaxCommandLine);
      break;
    }
  }
  return out;
}

void add_port(std::vector<uint16_t>& ports, uint16_t port) {
  const auto at = std::lower_bound(ports.begin(), ports.end(), port);
  if ((at == ports.end() || *at != port) && ports.size() < kMaxPorts) {
    ports.insert(at, port);
  }
}

bool same_program(const ProcessInfo& a, const ProcessInfo& b) {
  return a.start_time == b.start_time && a.executable == b.executable &&
         a.command_line == b.command_line && a.listen_ports == b.listen_ports &&
         a.uses_epoll == b.uses_epoll && a.runtime == b.runtime && a.uid == b.uid &&
         a.workload == b.workload && a.awaits_workload == b.awaits_workload &&
         (a.resource == nullptr) == (b.resource == nullptr);
}

Action select_action(const ProcessInfo& info) {
  return {Action::Kind::kSelect, info.pid, info.runtime == Runtime::kGo, info.uses_epoll};
}

}  // namespace

std::string UserNames::name(uint32_t uid) {
  struct stat info {};
  if (::stat(path_.c_str(), &info) == 0) {
    const std::tuple<int64_t, int64_t, uint64_t> version(info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                                                         info.st_ino);
    if (version != version_) {
      version_ = version;
      load();
    }
  }
  const auto found = names_.find(uid);
  return found == names_.end() ? std::string{} : found->second;
}

// name:password:uid:gid:... (passwd(5))
void UserNames::load() {
  names_.clear();
  const Result<std::string> text = read_file(path_, kMaxPasswd);
  if (!text) {
    return;
  }
  std::string_view rest = *text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    uint32_t uid = 0;
    const std::string_view number =
        line.substr(second + 1, line.find(':', second + 1) - second - 1);
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), uid);
    if (error == std::errc{} && stop == number.data() + number.size()) {
      names_.try_emplace(uid, line.substr(0, first));  // the first name of a uid is the usual one
    }
  }
}

struct ProcessTable::Facts {
  ProcessInfo info;
  bool kernel_thread = false;
  std::vector<std::string> arguments;
  bool status_known = false;
  bool container_known = false;
  Cgroup cgroup{};
  bool ports_known = false;

  [[nodiscard]] Subject subject(const Entry& entry) const {
    return {.pid = info.pid,
            .kernel_thread = kernel_thread,
            .below_included = entry.below_included,
            .below_excluded = entry.below_excluded,
            .executable = info.executable,
            .command_line = info.command_line,
            .uid = info.uid,
            .user = info.user,
            .container_id = info.container_id,
            .workload = info.workload.get(),
            .listen_ports = info.listen_ports};
  }
};

ProcessTable::ProcessTable(ProcessTableOptions options, ProcFs procfs, Clock clock)
    : options_(std::move(options)),
      selector_(options_.selection),
      resources_(options_.resource),
      procfs_(std::move(procfs)),
      clock_(std::move(clock)),
      users_(options_.passwd_path) {}

// The cheap facts, and of the others only what the rules ask for: most processes of a host are not
// selected, and what is not read costs nothing.
Result<ProcessTable::Facts> ProcessTable::gather(uint32_t pid, ProcStat stat, const Entry& entry,
                                                 Namespaces& namespaces, bool everything) {
  Facts facts;
  facts.info.pid = pid;
  facts.info.start_time = stat.start_time;
  facts.info.parent_pid = stat.parent_pid;
  facts.info.command = std::move(stat.command);
  facts.kernel_thread = stat.kernel_thread;
  if (facts.kernel_thread) {
    return facts;
  }
  if (stat.state == 'Z' || stat.state == 'X') {
    return fail(ErrorCode::kNotFound, "Process " + std::to_string(pid) + " has ended.");
  }
  Result<std::string> executable = procfs_.executable(pid);
  if (executable) {
    facts.info.executable = std::move(*executable);
  } else if (executable.error().code == ErrorCode::kPermission) {
    bump(counters_.unreadable);
  }
  Result<std::vector<std::string>> arguments = procfs_.arguments(pid);
  if (!arguments) {
    return tl::unexpected<Error>(std::move(arguments.error()));
  }
  facts.arguments = std::move(*arguments);
  facts.info.command_line = join(facts.arguments);
  if (everything || selector_.needs_users()) {
    if (const auto status = procfs_.status(pid)) {
      facts.status_known = true;
      facts.info.uid = status->uid;
      facts.info.user = users_.name(status->uid);
      facts.info.namespace_pid = status->namespace_pid;
      facts.info.seccomp_filter = status->seccomp_filter;
    }
  }
  if (everything || selector_.needs_containers()) {
    load_container(facts);
  }
  if (everything || (selector_.needs_ports() && !selector_.decide(facts.subject(entry)).final)) {
    load_ports(facts, entry, namespaces);
  }
  return facts;
}

void ProcessTable::load_container(Facts& facts) const {
  if (facts.container_known) {
    return;
  }
  facts.container_known = true;
  ProcessInfo& info = facts.info;
  if (const auto text = procfs_.cgroup(info.pid)) {
    facts.cgroup = read_cgroup(*text);
    info.container_id = facts.cgroup.container_id;
    info.pod_uid = facts.cgroup.pod_uid;
  }
  if (options_.workloads && !(info.pod_uid.empty() && info.container_id.empty())) {
    info.workload = options_.workloads(info.pod_uid, info.container_id);
  }
}

void ProcessTable::load_ports(Facts& facts, const Entry& entry, Namespaces& namespaces) {
  if (facts.ports_known) {
    return;
  }
  facts.ports_known = true;
  const uint32_t pid = facts.info.pid;
  facts.info.listen_ports = entry.ports;
  const Result<ProcFds> fds = procfs_.fds(pid);
  if (!fds) {
    if (fds.error().code == ErrorCode::kPermission) {
      bump(counters_.unreadable);
    }
    return;
  }
  facts.info.uses_epoll = fds->epoll;
  if (fds->socket_inodes.empty()) {
    return;
  }
  const Result<std::string> name = procfs_.network_namespace(pid);
  if (!name) {
    return;
  }
  auto found = namespaces.find(*name);
  if (found == namespaces.end()) {
    Result<ListenTable> table = procfs_.listening(pid);
    if (!table) {
      return;
    }
    found = namespaces.emplace(*name, std::move(*table)).first;
  }
  for (const uint64_t inode : fds->socket_inodes) {
    if (const auto listener = found->second.find(inode); listener != found->second.end()) {
      add_port(facts.info.listen_ports, listener->second);
    }
  }
}

// What only a selected process needs: everything that its resource is made of.
void ProcessTable::complete(Facts& facts, const Entry& entry, Namespaces& namespaces,
                            bool everything) {
  ProcessInfo& info = facts.info;
  if (!facts.status_known) {
    if (const auto status = procfs_.status(info.pid)) {
      info.uid = status->uid;
      info.user = users_.name(status->uid);
      info.namespace_pid = status->namespace_pid;
      info.seccomp_filter = status->seccomp_filter;
    }
  }
  load_container(facts);
  load_ports(facts, entry, namespaces);
  info.runtime = runtime_from_executable(info.executable);
  if (info.runtime == Runtime::kNative && is_go(info.pid)) {
    info.runtime = Runtime::kGo;
  }
  if (info.runtime == Runtime::kNative || everything) {
    if (const auto libraries = procfs_.mapped_files(info.pid)) {
      if (info.runtime == Runtime::kNative) {
        info.runtime = runtime_from_libraries(*libraries);
      }
      if (everything) {
        info.tls_library = tls_library(info.runtime, *libraries);
      }
    }
  }
  const Result<std::string> environment = procfs_.environment(info.pid);
  if (!environment && environment.error().code == ErrorCode::kPermission) {
    bump(counters_.unreadable);
  }
  info.sdk =
      find_sdk(info.runtime,
               {.executable = info.executable,
                .arguments = facts.arguments,
                .environment = environment ? std::string_view(*environment) : std::string_view{}},
               {.list = [this, pid = info.pid](
                            const std::string& path) { return procfs_.directory_of(pid, path); },
                .read =
                    [this, pid = info.pid](const std::string& path) {
                      Result<std::string> text = procfs_.file_of(pid, path, kMaxPreloaded);
                      return text ? std::move(*text) : std::string();
                    }});
  if (info.runtime == Runtime::kGo && info.sdk.switched_by.empty()) {
    info.go_sdk = std::make_shared<GoSdk>();
  }
  const Result<std::string> directory = procfs_.working_directory(info.pid);
  info.resource = resources_.build(
      info, facts.arguments, environment ? std::string_view(*environment) : std::string_view{},
      directory ? std::string_view(*directory) : std::string_view{},
      [this, pid = info.pid](std::string_view script) { return package_name(pid, script); });
}

bool ProcessTable::is_go(uint32_t pid) {
  const Result<UniqueFd> file = procfs_.open_executable(pid);
  struct stat info {};
  if (!file || ::fstat(file->get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return false;
  }
  const FileId id(info.st_dev, info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  if (const auto known = go_files_.find(id); known != go_files_.end()) {
    return known->second;
  }
  FileSource source(file->get());
  const Result<ElfTraits> traits = read_elf_traits(source);
  if (!traits) {
    bump(counters_.malformed_elf);
  }
  if (go_files_.size() >= kMaxGoFiles) {
    go_files_.clear();
  }
  return go_files_.emplace(id, traits && traits->is_go).first->second;
}

// The script's own directory first, then the working directory: dist/server.js belongs to the
// package.json beside dist. A tool out of node_modules is run for the package around it.
std::string ProcessTable::package_name(uint32_t pid, std::string_view script) const {
  std::vector<std::string> candidates;
  if (script.find("node_modules/") == std::string_view::npos) {
    const size_t slash = script.rfind('/');
    if (slash != std::string_view::npos) {
      candidates.push_back(std::string(script.substr(0, slash + 1)) + "package.json");
    }
  }
  candidates.emplace_back("package.json");
  for (const std::string& path : candidates) {
    const Result<std::string> text = procfs_.file_of(pid, path, kMaxPackageJson);
    if (!text) {
      continue;
    }
    const nlohmann::json document = nlohmann::json::parse(*text, nullptr, false);
    if (document.is_object() && document.contains("name") && document["name"].is_string()) {
      return document["name"].get<std::string>();
    }
  }
  return {};
}

void ProcessTable::inherit_lineage(uint32_t pid, const Entry* parent, Entry& entry) const {
  entry.below_included =
      entry.below_included || selector_.includes_pid(pid) ||
      (options_.selection.children && parent != nullptr && parent->below_included);
  entry.below_excluded = entry.below_excluded || selector_.excludes_pid(pid) ||
                         (parent != nullptr && parent->below_excluded);
}

void ProcessTable::judge(uint32_t pid, ProcStat stat, Entry entry, Namespaces& namespaces,
                         bool always_act, Actions& actions) {
  entry.start_time = stat.start_time;
  Result<Facts> facts = gather(pid, std::move(stat), entry, namespaces, false);
  if (!facts) {
    bump(counters_.vanished);
    forget(pid, actions);
    return;
  }
  const Decision decision = selector_.decide(facts->subject(entry));
  if (selector_.needs_ports()) {
    entry.ports = facts->info.listen_ports;
  }
  if (options_.selection.pods) {
    entry.pod_uid = facts->info.pod_uid;
    entry.container_id = facts->info.container_id;
  }
  const model::Workload* const workload = facts->info.workload.get();
  const bool tentative = !decision.selected && !decision.final && workload == nullptr &&
                         may_await(entry) && (always_act || entry.awaits_until_ns != 0) &&
                         clock_() < awaited_until(entry.pod_uid);
  if (!decision.selected && !tentative) {
    forget(pid, actions);
    entry.info = nullptr;
    entry.cgroup_id = 0;
    entries_[pid] = std::move(entry);
    return;
  }
  complete(*facts, entry, namespaces, false);
  if (tentative) {
    facts->info.resource = nullptr;
  }
  if (tentative || (may_await(entry) && (workload == nullptr || !workload->complete))) {
    await_workload(pid, tentative ? awaited_until(entry.pod_uid) : deadline(), entry, facts->info);
  }
  set_cgroup(entry, workload != nullptr && workload->chosen ? cgroup_id(facts->cgroup) : 0,
             actions);
  if (!selector_.needs_ports()) {
    entry.ports.clear();
  }
  if (!always_act && entry.info != nullptr && entry.info->executable == facts->info.executable) {
    facts->info.go_sdk = entry.info->go_sdk;  // what its reader has found holds
  }
  select(pid, std::move(entry), std::make_shared<const ProcessInfo>(std::move(facts->info)),
         always_act, actions);
}

bool ProcessTable::may_await(const Entry& entry) const {
  return options_.selection.pods && !entry.pod_uid.empty() &&
         (entry.awaits_until_ns == 0 || clock_() < entry.awaits_until_ns);
}

uint64_t ProcessTable::deadline() const {
  return clock_() + static_cast<uint64_t>(options_.workload_patience.count());
}

// A pod that is not known is waited for once, whatever is started in it later: nobody may ever have
// chosen it.
uint64_t ProcessTable::awaited_until(const std::string& pod_uid) {
  if (unknown_pods_.size() >= kMaxUnknownPods) {
    unknown_pods_.clear();
  }
  return unknown_pods_.try_emplace(pod_uid, deadline()).first->second;
}

void ProcessTable::await_workload(uint32_t pid, uint64_t until_ns, Entry& entry,
                                  ProcessInfo& info) {
  info.awaits_workload = true;
  if (entry.awaits_until_ns == 0) {
    entry.awaits_until_ns = until_ns;
    awaiting_.push_back(pid);
  }
}

// Only a container's own cgroup: another one's processes may be anybody's.
uint64_t ProcessTable::cgroup_id(const Cgroup& cgroup) const {
  struct stat info {};
  if (options_.cgroup_root.empty() || cgroup.container_id.empty() ||
      cgroup.path.find(cgroup.container_id) == std::string::npos ||
      ::stat((options_.cgroup_root + cgroup.path).c_str(), &info) != 0) {
    return 0;
  }
  return info.st_ino;
}

void ProcessTable::set_cgroup(Entry& entry, uint64_t cgroup_id, Actions& actions) {
  if (entry.cgroup_id == cgroup_id) {
    return;
  }
  if (cgroup_id != 0 && cgroups_[cgroup_id]++ == 0) {
    actions.push_back({.kind = Action::Kind::kSelectCgroup, .cgroup_id = cgroup_id});
  }
  if (const auto found = cgroups_.find(entry.cgroup_id);
      found != cgroups_.end() && --found->second == 0) {
    actions.push_back({.kind = Action::Kind::kDeselectCgroup, .cgroup_id = entry.cgroup_id});
    cgroups_.erase(found);
  }
  entry.cgroup_id = cgroup_id;
}

void ProcessTable::select(uint32_t pid, Entry entry, std::shared_ptr<const ProcessInfo> info,
                          bool always_act, Actions& actions) {
  const auto known = entries_.find(pid);
  const bool was_selected = known != entries_.end() && known->second.info != nullptr;
  if (was_selected && !always_act && !renewing_ && same_program(*known->second.info, *info)) {
    known->second.cgroup_id = entry.cgroup_id;
    known->second.awaits_until_ns = entry.awaits_until_ns;
    return;
  }
  if (!was_selected &&
      counters_.selected.load(std::memory_order_relaxed) >= options_.max_selected) {
    bump(counters_.over_limit);
    set_cgroup(entry, 0, actions);
    entry.info = nullptr;
    entries_[pid] = std::move(entry);
    return;
  }
  if (!was_selected) {
    bump(counters_.selected);
  }
  // The kernel's side has to hear of another process, another program or other flags.
  const Action action = select_action(*info);
  if (always_act || !was_selected || known->second.info->start_time != info->start_time ||
      action != select_action(*known->second.info)) {
    actions.push_back(action);
  }
  current_.put(info);
  changed_ = true;
  entry.info = std::move(info);
  entries_[pid] = std::move(entry);
}

// The process is gone or is not traced any more; its info stays for spans that are still on their
// way.
void ProcessTable::forget(uint32_t pid, Actions& actions) {
  const auto found = entries_.find(pid);
  if (found == entries_.end()) {
    return;
  }
  set_cgroup(found->second, 0, actions);
  if (std::shared_ptr<const ProcessInfo> info = std::move(found->second.info)) {
    actions.push_back({.kind = Action::Kind::kDeselect, .pid = pid});
    counters_.selected.fetch_sub(1, std::memory_order_relaxed);
    if (info->awaits_workload) {
      // Nothing more will be known of it; without a resource, its spans are dropped and counted.
      current_.remove(*info);
      changed_ = true;
      if (info->resource != nullptr) {
        auto settled = std::make_shared<ProcessInfo>(*info);
        settled->awaits_workload = false;
        info = std::move(settled);
        current_.put(info);
      }
    }
    if (info->resource != nullptr) {
      ended_.push_back({clock_() + static_cast<uint64_t>(options_.grace.count()), std::move(info)});
    }
  }
  entries_.erase(found);
}

void ProcessTable::expire() {
  const uint64_t now = clock_();
  while (!ended_.empty() &&
         (ended_.front().until_ns <= now || ended_.size() > options_.max_ended)) {
    current_.remove(*ended_.front().info);
    changed_ = true;
    ended_.pop_front();
  }
}

void ProcessTable::publish() {
  expire();
  counters_.known.store(entries_.size(), std::memory_order_relaxed);
  if (changed_) {
    changed_ = false;
    view_->publish(std::make_shared<const ProcessSnapshot>(current_));
  }
}

Actions ProcessTable::scan_running() {
  Actions actions;
  const Result<std::vector<uint32_t>> pids = procfs_.pids();
  if (!pids) {
    bump(counters_.unreadable);
    return actions;
  }
  std::unordered_map<uint32_t, ProcStat> stats;
  stats.reserve(pids->size());
  for (const uint32_t pid : *pids) {
    if (Result<ProcStat> stat = procfs_.stat(pid)) {
      stats.emplace(pid, std::move(*stat));
    }
  }
  std::vector<uint32_t> gone;
  for (const auto& [pid, entry] : entries_) {
    const auto found = stats.find(pid);
    if (found == stats.end() || found->second.start_time != entry.start_time) {
      gone.push_back(pid);
    }
  }
  for (const uint32_t pid : gone) {
    forget(pid, actions);
  }
  Namespaces namespaces;
  for (auto& [pid, stat] : stats) {
    Entry entry;
    if (const auto known = entries_.find(pid); known != entries_.end()) {
      entry = known->second;
    }
    uint32_t ancestor = pid;
    for (int i = 0; i < kMaxAncestors && ancestor != 0; ++i) {
      const auto known = entries_.find(ancestor);
      inherit_lineage(ancestor, known == entries_.end() ? nullptr : &known->second, entry);
      const auto found = stats.find(ancestor);
      ancestor = found == stats.end() ? 0 : found->second.parent_pid;
    }
    if (!options_.selection.children) {
      entry.below_included = selector_.includes_pid(pid);
    }
    entry.ports.clear();
    judge(pid, stat, std::move(entry), namespaces, false, actions);
  }
  publish();
  return actions;
}

Actions ProcessTable::reconfigure(const SelectorOptions& selection,
                                  const ResourceOptions& resource) {
  const SelectorOptions& before = options_.selection;
  // Who has started whom is known from the events alone where a process between has ended, so what
  // is known of it stays as long as it answers the same question.
  if (selection.include.pids != before.include.pids ||
      selection.exclude.pids != before.exclude.pids || selection.children != before.children) {
    for (auto& [pid, entry] : entries_) {
      entry.below_included = false;
      entry.below_excluded = false;
    }
  }
  options_.selection = selection;
  options_.resource = resource;
  selector_ = Selector(selection);
  resources_.set_options(resource);
  renewing_ = true;
  Actions actions = scan_running();
  renewing_ = false;
  return actions;
}

Actions ProcessTable::on_fork(uint32_t parent_pid, uint32_t child_pid) {
  bump(counters_.forks);
  Actions actions;
  const Result<ProcStat> stat = procfs_.stat(child_pid);
  const auto known = entries_.find(child_pid);
  if (known != entries_.end() && stat && known->second.start_time == stat->start_time) {
    return actions;  // a scan was faster
  }
  forget(child_pid, actions);
  const auto parent = entries_.find(parent_pid);
  if (parent == entries_.end()) {
    if (stat) {
      Entry entry;
      inherit_lineage(child_pid, nullptr, entry);
      Namespaces namespaces;
      judge(child_pid, *stat, std::move(entry), namespaces, true, actions);
    }
    publish();
    return actions;
  }
  Entry entry;
  inherit_lineage(child_pid, &parent->second, entry);
  entry.start_time = stat ? stat->start_time : 0;
  entry.ports = parent->second.ports;  // the child has its parent's sockets
  entry.pod_uid = parent->second.pod_uid;
  entry.container_id = parent->second.container_id;
  if (!stat && parent->second.info == nullptr) {
    bump(counters_.vanished);
    publish();
    return actions;
  }
  const std::shared_ptr<const ProcessInfo> parent_info = parent->second.info;
  const bool follows = parent_info != nullptr && options_.selection.children;
  if (!follows || entry.below_excluded) {
    const bool may_match = !options_.selection.children || selector_.includes_pid(child_pid);
    if (!follows && may_match && stat) {
      Namespaces namespaces;
      judge(child_pid, *stat, std::move(entry), namespaces, true, actions);
    } else {
      entries_[child_pid] = std::move(entry);
    }
    publish();
    return actions;
  }
  // Until it executes something else, the child is its parent's program. It may even have ended by
  // now; what it did in between still needs a name, and its exit is the next event.
  ProcessInfo child = *parent_info;
  child.pid = child_pid;
  child.start_time = entry.start_time;
  child.parent_pid = parent_pid;
  child.namespace_pid = 0;
  if (const auto status = procfs_.status(child_pid)) {
    child.namespace_pid = status->namespace_pid;
  }
  if (child.resource != nullptr) {
    child.resource = resources_.build_for_fork(*parent_info, child);
  }
  if (child.awaits_workload) {
    await_workload(child_pid, parent->second.awaits_until_ns, entry, child);
  }
  set_cgroup(entry, parent->second.cgroup_id, actions);
  select(child_pid, std::move(entry), std::make_shared<const ProcessInfo>(std::move(child)), true,
         actions);
  publish();
  return actions;
}

Actions ProcessTable::on_exec(uint32_t pid) {
  bump(counters_.execs);
  Actions actions;
  Result<ProcStat> stat = procfs_.stat(pid);
  if (!stat) {
    bump(counters_.vanished);
    publish();
    return actions;
  }
  Entry entry;
  if (const auto known = entries_.find(pid); known != entries_.end()) {
    if (known->second.start_time == stat->start_time || known->second.start_time == 0) {
      entry = known->second;
    } else {
      forget(pid, actions);  // another process had this pid, and its exit was lost
    }
  }
  const auto parent = entries_.find(stat->parent_pid);
  inherit_lineage(pid, parent == entries_.end() ? nullptr : &parent->second, entry);
  entry.ports.clear();  // those that stay open are found among the descriptors
  Namespaces namespaces;
  judge(pid, std::move(*stat), std::move(entry), namespaces, true, actions);
  publish();
  return actions;
}

Actions ProcessTable::on_exit(uint32_t pid) {
  bump(counters_.exits);
  Actions actions;
  forget(pid, actions);
  publish();
  return actions;
}

Actions ProcessTable::on_listen(uint32_t pid, uint16_t port) {
  bump(counters_.listens);
  Actions actions;
  const auto known = entries_.find(pid);
  const bool selected = known != entries_.end() && known->second.info != nullptr;
  const std::vector<uint16_t>* ports = nullptr;
  if (known != entries_.end()) {
    ports = selected ? &known->second.info->listen_ports : &known->second.ports;
    if (std::binary_search(ports->begin(), ports->end(), port)) {
      return actions;
    }
    if (!selected && !selector_.needs_ports()) {
      return actions;
    }
  }
  Result<ProcStat> stat = procfs_.stat(pid);
  if (!stat) {
    bump(counters_.vanished);
    return actions;
  }
  Entry entry;
  if (known != entries_.end() && known->second.start_time == stat->start_time) {
    entry = known->second;
    entry.ports = *ports;
  } else {
    forget(pid, actions);
    const auto parent = entries_.find(stat->parent_pid);
    inherit_lineage(pid, parent == entries_.end() ? nullptr : &parent->second, entry);
  }
  add_port(entry.ports, port);
  Namespaces namespaces;
  judge(pid, std::move(*stat), std::move(entry), namespaces, false, actions);
  publish();
  return actions;
}

Actions ProcessTable::on_workloads(const model::WorkloadChanges& changes) {
  Actions actions;
  for (const std::string& key : changes.keys) {
    unknown_pods_.erase(key);
  }
  std::vector<uint32_t> pids;
  for (const auto& [pid, entry] : entries_) {
    if (changes.keys.contains(entry.pod_uid) || changes.keys.contains(entry.container_id)) {
      pids.push_back(pid);
    }
  }
  if (changes.chosen) {
    // A process that was forked by one that is not selected, and has executed nothing, is not
    // known: the kernel's side tells of others only.
    if (const Result<std::vector<uint32_t>> running = procfs_.pids()) {
      for (const uint32_t pid : *running) {
        if (!entries_.contains(pid)) {
          pids.push_back(pid);
        }
      }
    }
  }
  Namespaces namespaces;
  for (const uint32_t pid : pids) {
    Result<ProcStat> stat = procfs_.stat(pid);
    const auto known = entries_.find(pid);
    Entry entry;
    if (known != entries_.end() && stat && known->second.start_time == stat->start_time) {
      entry = known->second;
    } else {
      forget(pid, actions);
      if (!stat) {
        continue;
      }
      const auto parent = entries_.find(stat->parent_pid);
      inherit_lineage(pid, parent == entries_.end() ? nullptr : &parent->second, entry);
    }
    judge(pid, std::move(*stat), std::move(entry), namespaces, false, actions);
  }
  publish();
  return actions;
}

Actions ProcessTable::on_time() {
  Actions actions;
  const uint64_t now = clock_();
  std::vector<uint32_t> still;
  for (const uint32_t pid : std::exchange(awaiting_, {})) {
    const auto known = entries_.find(pid);
    if (known == entries_.end() || known->second.info == nullptr ||
        !known->second.info->awaits_workload) {
      continue;
    }
    if (now < known->second.awaits_until_ns) {
      still.push_back(pid);
      continue;
    }
    bump(counters_.never_known);
    if (known->second.info->resource == nullptr) {
      Entry entry = known->second;
      forget(pid, actions);
      entry.info = nullptr;
      entry.cgroup_id = 0;
      entries_[pid] = std::move(entry);
    } else {
      auto settled = std::make_shared<ProcessInfo>(*known->second.info);
      settled->awaits_workload = false;
      known->second.info = std::move(settled);
      current_.put(known->second.info);
      changed_ = true;
    }
  }
  awaiting_.insert(awaiting_.end(), still.begin(), still.end());
  counters_.awaiting.store(awaiting_.size(), std::memory_order_relaxed);
  publish();
  return actions;
}

ProcessTableCounters ProcessTable::counters() const {
  const auto read = [](const std::atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  return {.known = read(counters_.known),
          .selected = read(counters_.selected),
          .forks = read(counters_.forks),
          .execs = read(counters_.execs),
          .exits = read(counters_.exits),
          .listens = read(counters_.listens),
          .vanished = read(counters_.vanished),
          .unreadable = read(counters_.unreadable),
          .over_limit = read(counters_.over_limit),
          .malformed_elf = read(counters_.malformed_elf),
          .malformed_resource_attributes = resources_.malformed_variables(),
          .awaiting_workload = read(counters_.awaiting),
          .workloads_never_known = read(counters_.never_known)};
}

Result<ProcessTable::Inspection> ProcessTable::inspect(uint32_t pid) {
  Result<ProcStat> stat = procfs_.stat(pid);
  if (!stat) {
    return tl::unexpected<Error>(std::move(stat.error()));
  }
  Entry entry;
  uint32_t ancestor = pid;
  for (int i = 0; i < kMaxAncestors && ancestor != 0; ++i) {
    inherit_lineage(ancestor, nullptr, entry);
    const Result<ProcStat> above = procfs_.stat(ancestor);
    ancestor = above ? above->parent_pid : 0;
  }
  Namespaces namespaces;
  Result<Facts> facts = gather(pid, std::move(*stat), entry, namespaces, true);
  if (!facts) {
    return tl::unexpected<Error>(std::move(facts.error()));
  }
  Inspection out;
  out.decision = selector_.decide(facts->subject(entry));
  if (!facts->kernel_thread) {
    complete(*facts, entry, namespaces, true);
  }
  out.info = std::move(facts->info);
  return out;
}

}  // namespace zerospan::discovery
