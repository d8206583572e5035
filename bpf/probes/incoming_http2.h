/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * With injection: what the frames of HTTP/2 say that selected processes read. Of a server's, the
 * trace context of each request (as request.h of HTTP/1's); of a client's, how large a list of
 * fields its peer takes.
 */
#include "bpf/lib/mix.h"
#include "bpf/maps/connections.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/scratch.h"
#include "bpf/maps/settings.h"
#include "bpf/maps/streams.h"

static const struct zs_incoming zs_incoming_none __attribute__((used)) = {};

struct zs_incoming_scan {
  struct zs_incoming* incoming;
  const __u8* bytes;
};

static __always_inline __u64 incoming__number(const __u8* bytes) {
  __u64 number = 0;
#pragma unroll
  for (__u32 i = 0; i < 8; ++i) {
    number = number << 8U | bytes[i];
  }
  return number;
}

/* A block has ended that begins a request. */
static __always_inline void incoming__keep(struct zs_incoming* incoming) {
  const struct zs_requests* requests = &incoming->requests;
  const struct zs_traceparent* found = zs_requests_context(requests, &incoming->values);
  struct zs_stream_context* context = &incoming->context;
  context->carries = requests->hpack.carried || requests->hpack.unknown;
  context->known = found != NULL;
  if (found) {
    context->trace_flags = found->flags;
    context->trace_id[0] = incoming__number(found->trace_id);
    context->trace_id[1] = incoming__number(found->trace_id + 8);
  }
  incoming->request_id =
      zs_stream_request_id(zs_id_seed, incoming->connection_id, requests->stream);
  if (bpf_map_update_elem(&stream_contexts, &incoming->request_id, context, BPF_ANY)) {
    counters__add(ZS_COUNTER_LOST_REQUESTS_FULL);
  }
}

static long incoming__step(__u32 index, struct zs_incoming_scan* scan) {
  struct zs_incoming* incoming = scan->incoming;
  const __u32 at = incoming->position;
  if (at >= incoming->end || at >= ZS_HEAD_BYTES_MAX) {
    return 1;
  }
  incoming->position = at + zs_requests_step(&incoming->requests, &incoming->values,
                                             scan->bytes[at], incoming->end - at);
  if (incoming->requests.ended && incoming->requests.request) {
    incoming__keep(incoming);
  }
  return 0;
}

static __always_inline void incoming__of_server(const struct zs_connection* connection,
                                                const struct zs_scratch* out, __u32 head_bytes,
                                                __u32 byte_count, __u64 offset) {
  const __u64 id = connection->id;
  if (offset == 0 && bpf_map_update_elem(&incoming, &id, &zs_incoming_none, BPF_ANY)) {
    counters__add(ZS_COUNTER_LOST_REQUESTS_FULL);
    return;
  }
  struct zs_incoming* in = bpf_map_lookup_elem(&incoming, &id);
  if (!in || in->requests.at == ZS_REQUESTS_OFF) {
    return;
  }
  in->position = 0;
  in->end = head_bytes;
  in->connection_id = id;
  in->context.tgid = bpf_get_current_pid_tgid() >> 32U;
  struct zs_incoming_scan scan = {.incoming = in, .bytes = out->bytes};
  bpf_loop(ZS_HEAD_BYTES_MAX, incoming__step, &scan, 0);
  /* What was passed over lies within one payload; or it is lost. */
  const __u32 passed = byte_count - head_bytes;
  if (in->position < in->end ||
      (passed && (in->requests.at != ZS_REQUESTS_SKIP || in->requests.left < passed))) {
    in->requests.at = ZS_REQUESTS_OFF;
  } else if (passed) {
    zs_requests_skip(&in->requests, passed);
  }
}

struct zs_limits_scan {
  struct zs_announced* limits;
  const __u8* bytes;
  __u32 end;
};

static long incoming__limits_step(__u32 index, struct zs_limits_scan* scan) {
  struct zs_announced* limits = scan->limits;
  const __u32 at = limits->position;
  if (at >= scan->end || at >= ZS_HEAD_BYTES_MAX || zs_announced_done(limits)) {
    return 1;
  }
  limits->position = at + zs_announced_step(limits, scan->bytes[at], scan->end - at);
  return 0;
}

/*
 * A stretch of `byte_count` bytes of an operation that has read frames of HTTP/2, from this offset
 * of the stream on; those in the scratch area of `slot` are its first ones. A global function,
 * which the verifier looks at once (see capture__first()).
 */
ZS_VERIFIED_ONCE int incoming__read(struct zs_connection* connection, __u32 slot, __u32 head_bytes,
                                    __u32 byte_count) {
  struct zs_scratch* out = scratch__get(slot);
  if (!zs_propagate || !zs_has_loop() || !connection || !out || head_bytes > ZS_HEAD_BYTES_MAX ||
      head_bytes > byte_count) {
    return 0;
  }
  if (connection->role != ZS_ROLE_CLIENT) {
    incoming__of_server(connection, out, head_bytes, byte_count, out->record.offset);
  } else if (!zs_announced_done(&connection->limits)) {
    struct zs_limits_scan scan = {
        .limits = &connection->limits, .bytes = out->bytes, .end = head_bytes};
    connection->limits.position = 0;
    bpf_loop(ZS_HEAD_BYTES_MAX, incoming__limits_step, &scan, 0);
  }
  return 0;
}

/* The connection is forgotten. */
static __always_inline void incoming__forget(const struct zs_connection* connection) {
  if (zs_propagate && connection->role != ZS_ROLE_CLIENT &&
      connection->protocol == ZS_PROTOCOL_HTTP2) {
    const __u64 id = connection->id;
    bpf_map_delete_elem(&incoming, &id);
  }
}
