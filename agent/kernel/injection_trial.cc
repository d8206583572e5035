// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/injection_trial.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "agent/core/unique_fd.h"
#include "agent/kernel/skeleton.h"
#include "bpf/abi/abi.h"
#include "propagate.skel.h"

namespace zerospan::kernel {

namespace {

constexpr uint32_t kEntries = 64;           // one connection at a time, in maps of hash type
constexpr uint32_t kRingBytes = 4U << 20U;  // more than the largest check fills

struct RingBufferDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

int forget(void*, void*, size_t) {
  return 0;
}

Status put(const bpf_map* map, uint64_t key, const std::vector<std::byte>& value) {
  // Keys of 32 bits are the first half of the number, on the processors that there are programs
  // for.
  if (bpf_map_update_elem(bpf_map__fd(map), &key, value.data(), BPF_ANY) != 0) {
    return tl::unexpected(
        error_from_errno(errno, std::string("the BPF map ") + bpf_map__name(map)));
  }
  return {};
}

std::vector<std::byte> zeros(const bpf_map* map) {
  return std::vector<std::byte>(bpf_map__value_size(map));
}

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  std::vector<std::byte> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

}  // namespace

struct InjectionTrial::Impl {
  SkeletonPtr<propagate_bpf> programs;
  UniqueFd ring;
  std::unique_ptr<ring_buffer, RingBufferDeleter> reader;
};

InjectionTrial::InjectionTrial(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
InjectionTrial::~InjectionTrial() = default;

Result<std::unique_ptr<InjectionTrial>> InjectionTrial::make(const KernelBtf& btf) {
  auto impl = std::make_unique<Impl>();
  const bpf_object_open_opts options = btf.open_options();
  impl->programs.reset(propagate_bpf::open(&options));
  if (!impl->programs) {
    return tl::unexpected(error_from_errno(errno, "opening the programs for a trial of injection"));
  }
  auto& programs = *impl->programs;
  programs.rodata->zs_propagate = true;
  programs.bss->zs_takes_blocking = 1;
  programs.rodata->zs_agent_tgid = 0;  // here it is traced
  programs.rodata->zs_ring_wake_bytes = kRingBytes;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, programs.obj) {
    const bpf_map_type type = bpf_map__type(map);
    if (type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH ||
        type == BPF_MAP_TYPE_SOCKHASH) {
      bpf_map__set_max_entries(map, kEntries);
    }
  }
  if (const int error = propagate_bpf::load(impl->programs.get()); error != 0) {
    return tl::unexpected(
        error_from_errno(-error, "loading the programs for a trial of injection"));
  }
  if (bpf_prog_attach(bpf_program__fd(programs.progs.propagate__message),
                      bpf_map__fd(programs.maps.clients), BPF_SK_MSG_VERDICT, 0) != 0) {
    return tl::unexpected(error_from_errno(errno, "attaching to the messages of sockets"));
  }
  impl->ring.reset(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "trial_ring", 0, 0, kRingBytes, nullptr));
  if (!impl->ring.valid()) {
    return tl::unexpected(error_from_errno(errno, "the ring for a trial of injection"));
  }
  impl->reader.reset(ring_buffer__new(impl->ring.get(), &forget, nullptr, nullptr));
  if (!impl->reader) {
    return tl::unexpected(error_from_errno(errno, "the ring for a trial of injection"));
  }
  const auto pid = static_cast<uint32_t>(::getpid());
  zs_process process{};
  // No evidence is kept here: each request starts a trace.
  process.flags = ZS_PROCESS_PROPAGATE | ZS_PROCESS_NO_CONTEXT;
  auto control = std::make_unique<zs_control>();
  control->process_hints[pid % ZS_PROCESS_HINTS] = 1;
  for (const Status& status :
       {put(programs.maps.rings, 0, bytes_of(impl->ring.get())),
        put(programs.maps.control, 0, bytes_of(*control)),
        put(programs.maps.processes, pid, bytes_of(process)),
        // That of every connection here: what is zero in `outgoing` has this key.
        put(programs.maps.connections, 0, zeros(programs.maps.connections))}) {
    if (!status) {
      return tl::unexpected(status.error());
    }
  }
  return std::unique_ptr<InjectionTrial>(new InjectionTrial(std::move(impl)));
}

Status InjectionTrial::put_in(int fd) {
  ring_buffer__consume(impl_->reader.get());
  const auto& maps = impl_->programs->maps;
  if (Status status = put(maps.outgoing, static_cast<uint32_t>(fd), zeros(maps.outgoing));
      !status) {
    return status;
  }
  return put(maps.clients, static_cast<uint32_t>(fd), bytes_of(static_cast<uint64_t>(fd)));
}

Status InjectionTrial::take_out(int fd) {
  const auto key = static_cast<uint64_t>(fd);
  if (bpf_map_delete_elem(bpf_map__fd(impl_->programs->maps.clients), &key) != 0) {
    return tl::unexpected(error_from_errno(errno, "taking a socket out of the map of clients"));
  }
  return {};
}

}  // namespace zerospan::kernel
