// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/go_programs.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <span>
#include <utility>

#include "agent/app/go_routes.h"
#include "agent/selfobs/logging.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;
using symbols::go::Field;
using symbols::go::GoBinary;

// Files that no selected process runs are forgotten beyond this.
constexpr size_t kMaxFiles = 256;
constexpr std::chrono::milliseconds kLookAgain{20};
constexpr int kLooksAtMost = 50;

std::string executable(uint32_t pid) {
  return "/proc/" + std::to_string(pid) + "/exe";
}

// Where the program begins in the process's memory; 0 if it is gone.
uint64_t entry_of(uint32_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/auxv", std::ios::binary);
  Elf64_auxv_t value{};
  while (file.read(reinterpret_cast<char*>(&value), sizeof(value)) && value.a_type != AT_NULL) {
    if (value.a_type == AT_ENTRY) {
      return value.a_un.a_val;
    }
  }
  return 0;
}

const symbols::go::CodeRange* find_range(const GoBinary& binary, std::string_view function) {
  const auto found = std::find_if(binary.ranges.begin(), binary.ranges.end(),
                                  [&](const auto& range) { return range.function == function; });
  return found == binary.ranges.end() ? nullptr : &*found;
}

// False: what every look at a goroutine needs is not known.
bool fill_layout(const GoBinary& binary, kernel::GoLayout& layout) {
  bool complete = true;
  const auto need = [&](Field field, uint32_t& value) {
    const auto offset = binary.offsets.get(field);
    complete = complete && offset.has_value();
    value = offset.value_or(0);
  };
  need(Field::kGoid, layout.goid);
  need(Field::kGM, layout.g_m);
  need(Field::kMCurg, layout.m_curg);
  need(Field::kMG0, layout.m_g0);
  layout.parent_goid = binary.offsets.get(Field::kParentGoid);
  layout.gopc = binary.offsets.get(Field::kGopc);
  const auto cache = binary.offsets.get(Field::kPGoidcache);
  const auto cache_end = binary.offsets.get(Field::kPGoidcacheend);
  if (cache && cache_end && *cache_end == *cache + sizeof(uint64_t)) {
    layout.goidcache = cache;
  }
  layout.goidgen = binary.runtime.goidgen.value_or(0);
  layout.allgs = binary.runtime.allgs.value_or(0);
  layout.tls = static_cast<int32_t>(binary.runtime.tls.value_or(layout.tls));
  if (const auto* dial = find_range(binary, "net/http.(*Transport).dialConn")) {
    layout.transport = {dial->address, dial->address + dial->size};
    // Its goroutines must be told from those that ask.
    complete = complete && layout.gopc;
  }
  // Of both copies of the client that a program may have, with their helper from Go 1.21 on.
  size_t streams = 0;
  for (const symbols::go::CodeRange& range : binary.ranges) {
    if ((range.function.ends_with("lientConn).RoundTrip") ||
         range.function.ends_with("lientConn).roundTrip")) &&
        streams < layout.streams.size()) {
      layout.streams.at(streams++) = {range.address, range.address + range.size};
    }
  }
  if (const auto* read = find_range(binary, "net/http.(*connReader).startBackgroundRead")) {
    layout.background = {read->address, read->address + read->size};
  }
  return complete;
}

// Takes the fields that one probe needs; false if one of them is not known.
class FieldTaker {
 public:
  explicit FieldTaker(const GoBinary& binary) : binary_(binary) {}
  FieldTaker& take(Field field, uint32_t& value) {
    const auto offset = binary_.offsets.get(field);
    complete_ = complete_ && offset.has_value();
    value = offset.value_or(0);
    return *this;
  }
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  const GoBinary& binary_;
  bool complete_ = true;
};

