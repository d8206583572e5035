/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What bpf/probes/propagate_watch.bpf.c tells of one TCP socket. */
#pragma once

#include <linux/types.h>

/* Sequence numbers and counts as in the kernel's struct tcp_sock. */
struct zs_watched_socket {
  __u64 key;         /* of the map */
  __u32 write_seq;   /* the program has handed over all before this, */
  __u32 snd_nxt;     /* TCP has sent all before this, */
  __u32 snd_una;     /* and the peer has all before this */
  __u32 snd_wnd;     /* bytes that the peer would take from snd_una on */
  __u32 packets_out; /* sent and not acknowledged */
  __u8 off;          /* nothing more is injected into it */
  __u8 blocks;       /* it is in blocking mode */
  __u8 reserved[2];
};
