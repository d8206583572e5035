/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/* How a thread came by its request, and so which system call ends its right to it. */
enum zs_loop {
  ZS_LOOP_NONE = 0,  /* read from a blocking socket: the thread serves it until the response ends */
  ZS_LOOP_EPOLL = 1, /* until the next epoll_wait */
  ZS_LOOP_POLL =
      2, /* non-blocking, in no epoll set: until the next poll or select of several descriptors */
};

struct zs_thread {
  __u64 request_id;
  __u64 connection_id; /* whose reading made the request current */
  __u8 evidence;       /* enum zs_evidence */
  __u8 loop;           /* enum zs_loop */
  __u8 reserved[6];
};

/*
 * Which request a thread serves. Entries go when the thread exits. A hash without LRU: an evicted
 * entry would only lose a parent, but a full table must be counted. Not preallocated: bounded by
 * the threads that serve requests.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u32); /* thread id */
  __type(value, struct zs_thread);
} threads SEC(".maps");
