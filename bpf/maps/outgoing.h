/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* With injection: what is known of the client connections of selected processes. */
#include "bpf/abi/abi.h"
#include "bpf/lib/inject_http1.h"
#include "bpf/lib/kernel.h"

/* The requests in one connection's send direction. Only the thread that has locked the socket uses
 * it. */
struct zs_outgoing {
  struct zs_http1_walk walk;
  __u64 key;            /* in the map of connections */
  __u64 stream;         /* bytes that the program has sent before this operation */
  __u64 request_offset; /* in them, of the current request */
  __u32 expected_seq;   /* TCP: where this operation begins if all of the last one was taken */
  __u32 size;           /* of the operation, with what was injected */
  __u32 position;       /* in it */
  __u32 base;           /* of the readable bytes, in it */
  __u32 pulled;         /* the position for which they were asked for */
  __u32 inserted;       /* bytes injected into it */
  __u32 stream_id;      /* HTTP/2: of the current request */
  __u8 begun;
  __u8 drop; /* what was injected is no header, and cannot be taken back */
  __u8 http2;
  __u8 reserved[1];
  struct zs_injected_record record;
};

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct zs_outgoing);
} outgoing SEC(".maps");

/* Has the program left its socket in blocking mode, or is it nobody's any more? */
static __always_inline bool sock__blocks(const struct sock* sk) {
  const struct file* file = BPF_CORE_READ(sk, sk_socket, file);
  return !file || !(BPF_CORE_READ(file, f_flags) & ZS_O_NONBLOCK);
}
