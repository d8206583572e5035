/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* See state_change.h. */
#include "bpf/maps/cgroups.h" /* of process.bpf.c: this object has the maps of all */
#include "bpf/probes/state_change.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(sock_state__change, const struct sock* sk, const int old_state, const int new_state) {
  return state__change(sk, old_state, new_state);
}