bool fill_socket(const GoBinary& binary, kernel::GoLayout& layout) {
  uint32_t pfd = 0;
  const bool complete = FieldTaker(binary)
                            .take(Field::kNetFdPfd, pfd)
                            .take(Field::kConnFd, layout.conn_fd)
                            .take(Field::kNetFdFamily, layout.net_fd_family)
                            .take(Field::kNetFdSotype, layout.net_fd_sotype)
                            .take(Field::kPollFdSysfd, layout.net_fd_sysfd)
                            .complete();
  layout.net_fd_sysfd += pfd;
  return complete;
}

bool fill_round_trip(const GoBinary& binary, kernel::GoLayout& layout) {
  return FieldTaker(binary).take(Field::kPersistConnConn, layout.persist_conn_conn).complete();
}

bool fill_grpc_new_stream(const GoBinary& binary, kernel::GoLayout& layout) {
  layout.grpc_new_stream_client = binary.grpc_new_stream_client.value_or(0);
  return binary.grpc_new_stream_client &&
         FieldTaker(binary)
             .take(Field::kGrpcHttp2ClientConn, layout.grpc_client_conn)
             .take(Field::kGrpcHttp2ClientNextId, layout.grpc_client_next_id)
             .complete();
}

bool fill_grpc_handle_stream(const GoBinary& binary, kernel::GoLayout& layout) {
  // 1.69 has put a struct around the stream: with its address first, and from 1.77 on all of it.
  uint32_t stream = 0;
  if (const auto outer = binary.offsets.get(Field::kGrpcServerStreamStream)) {
    const auto next = binary.offsets.get(Field::kGrpcServerStreamSt);
    if (!next || *next < *outer + sizeof(uint64_t)) {
      return false;
    }
    layout.grpc_stream_indirect = *next == *outer + sizeof(uint64_t);
    if (layout.grpc_stream_indirect && *outer != 0) {
      return false;
    }
    stream = *outer;
  }
  const bool complete = FieldTaker(binary)
                            .take(Field::kGrpcStreamId, layout.grpc_stream_id)
                            .take(Field::kGrpcHttp2ServerConn, layout.grpc_server_conn)
                            .complete();
  layout.grpc_stream_id += stream;
  return complete;
}

bool fill_http2_server(const GoBinary& binary, kernel::GoLayout::Http2Server& server,
                       Field connection, Field stream, Field id) {
  return FieldTaker(binary)
      .take(connection, server.server_conn)
      .take(stream, server.writer_stream)
      .take(id, server.stream_id)
      .complete();
}

// The probes that are placed, and what each of them reads.
struct Probe {
  std::string_view function;
  kernel::GoProbe program;
  bool (*fill)(const GoBinary&, kernel::GoLayout&);
};
constexpr auto kProbes = std::to_array<Probe>({
    {"net/http.(*persistConn).roundTrip", kernel::GoProbe::kRoundTrip, fill_round_trip},
    {symbols::go::kGrpcNewStream, kernel::GoProbe::kGrpcNewStream, fill_grpc_new_stream},
    {"google.golang.org/grpc.(*Server).handleStream", kernel::GoProbe::kGrpcHandleStream,
     fill_grpc_handle_stream},
    {"net/http.(*http2serverConn).runHandler", kernel::GoProbe::kHttp2RunHandler,
     [](const GoBinary& binary, kernel::GoLayout& layout) {
       return fill_http2_server(binary, layout.http2_servers[0], Field::kHttp2ServerConnConn,
                                Field::kHttp2ResponseWriterStream, Field::kHttp2StreamId);
     }},
    {"net/http/internal/http2.(*serverConn).runHandler", kernel::GoProbe::kHttp2RunHandler,
     [](const GoBinary& binary, kernel::GoLayout& layout) {
       return fill_http2_server(
           binary, layout.http2_servers[0], Field::kInternalHttp2ServerConnConn,
           Field::kInternalHttp2ResponseWriterStream, Field::kInternalHttp2StreamId);
     }},
    {"golang.org/x/net/http2.(*serverConn).runHandler", kernel::GoProbe::kXHttp2RunHandler,
     [](const GoBinary& binary, kernel::GoLayout& layout) {
       return fill_http2_server(binary, layout.http2_servers[1], Field::kXHttp2ServerConnConn,
                                Field::kXHttp2ResponseWriterStream, Field::kXHttp2StreamId);
     }},
});

