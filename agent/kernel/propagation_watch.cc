// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/propagation_watch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/core/unique_fd.h"
#include "propagate_watch.skel.h"

namespace zerospan::kernel {

namespace {

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};

}  // namespace

bool is_stalled(const zs_watched_socket& before, const zs_watched_socket& now) {
  const auto waits = [](const zs_watched_socket& socket) {
    const uint32_t unsent = socket.write_seq - socket.snd_nxt;
    const uint32_t room = socket.snd_una + socket.snd_wnd - socket.snd_nxt;
    return unsent != 0 && socket.packets_out == 0 && room >= unsent &&
           room <= socket.snd_wnd;  // else it is negative
  };
  return before.key == now.key && before.snd_nxt == now.snd_nxt && waits(before) && waits(now);
}

struct PropagationWatch::Impl {
  SkeletonPtr<propagate_watch_bpf> programs;
  std::unique_ptr<bpf_link, LinkDeleter> link;
  std::map<uint64_t, zs_watched_socket> before;  // of those that had something to send
};

PropagationWatch::PropagationWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PropagationWatch::PropagationWatch(PropagationWatch&&) noexcept = default;
PropagationWatch& PropagationWatch::operator=(PropagationWatch&&) noexcept = default;
PropagationWatch::~PropagationWatch() = default;

Result<PropagationWatch> PropagationWatch::make(const KernelBtf& btf, int clients, int outgoing) {
  auto impl = std::make_unique<Impl>();
  const bpf_object_open_opts open_options = btf.open_options();
  impl->programs.reset(propagate_watch_bpf::open(&open_options));
  if (!impl->programs ||
      (outgoing >= 0 && bpf_map__reuse_fd(impl->programs->maps.outgoing, outgoing) != 0) ||
      propagate_watch_bpf::load(impl->programs.get()) != 0) {
    return tl::unexpected(error_from_errno(errno, "loading the iterator over a sockmap"));
  }
  bpf_iter_link_info info{};
  info.map.map_fd = static_cast<uint32_t>(clients);
  bpf_iter_attach_opts options{};
  options.sz = sizeof(options);
  options.link_info = &info;
  options.link_info_len = sizeof(info);
  impl->link.reset(
      bpf_program__attach_iter(impl->programs->progs.propagate_watch__socket, &options));
  if (!impl->link) {
    return tl::unexpected(error_from_errno(errno, "attaching the iterator over a sockmap"));
  }
  return PropagationWatch(std::move(impl));
}

Result<PropagationWatch::Seen> PropagationWatch::look() {
  const UniqueFd rows(::bpf_iter_create(bpf_link__fd(impl_->link.get())));
  if (!rows.valid()) {
    return tl::unexpected(error_from_errno(errno, "iterating over a sockmap"));
  }
  std::map<uint64_t, zs_watched_socket> now;
  Seen seen;
  std::array<char, 256 * sizeof(zs_watched_socket)> buffer;
  size_t held = 0;  // bytes of a row that came in part
  while (true) {
    const ssize_t length = ::read(rows.get(), buffer.data() + held, buffer.size() - held);
    if (length < 0 && (errno == EINTR || errno == EAGAIN)) {
      continue;
    }
    if (length < 0) {
      return tl::unexpected(error_from_errno(errno, "reading what an iterator tells"));
    }
    if (length == 0) {
      break;
    }
    held += static_cast<size_t>(length);
    size_t at = 0;
    for (; at + sizeof(zs_watched_socket) <= held; at += sizeof(zs_watched_socket)) {
      zs_watched_socket row;
      std::memcpy(&row, buffer.data() + at, sizeof(row));
      const auto known = impl_->before.find(row.key);
      if (known != impl_->before.end() && is_stalled(known->second, row)) {
        seen.stalled.push_back(row.key);
      } else if (row.off != 0) {
        seen.off.push_back(row.key);
      } else if (row.blocks != 0) {
        seen.blocking.push_back(row.key);
      }
      if (row.write_seq != row.snd_nxt) {
        now.emplace(row.key, row);
      }
    }
    std::memmove(buffer.data(), buffer.data() + at, held - at);
    held -= at;
  }
  impl_->before = std::move(now);
  return seen;
}

}  // namespace zerospan::kernel
