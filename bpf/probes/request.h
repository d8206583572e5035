/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * With injection: what is known of each HTTP/1 request that a selected process reads, so that
 * propagate.bpf.c can continue its trace in the calls that are made for it.
 */
#include "bpf/maps/connections.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/requests.h"
#include "bpf/maps/scratch.h"
#include "bpf/maps/settings.h"

static const struct zs_request zs_request_none __attribute__((used)) = {};

struct zs_request_scan {
  struct zs_request* request;
  const __u8* bytes;
  __u32 end;
};

/* The scan moves by one byte, by eight, or over a body's bytes. */
static long request__scan_step(__u32 index, struct zs_request_scan* scan) {
  struct zs_request* request = scan->request;
  struct zs_http1_walk* walk = &request->walk;
  const __u32 at = request->position;
  if (at >= scan->end || at >= ZS_HEAD_BYTES_MAX) {
    return 1;
  }
  if (walk->state == ZS_HTTP1_BODY) {
    const __u32 left = scan->end - at;
    const __u64 count = walk->body_left < left ? walk->body_left : left;
    zs_http1_skip(walk, count);
    request->position = at + count;
    return 0;
  }
  const __u8* bytes = scan->bytes + at;
  if (at + 8 <= scan->end && zs_http1_passes(walk)) {
    __u64 word;
    __builtin_memcpy(&word, bytes, sizeof(word));
    if (!zs_http1_ends_line(word)) {
      zs_http1_pass(walk, 8);
      request->position = at + 8;
      return 0;
    }
  }
  request->position = at + 1;
  const __u32 before = walk->requests;
  if (zs_http1_step(walk, *bytes) == ZS_HTTP1_HEAD) {
    if (!request->head_read) {
      request->flags = walk->flags;
      request->trace_flags = walk->trace_flags;
      request->trace_id[0] = walk->trace_id[0];
      request->trace_id[1] = walk->trace_id[1];
      request->head_read = 1;
    }
    if (walk->off == ZS_HTTP1_OFF_EXPECT) {
      walk->off = ZS_HTTP1_ON; /* this reader sees whether the body comes */
    }
  }
  if (before && walk->requests != before) {
    request->shared = 1;
  }
  return walk->off != ZS_HTTP1_ON;
}

/* An operation of `byte_count` bytes was read for this request; those in the scratch area of
 * `slot`, as many as its record tells, are its first ones. */
static __always_inline void request__scan(struct zs_request* request, struct zs_scratch* out,
                                          __u32 byte_count) {
  struct zs_http1_walk* walk = &request->walk;
  struct zs_request_scan scan = {
      .request = request, .bytes = out->bytes, .end = out->record.head_bytes};
  if (walk->off) {
    return;
  }
  request->position = 0;
  bpf_loop(ZS_HEAD_BYTES_MAX, request__scan_step, &scan, 0);
  if (!walk->off && request->position < byte_count) {
    /* The rest was not copied. */
    const __u32 rest = byte_count - request->position;
    if (walk->state == ZS_HTTP1_BODY && walk->body_left >= rest) {
      zs_http1_skip(walk, rest);
    } else {
      walk->off = ZS_HTTP1_OFF_NOT_HTTP1;
    }
  }
  if (walk->off && walk->off != ZS_HTTP1_OFF_UPGRADE) {
    request->shared = 1; /* nobody tells where the next one begins */
  }
}

/* A global function, which the verifier looks at once (see capture__first()). */
ZS_VERIFIED_ONCE int request__read(struct zs_connection* connection, __u32 slot, __u32 byte_count,
                                   __u32 tgid) {
  if (!zs_propagate || !zs_has_loop() || !connection) {
    return 0;
  }
  struct zs_scratch* out = scratch__get(slot);
  const __u64 id = connection->request_id;
  if (!out || !id) {
    return 0;
  }
  if (connection->tracked_request != id) {
    const __u64 last = connection->tracked_request;
    if (last) {
      bpf_map_delete_elem(&requests, &last);
    }
    connection->tracked_request = id;
    connection->answer_seen = 0;
    if (bpf_map_update_elem(&requests, &id, &zs_request_none, BPF_ANY)) {
      counters__add(ZS_COUNTER_LOST_REQUESTS_FULL);
      return 0;
    }
  }
  struct zs_request* request = bpf_map_lookup_elem(&requests, &id);
  if (request) {
    request->tgid = tgid;
    request__scan(request, out, byte_count);
  }
  return 0;
}

/* A server sends: `interim` is a response that another one follows. */
static __always_inline void request__on_answer(struct zs_connection* connection, bool interim) {
  if (zs_propagate && !connection->answer_seen && !interim && connection->tracked_request) {
    const __u64 id = connection->tracked_request;
    struct zs_request* request = bpf_map_lookup_elem(&requests, &id);
    connection->answer_seen = 1;
    if (request) {
      request->answered = 1;
    }
  }
}

/* The connection is forgotten. */
static __always_inline void request__forget(const struct zs_connection* connection) {
  if (zs_propagate && connection->tracked_request) {
    const __u64 id = connection->tracked_request;
    bpf_map_delete_elem(&requests, &id);
  }
}