bool read_memory(uint32_t pid, uint64_t address, std::span<uint64_t> out) {
  const iovec local{out.data(), out.size_bytes()};
  const iovec remote{reinterpret_cast<void*>(address), out.size_bytes()};
  return ::process_vm_readv(static_cast<pid_t>(pid), &local, 1, &remote, 1, 0) ==
         static_cast<ssize_t>(out.size_bytes());
}

// Whether there is a slice of Go's processors: they are numbered, and there are 1,024 at most that
// would be of use.
bool is_allp(uint32_t pid, uint64_t address) {
  std::array<uint64_t, 3> slice{};  // address, length, capacity
  if (!read_memory(pid, address, slice) || slice[1] == 0 || slice[1] > slice[2] ||
      slice[2] > 1024) {
    return false;
  }
  std::vector<uint64_t> elements(slice[1]);
  if (!read_memory(pid, slice[0], elements)) {
    return false;
  }
  for (size_t i = 0; i < elements.size(); ++i) {
    uint64_t front = 0;  // id int32, status uint32
    if (!read_memory(pid, elements[i], std::span(&front, 1)) || (front & 0xffffffffU) != i) {
      return false;
    }
  }
  return true;
}

void shift(uint64_t& address, uint64_t bias) {
  if (address != 0) {
    address += bias;
  }
}

void shift(kernel::CodeRange& range, uint64_t bias) {
  shift(range.begin, bias);
  shift(range.end, bias);
}

}  // namespace

GoPrograms::GoPrograms(kernel::Capture& capture, bool routes)
    : capture_(capture), routes_(routes), thread_([this] { run(); }) {}

GoPrograms::~GoPrograms() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void GoPrograms::select(uint32_t pid, std::shared_ptr<discovery::GoSdk> sdk) {
  add({.pid = pid, .kind = Job::Kind::kSelect, .sdk = std::move(sdk)});
}

void GoPrograms::deselect(uint32_t pid) {
  add({.pid = pid, .kind = Job::Kind::kDeselect});
}

void GoPrograms::on_listen(uint32_t pid) {
  add({.pid = pid, .kind = Job::Kind::kListen});
}

void GoPrograms::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (job.kind != Job::Kind::kSelect && jobs_.empty() && !busy_ && !by_pid_.contains(job.pid)) {
      return;  // most processes are not Go's
    }
    jobs_.push_back(job);
  }
  changed_.notify_all();
}

void GoPrograms::wait_idle(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return jobs_.empty() && !busy_; });
}

void GoPrograms::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    busy_ = false;
    changed_.notify_all();
    const auto wanted = [this] { return stopping_ || !jobs_.empty(); };
    if (!wanted()) {
      wait_for_work(lock);
    }
    if (stopping_) {
      return;
    }
    if (jobs_.empty()) {
      lock.unlock();
      if (incomplete_) {
        look_again();
      }
      sdks_.look_when_due();
      lock.lock();
      continue;
    }
    const Job job = jobs_.front();
    jobs_.pop_front();
    busy_ = true;
    lock.unlock();
    switch (job.kind) {
      case Job::Kind::kSelect:
        attach(job.pid);
        attach_sdk(job.pid, job.sdk);
        break;
      case Job::Kind::kDeselect:
        detach(job.pid);
        sdks_.end(job.pid);
        break;
      case Job::Kind::kListen:
        sdks_.on_listen(job.pid);
        break;
    }
    lock.lock();
  }
}

