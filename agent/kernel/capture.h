// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel side, loaded and attached: the only user of libbpf. A Capture is born attached and
// detaches everything when destroyed; the kernel does the same when the process ends in any other
// way, because nothing is pinned.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "agent/core/unique_fd.h"
#include "agent/kernel/injection_trial.h"

namespace zerospan::kernel {

enum class CaptureKind : uint8_t {
  kAuto,        // the first of the others that this kernel allows
  kTracepoint,  // sock_send_length and sock_recv_length, kernel 6.3+
  kFentry,      // fexit programs on the socket layer's functions
  kKprobe,      // probes where these functions begin and end
  kSyscall,     // the end of every system call: costs all programs of the host
};

// As the option capture.kind names it.
[[nodiscard]] std::string_view to_string(CaptureKind kind);

// What is captured before discovery has decided about it.
struct TentativeCapture {
  bool new_programs = false;   // for selections that a new program may match
  bool new_listeners = false;  // processes that begin to listen: for selections by port
};

struct CaptureOptions {
  CaptureKind kind = CaptureKind::kAuto;
  std::string btf_file;             // used if the kernel does not show its own types (btf.h)
  uint32_t head_bytes = 4096;       // per message, at most 8192
  uint32_t tail_bytes = 128;        // per operation, at most 256
  uint32_t protocols = UINT32_MAX;  // bit n: line n of bpf/abi/protocols.def is followed
  uint32_t ring_bytes = 4U << 20U;  // of each ring; a power of two, at least one page
  uint32_t rings = 1;               // one for each worker, at most 64
  uint32_t max_connections = 65536;
  uint32_t max_processes = 8192;
  std::array<uint16_t, 4> dns_ports = {53};  // of name servers; 0: none
  uint64_t id_seed = 0;                      // of requests' ids; random, and the correlator's too
  TentativeCapture tentative;
  bool propagate = false;   // trace context is injected into what selected processes send
  std::string cgroup_root;  // with propagate: where cgroup v2 is mounted; empty: nowhere
  bool event_loop_ticks =
      true;  // attach the hook on system calls when a selected event loop calls out
};

struct ProcessEvent {
  // kGoRefused: what was read as the process's goroutines cannot be such.
  enum class Kind : uint8_t { kFork = 1, kExec = 2, kExit = 3, kListen = 4, kGoRefused = 6 };
  Kind kind = Kind::kFork;
  uint32_t pid = 0;
  uint32_t parent_pid = 0;  // fork
  uint16_t port = 0;        // listen
};

// Flags of Capture::select.
struct ProcessTraits {
  bool no_thread_context = false;  // threads say nothing about the request served (goroutines)
  // Its event loop does in a call-back what the bytes ask for that this call-back has read: nginx
  // and libuv, but not loops that queue tasks (asyncio, tokio, Netty).
  bool callbacks = false;
  bool libuv = false;  // with callbacks: the loop is libuv's
  bool java = false;
  bool propagate = false;  // its requests may be given a trace context
};

// A stretch of code in a process's memory.
struct CodeRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// What the kernel side has to know of one Go process: struct zs_go_process. Offsets are in bytes;
// none: this version of Go does not have the field. Addresses are of the process; 0: not known.
struct GoLayout {
  uint64_t goidgen = 0;
  uint64_t allgs = 0;
  uint64_t allp = 0;
  CodeRange transport;
  CodeRange background;
  std::array<CodeRange, 4> streams;
  int32_t tls = -8;
  uint32_t goid = 0;
  std::optional<uint32_t> parent_goid;
  std::optional<uint32_t> gopc;
  uint32_t g_m = 0;
  uint32_t m_curg = 0;
  uint32_t m_g0 = 0;
  std::optional<uint32_t> goidcache;
  // Of the probes: from a connection to its socket,
  uint32_t conn_fd = 0;
  uint32_t net_fd_family = 0;
  uint32_t net_fd_sotype = 0;
  uint32_t net_fd_sysfd = 0;
  // in net/http's client,
  uint32_t persist_conn_conn = 0;
  // in HTTP/2 servers: net/http's own, and golang.org/x/net's,
  struct Http2Server {
    uint32_t server_conn = 0;
    uint32_t writer_stream = 0;
    uint32_t stream_id = 0;
  };
  std::array<Http2Server, 2> http2_servers;
  // and in google.golang.org/grpc.
  uint32_t grpc_server_conn = 0;
  bool grpc_stream_indirect = false;
  uint32_t grpc_stream_id = 0;
  uint32_t grpc_client_conn = 0;
  uint32_t grpc_client_next_id = 0;
  uint32_t grpc_new_stream_client = 0;
};

// How the agent decides, for the kernel side, which must decide before the bytes leave.
struct InjectionRules {
  uint64_t sample_threshold = 0;  // sampling::Sampler's
  bool sample_by_parent = true;
  bool reads_traceparent = true;  // in front of all other formats
  bool reads_others = false;
};

// What the kernel side has found out about it.
struct GoState {
  enum class Verdict : uint8_t { kUnverified, kVerified, kRefused };
  Verdict verdict = Verdict::kUnverified;
  uint32_t checks_passed = 0;  // counted until it is verified
  uint32_t checks_failed = 0;
};

// The programs of bpf/probes/go.bpf.c, and of go_route.bpf.c (kRoute...), which need kernel 5.15
// and are left out without it.
enum class GoProbe : uint8_t {
  kRoundTrip,
  kGrpcNewStream,
  kGrpcHandleStream,
  kHttp2RunHandler,
  kXHttp2RunHandler,
  kRouteServe,
  kRouteStored,
  kRouteMux,
  kRouteFiber,
};

struct GoProbeSite {
  GoProbe probe = GoProbe::kRoundTrip;
  uint64_t file_offset = 0;
  uint64_t cookie = 0;  // kRoute...: what bpf/probes/go_route.bpf.c says of it
};

// Uprobes in one file. They are gone when this is destroyed.
class Probes {
 public:
  virtual ~Probes() = default;
};

struct ProgramStatistics {
  std::string name;
  uint64_t run_count = 0;
  uint64_t run_time_ns = 0;       // only counted while BPF statistics are on
  uint64_t recursion_misses = 0;  // events that the kernel skipped
};

class Capture {
 public:
  static Result<std::unique_ptr<Capture>> make(const CaptureOptions& options);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  [[nodiscard]] CaptureKind kind() const;  // the one in use; never kAuto

