/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/kernel.h"
#include "bpf/maps/connections.h"

/*
 * UDP sockets that are followed, or that were looked at. No hook sees such a socket closed, so what
 * is known of it is kept in the socket, and goes with it (kernel 5.11).
 */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct zs_connection);
} datagrams SEC(".maps");

/* Where a thread's system call for many messages (sendmmsg, recvmmsg) stands. Used where there is
 * zs_has_task_regs(). */
struct zs_batch {
  __u64 array;  /* of struct mmsghdr, in the program's memory; 0: there is no such call */
  __u64 socket; /* struct sock * */
  __s64 number; /* of the system call */
  __u32 next;   /* message */
  __u32 lost;   /* which message is next is not known, until there is another array */
};

struct {
  __uint(type, ZS_THREAD_MAP_TYPE);
  __uint(map_flags, ZS_THREAD_MAP_FLAGS);
  __uint(max_entries, ZS_THREAD_MAP_ENTRIES);
  __type(key, int);
  __type(value, struct zs_batch);
} batches SEC(".maps");