// Until there is a job, or something that is looked at now and then is due.
void GoPrograms::wait_for_work(std::unique_lock<std::mutex>& lock) {
  const auto wanted = [this] { return stopping_ || !jobs_.empty(); };
  const auto due = sdks_.next();
  if (incomplete_) {
    const auto again = GoSdkWatch::Clock::now() + kLookAgain;
    changed_.wait_until(lock, std::min(due.value_or(again), again), wanted);
  } else if (due) {
    changed_.wait_until(lock, *due, wanted);
  } else {
    changed_.wait(lock, wanted);
  }
}

GoPrograms::Known GoPrograms::read(uint32_t pid) {
  Known known;
  const Result<GoBinary> binary = symbols::go::inspect(executable(pid));
  if (!binary) {
    known.summary.failure = binary.error().message;
    return known;
  }
  known.sdk = go_sdk_facts(*binary);
  for (const symbols::go::Module& module : binary->otel.modules) {
    known.summary.otel.push_back(module.path + " " + module.version);
  }
  known.summary.go_version = binary->build.go_version;
  known.summary.offsets = binary->offsets.source();
  known.entry = binary->entry;
  known.maybe_allp = binary->runtime.maybe_allp;
  known.summary.goroutines = fill_layout(*binary, known.layout);
  if (!known.summary.goroutines) {
    known.summary.failure = "the layout of goroutines in " + binary->build.go_version +
                            " is not known: neither by DWARF nor by the table";
    return known;
  }
  const bool readable = fill_socket(*binary, known.layout);
  for (const symbols::go::ProbeSite& site : binary->probes) {
    const auto* probe = std::find_if(kProbes.begin(), kProbes.end(), [&](const Probe& candidate) {
      return candidate.function == site.function;
    });
    if (probe == kProbes.end()) {
      continue;
    }
    if (readable && site.site.kind == symbols::probe::Kind::kEmulated &&
        probe->fill(*binary, known.layout)) {
      known.sites.push_back({probe->program, site.file_offset});
      known.summary.probes.push_back(site.function);
    } else {
      known.summary.failure = "no probe can be placed in " + site.function;
    }
  }
  add_routers(*binary, known);
  return known;
}

void GoPrograms::add_routers(const GoBinary& binary, Known& known) const {
  for (const GoRouter& router : go_routers(binary)) {
    if (!routes_) {
      known.summary.routers.push_back(router.function + ": not asked, http.go_routes is false");
    } else if (router.site) {
      known.sites.push_back(*router.site);
      known.summary.routers.push_back(router.function);
    } else {
      known.summary.routers.push_back(router.function + ": " + router.why_not);
    }
  }
}

void GoPrograms::attach(uint32_t pid) {
  struct stat info {};
  if (::stat(executable(pid).c_str(), &info) != 0) {
    return;  // it has ended
  }
  const FileId id(info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                  info.st_mtim.tv_nsec);
  if (const auto before = by_pid_.find(pid); before != by_pid_.end()) {
    if (before->second.file == id && capture_.go_state(pid)) {
      return;  // selected again: nothing has changed
    }
    detach(pid);
  }
  auto found = files_.find(id);
  if (found == files_.end()) {
    Known known = read(pid);
    const std::lock_guard lock(mutex_);
    if (files_.size() >= kMaxFiles) {
      std::erase_if(files_, [](const auto& file) { return file.second.processes == 0; });
    }
    failures_ += known.summary.failure.empty() ? 0 : 1;
    found = files_.emplace(id, std::move(known)).first;
    if (!found->second.summary.failure.empty()) {
      log::warn("process {}: {}; its calls may have no parents", pid,
                found->second.summary.failure);
    }
  }
  Known& known = found->second;
  if (!known.summary.goroutines) {
    const std::lock_guard lock(mutex_);
    by_pid_.insert_or_assign(pid, Process{.file = id, .complete = true});
    return;
  }
  // The probes first: what a connection pool's goroutine writes has no other origin.
  if (!known.probes && !known.sites.empty()) {
    Result<std::unique_ptr<kernel::Probes>> probes =
        capture_.probe_go(executable(pid), known.sites);
    const std::lock_guard lock(mutex_);
    if (probes) {
      known.probes = std::move(*probes);
    } else if (known.summary.failure.empty()) {
      known.summary.failure = probes.error().message;
      ++failures_;
      log::warn("process {}: {}; calls of its net/http client have no parents", pid,
                known.summary.failure);
    }
  }
  tell(pid, known, {.file = id});
}

