// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include "agent/core/unique_fd.h"
#include "agent/kernel/objects.h"
#include "agent/kernel/propagate.h"
#include "agent/kernel/propagation_watch.h"
#include "agent/kernel/ring_reader.h"
#include "bpf/abi/abi.h"
#include "go.skel.h"
#include "go_route.skel.h"
#include "io_uring.skel.h"
#include "mute.skel.h"
#include "process.skel.h"
#include "propagate.skel.h"
#include "sock_event.skel.h"
#include "sock_state.skel.h"
#include "syscall_exit.skel.h"
#include "tick.skel.h"

namespace zerospan::kernel {

namespace {

// How long a busy worker lets records gather before it looks again, if the ring does not fill
// sooner: short against what a person notices, long against the cost of a look.
constexpr int kGatherMilliseconds = 4;

// What is kept in sockets and threads themselves is one object's own, and so is what a kind needs
// for itself.
bool is_own(const bpf_map* map) {
  const bpf_map_type type = bpf_map__type(map);
  constexpr auto kOwn =
      std::to_array<std::string_view>({"batches", "datagrams", "operations", "rooms"});
  return type == BPF_MAP_TYPE_SK_STORAGE || type == BPF_MAP_TYPE_SOCKHASH ||
         std::ranges::find(kOwn, bpf_map__name(map)) != kOwn.end();
}

// The maps by name, which all objects share. The first object makes them.
class SharedMaps {
 public:
  // Before load.
  Status adopt(bpf_object* object) const {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
      if (bpf_map__is_internal(map) || is_own(map)) {
        continue;
      }
      const std::string name = bpf_map__name(map);
      const auto known = by_name_.find(name);
      if (known == by_name_.end()) {
        return fail(ErrorCode::kInternal, "the BPF map " + name + " is not in the first object");
      }
      if (const int error = bpf_map__reuse_fd(map, known->second); error != 0) {
        return tl::unexpected(bpf_error(-error, "sharing the BPF map " + name));
      }
    }
    return {};
  }
  // The first object was loaded; it must outlive this.
  void offer(const bpf_object* object) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
      if (!bpf_map__is_internal(map)) {
        by_name_.emplace(bpf_map__name(map), bpf_map__fd(map));
      }
    }
  }
  [[nodiscard]] bool empty() const { return by_name_.empty(); }
  [[nodiscard]] int fd(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? -1 : found->second;
  }

 private:
  std::map<std::string, int> by_name_;
};

struct RingBufferDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

// The file that has the process's libuv: a library of its own, or the program.
std::string libuv_file(uint32_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  std::ifstream maps(proc + "/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t path = line.find('/');
    if (path != std::string::npos && line.find("/libuv.so", path) != std::string::npos) {
      return proc + "/root" + line.substr(path);
    }
  }
  return proc + "/exe";
}

struct Ring {
  UniqueFd map;
  UniqueFd wakes;  // an epoll set: ready once for each wake-up, whatever is in the ring
  std::optional<RingReader> reader;
  bool busy = false;
};

int on_process_record(void* context, void* data, size_t size) {
  zs_process_record record;
  if (size < sizeof(record)) {
    return 0;
  }
  std::memcpy(&record, data, sizeof(record));
  if (record.event == ZS_PROCESS_TICKS_WANTED) {
    return 0;  // it has woken the watcher, which looks at the control values
  }
  const auto* handler = static_cast<const Capture::ProcessEventHandler*>(context);
  (*handler)({static_cast<ProcessEvent::Kind>(record.event), record.tgid, record.parent_tgid,
              record.port});
  return 0;
}

}  // namespace

std::string_view to_string(CaptureKind kind) {
  switch (kind) {
    case CaptureKind::kAuto:
      return "auto";
    case CaptureKind::kTracepoint:
      return "tracepoint";
    case CaptureKind::kFentry:
      return "fentry";
    case CaptureKind::kKprobe:
      return "kprobe";
    case CaptureKind::kSyscall:
      return "syscall";
  }
  return "";
}

