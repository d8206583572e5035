/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Follows the frames of one direction of an AMQP 0-9-1 connection (section 2.3 of its
 * specification) as frame_http2.h does those of HTTP/2, and with the same state. Plain values and
 * pointers, no maps: also compiled for the host.
 *
 * Captured are
 * - every frame's header;
 * - methods and content headers whole, but of channel 0 only the method's number and two bytes
 *   more, an error's code: passwords are sent there, and nothing else that is of use;
 * - bodies up to ZS_AMQP_WHOLE_BYTES: to step over so few would cost a record more. Longer ones are
 *   passed over.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/frame_walk.h"
#include "bpf/lib/gate_amqp.h"

#define ZS_AMQP_WHOLE_BYTES 512
#define ZS_AMQP_LARGEST (1U << 30U)

/* A direction that is seen from its start. */
static inline __attribute__((always_inline)) void zs_amqp_start(struct zs_frame_walk* walk,
                                                                int client) {
  zs_frame_follow(walk, client ? ZS_AMQP_PROTOCOL_BYTES : 0);
}

/* How many of the next `left` bytes are to be captured: not 0, except in a payload that is skipped.
 * They are ZS_AMQP_HEADER_BYTES at most if they are of a header. */
static inline __attribute__((always_inline)) __u32 zs_amqp_wanted(const struct zs_frame_walk* walk,
                                                                  __u32 left) {
  __u32 wanted = walk->keep;
  if (wanted == 0 && walk->skip == 0) {
    wanted = ZS_AMQP_HEADER_BYTES - walk->header_count;
  }
  return wanted < left ? wanted : left;
}

/* Takes the header's word for what its payload is. 0: it cannot be one. */
static inline __attribute__((always_inline)) int zs_amqp_enter(struct zs_frame_walk* walk,
                                                               const __u8* header) {
  const __u32 length = (header[3] & 0xffU) << 24U | header[4] << 16U | header[5] << 8U | header[6];
  const __u8 type = header[0];
  if (walk->followed == ZS_FRAME_LOST && zs_amqp_begins_protocol(header)) {
    zs_frame_follow(walk, ZS_AMQP_PROTOCOL_BYTES - ZS_AMQP_HEADER_BYTES);
    return 1;
  }
  if (length >= ZS_AMQP_LARGEST ||
      (walk->followed == ZS_FRAME_LOST && (type != ZS_AMQP_METHOD || header[4])) ||
      (walk->followed != ZS_FRAME_KNOWN && !zs_amqp_plausible(header))) {
    zs_frame_lose(walk);
    return 0;
  }
  if (walk->followed == ZS_FRAME_LOST) {
    walk->followed = ZS_FRAME_GUESSED;
  }
  walk->header_count = 0;
  /* With the octet that ends a frame. */
  __u32 keep = length + 1;
  if (header[1] == 0 && header[2] == 0) {
    const __u32 told = ZS_AMQP_SECRET_BYTES - ZS_AMQP_HEADER_BYTES;
    keep = keep < told ? keep : told;
  } else if (type == ZS_AMQP_BODY && length > ZS_AMQP_WHOLE_BYTES) {
    keep = 0;
  }
  walk->keep = keep;
  walk->skip = length + 1 - keep;
  return 1;
}

/* The `count` bytes that zs_amqp_wanted asked for. 0: no frame begins here, and the rest of the
 * operation is not to be captured. */
static inline __attribute__((always_inline)) int zs_amqp_captured(struct zs_frame_walk* walk,
                                                                  const __u8* bytes, __u32 count) {
  if (walk->keep) {
    walk->keep -= count < walk->keep ? count : walk->keep;
    return 1;
  }
  if (walk->skip || count == 0) {
    return 1;
  }
  if (count >= ZS_AMQP_HEADER_BYTES) {
    return zs_amqp_enter(walk, bytes);
  }
  if (walk->followed == ZS_FRAME_LOST) {
    return 0; /* too short to tell */
  }
  for (__u32 i = 0; i < ZS_AMQP_HEADER_BYTES - 1; ++i) {
    if (i < count) {
      walk->header[(walk->header_count + i) & 15U] = bytes[i];
    }
  }
  walk->header_count = (walk->header_count + count) & 15U;
  return walk->header_count < ZS_AMQP_HEADER_BYTES ? 1 : zs_amqp_enter(walk, walk->header);
}
