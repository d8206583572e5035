/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Another agent's programs: they take the client connections of a cgroup, and count what passes. */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 established = 0;
__u64 messages = 0;
__u64 received = 0;

struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __uint(max_entries, 64);
  __type(key, __u64);
  __type(value, __u64);
} foreign_sockets SEC(".maps");

SEC("sockops")
int foreign__sockops(struct bpf_sock_ops* operation) {
  if (operation->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
    __u64 key = operation->local_port;
    __sync_fetch_and_add(&established, 1);
    bpf_sock_hash_update(operation, &foreign_sockets, &key, BPF_ANY);
  }
  return 1;
}

SEC("sk_msg")
int foreign__messages(struct sk_msg_md* message) {
  __sync_fetch_and_add(&messages, 1);
  return SK_PASS;
}

SEC("sk_skb/stream_verdict")
int foreign__verdict(struct __sk_buff* skb) {
  __sync_fetch_and_add(&received, 1);
  return SK_PASS;
}