struct Capture::Impl {
  CaptureOptions options;
  KernelBtf btf;
  CaptureKind kind = CaptureKind::kAuto;
  SharedMaps maps;
  SkeletonPtr<sock_length_bpf> length;
  SkeletonPtr<sock_event_bpf> events;
  SkeletonPtr<sock_fexit_bpf> fexits;
  SkeletonPtr<sock_kprobe_bpf> kprobes;
  FunctionProbes function_probes;
  SkeletonPtr<io_uring_bpf> io_uring;
  SkeletonPtr<syscall_exit_bpf> syscalls;
  SkeletonPtr<sock_state_bpf> states;
  SkeletonPtr<process_bpf> processes;
  SkeletonPtr<tick_bpf> ticks;
  SkeletonPtr<mute_bpf> muter;
  SkeletonPtr<go_bpf> go;
  Status go_status;
  SkeletonPtr<go_route_bpf> go_route;
  Status go_route_status;
  SkeletonPtr<propagate_bpf> propagator;
  PropagationLinks propagation_links;  // before the programs
  std::optional<PropagationWatch> propagation_watch;
  Status injection_status = fail(ErrorCode::kUnsupported, "no trace context is to be injected");
  std::atomic<uint32_t> go_generation{0};
  std::map<std::pair<dev_t, ino_t>, std::unique_ptr<bpf_link, LinkDeleter>> libuv_probes;
  std::vector<Ring> rings;
  std::unique_ptr<ring_buffer, RingBufferDeleter> process_reader;
  ProcessEventHandler process_handler;
  zs_control* control = nullptr;
  std::atomic<uint32_t> next_ring{0};
  std::atomic<bool> ticks_attached{false};
  bool ticks_failed = false;
  Status ticks_status;
  Status libuv_status;  // not when it has no symbols
  bool libuv_told = false;

  static size_t control_bytes() {
    const auto page = static_cast<size_t>(::getpagesize());
    return (sizeof(zs_control) + page - 1) / page * page;
  }

  ~Impl() {
    if (control != nullptr) {
      ::munmap(control, control_bytes());
    }
  }

