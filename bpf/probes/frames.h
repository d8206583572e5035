/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Copies what the frame walker (bpf/lib/frame_http2.h, frame_amqp.h, frame_mqtt.h, frame_nats.h,
 * frame_cassandra.h) wants of one socket operation of a connection that is followed frame by frame.
 * Each stretch of captured bytes becomes a data record of its own, which also counts the bytes
 * behind it that were passed over: an operation of small frames is one record, one of large DATA
 * frames one for each.
 */
#include "bpf/lib/frame_amqp.h"
#include "bpf/lib/frame_cassandra.h"
#include "bpf/lib/frame_http2.h"
#include "bpf/lib/frame_mqtt.h"
#include "bpf/lib/frame_nats.h"
#include "bpf/maps/rings.h"
#include "bpf/probes/capture.h"
#include "bpf/probes/incoming_http2.h"

/* A look at the program's memory costs as much as the copy of some thousand bytes, and most
 * operations are small frames that are wanted whole. */
#define ZS_FRAMES_AHEAD_BYTES 1024

/* Arguments of frames__step; the rest of its state is in the scratch area. */
struct zs_frames {
  struct zs_scratch* out;
  struct zs_connection* connection;
  struct zs_frame_walk* walk;
};

/* Puts out the stretch that ends at `position`. */
static __always_inline void frames__flush(struct zs_frames* frames, __u64 position) {
  struct zs_scratch* out = frames->out;
  struct zs_data_record* record = &out->record;
  const __u64 head_bytes = out->copy.filled;
  if (head_bytes > ZS_HEAD_BYTES_MAX || position == out->frames.range_start) {
    return;
  }
  record->offset = out->frames.stream_offset + out->frames.range_start;
  record->byte_count = position - out->frames.range_start;
  record->head_bytes = head_bytes;
  record->header.length = sizeof(*record) + head_bytes;
  if (zs_propagate && record->direction == ZS_RECEIVE &&
      frames->connection->protocol == ZS_PROTOCOL_HTTP2) {
    incoming__read(frames->connection, ZS_RECEIVE, head_bytes, record->byte_count);
  }
  rings__output(frames->connection->ring, record, sizeof(*record) + head_bytes);
  out->frames.range_start = position;
  out->copy.filled = 0;
  out->frames.ahead = 0;
}

/* The next `count` bytes of the operation, of `left` in this buffer, are behind what is filled. */
static __always_inline bool frames__have(struct zs_scratch* out, __u32 count, __u64 left) {
  const __u64 filled = out->copy.filled;
  if (count <= out->frames.ahead) {
    return true;
  }
  __u64 more = left < ZS_FRAMES_AHEAD_BYTES ? left : ZS_FRAMES_AHEAD_BYTES;
  if (more < count) {
    more = count;
  }
  zs_unknown(more);
  if (more > ZS_HEAD_BYTES_MAX || filled > ZS_HEAD_BYTES_MAX ||
      bpf_probe_read_user(&out->bytes[filled], more,
                          (const void*)(out->frames.current.base + out->copy.position -
                                        out->frames.buffer_start))) {
    return false;
  }
  out->frames.ahead = more;
  return true;
}

/*
 * NATS: how many of the `count` bytes behind the `filled` ones are kept. A global function, which
 * the verifier looks at once (see capture__first()): it reads byte by byte.
 */
ZS_VERIFIED_ONCE int frames__read_nats(struct zs_frame_walk* walk, __u32 slot, __u32 filled,
                                       __u32 count) {
  struct zs_scratch* out = scratch__get(slot);
  if (!walk || !out || filled > ZS_HEAD_BYTES_MAX) {
    return 0;
  }
  return zs_nats_captured(walk, &out->bytes[filled], count);
}

