/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/* How the thread waits for the socket that it read its request from. */
enum zs_loop {
  ZS_LOOP_NONE = 0,  /* a blocking socket: the thread serves the request until the response ends */
  ZS_LOOP_EPOLL = 1, /* an event loop over epoll: at most until the call-back ends */
  ZS_LOOP_POLL = 2,  /* non-blocking, in no epoll set: nothing is known of its turns */
};

struct zs_thread {
  __u64 request_id;
  __u64 connection_id; /* whose reading made the request current */
  /* Of an event loop's thread, by the tick programs: */
  __u64 turn_ns;     /* when epoll_wait returned last */
  __u64 timers_ns;   /* from then on a timer may have run in this turn */
  __s32 descriptor;  /* that was read last in this turn */
  __s32 last;        /* libuv: the descriptor of this turn's last event; -1 once that has begun */
  __u8 evidence;     /* enum zs_evidence */
  __u8 loop;         /* enum zs_loop */
  __u8 libuv;        /* ZS_PROCESS_LIBUV of its process */
  __u8 sockets_only; /* libuv: all events of this turn are on sockets */
  __u8 single;       /* this turn has one event */
  __u8 mixed;        /* another request's message went on in this turn */
  __u8 reserved[2];
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