  // Attaches tick__after_events to the program's libuv, once per file. False: it has no symbols (a
  // stripped library), so that calls from busy turns stay roots.
  bool probe_libuv(uint32_t pid) {
    const std::string path = libuv_file(pid);
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
      return false;
    }
    const auto [known, is_new] = libuv_probes.try_emplace({file.st_dev, file.st_ino});
    if (is_new) {
      bpf_uprobe_opts at{};
      at.sz = sizeof(at);
      at.func_name = "uv__run_check";
      known->second.reset(bpf_program__attach_uprobe_opts(ticks->progs.tick__after_events, -1,
                                                          path.c_str(), 0, &at));
      if (!known->second && (errno == EPERM || errno == EACCES)) {
        libuv_status = tl::unexpected(bpf_error(errno, "placing a uprobe in libuv, " + path));
      }
      take_libbpf_messages();
    }
    return known->second != nullptr;
  }

  // From now on the tick programs see what this process's event loop does. A turn that is under way
  // was not seen from its beginning.
  void follow_turns(uint32_t pid, zs_process& value) {
    if ((value.flags & ZS_PROCESS_LIBUV) != 0 && probe_libuv(pid)) {
      value.flags |= ZS_PROCESS_PROBED;
    }
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    value.turns_from_ns =
        static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  }

  // Opens, sizes, loads and attaches one object; the shared maps are made by the first. Several
  // threads may do so once that is loaded.
  template <typename Skeleton>
  Status start(SkeletonPtr<Skeleton>& slot, const char* name, bool attached = true) {
    take_libbpf_messages();
    SkeletonPtr<Skeleton> skeleton = open_object<Skeleton>(btf);
    if (!skeleton) {
      return tl::unexpected(bpf_error(errno, std::string("opening the BPF object ") + name));
    }
    if constexpr (requires { skeleton->rodata->zs_agent_tgid; }) {
      if (skeleton->rodata->zs_abi_version != ZS_ABI_VERSION) {
        return fail(ErrorCode::kInternal,
                    std::string("BPF object ") + name + " has another ABI version than the agent");
      }
      skeleton->rodata->zs_head_bytes = options.head_bytes;
      skeleton->rodata->zs_tail_bytes = options.tail_bytes;
      skeleton->rodata->zs_ring_wake_bytes = options.ring_bytes / 8;
      // The kernel's numbers begin with the unknown one.
      skeleton->rodata->zs_protocols = options.protocols << 1U;
      static_assert(sizeof(options.dns_ports) == sizeof(skeleton->rodata->zs_dns_ports));
      std::copy(options.dns_ports.begin(), options.dns_ports.end(), skeleton->rodata->zs_dns_ports);
      skeleton->rodata->zs_id_seed = options.id_seed;
      skeleton->rodata->zs_propagate = options.propagate;
      skeleton->rodata->zs_agent_tgid = static_cast<__u32>(::getpid());
    }
    prepare(*skeleton);
    size_maps(skeleton->obj);
    const bool first = maps.empty();
    if (!first) {
      if (Status adopted = maps.adopt(skeleton->obj); !adopted) {
        return adopted;
      }
    }
    if (const int error = Skeleton::load(skeleton.get()); error != 0) {
      return tl::unexpected(bpf_error(-error, std::string("loading the BPF object ") + name));
    }
    if (first) {
      maps.offer(skeleton->obj);
    }
    if (attached) {
      if (Status status =
              attach(*skeleton, std::string("attaching the BPF object ") + name, function_probes);
          !status) {
        function_probes = FunctionProbes();  // some may be in place, and another kind comes next
        return status;
      }
    }
    slot = std::move(skeleton);
    return {};
  }

  void size_maps(bpf_object* object) const {
    preallocate_if_needed(object);
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
      const std::string_view name = bpf_map__name(map);
      if (name == "connections" || name == "clients") {
        bpf_map__set_max_entries(map, options.max_connections);
      } else if (name == "requests" || name == "incoming") {
        bpf_map__set_max_entries(map, options.propagate ? options.max_connections : 1);
      } else if (name.starts_with("stream_") && !options.propagate) {
        bpf_map__set_max_entries(map, 1);
      } else if (name == "processes") {
        bpf_map__set_max_entries(map, options.max_processes);
      }
    }
  }

  Status make_rings() {
    const int outer = maps.fd("rings");
    rings.resize(options.rings);
    for (uint32_t i = 0; i < options.rings; ++i) {
      Ring& ring = rings[i];
      ring.map.reset(
          bpf_map_create(BPF_MAP_TYPE_RINGBUF, "zs_ring", 0, 0, options.ring_bytes, nullptr));
      if (!ring.map.valid()) {
        return tl::unexpected(bpf_error(errno, "making a ring buffer of " +
                                                   std::to_string(options.ring_bytes) +
                                                   " bytes (it must be a power of two)"));
      }
      const int inner = ring.map.get();
      if (bpf_map_update_elem(outer, &i, &inner, BPF_ANY) != 0) {
        return tl::unexpected(bpf_error(errno, "adding a ring buffer"));
      }
      Result<RingReader> reader = RingReader::map(inner, options.ring_bytes);
      if (!reader) {
        return tl::unexpected(reader.error());
      }
      ring.reader = std::move(*reader);
      ring.wakes.reset(::epoll_create1(EPOLL_CLOEXEC));
      epoll_event event{};
      event.events = EPOLLIN | EPOLLET;
      if (!ring.wakes.valid() ||
          ::epoll_ctl(ring.wakes.get(), EPOLL_CTL_ADD, ring.map.get(), &event) != 0) {
        return tl::unexpected(bpf_error(errno, "reading a ring buffer"));
      }
    }
    process_reader.reset(
        ring_buffer__new(maps.fd("process_ring"), on_process_record, &process_handler, nullptr));
    if (!process_reader) {
      return tl::unexpected(bpf_error(errno, "reading the ring buffer of process events"));
    }
    void* mapped =
        ::mmap(nullptr, control_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, maps.fd("control"), 0);
    if (mapped == MAP_FAILED) {
      return tl::unexpected(bpf_error(errno, "mapping the control values"));
    }
    control = static_cast<zs_control*>(mapped);
    return {};
  }

  void set_tentative(TentativeCapture tentative) {
    processes->bss->zs_tentative = tentative.new_programs;
    states->bss->zs_tentative_listeners = tentative.new_listeners;
    if (events) {
      events->bss->zs_tentative_listeners = tentative.new_listeners;
    }
  }

  // The first kind that works; why is in docs/decisions/0011-which-capture-kind.md.
  Status start_sockets() {
    Status status = fail(ErrorCode::kUnsupported, "no capture kind was tried");
    std::optional<Error> forbidden;
    const auto works = [&](CaptureKind candidate, auto& slot, const char* name) {
      if (options.kind != CaptureKind::kAuto && options.kind != candidate) {
        return false;
      }
      status = start(slot, name);
      if (status) {
        kind = candidate;
      } else if (!forbidden && status.error().code == ErrorCode::kPermission) {
        forbidden = status.error();
      }
      return status.has_value();
    };
    const auto fentry_works = [&] { return works(CaptureKind::kFentry, fexits, "sock_fexit"); };
    const auto kprobe_works = [&] { return works(CaptureKind::kKprobe, kprobes, "sock_kprobe"); };
    const auto tracepoint_works = [&] {
      if (!works(CaptureKind::kTracepoint, length, "sock_length")) {
        return false;
      }
      if (needs_events()) {
        status = has_events() ? start(events, "sock_event")
                              : fail(ErrorCode::kUnsupported, kWithoutEvents);
      }
      if (!status) {
        length.reset();
      }
      return status.has_value();
    };
    if (tracepoint_works() ||
        (kernel_preempts() ? kprobe_works() || fentry_works() : fentry_works() || kprobe_works()) ||
        works(CaptureKind::kSyscall, syscalls, "syscall_exit")) {
      return {};
    }
    return forbidden ? tl::unexpected(*forbidden) : status;
  }

  Status start_capture() {
    // This one has all maps; the socket hooks come last, when the rings are there.
    if (Status status = start(states, "sock_state", false); !status) {
      return status;
    }
    if (Status status = start(processes, "process", false); !status) {
      return status;
    }
    set_tentative(options.tentative);
    if (Status status = make_rings(); !status) {
      return status;
    }
    if (Status status = start(muter, "mute", false); !status) {
      return status;
    }
    // Most of the start is the verifier's, which works on each object alone: these beside the
    // socket hooks.
    const std::jthread beside([this] {
      // Loaded now and attached when wanted: every call that an event loop makes before that has no
      // certain parent.
      if (options.event_loop_ticks) {
        // Without it calls of event loops stay roots; attach_ticks_if_wanted() says so when it
        // matters.
        ticks_status = start(ticks, "tick", false);
      }
      // Without it calls of Go's net/http have no parents; probe_go() says so when it matters.
      go_status = start(go, "go", false);
      // Without it requests of Go programs have no routes.
      go_route_status = start(go_route, "go_route", false);
    });
    if (Status status = start_sockets(); !status) {
      return status;
    }
    if (kind != CaptureKind::kSyscall) {
      // Without it (a kernel that has no io_uring, or another one) what rings move is counted as
      // lost.
      start(io_uring, "io_uring");
    }
    if (options.propagate) {
      // Without it nothing is injected; injection() says why.
      injection_status = start(propagator, "propagate", false);
      take_libbpf_messages();
    }
    if (events) {
      set_tentative(options.tentative);
    } else if (const int error = attach_skeleton(states->skeleton); error != 0) {
      return tl::unexpected(
          bpf_error(-error, "attaching to the tracepoint sock:inet_sock_set_state"));
    }
    if (const int error = attach_skeleton(processes->skeleton); error != 0) {
      return tl::unexpected(bpf_error(-error, "attaching to the tracepoints of process creation"));
    }
    return {};
  }
};

