/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for AMQP 0-9-1 (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf):
 * does a client's protocol header begin here, or a frame with a method? It lets through everything
 * that the parser's own detection accepts (tests/structure checks that), and some that it refuses.
 * Plain pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_AMQP_PROTOCOL_BYTES 8 /* of the protocol header */
#define ZS_AMQP_HEADER_BYTES 7   /* of a frame */
#define ZS_AMQP_METHOD_BYTES 11  /* the same with a method's class and number */
#define ZS_AMQP_CHANNELS_HIGH 8  /* the first byte of a channel's number: peers agree on 2047 */
/* What is copied of a frame of channel 0, where passwords are: the method, and two bytes more. */
#define ZS_AMQP_SECRET_BYTES 13

enum zs_amqp_type {
  ZS_AMQP_METHOD = 1,
  ZS_AMQP_CONTENT_HEADER = 2,
  ZS_AMQP_BODY = 3,
  ZS_AMQP_HEARTBEAT = 8,
};

enum zs_amqp_class {
  ZS_AMQP_CONNECTION = 10,
  ZS_AMQP_CHANNEL = 20,
  ZS_AMQP_EXCHANGE = 40,
  ZS_AMQP_QUEUE = 50,
  ZS_AMQP_BASIC = 60,
  ZS_AMQP_CONFIRM = 85,
  ZS_AMQP_TX = 90,
};

static inline __attribute__((always_inline)) int zs_amqp_begins_protocol(const __u8* bytes) {
  return bytes[0] == 'A' && bytes[1] == 'M' && bytes[2] == 'Q' && bytes[3] == 'P' &&
         bytes[4] == 0 && bytes[5] == 0 && bytes[6] == 9;
}

/* Could these ZS_AMQP_HEADER_BYTES bytes be a frame's header, where nothing says that one begins?
 */
static inline __attribute__((always_inline)) int zs_amqp_plausible(const __u8* header) {
  const __u8 type = header[0];
  return (type == ZS_AMQP_METHOD || type == ZS_AMQP_CONTENT_HEADER || type == ZS_AMQP_BODY ||
          type == ZS_AMQP_HEARTBEAT) &&
         header[1] < ZS_AMQP_CHANNELS_HIGH && header[3] == 0;
}

/*
 * Whose is the method of these ZS_AMQP_METHOD_BYTES bytes? ZS_GATE_NO: either side may send it, or
 * it is none. Answers end in 1, with exceptions. No frame of HTTP/2 looks like one of these: it
 * would be of 65,536 bytes at least, on a server's stream.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_amqp_sender(const __u8* bytes) {
  const __u8 group = bytes[8];
  const __u8 method = bytes[10];
  if (bytes[0] != ZS_AMQP_METHOD || bytes[1] >= ZS_AMQP_CHANNELS_HIGH || bytes[3] || bytes[4] ||
      bytes[7] || bytes[9] || method < 10) {
    return ZS_GATE_NO;
  }
  if (group == ZS_AMQP_BASIC) {
    /* Cancel, ack and nack are everybody's. */
    if (method == 30 || method == 31 || method == 80 || method == 120) {
      return ZS_GATE_NO;
    }
    return method == 50 || method == 60 || method == 72 || method % 10 == 1 ? ZS_GATE_RESPONSE
           : method % 10 == 0                                               ? ZS_GATE_REQUEST
                                                                            : ZS_GATE_NO;
  }
  if ((group == ZS_AMQP_CHANNEL && method < 20) || group == ZS_AMQP_EXCHANGE ||
      group == ZS_AMQP_QUEUE || group == ZS_AMQP_TX) {
    return method % 10 == 0 ? ZS_GATE_REQUEST : method % 10 == 1 ? ZS_GATE_RESPONSE : ZS_GATE_NO;
  }
  return ZS_GATE_NO;
}

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid. `known`: the connection is
 * AMQP's. What the frame walk (bpf/lib/frame_amqp.h) follows is not asked.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_amqp(const __u8* bytes,
                                                                       __u32 count, int known) {
  if (count < ZS_AMQP_HEADER_BYTES) {
    return known && count != 0 ? ZS_GATE_PARTIAL : ZS_GATE_NO;
  }
  if (zs_amqp_begins_protocol(bytes)) {
    return ZS_GATE_REQUEST;
  }
  if (known) {
    /* Frames of channel 0; or only their payload, where a program reads a frame in two parts. */
    if ((bytes[0] == ZS_AMQP_METHOD && bytes[1] == 0 && bytes[2] == 0) ||
        (bytes[0] == 0 && bytes[1] == ZS_AMQP_CONNECTION && bytes[2] == 0)) {
      return ZS_GATE_SECRET;
    }
    return zs_amqp_plausible(bytes) ? ZS_GATE_REQUEST : ZS_GATE_PARTIAL;
  }
  if (bytes[0] == ZS_AMQP_HEARTBEAT && count == 8 && bytes[1] == 0 && bytes[2] == 0 &&
      bytes[3] == 0 && bytes[4] == 0 && bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0xce) {
    return ZS_GATE_IDLE;
  }
  return count >= ZS_AMQP_METHOD_BYTES ? zs_amqp_sender(bytes) : ZS_GATE_NO;
}
