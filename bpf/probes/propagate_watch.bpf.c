/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Tells how far each socket of a sockmap has come with what it is to send, and whether it needs to
 * be there: read by the agent now and then, through an iterator over the map (Linux 5.10,
 * net/core/sock_map.c). */
#include "bpf/abi/propagate_watch.h"
#include "bpf/maps/outgoing.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct seq_file;
struct bpf_iter_meta {
  struct seq_file* seq;
};
struct bpf_iter__sockmap {
  struct bpf_iter_meta* meta;
  void* key;
  struct sock* sk;
};
/* A flavour: bpf/lib/kernel.h has what the other probes read of it. */
struct tcp_sock___watch {
  __u32 write_seq;
  __u32 snd_nxt;
  __u32 snd_una;
  __u32 snd_wnd;
  __u32 packets_out;
};
#pragma clang attribute pop

SEC("iter/sockmap")
int propagate_watch__socket(struct bpf_iter__sockmap* context) {
  struct sock* sk = context->sk;
  const __u64* key = context->key;
  if (!sk || !key) {
    return 0; /* the end */
  }
  const struct tcp_sock___watch* tcp = (const struct tcp_sock___watch*)sk;
  struct zs_watched_socket row = {};
  bpf_probe_read_kernel(&row.key, sizeof(row.key), key);
  row.write_seq = BPF_CORE_READ(tcp, write_seq);
  row.snd_nxt = BPF_CORE_READ(tcp, snd_nxt);
  row.snd_una = BPF_CORE_READ(tcp, snd_una);
  row.snd_wnd = BPF_CORE_READ(tcp, snd_wnd);
  row.packets_out = BPF_CORE_READ(tcp, packets_out);
  const struct zs_outgoing* out = bpf_sk_storage_get(&outgoing, sk, NULL, 0);
  row.off = out && out->walk.off;
  row.blocks = sock__blocks(sk);
  bpf_seq_write(context->meta->seq, &row, sizeof(row));
  return 0;
}