Capture::Capture(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Capture::~Capture() = default;

Result<std::unique_ptr<Capture>> Capture::make(const CaptureOptions& options) {
  if (options.head_bytes > ZS_HEAD_BYTES_MAX || options.tail_bytes > ZS_TAIL_BYTES_MAX ||
      options.rings == 0 || options.rings > ZS_RINGS_MAX) {
    return fail(ErrorCode::kInvalidArgument,
                "capture options: at most " + std::to_string(ZS_HEAD_BYTES_MAX) + " head bytes, " +
                    std::to_string(ZS_TAIL_BYTES_MAX) + " tail bytes and 1 to " +
                    std::to_string(ZS_RINGS_MAX) + " workers");
  }
  libbpf_set_print(collect_libbpf_message);
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  Result<KernelBtf> btf = KernelBtf::find(options.btf_file);
  take_libbpf_messages();
  if (!btf) {
    return tl::unexpected(btf.error());
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->btf = std::move(*btf);
  if (Status status = impl->start_capture(); !status) {
    return tl::unexpected(status.error());
  }
  return std::unique_ptr<Capture>(new Capture(std::move(impl)));
}

CaptureKind Capture::kind() const {
  return impl_->kind;
}

Status Capture::select(uint32_t pid, ProcessTraits traits) {
  const int map = impl_->maps.fd("processes");
  zs_process value{};
  if (bpf_map_lookup_elem(map, &pid, &value) != 0 || (value.flags & ZS_PROCESS_TENTATIVE) != 0) {
    // A tentative entry's connections, if any, stay in the ring that they have.
    value.ring = impl_->next_ring.fetch_add(1) % impl_->options.rings;
  }
  value.flags &= ~static_cast<__u32>(ZS_PROCESS_TENTATIVE | ZS_PROCESS_NO_CONTEXT |
                                     ZS_PROCESS_CALLBACKS | ZS_PROCESS_LIBUV | ZS_PROCESS_PROBED |
                                     ZS_PROCESS_JAVA | ZS_PROCESS_PROPAGATE);
  if (traits.no_thread_context) {
    value.flags |= ZS_PROCESS_NO_CONTEXT;
  }
  if (traits.callbacks) {
    value.flags |= ZS_PROCESS_CALLBACKS;
  }
  if (traits.libuv) {
    value.flags |= ZS_PROCESS_LIBUV;
  }
  if (traits.java) {
    value.flags |= ZS_PROCESS_JAVA;
  }
  if (traits.propagate) {
    value.flags |= ZS_PROCESS_PROPAGATE;
  }
  if (impl_->ticks_attached) {
    impl_->follow_turns(pid, value);
  }
  volatile __u8* const hints = impl_->control->process_hints;
  hints[pid % ZS_PROCESS_HINTS] = 1;
  if (bpf_map_update_elem(map, &pid, &value, BPF_ANY) != 0) {
    return tl::unexpected(error_from_errno(
        errno, "process " + std::to_string(pid) + " cannot be traced: the map of processes holds " +
                   std::to_string(impl_->options.max_processes) + " at most"));
  }
  return {};
}

void Capture::set_tentative(TentativeCapture tentative) {
  impl_->set_tentative(tentative);
}

Status Capture::deselect(uint32_t pid) {
  if (bpf_map_delete_elem(impl_->maps.fd("processes"), &pid) != 0 && errno != ENOENT) {
    return tl::unexpected(
        error_from_errno(errno, "process " + std::to_string(pid) + " is still traced"));
  }
  return {};
}

const Status& Capture::injection() const {
  return impl_->injection_status;
}

Status Capture::begin_injection(bool blocking) {
  if (!impl_->injection_status) {
    return impl_->injection_status;
  }
  impl_->propagator->bss->zs_takes_blocking = blocking;
  Status status = impl_->propagation_links.attach(*impl_->propagator, impl_->options.cgroup_root);
  if (!status) {
    impl_->propagation_links = {};
  }
  take_libbpf_messages();
  return status;
}

void Capture::end_injection() {
  impl_->propagation_watch.reset();
  impl_->propagation_links = {};
  if (!impl_->propagator) {
    return;
  }
  const int clients = bpf_map__fd(impl_->propagator->maps.clients);
  uint64_t key = 0;
  while (bpf_map_get_next_key(clients, nullptr, &key) == 0) {
    // Gone by itself meanwhile is as good.
    bpf_map_delete_elem(clients, &key);
  }
}

Result<size_t> Capture::take_out() {
  if (!impl_->propagator) {
    return 0;
  }
  const int clients = bpf_map__fd(impl_->propagator->maps.clients);
  if (!impl_->propagation_watch) {
    Result<PropagationWatch> made =
        PropagationWatch::make(impl_->btf, clients, bpf_map__fd(impl_->propagator->maps.outgoing));
    take_libbpf_messages();
    if (!made) {
      return tl::unexpected(made.error());
    }
    impl_->propagation_watch.emplace(std::move(*made));
  }
  const Result<PropagationWatch::Seen> seen = impl_->propagation_watch->look();
  if (!seen) {
    return tl::unexpected(seen.error());
  }
  const auto take_out = [clients](const std::vector<uint64_t>& keys) {
    for (const uint64_t key : keys) {
      bpf_map_delete_elem(clients, &key);
    }
  };
  take_out(seen->stalled);
  take_out(seen->off);
  if (impl_->propagator->bss->zs_takes_blocking == 0) {
    take_out(seen->blocking);
  }
  return seen->stalled.size();
}

Result<std::unique_ptr<InjectionTrial>> Capture::injection_trial() const {
  Result<std::unique_ptr<InjectionTrial>> trial = InjectionTrial::make(impl_->btf);
  if (!trial) {
    return tl::unexpected(trial.error());
  }
  take_libbpf_messages();
  return trial;
}

void Capture::set_injection_rules(const InjectionRules& rules) {
  if (!impl_->propagator) {
    return;
  }
  auto& bss = *impl_->propagator->bss;
  bss.zs_sample_threshold = rules.sample_threshold;
  bss.zs_sample_alone = !rules.sample_by_parent;
  bss.zs_skips_traceparent = !rules.reads_traceparent;
  bss.zs_reads_others = rules.reads_others;
}

void Capture::set_propagate(uint32_t pid, bool propagate) {
  const int map = impl_->maps.fd("processes");
  zs_process value{};
  if (bpf_map_lookup_elem(map, &pid, &value) == 0) {
    value.flags = propagate ? value.flags | ZS_PROCESS_PROPAGATE
                            : value.flags & ~static_cast<__u32>(ZS_PROCESS_PROPAGATE);
    bpf_map_update_elem(map, &pid, &value, BPF_EXIST);
  }
}

Status Capture::select_cgroup(uint64_t id) {
  constexpr __u8 kChosen = 1;
  if (bpf_map_update_elem(impl_->maps.fd("cgroups"), &id, &kChosen, BPF_ANY) != 0) {
    return tl::unexpected(error_from_errno(
        errno, "what is executed in cgroup " + std::to_string(id) + " is captured a moment later"));
  }
  return {};
}

Status Capture::deselect_cgroup(uint64_t id) {
  if (bpf_map_delete_elem(impl_->maps.fd("cgroups"), &id) != 0 && errno != ENOENT) {
    return tl::unexpected(
        error_from_errno(errno, "cgroup " + std::to_string(id) + " is still captured"));
  }
  return {};
}

namespace {

// It ended meanwhile, or was deselected.
Status not_traced(uint32_t pid) {
  return fail(ErrorCode::kNotFound, "process " + std::to_string(pid) + " is not traced any more");
}

}  // namespace

Status Capture::tell_go(uint32_t pid, const GoLayout& layout) {
  const int map = impl_->maps.fd("processes");
  zs_process process{};
  if (bpf_map_lookup_elem(map, &pid, &process) != 0) {
    return not_traced(pid);
  }
  zs_go_process value{};
  value.goidgen = layout.goidgen;
  value.allgs = layout.parent_goid ? layout.allgs : 0;
  value.transport = {layout.transport.begin, layout.transport.end};
  value.background = {layout.background.begin, layout.background.end};
  static_assert(std::tuple_size_v<decltype(layout.streams)> == ZS_GO_STREAMS);
  for (size_t i = 0; i < layout.streams.size(); ++i) {
    value.streams[i] = {layout.streams[i].begin, layout.streams[i].end};
  }
  value.tls = layout.tls;
  if ((process.flags & ZS_PROCESS_GO) != 0) {
    const zs_go_process& known = process.go;
    value.generation = known.generation;  // told again, more exactly
    value.descends = known.descends;
    value.checks_passed = known.checks_passed;
    value.checks_failed = known.checks_failed;
    value.state = known.state;
  } else {
    value.generation = impl_->go_generation.fetch_add(1);
  }
  value.g_goid = layout.goid;
  value.g_parent_goid = layout.parent_goid.value_or(ZS_GO_ABSENT);
  value.g_gopc = layout.gopc.value_or(ZS_GO_ABSENT);
  value.g_m = layout.g_m;
  value.m_curg = layout.m_curg;
  value.m_g0 = layout.m_g0;
  value.allp = layout.goidcache ? layout.allp : 0;
  value.p_goidcache = layout.goidcache.value_or(ZS_GO_ABSENT);
  value.persist_conn_conn = layout.persist_conn_conn;
  value.conn_fd = layout.conn_fd;
  value.net_fd_family = layout.net_fd_family;
  value.net_fd_sotype = layout.net_fd_sotype;
  value.net_fd_sysfd = layout.net_fd_sysfd;
  static_assert(std::tuple_size_v<decltype(layout.http2_servers)> == ZS_GO_HTTP2_SERVERS);
  for (size_t i = 0; i < layout.http2_servers.size(); ++i) {
    const GoLayout::Http2Server& server = layout.http2_servers[i];
    value.http2_servers[i] = {server.server_conn, server.writer_stream, server.stream_id};
  }
  value.grpc_server_conn = layout.grpc_server_conn;
  value.grpc_stream_indirect = layout.grpc_stream_indirect ? 1 : 0;
  value.grpc_stream_id = layout.grpc_stream_id;
  value.grpc_client_conn = layout.grpc_client_conn;
  value.grpc_client_next_id = layout.grpc_client_next_id;
  value.grpc_new_stream_client = layout.grpc_new_stream_client;
  process.go = value;
  process.flags |= ZS_PROCESS_GO;
  if (bpf_map_update_elem(map, &pid, &process, BPF_EXIST) == 0) {
    return {};
  }
  if (errno == ENOENT) {
    return not_traced(pid);
  }
  return tl::unexpected(
      error_from_errno(errno, "process " + std::to_string(pid) + ": telling its goroutines"));
}

std::optional<GoState> Capture::go_state(uint32_t pid) const {
  zs_process process{};
  if (bpf_map_lookup_elem(impl_->maps.fd("processes"), &pid, &process) != 0 ||
      (process.flags & ZS_PROCESS_GO) == 0) {
    return std::nullopt;
  }
  const zs_go_process& value = process.go;
  return GoState{value.state == ZS_GO_VERIFIED  ? GoState::Verdict::kVerified
                 : value.state == ZS_GO_REFUSED ? GoState::Verdict::kRefused
                                                : GoState::Verdict::kUnverified,
                 value.checks_passed, value.checks_failed};
}

namespace {

// `routes` is null where the kernel cannot load it.
bpf_program* go_program(const go_bpf& go, const go_route_bpf* routes, GoProbe probe) {
  switch (probe) {
    case GoProbe::kRouteServe:
      return routes == nullptr ? nullptr : routes->progs.go_route__serve;
    case GoProbe::kRouteStored:
      return routes == nullptr ? nullptr : routes->progs.go_route__stored;
    case GoProbe::kRouteMux:
      return routes == nullptr ? nullptr : routes->progs.go_route__mux;
    case GoProbe::kRouteFiber:
      return routes == nullptr ? nullptr : routes->progs.go_route__fiber;
    case GoProbe::kRoundTrip:
      return go.progs.go__round_trip;
    case GoProbe::kGrpcNewStream:
      return go.progs.go__grpc_new_stream;
    case GoProbe::kGrpcHandleStream:
      return go.progs.go__grpc_handle_stream;
    case GoProbe::kHttp2RunHandler:
      return go.progs.go__http2_run_handler;
    case GoProbe::kXHttp2RunHandler:
      return go.progs.go__x_http2_run_handler;
  }
  return nullptr;
}

class Links : public Probes {
 public:
  void add(bpf_link* link) { links_.emplace_back(link); }

 private:
  std::vector<std::unique_ptr<bpf_link, LinkDeleter>> links_;
};

}  // namespace

Result<std::unique_ptr<Probes>> Capture::probe_go(const std::string& path,
                                                  std::span<const GoProbeSite> sites) {
  if (!impl_->go_status) {
    return tl::unexpected(impl_->go_status.error());
  }
  auto links = std::make_unique<Links>();
  for (const GoProbeSite& site : sites) {
    bpf_program* const program = go_program(
        *impl_->go, impl_->go_route_status ? impl_->go_route.get() : nullptr, site.probe);
    if (program == nullptr) {
      continue;
    }
    bpf_uprobe_opts at{};
    at.sz = sizeof(at);
    at.bpf_cookie = site.cookie;
    take_libbpf_messages();
    bpf_link* link =
        bpf_program__attach_uprobe_opts(program, -1, path.c_str(), site.file_offset, &at);
    if (link == nullptr) {
      return tl::unexpected(bpf_error(errno, "placing a probe in " + path));
    }
    links->add(link);
  }
  return links;
}

size_t Capture::poll_ring(uint32_t index, int timeout_ms, const RecordHandler& handler) {
  Ring& ring = impl_->rings.at(index);
  volatile __u32* asleep = &impl_->control->asleep[index];
  size_t count = ring.reader->consume(handler);
  if (count == 0) {
    // After records came just now, more will soon.
    epoll_event wake{};
    *asleep = 1;
    ::epoll_wait(ring.wakes.get(), &wake, 1,
                 ring.busy ? std::min(timeout_ms, kGatherMilliseconds) : timeout_ms);
    *asleep = 0;
    count = ring.reader->consume(handler);
  }
  ring.busy = count > 0;
  return count;
}

namespace {

void run_on_connection(const bpf_program* program, uint64_t socket, uint64_t connection_id) {
  zs_mute request{socket, connection_id};
  bpf_test_run_opts run{};
  run.sz = sizeof(run);
  run.ctx_in = &request;
  run.ctx_size_in = sizeof(request);
  // A failure leaves the connection recorded: costly, not wrong.
  bpf_prog_test_run_opts(bpf_program__fd(program), &run);
}

}  // namespace

void Capture::mute(uint64_t socket, uint64_t connection_id) {
  run_on_connection(impl_->muter->progs.mute__connection, socket, connection_id);
}

void Capture::forget(uint64_t socket, uint64_t connection_id) {
  run_on_connection(impl_->muter->progs.forget__connection, socket, connection_id);
}

Result<size_t> Capture::poll_processes(int timeout_ms, const ProcessEventHandler& handler) {
  impl_->process_handler = handler;
  const int count = ring_buffer__poll(impl_->process_reader.get(), timeout_ms);
  if (count < 0 && count != -EINTR) {
    return tl::unexpected(error_from_errno(-count, "reading process events"));
  }
  return static_cast<size_t>(std::max(count, 0));
}

Result<bool> Capture::attach_ticks_if_wanted() {
  if (!impl_->libuv_status && !impl_->libuv_told) {
    impl_->libuv_told = true;
    return tl::unexpected(impl_->libuv_status.error());
  }
  volatile __u32* wanted = &impl_->control->ticks_wanted;
  if (!impl_->options.event_loop_ticks || impl_->ticks_failed || *wanted == 0) {
    return false;
  }
  const bool first = !impl_->ticks_attached;
  if (first) {
    if (!impl_->ticks_status) {
      impl_->ticks_failed = true;
      return tl::unexpected(impl_->ticks_status.error());
    }
    if (const int error = attach_skeleton(impl_->ticks->skeleton); error != 0) {
      impl_->ticks_failed = true;
      return tl::unexpected(bpf_error(-error, "attaching to the entry of system calls"));
    }
    impl_->ticks_attached = true;
  }
  // Again when a process was forked in the midst of this, with its parent's entry as it was before.
  *wanted = 0;
  const int map = impl_->maps.fd("processes");
  std::vector<uint32_t> pids;
  uint32_t pid = 0;
  for (int more = bpf_map_get_next_key(map, nullptr, &pid); more == 0;
       more = bpf_map_get_next_key(map, &pid, &pid)) {
    pids.push_back(pid);
  }
  for (const uint32_t each : pids) {
    zs_process value{};
    if (bpf_map_lookup_elem(map, &each, &value) == 0 && value.turns_from_ns == 0) {
      impl_->follow_turns(each, value);
      bpf_map_update_elem(map, &each, &value, BPF_EXIST);
    }
  }
  return first;
}

bool Capture::ticks_attached() const {
  return impl_->ticks_attached;
}

std::span<const CounterDescription> counter_descriptions() {
  static constexpr std::array<CounterDescription, ZS_COUNTER_COUNT> kDescriptions = {{
#define ZS_COUNTER(id, name, help) {name, help},
#include "bpf/abi/counters.def"
#undef ZS_COUNTER
  }};
  return kDescriptions;
}

std::map<std::string_view, uint64_t> Capture::counters() const {
  const std::span<const CounterDescription> descriptions = counter_descriptions();
  std::map<std::string_view, uint64_t> result;
  const int cpus = libbpf_num_possible_cpus();
  std::vector<uint64_t> per_cpu(static_cast<size_t>(std::max(cpus, 1)));
  for (uint32_t i = 0; i < descriptions.size(); ++i) {
    uint64_t sum = 0;
    if (bpf_map_lookup_elem(impl_->maps.fd("counters"), &i, per_cpu.data()) == 0) {
      for (const uint64_t value : per_cpu) {
        sum += value;
      }
    }
    result.emplace(descriptions[i].name, sum);
  }
  // What the kernel did not run could not count itself.
  uint64_t& skipped = result[descriptions[ZS_COUNTER_LOST_SKIPPED].name];
  for (const ProgramStatistics& program : programs()) {
    skipped += program.recursion_misses;
  }
  return result;
}

std::vector<ProgramStatistics> Capture::programs() const {
  std::vector<ProgramStatistics> result;
  const auto add = [&result](const bpf_object* object) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
      bpf_prog_info info{};
      __u32 size = sizeof(info);
      if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0) {
        result.push_back(
            {bpf_program__name(program), info.run_cnt, info.run_time_ns, info.recursion_misses});
      }
    }
  };
  add(impl_->states->obj);
  add(impl_->processes->obj);
  if (impl_->events) {
    add(impl_->events->obj);
  }
  if (impl_->length) {
    add(impl_->length->obj);
  }
  if (impl_->fexits) {
    add(impl_->fexits->obj);
  }
  if (impl_->kprobes) {
    add(impl_->kprobes->obj);
  }
  if (impl_->io_uring) {
    add(impl_->io_uring->obj);
  }
  if (impl_->syscalls) {
    add(impl_->syscalls->obj);
  }
  if (impl_->ticks_attached) {
    add(impl_->ticks->obj);
  }
  if (impl_->go) {
    add(impl_->go->obj);
  }
  if (impl_->go_route) {
    add(impl_->go_route->obj);
  }
  if (impl_->propagator) {
    add(impl_->propagator->obj);
  }
  return result;
}

size_t Capture::process_count() const {
  const int map = impl_->maps.fd("processes");
  size_t count = 0;
  uint32_t key = 0;
  for (int error = bpf_map_get_next_key(map, nullptr, &key);
       error == 0 && count < impl_->options.max_processes;
       error = bpf_map_get_next_key(map, &key, &key)) {
    ++count;
  }
  return count;
}

std::optional<StatisticsSwitch> StatisticsSwitch::turn_on() {
  UniqueFd fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  return fd.valid() ? std::optional(StatisticsSwitch(std::move(fd))) : std::nullopt;
}

}  // namespace zerospan::kernel
