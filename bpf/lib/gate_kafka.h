/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for Kafka's protocol (https://kafka.apache.org/protocol.html): does a
 * request begin here, behind its length or, where a server reads that by itself, without? It lets
 * through everything that the parser's own detection accepts (tests/structure checks that), and
 * some that it refuses. Plain pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_KAFKA_LENGTH_BYTES 4
#define ZS_KAFKA_KEYS_END 88     /* of the requests that there are */
#define ZS_KAFKA_VERSIONS_END 32 /* no request has more versions */
#define ZS_KAFKA_NAME_LEAST 3    /* of the client's name, or a response could look like a request */
#define ZS_KAFKA_NAME_MOST 249
/* Kind, version, correlation id, the name's length and its first characters. */
#define ZS_KAFKA_FRONT_BYTES 13
#define ZS_KAFKA_SASL_AUTHENTICATE 36
/* What is copied of a request that has a password ends in front of the client's name. */
#define ZS_KAFKA_SECRET_BYTES 12

static inline __attribute__((always_inline)) int zs_kafka_printable(__u8 byte) {
  return byte >= ' ' && byte < 0x7f;
}

/* As a request begins; values of messages could be taken for less. */
static inline __attribute__((always_inline)) int zs_kafka_front(const __u8* bytes) {
  return bytes[0] == 0 && bytes[1] < ZS_KAFKA_KEYS_END && bytes[2] == 0 &&
         bytes[3] < ZS_KAFKA_VERSIONS_END && bytes[8] == 0 && bytes[9] >= ZS_KAFKA_NAME_LEAST &&
         bytes[9] <= ZS_KAFKA_NAME_MOST && zs_kafka_printable(bytes[10]) &&
         zs_kafka_printable(bytes[11]) && zs_kafka_printable(bytes[12]);
}

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid; the operation has
 * `byte_count`. `known`: the connection is Kafka's; then a length tells that a message begins.
 * Requests and responses look alike.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_kafka(const __u8* bytes,
                                                                        __u32 count,
                                                                        __u32 byte_count,
                                                                        int known) {
  if (count < ZS_KAFKA_LENGTH_BYTES) {
    return known && count != 0 ? ZS_GATE_PARTIAL : ZS_GATE_NO;
  }
  const __u32 length = (bytes[0] & 0x7fU) << 24U | bytes[1] << 16U | bytes[2] << 8U | bytes[3];
  if (!known) {
    /* A program may gather the length and the message from two buffers. */
    if (count == ZS_KAFKA_LENGTH_BYTES) {
      return length >= ZS_KAFKA_FRONT_BYTES && length + ZS_KAFKA_LENGTH_BYTES == byte_count
                 ? ZS_GATE_REQUEST
                 : ZS_GATE_NO;
    }
    /* A correlation id under 2^24 is what no frame of HTTP/2 has there: streams of clients are odd.
     */
    if (count >= ZS_KAFKA_LENGTH_BYTES + ZS_KAFKA_FRONT_BYTES && bytes[8] == 0 &&
        zs_kafka_front(bytes + ZS_KAFKA_LENGTH_BYTES)) {
      return bytes[5] == ZS_KAFKA_SASL_AUTHENTICATE ? ZS_GATE_SECRET : ZS_GATE_REQUEST;
    }
    if (count >= ZS_KAFKA_FRONT_BYTES && bytes[4] == 0 && zs_kafka_front(bytes)) {
      return bytes[1] == ZS_KAFKA_SASL_AUTHENTICATE ? ZS_GATE_SECRET : ZS_GATE_REQUEST;
    }
    return ZS_GATE_NO;
  }
  if ((count >= ZS_KAFKA_FRONT_BYTES && bytes[1] == ZS_KAFKA_SASL_AUTHENTICATE &&
       zs_kafka_front(bytes)) ||
      (count >= ZS_KAFKA_LENGTH_BYTES + ZS_KAFKA_FRONT_BYTES &&
       bytes[5] == ZS_KAFKA_SASL_AUTHENTICATE && zs_kafka_front(bytes + ZS_KAFKA_LENGTH_BYTES))) {
    return ZS_GATE_SECRET;
  }
  return byte_count == ZS_KAFKA_LENGTH_BYTES ||
                 (bytes[0] == 0 && length + ZS_KAFKA_LENGTH_BYTES >= byte_count)
             ? ZS_GATE_REQUEST
             : ZS_GATE_PARTIAL;
}
