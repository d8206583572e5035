/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for MQTT 3.1.1 and 5
 * (https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html): does a CONNECT begin here, or, where
 * a server reads packets byte by byte, its first byte? It lets through everything that the parser's
 * own detection accepts (tests/structure checks that), and some that it refuses. Plain pointers, no
 * maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_MQTT_CONNECT 0x10
#define ZS_MQTT_PUBLISH 0x30
#define ZS_MQTT_AUTH 0xf0
#define ZS_MQTT_NAME_BYTES 7 /* "MQTT" with its length, and the version */
/* What is copied of a CONNECT: up to the client's name. */
#define ZS_MQTT_SECRET_BYTES 10

/* "MQTT", and a version that is followed. */
static inline __attribute__((always_inline)) int zs_mqtt_names(const __u8* bytes) {
  return bytes[0] == 0 && bytes[1] == 4 && bytes[2] == 'M' && bytes[3] == 'Q' && bytes[4] == 'T' &&
         bytes[5] == 'T' && (bytes[6] == 4 || bytes[6] == 5);
}

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid; the operation has
 * `byte_count`. `known`: the connection is MQTT's. What the frame walk (bpf/lib/frame_mqtt.h)
 * follows is not asked.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_mqtt(const __u8* bytes,
                                                                       __u32 count,
                                                                       __u32 byte_count,
                                                                       int known) {
  if (known) {
    /* Or the payload alone, where a program reads a packet in parts. */
    return count != 0 && (bytes[0] == ZS_MQTT_CONNECT || bytes[0] == ZS_MQTT_AUTH ||
                          (count >= ZS_MQTT_NAME_BYTES && zs_mqtt_names(bytes)))
               ? ZS_GATE_SECRET
               : ZS_GATE_REQUEST;
  }
  if (count == 0 || bytes[0] != ZS_MQTT_CONNECT) {
    return ZS_GATE_NO;
  }
  if (byte_count == 1) {
    return ZS_GATE_REQUEST;
  }
  if (count < 2 + ZS_MQTT_NAME_BYTES + 1) {
    return ZS_GATE_NO;
  }
  return zs_mqtt_names(bytes + 2) || zs_mqtt_names(bytes + 3) ? ZS_GATE_REQUEST : ZS_GATE_NO;
}
