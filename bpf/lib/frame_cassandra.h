/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Follows the frames of one direction of a connection of Cassandra's native protocol, versions 3 to
 * 5 (https://github.com/apache/cassandra/tree/trunk/doc) as frame_amqp.h does those of AMQP, and
 * with the same state. From version 5 on, what follows STARTUP and its answer lies in segments
 * (native_protocol_v5.spec section 2): a header, a payload of one or more frames or of a part of
 * one, and a checksum. Plain values and pointers, no maps: also compiled for the host.
 *
 * Captured are the segments' headers and checksums, every frame's header, and of its body
 * zs_cassandra_kept() bytes: none of those with passwords.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/frame_walk.h"
#include "bpf/lib/gate_cassandra.h"

#define ZS_CASSANDRA_STATEMENT_KEPT 4096
#define ZS_CASSANDRA_ANSWER_KEPT 1024
#define ZS_CASSANDRA_EXECUTE_KEPT 256
#define ZS_CASSANDRA_STARTUP_KEPT 512

/* How much of a frame's body is captured. */
static inline __attribute__((always_inline)) __u32 zs_cassandra_kept(const __u8* header) {
  if (header[1] & ZS_CASSANDRA_COMPRESSED) {
    return 0;
  }
  switch (header[4]) {
    case ZS_CASSANDRA_QUERY:
    case ZS_CASSANDRA_PREPARE:
    case ZS_CASSANDRA_BATCH:
      return ZS_CASSANDRA_STATEMENT_KEPT;
    case ZS_CASSANDRA_EXECUTE:
      return ZS_CASSANDRA_EXECUTE_KEPT;
    case ZS_CASSANDRA_STARTUP:
      return ZS_CASSANDRA_STARTUP_KEPT;
    case ZS_CASSANDRA_ERROR:
    case ZS_CASSANDRA_RESULT:
      return ZS_CASSANDRA_ANSWER_KEPT;
    default:
      return 0;
  }
}

/* How many bytes the header has that comes next. */
static inline __attribute__((always_inline)) __u32 zs_cassandra_next(
    const struct zs_frame_walk* walk) {
  if (walk->followed != ZS_FRAME_LOST && walk->segment.on && walk->segment.left == 0) {
    return ZS_CASSANDRA_SEGMENT_BYTES + (walk->segment.trailer ? ZS_CASSANDRA_TRAILER_BYTES : 0);
  }
  return ZS_CASSANDRA_HEADER_BYTES;
}

/* How many of the next `left` bytes are to be captured: not 0, except in a body that is skipped. */
static inline __attribute__((always_inline)) __u32 zs_cassandra_wanted(
    const struct zs_frame_walk* walk, __u32 left) {
  __u32 wanted = walk->keep;
  if (wanted == 0 && walk->skip == 0) {
    wanted = zs_cassandra_next(walk) - walk->header_count;
  }
  return wanted < left ? wanted : left;
}

/* The next bytes of the frame's body, as many as the segment has. */
static inline __attribute__((always_inline)) void zs_cassandra_share(struct zs_frame_walk* walk) {
  __u32 here = walk->segment.body;
  if (walk->segment.on) {
    here = here < walk->segment.left ? here : walk->segment.left;
    walk->segment.left -= here;
  }
  walk->segment.body -= here;
  walk->keep = walk->segment.wanted < here ? walk->segment.wanted : here;
  walk->segment.wanted -= walk->keep;
  walk->skip = here - walk->keep;
}

static inline __attribute__((always_inline)) int zs_cassandra_enter_segment(
    struct zs_frame_walk* walk, const __u8* header) {
  walk->header_count = 0;
  walk->segment.trailer = 1;
  walk->segment.left = zs_cassandra_payload(header);
  if (walk->segment.left == 0) {
    return 0;
  }
  zs_cassandra_share(walk); /* of a frame that has begun before */
  return 1;
}

static inline __attribute__((always_inline)) int zs_cassandra_enter_frame(
    struct zs_frame_walk* walk, const __u8* header) {
  walk->header_count = 0;
  if (!zs_cassandra_plausible(header)) {
    return 0;
  }
  const __u8 opcode = header[4];
  walk->segment.body = zs_cassandra_length(header);
  walk->segment.wanted = zs_cassandra_kept(header);
  if (walk->segment.on) {
    if (walk->segment.left < ZS_CASSANDRA_HEADER_BYTES) {
      return 0;
    }
    walk->segment.left -= ZS_CASSANDRA_HEADER_BYTES;
    zs_cassandra_share(walk);
    return 1;
  }
  zs_cassandra_share(walk);
  if ((header[0] & 0x7fU) == 5 && (opcode == ZS_CASSANDRA_STARTUP || opcode == ZS_CASSANDRA_READY ||
                                   opcode == ZS_CASSANDRA_AUTHENTICATE)) {
    walk->segment.on = 1;
    walk->segment.trailer = 0;
    walk->segment.left = 0;
  }
  return 1;
}

/* Takes the header's word for what follows. 0: it cannot be one. */
static inline __attribute__((always_inline)) int zs_cassandra_enter(struct zs_frame_walk* walk,
                                                                    const __u8* header) {
  if (walk->followed == ZS_FRAME_LOST) {
    walk->header_count = 0;
    walk->segment.on = 0;
    walk->segment.body = 0;
    if (!zs_cassandra_plausible(header)) {
      if (!zs_cassandra_begins_segment(header)) {
        return 0;
      }
      walk->segment.on = 1;
      walk->segment.trailer = 1;
      walk->segment.left = zs_cassandra_payload(header);
      /* The beginning of its frame's header is there already. */
      walk->header[0] = header[ZS_CASSANDRA_SEGMENT_BYTES];
      walk->header[1] = header[ZS_CASSANDRA_SEGMENT_BYTES + 1];
      walk->header[2] = header[ZS_CASSANDRA_SEGMENT_BYTES + 2];
      walk->header_count = 3;
      walk->followed = ZS_FRAME_GUESSED;
      return 1;
    }
    walk->followed = ZS_FRAME_GUESSED;
  }
  if (walk->segment.on && walk->segment.left == 0) {
    return zs_cassandra_enter_segment(
        walk, walk->segment.trailer ? header + ZS_CASSANDRA_TRAILER_BYTES : header);
  }
  return zs_cassandra_enter_frame(walk, header);
}

/*
 * The `count` bytes that zs_cassandra_wanted asked for: how many of them are kept. No frame begins
 * here if `followed` is ZS_FRAME_LOST then, and the rest of the operation is not to be captured;
 * what was looked at to find one may be of a password.
 */
static inline __attribute__((always_inline)) __u32 zs_cassandra_captured(struct zs_frame_walk* walk,
                                                                         const __u8* bytes,
                                                                         __u32 count) {
  if (walk->keep) {
    walk->keep -= count < walk->keep ? count : walk->keep;
    return count;
  }
  if (walk->skip || count == 0) {
    return count;
  }
  const int lost = walk->followed == ZS_FRAME_LOST;
  if (lost && count < ZS_CASSANDRA_HEADER_BYTES) {
    return 0; /* too short to tell */
  }
  for (__u32 i = 0; i < ZS_CASSANDRA_SEGMENT_BYTES + ZS_CASSANDRA_TRAILER_BYTES; ++i) {
    if (i < count) {
      walk->header[(walk->header_count + i) & 15U] = bytes[i];
    }
  }
  walk->header_count = (walk->header_count + count) & 15U;
  if (walk->header_count >= zs_cassandra_next(walk) && !zs_cassandra_enter(walk, walk->header)) {
    zs_frame_lose(walk);
    return lost ? 0 : count;
  }
  return count;
}