/* 1: the operation is done, or the rest of it is not to be followed. */
static __always_inline long frames__follow(struct zs_frames* frames, enum zs_protocol protocol) {
  struct zs_scratch* out = frames->out;
  struct zs_frame_walk* walk = frames->walk;
  const __u64 position = out->copy.position;
  if (position >= out->copy.end) {
    return 1;
  }
  if (position >= out->frames.buffer_end) {
    out->frames.buffer += 1;
    if (out->frames.buffer >= out->buffers.count ||
        !buffers__at(&out->buffers, out->frames.buffer, &out->frames.current)) {
      return 1;
    }
    out->frames.ahead = 0;
    out->frames.buffer_start = out->frames.buffer_end;
    out->frames.buffer_end += out->frames.current.length;
    return 0;
  }
  __u64 left =
      (out->frames.buffer_end < out->copy.end ? out->frames.buffer_end : out->copy.end) - position;
  if (left > ZS_HEAD_BYTES_MAX) {
    left = ZS_HEAD_BYTES_MAX;
  }
  const __u32 count = protocol == ZS_PROTOCOL_AMQP        ? zs_amqp_wanted(walk, left)
                      : protocol == ZS_PROTOCOL_MQTT      ? zs_mqtt_wanted(walk, left)
                      : protocol == ZS_PROTOCOL_NATS      ? zs_nats_wanted(walk, left)
                      : protocol == ZS_PROTOCOL_CASSANDRA ? zs_cassandra_wanted(walk, left)
                                                          : zs_http2_wanted(walk, left);
  if (count > ZS_HEAD_BYTES_MAX) {
    return 1;
  }
  if (count) {
    if (out->copy.filled + count > ZS_HEAD_BYTES_MAX) {
      frames__flush(frames, position);
    }
    const __u64 filled = out->copy.filled;
    if (filled > ZS_HEAD_BYTES_MAX || !frames__have(out, count, left)) {
      counters__add(ZS_COUNTER_LOST_USER_MEMORY);
      return 1;
    }
    __u64 kept = count;
    bool goes_on;
    if (protocol == ZS_PROTOCOL_NATS) {
      kept = frames__read_nats(walk, out->record.direction, filled, count);
      if (kept > count) {
        return 1;
      }
      goes_on = walk->followed != ZS_FRAME_LOST;
    } else if (protocol == ZS_PROTOCOL_CASSANDRA) {
      kept = zs_cassandra_captured(walk, &out->bytes[filled], count) ? count : 0;
      goes_on = walk->followed != ZS_FRAME_LOST;
    } else {
      goes_on = protocol == ZS_PROTOCOL_AMQP ? zs_amqp_captured(walk, &out->bytes[filled], count)
                : protocol == ZS_PROTOCOL_MQTT
                    ? zs_mqtt_captured(walk, &out->bytes[filled], count)
                    : zs_http2_captured(walk, &out->bytes[filled], count);
    }
    if (protocol == ZS_PROTOCOL_HTTP2 && goes_on) {
      const __u32 ahead = out->frames.ahead - count;
      const __u32 room =
          filled + count < ZS_HEAD_BYTES_MAX ? ZS_HEAD_BYTES_MAX - filled - count : 0;
      kept += zs_http2_payload(walk, ahead < room ? ahead : room);
    }
    out->frames.ahead -= kept;
    out->copy.filled = filled + kept;
    out->copy.position = position + kept;
    if (!goes_on) {
      return 1;
    }
  }
  const __u64 rest = out->copy.end - out->copy.position;
  const __u32 skipped = zs_frame_skipped(walk, rest);
  if (skipped) {
    out->copy.position += skipped;
    out->frames.ahead = 0;
  }
  if (protocol == ZS_PROTOCOL_NATS ? zs_nats_stretch_ends(walk, skipped) : skipped != 0) {
    frames__flush(frames, out->copy.position);
  }
  return out->copy.position >= out->copy.end;
}

static long frames__step_http2(__u32 index, void* context) {
  return frames__follow(context, ZS_PROTOCOL_HTTP2);
}

static long frames__step_amqp(__u32 index, void* context) {
  return frames__follow(context, ZS_PROTOCOL_AMQP);
}

static long frames__step_mqtt(__u32 index, void* context) {
  return frames__follow(context, ZS_PROTOCOL_MQTT);
}

static long frames__step_cassandra(__u32 index, void* context) {
  return frames__follow(context, ZS_PROTOCOL_CASSANDRA);
}

static long frames__step_nats(__u32 index, void* context) {
  return frames__follow(context, ZS_PROTOCOL_NATS);
}

/*
 * Captures an operation of `byte_count` bytes that `out->buffers` describes; `out->record` is
 * filled but for what depends on the bytes. Needs bpf_loop (kernel 5.17+).
 */
static __always_inline void frames__capture(struct zs_scratch* out,
                                            struct zs_connection* connection,
                                            enum zs_direction direction, __u32 byte_count) {
  struct zs_frames frames = {
      .out = out, .connection = connection, .walk = &connection->walk[direction == ZS_SEND]};
  out->frames.stream_offset = out->record.offset;
  out->frames.range_start = 0;
  out->frames.buffer = 0;
  out->frames.buffer_start = 0;
  out->frames.current = out->buffers.front[0];
  out->frames.buffer_end = out->buffers.front[0].length;
  out->copy.position = 0;
  out->copy.end = byte_count;
  out->copy.filled = 0;
  out->frames.ahead = 0;
  zs_frame_begin(frames.walk);
  if (connection->protocol == ZS_PROTOCOL_AMQP) {
    bpf_loop(ZS_FRAME_STEPS_MAX, frames__step_amqp, &frames, 0);
  } else if (connection->protocol == ZS_PROTOCOL_MQTT) {
    bpf_loop(ZS_FRAME_STEPS_MAX, frames__step_mqtt, &frames, 0);
  } else if (connection->protocol == ZS_PROTOCOL_CASSANDRA) {
    bpf_loop(ZS_FRAME_STEPS_MAX, frames__step_cassandra, &frames, 0);
  } else if (connection->protocol == ZS_PROTOCOL_NATS) {
    bpf_loop(ZS_NATS_STEPS_MAX, frames__step_nats, &frames, 0);
  } else {
    bpf_loop(ZS_FRAME_STEPS_MAX, frames__step_http2, &frames, 0);
  }
  if (out->copy.position < byte_count) {
    counters__add(ZS_COUNTER_LOST_FRAMES);
    zs_frame_lose(frames.walk);
  }
  if (out->frames.range_start < byte_count) {
    frames__flush(&frames, byte_count);
  }
}
