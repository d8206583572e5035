/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* With injection: what is known of the streams of HTTP/2. */
#include "bpf/lib/inject_http2.h"
#include "bpf/lib/kernel.h"

/* A request that came on a stream: what a call that is made for it must tell the callee. */
struct zs_stream_context {
  __u64 trace_id[2]; /* of its traceparent, as numbers */
  __u32 tgid;        /* who read it */
  __u8 trace_flags;
  __u8 carries; /* it has a traceparent, */
  __u8 known;   /* which is valid, the only one, and known */
  __u8 reserved;
};

/* A server's connection: the header blocks that it has read. */
struct zs_incoming {
  struct zs_requests requests;
  struct zs_hpack_values values;
  struct zs_stream_context context; /* of the block that ended last */
  __u64 request_id;                 /* and its request */
  __u64 connection_id;
  __u32 position; /* of the walk, in the scratch area's bytes */
  __u32 end;
};

/*
 * By connection id, for those of HTTP/2 that are seen from their start. An entry goes with its
 * connection, so there are no more than connections; the agent sets max_entries.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u64);
  __type(value, struct zs_incoming);
} incoming SEC(".maps");

/*
 * By request id. Streams end where nobody looks for it, so the oldest make room (an LRU); calls
 * that are made for one that is gone are injected nothing.
 */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, __u64);
  __type(value, struct zs_stream_context);
} stream_contexts SEC(".maps");

struct zs_stream_key {
  __u64 connection_id;
  __u32 stream_id;
  __u32 reserved;
};

struct zs_stream_origin {
  __u64 request_id;
  __u8 evidence; /* enum zs_evidence */
  __u8 reserved[7];
};

/*
 * Go, clients: for which requests streams are begun, where a probe in the program tells it before
 * their headers leave. An LRU, because a stream that was told of may never be sent; one that is
 * evicted before has its request injected as one that nobody's was made for.
 */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct zs_stream_key);
  __type(value, struct zs_stream_origin);
} stream_origins SEC(".maps");
