/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/inject_http1.h"
#include "bpf/lib/kernel.h"

/* A request that a selected process serves: what a call that is made for it must tell the callee.
 */
struct zs_request {
  /* Its head, and what else came on its connection. */
  struct zs_http1_walk walk;
  __u32 tgid;       /* who read it */
  __u32 position;   /* of the scan, in the operation's bytes; see request__read() */
  __u8 head_read;   /* all below, and the fields of the head in `walk`, are known */
  __u8 flags;       /* enum zs_http1_flags of its head */
  __u8 trace_flags; /* of its traceparent */
  __u8 answered;    /* the first byte of its response was sent */
  __u8 shared;      /* another one came on its connection before its end, or may have */
  __u8 reserved[3];
  __u64 trace_id[2]; /* of its traceparent */
};

/*
 * By request id, with injection only. An entry goes when the next request of its connection begins,
 * and with the connection, so there are no more than connections; the agent sets max_entries. A
 * hash without LRU: what does not fit is counted, and its calls get no header.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u64);
  __type(value, struct zs_request);
} requests SEC(".maps");