void GoPrograms::attach_sdk(uint32_t pid, std::shared_ptr<discovery::GoSdk> sdk) {
  const auto process = by_pid_.find(pid);
  const auto file = process == by_pid_.end() ? files_.end() : files_.find(process->second.file);
  if (file != files_.end()) {
    sdks_.begin(pid, std::move(sdk), file->second.sdk, entry_of(pid) - file->second.entry);
  } else if (sdk) {
    sdk->set(discovery::GoSdk::State::kNone, {});  // it has ended, or cannot be read
  }
}

void GoPrograms::tell(uint32_t pid, Known& known, Process process) {
  const uint64_t entry = entry_of(pid);
  const uint64_t bias = entry - known.entry;
  kernel::GoLayout layout = known.layout;
  shift(layout.goidgen, bias);
  shift(layout.allgs, bias);
  shift(layout.transport, bias);
  shift(layout.background, bias);
  for (kernel::CodeRange& range : layout.streams) {
    shift(range, bias);
  }
  for (const uint64_t candidate : known.maybe_allp) {
    if (layout.allp == 0 && is_allp(pid, candidate + bias)) {
      layout.allp = candidate + bias;
    }
  }
  process.looks += 1;
  process.complete = layout.allp != 0 || known.maybe_allp.empty() || process.looks >= kLooksAtMost;
  const bool told = entry != 0 && capture_.tell_go(pid, layout);
  const std::lock_guard lock(mutex_);
  if (told) {
    incomplete_ = incomplete_ || !process.complete;
    process.told = true;
    if (by_pid_.insert_or_assign(pid, process).second) {
      known.processes += 1;
    }
  } else if (known.processes == 0) {
    known.probes = nullptr;
  }
}

// A program that was just executed has not made its processors yet.
void GoPrograms::look_again() {
  incomplete_ = false;
  std::vector<std::pair<uint32_t, Process>> again;
  for (const auto& [pid, process] : by_pid_) {
    if (!process.complete) {
      again.emplace_back(pid, process);
    }
  }
  for (const auto& [pid, process] : again) {
    if (const auto file = files_.find(process.file); file != files_.end()) {
      tell(pid, file->second, process);
    }
  }
}

void GoPrograms::detach(uint32_t pid) {
  const auto found = by_pid_.find(pid);
  if (found == by_pid_.end()) {
    return;
  }
  std::unique_ptr<kernel::Probes> unused;  // taking probes away waits for the kernel
  const std::lock_guard lock(mutex_);
  if (const auto file = files_.find(found->second.file);
      found->second.told && file != files_.end() && --file->second.processes == 0) {
    unused = std::move(file->second.probes);
  }
  by_pid_.erase(found);
}

GoPrograms::Counters GoPrograms::counters() const {
  const std::lock_guard lock(mutex_);
  Counters counters{.files = files_.size(), .failures = failures_};
  for (const auto& [pid, process] : by_pid_) {
    counters.told += process.told ? 1 : 0;
  }
  for (const auto& [id, known] : files_) {
    counters.probes += known.probes ? known.sites.size() : 0;
  }
  return counters;
}

std::optional<GoPrograms::File> GoPrograms::file_of(uint32_t pid) const {
  const std::lock_guard lock(mutex_);
  const auto id = by_pid_.find(pid);
  if (id == by_pid_.end()) {
    return std::nullopt;
  }
  const auto file = files_.find(id->second.file);
  return file == files_.end() ? std::nullopt : std::optional(file->second.summary);
}

}  // namespace zerospan::app