  // Any thread. select() may be repeated to change traits; the ring of a process that has one
  // stays.
  Status select(uint32_t pid, ProcessTraits traits);
  Status deselect(uint32_t pid);

  // Any thread. Programs that are executed in this cgroup (of the unified hierarchy) from now on
  // are captured at once, until the process is selected or deselected.
  Status select_cgroup(uint64_t id);
  Status deselect_cgroup(uint64_t id);
  // Any thread.
  void set_tentative(TentativeCapture tentative);

  // With CaptureOptions::propagate: whether it can be done here. Else an error that says so.
  [[nodiscard]] const Status& injection() const;
  // Any thread, one at a time, for the four below. With injection() in order: connections that
  // selected processes open from now on are looked at, those of sockets in blocking mode only if
  // `blocking`,
  Status begin_injection(bool blocking);
  // until now: all sockets are back with their own functions.
  void end_injection();
  // After begin_injection(), a second or more apart: takes out what has stood still since the last
  // call (propagation_watch.h) and returns how many; also what nothing more is injected into.
  Result<size_t> take_out();
  // For a self-test; needs neither of these.
  [[nodiscard]] Result<std::unique_ptr<InjectionTrial>> injection_trial() const;
  // Any thread.
  void set_injection_rules(const InjectionRules& rules);
  // The watcher thread: what select() has said of ProcessTraits::propagate has changed.
  void set_propagate(uint32_t pid, bool propagate);

  // Any thread. The goroutines of a selected process can be told from now on, until it is
  // deselected or executes another program.
  Status tell_go(uint32_t pid, const GoLayout& layout);
  [[nodiscard]] std::optional<GoState> go_state(uint32_t pid) const;
  // One thread at a time. The probes are hit in all processes that run this file, now or later.
  [[nodiscard]] Result<std::unique_ptr<Probes>> probe_go(const std::string& path,
                                                         std::span<const GoProbeSite> sites);

  // The worker of `ring`. Hands out what is there; if there is nothing, waits for `timeout_ms` and
  // looks again, sooner only if the ring fills: to be woken by a record would cost the traced
  // program more than all else. Returns the number of records. The bytes are valid during the call.
  using RecordHandler = std::function<void(std::span<const std::byte>)>;
  size_t poll_ring(uint32_t ring, int timeout_ms, const RecordHandler& handler);

  // Any thread. The connection's operations are not recorded any more.
  void mute(uint64_t socket, uint64_t connection_id);
  // Any thread. The connection is not known any more: if it is used again by a traced process, it
  // begins anew, as one that was open before.
  void forget(uint64_t socket, uint64_t connection_id);

  // The watcher thread. Waits for at most timeout_ms. Returns the number of events handled.
  using ProcessEventHandler = std::function<void(const ProcessEvent&)>;
  Result<size_t> poll_processes(int timeout_ms, const ProcessEventHandler& handler);

  // The watcher thread, now and then: attaches the hook for event loops' turns once one needs it.
  // True when it was attached by this call. A failure is told once.
  Result<bool> attach_ticks_if_wanted();
  [[nodiscard]] bool ticks_attached() const;

  // Any thread. Counters of the kernel side by name (see counter_descriptions), summed over CPUs.
  [[nodiscard]] std::map<std::string_view, uint64_t> counters() const;
  [[nodiscard]] std::vector<ProgramStatistics> programs() const;
  [[nodiscard]] size_t process_count() const;

 private:
  struct Impl;
  explicit Capture(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct CounterDescription {
  std::string_view name;
  std::string_view help;
};
// Of Capture::counters(), from bpf/abi/counters.def. Names that begin with "lost_" are losses.
[[nodiscard]] std::span<const CounterDescription> counter_descriptions();

// Counts and times all BPF programs of the host while it lives (kernel.bpf_stats_enabled); that
// costs each run about 20 ns.
class StatisticsSwitch {
 public:
  static std::optional<StatisticsSwitch> turn_on();

 private:
  explicit StatisticsSwitch(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace zerospan::kernel
