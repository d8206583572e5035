// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Connections that stand still, on real sockets. As root.

#include "agent/kernel/propagation_watch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <set>
#include <thread>

#include "agent/propagation/loopback.h"
#include "inserter.skel.h"

namespace zerospan::kernel {
namespace {

using propagation::Deadline;
using propagation::Pair;

TEST(IsStalled, OnlyWhatTcpCouldSend) {
  const zs_watched_socket before{.key = 1,
                                 .write_seq = 1100,
                                 .snd_nxt = 1000,
                                 .snd_una = 1000,
                                 .snd_wnd = 500,
                                 .packets_out = 0,
                                 .off = 0,
                                 .blocks = 0,
                                 .reserved = {}};
  EXPECT_TRUE(is_stalled(before, before));
  zs_watched_socket now = before;
  now.write_seq = 1200;  // the program sends more, and still nothing leaves
  EXPECT_TRUE(is_stalled(before, now));
  now.snd_nxt = now.snd_una = 1001;
  EXPECT_FALSE(is_stalled(before, now)) << "it moved";
  now = before;
  now.packets_out = 1;
  EXPECT_FALSE(is_stalled(before, now)) << "it waits for an acknowledgement";
  now = before;
  now.snd_wnd = 99;
  EXPECT_FALSE(is_stalled(before, now)) << "the peer has no room";
  now = before;
  now.write_seq = 1000;
  EXPECT_FALSE(is_stalled(before, now)) << "nothing waits";
  now = before;
  now.snd_una = 400;  // a window that was taken back: its end is before what was sent
  EXPECT_FALSE(is_stalled(before, now));
  now = before;
  now.key = 2;
  EXPECT_FALSE(is_stalled(before, now)) << "another socket";
  // Where the numbers begin again.
  zs_watched_socket wraps = before;
  wraps.snd_una = wraps.snd_nxt = 0xfffffff0;
  wraps.write_seq = 0x10;
  EXPECT_TRUE(is_stalled(wraps, wraps));
}

int key_of(const Pair& pair) {
  return pair.client.get();
}

// Pacing at a byte per second holds back what is behind the first packets, with the peer's window
// open and nothing on its way: what a stall looks like. Beside it one whose peer does not read, one
// that is corked, and one that has nothing to do and is in blocking mode.
TEST(PropagationWatch, FindsWhatStandsStillAndWhatBlocks) {
  inserter_bpf* inserter = inserter_bpf::open_and_load();
  ASSERT_NE(inserter, nullptr) << "run it as root";
  const int map = bpf_map__fd(inserter->maps.sockets);
  ASSERT_EQ(
      ::bpf_prog_attach(bpf_program__fd(inserter->progs.inserter), map, BPF_SK_MSG_VERDICT, 0), 0);
  const std::stop_token stop;
  const Deadline deadline(std::chrono::steady_clock::now() + std::chrono::seconds(120), stop);
  std::vector<Pair> pairs;
  for (int i = 0; i < 4; ++i) {
    pairs.push_back(Pair::make(AF_INET, deadline));
    const uint64_t key = static_cast<uint64_t>(key_of(pairs.back()));
    const uint64_t value = key;
    ASSERT_EQ(::bpf_map_update_elem(map, &key, &value, BPF_ANY), 0);
  }
  const auto fill = [](const Pair& pair) {
    const std::string bytes = propagation::noise(1U << 20U);
    while (::send(pair.client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }
  };
  const Result<KernelBtf> btf = KernelBtf::find("");
  ASSERT_TRUE(btf) << btf.error().message;
  Result<PropagationWatch> watch = PropagationWatch::make(*btf, map, -1);
  ASSERT_TRUE(watch) << watch.error().message;
  propagation::set_blocking(pairs[3].client.get(), true);
  fill(pairs[1]);  // which nobody reads
  propagation::set_option(pairs[2].client.get(), IPPROTO_TCP, TCP_CORK, 1);
  ASSERT_EQ(::send(pairs[2].client.get(), "abc", 3, 0), 3);
  const uint32_t slow = 1;
  ASSERT_EQ(
      ::setsockopt(pairs[0].client.get(), SOL_SOCKET, SO_MAX_PACING_RATE, &slow, sizeof(slow)), 0);
  std::string received;
  std::set<uint64_t> found;
  const std::string piece = propagation::noise(2000);
  while (found.count(static_cast<uint64_t>(key_of(pairs[0]))) == 0) {
    deadline.check("the stall to be seen");
    ::send(pairs[0].client.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    propagation::read_some(pairs[0].server.get(), received, 0, deadline);
    const Result<PropagationWatch::Seen> seen = watch->look();
    ASSERT_TRUE(seen) << seen.error().message;
    found.insert(seen->stalled.begin(), seen->stalled.end());
    ASSERT_THAT(seen->off, testing::IsEmpty());
    ASSERT_THAT(seen->blocking, testing::ElementsAre(static_cast<uint64_t>(key_of(pairs[3]))));
    std::this_thread::sleep_for(std::chrono::seconds(1));  // what two looks must be apart
  }
  EXPECT_THAT(found, testing::ElementsAre(static_cast<uint64_t>(key_of(pairs[0]))));
  inserter_bpf::destroy(inserter);
}

}  // namespace
}  // namespace zerospan::kernel
