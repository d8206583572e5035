/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Hooks that do nothing, see empty_hook.cc. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sock_send_length")
int empty_hook__send(void* context) {
  return 0;
}

SEC("tp_btf/sock_recv_length")
int empty_hook__receive(void* context) {
  return 0;
}
