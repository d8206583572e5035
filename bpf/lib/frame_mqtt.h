/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Follows the packets of one direction of an MQTT connection (section 2.1 of its specification) as
 * frame_http2.h does HTTP/2's frames, and with the same state. Plain values and pointers, no maps:
 * also compiled for the host.
 *
 * Captured are
 * - every packet's fixed header;
 * - of CONNECT what is in front of the client's name, and nothing of AUTH: passwords are there;
 * - other packets up to ZS_MQTT_WHOLE_BYTES, and the first ZS_MQTT_KEPT_BYTES of longer ones: the
 *   topic, and properties.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/frame_walk.h"
#include "bpf/lib/gate_mqtt.h"

#define ZS_MQTT_WHOLE_BYTES 512
#define ZS_MQTT_KEPT_BYTES 256
#define ZS_MQTT_HEADER_MOST 5 /* the type, and a length of up to four bytes */

/* How many of the next `left` bytes are to be captured: not 0, except in a payload that is skipped.
 * They are 2 at most if they are of a header. */
static inline __attribute__((always_inline)) __u32 zs_mqtt_wanted(const struct zs_frame_walk* walk,
                                                                  __u32 left) {
  __u32 wanted = walk->keep;
  if (wanted == 0 && walk->skip == 0) {
    wanted = walk->header_count == 0 ? 2 : 1;
  }
  return wanted < left ? wanted : left;
}

/* After a loss: acknowledgements and pings, which no text looks like. */
static inline __attribute__((always_inline)) int zs_mqtt_resumes(__u8 type, __u32 length) {
  return ((type == 0x40 || type == 0x50 || type == 0x62 || type == 0x70) && length == 2) ||
         ((type == 0xc0 || type == 0xd0) && length == 0);
}

/* Takes the whole header's word for what follows. */
static inline __attribute__((always_inline)) int zs_mqtt_enter(struct zs_frame_walk* walk,
                                                               __u8 type, __u32 length) {
  if (walk->followed == ZS_FRAME_LOST) {
    if (!zs_mqtt_resumes(type, length)) {
      zs_frame_lose(walk);
      return 0;
    }
    walk->followed = ZS_FRAME_GUESSED;
  }
  walk->header_count = 0;
  __u32 keep = length;
  if (type == ZS_MQTT_CONNECT) {
    keep = ZS_MQTT_SECRET_BYTES;
  } else if (type == ZS_MQTT_AUTH) {
    keep = 0;
  } else if (length > ZS_MQTT_WHOLE_BYTES) {
    keep = ZS_MQTT_KEPT_BYTES;
  }
  walk->keep = keep < length ? keep : length;
  walk->skip = length - walk->keep;
  return 1;
}

/* The `count` bytes that zs_mqtt_wanted asked for. 0: no packet begins here, and the rest of the
 * operation is not to be captured. */
static inline __attribute__((always_inline)) int zs_mqtt_captured(struct zs_frame_walk* walk,
                                                                  const __u8* bytes, __u32 count) {
  if (walk->keep) {
    walk->keep -= count < walk->keep ? count : walk->keep;
    return 1;
  }
  if (walk->skip || count == 0) {
    return 1;
  }
  const __u32 known = walk->header_count;
  walk->header[known & 15U] = bytes[0];
  if (count > 1) {
    walk->header[(known + 1) & 15U] = bytes[1];
  }
  const __u32 have = known + (count > 1 ? 2 : 1);
  walk->header_count = have & 15U;
  if (have < 2) {
    return walk->followed != ZS_FRAME_LOST;
  }
  if (!(walk->header[(have - 1) & 15U] & 0x80U)) {
    __u32 length = walk->header[1] & 0x7fU;
    length |= have > 2 ? (walk->header[2] & 0x7fU) << 7U : 0;
    length |= have > 3 ? (walk->header[3] & 0x7fU) << 14U : 0;
    length |= have > 4 ? (walk->header[4] & 0x7fU) << 21U : 0;
    return zs_mqtt_enter(walk, walk->header[0], length);
  }
  if (have >= ZS_MQTT_HEADER_MOST || walk->followed == ZS_FRAME_LOST) {
    zs_frame_lose(walk);
    return 0;
  }
  return 1;
}
