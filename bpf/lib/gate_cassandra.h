/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for Cassandra's native protocol, versions 3 to 5
 * (https://github.com/apache/cassandra/tree/trunk/doc, native_protocol_v3.spec to
 * native_protocol_v5.spec): does a frame begin here, or one in a segment of version 5? It lets
 * through everything that the parser's own detection accepts (tests/structure checks that), and
 * some that it refuses. Plain pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_CASSANDRA_HEADER_BYTES 9  /* of a frame */
#define ZS_CASSANDRA_SEGMENT_BYTES 6 /* of a segment: its header, */
#define ZS_CASSANDRA_TRAILER_BYTES 4 /* and what follows its payload */
#define ZS_CASSANDRA_RESPONSE 0x80   /* in a frame's first byte */
#define ZS_CASSANDRA_FLAGS_END 0x20
#define ZS_CASSANDRA_COMPRESSED 1
#define ZS_CASSANDRA_LARGEST (1U << 28U)
/* What is copied of an operation with a password: nothing, for the next may go on in its middle. */
#define ZS_CASSANDRA_SECRET_BYTES 0

enum zs_cassandra_opcode {
  ZS_CASSANDRA_ERROR = 0,
  ZS_CASSANDRA_STARTUP = 1,
  ZS_CASSANDRA_READY = 2,
  ZS_CASSANDRA_AUTHENTICATE = 3,
  ZS_CASSANDRA_OPTIONS = 5,
  ZS_CASSANDRA_SUPPORTED = 6,
  ZS_CASSANDRA_QUERY = 7,
  ZS_CASSANDRA_RESULT = 8,
  ZS_CASSANDRA_PREPARE = 9,
  ZS_CASSANDRA_EXECUTE = 10,
  ZS_CASSANDRA_REGISTER = 11,
  ZS_CASSANDRA_EVENT = 12,
  ZS_CASSANDRA_BATCH = 13,
  ZS_CASSANDRA_AUTH_CHALLENGE = 14,
  ZS_CASSANDRA_AUTH_RESPONSE = 15,
  ZS_CASSANDRA_AUTH_SUCCESS = 16,
};
/* Bit n: a client sends opcode n; a server does. */
#define ZS_CASSANDRA_REQUESTS 0xaea2U
#define ZS_CASSANDRA_RESPONSES 0x1514dU

static inline __attribute__((always_inline)) __u32 zs_cassandra_length(const __u8* header) {
  return (header[5] & 0xffU) << 24U | header[6] << 16U | header[7] << 8U | header[8];
}

/* Versions 3 to 5, and those by which clients of DataStax ask at first. */
static inline __attribute__((always_inline)) int zs_cassandra_version(__u8 first) {
  const __u8 version = first & 0x7fU;
  return (version >= 3 && version <= 5) || version == 0x41 || version == 0x42;
}

/* Could these ZS_CASSANDRA_HEADER_BYTES bytes be a frame's header? */
static inline __attribute__((always_inline)) int zs_cassandra_plausible(const __u8* header) {
  const __u32 sent =
      header[0] & ZS_CASSANDRA_RESPONSE ? ZS_CASSANDRA_RESPONSES : ZS_CASSANDRA_REQUESTS;
  return zs_cassandra_version(header[0]) && header[1] < ZS_CASSANDRA_FLAGS_END &&
         header[4] <= ZS_CASSANDRA_AUTH_SUCCESS && (sent >> (header[4] & 31U) & 1U) &&
         zs_cassandra_length(header) <= ZS_CASSANDRA_LARGEST;
}

/* How long a segment's payload is, by its header; 0: it cannot be one. */
static inline __attribute__((always_inline)) __u32 zs_cassandra_payload(const __u8* header) {
  return header[2] & 0xfcU ? 0 : (header[0] & 0xffU) | header[1] << 8U | (header[2] & 1U) << 16U;
}

/* A segment that has whole frames, of which the first begins with version 5. */
static inline __attribute__((always_inline)) int zs_cassandra_begins_segment(const __u8* bytes) {
  return (bytes[2] & 2U) && zs_cassandra_payload(bytes) >= ZS_CASSANDRA_HEADER_BYTES &&
         (bytes[ZS_CASSANDRA_SEGMENT_BYTES] & 0x7fU) == 5;
}

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid. `known`: the connection is
 * Cassandra's. What the frame walk (bpf/lib/frame_cassandra.h) follows is not asked.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_cassandra(const __u8* bytes,
                                                                            __u32 count,
                                                                            int known) {
  if (count < ZS_CASSANDRA_HEADER_BYTES) {
    return known && count != 0 ? ZS_GATE_SECRET : ZS_GATE_NO;
  }
  const __u8* frame = bytes;
  if (!zs_cassandra_plausible(bytes)) {
    frame = bytes + ZS_CASSANDRA_SEGMENT_BYTES;
    if (count < ZS_CASSANDRA_SEGMENT_BYTES + ZS_CASSANDRA_HEADER_BYTES ||
        !zs_cassandra_begins_segment(bytes) || !zs_cassandra_plausible(frame)) {
      /* The middle of something: it may be a password. */
      return known ? ZS_GATE_SECRET : ZS_GATE_NO;
    }
  }
  if (frame[0] & ZS_CASSANDRA_RESPONSE) {
    return ZS_GATE_RESPONSE;
  }
  return frame[4] == ZS_CASSANDRA_AUTH_RESPONSE ? ZS_GATE_SECRET : ZS_GATE_REQUEST;
}
