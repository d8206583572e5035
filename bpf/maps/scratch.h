/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/gate_http1.h"
#include "bpf/lib/gate_http2.h"
#include "bpf/lib/kernel.h"
#include "bpf/maps/connections.h"

struct zs_iovec {
  __u64 base;
  __u64 length;
};

/* Where an operation's bytes are: `count` buffers, of which the first two are read, and the array
 * in the program's memory. */
struct zs_buffers {
  struct zs_iovec front[2];
  __u64 iov;
  __u64 count;
};

/* What the copy loop is to do, as positions in the operation's bytes, and where it stands. */
struct zs_copy_position {
  __u64 end; /* of the operation */
  __u64 head_end;
  __u64 tail_start;
  __u64 position;    /* of the current buffer */
  __u64 filled;      /* bytes in the scratch area */
  __u64 head_filled; /* of them from the operation's head */
  __u64 first;       /* bytes of the first buffer that are in the scratch area before the loop */
};

/* Where the frame walk of an operation stands, in bytes of the operation. */
struct zs_frame_position {
  struct zs_iovec current; /* the buffer at `position` */
  __u64 buffer_start;
  __u64 buffer_end;
  __u64 stream_offset; /* of the operation's first byte */
  __u64 range_start;   /* what is before it is in the ring */
  __u32 buffer;        /* index of `current` */
  __u32 ahead;         /* bytes behind the scratch area's `filled` that are copied already */
};

/*
 * Room to look at one operation and to build its data record, which is larger than the BPF stack:
 * 512 bytes, before kernel 6.13 for a program and all that it calls.
 * The bytes area is twice the maximum so that the verifier can bound an offset and a length apart.
 * State of loops lives here and not on the stack: the verifier does not track values in maps, so
 * the states after each turn are equal to it.
 *
 * For programs that are not preempted, and only those in process context: one slot per CPU is
 * enough, and one per direction guards against a nested send. Uprobes may be preempted, and have
 * rooms.h. Datagrams have slots of their own, because the programs that see them are preempted
 * since kernel 7.0 by all others, though not by themselves (sock_length.bpf.c).
 */
#define ZS_DATAGRAM_SLOTS 2
#define ZS_SCRATCH_BYTES (2 * (ZS_HEAD_BYTES_MAX + ZS_TAIL_BYTES_MAX))

struct zs_scratch {
  struct zs_buffers buffers;
  struct zs_copy_position copy;
  struct zs_frame_position frames;
  struct zs_h2c_scan h2c;
  struct zs_connection fresh; /* what connection__create() puts into the map */
  struct zs_connection_record connection;
  struct zs_datagram_record datagram; /* may go before the record */
  struct zs_data_record record;
  __u8 bytes[ZS_SCRATCH_BYTES];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 4);
  __type(key, __u32); /* enum zs_direction; for datagrams ZS_DATAGRAM_SLOTS more */
  __type(value, struct zs_scratch);
} scratch SEC(".maps");

static __always_inline struct zs_scratch* scratch__get(__u32 slot) {
  return bpf_map_lookup_elem(&scratch, &slot);
}
