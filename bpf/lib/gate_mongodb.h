/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for MongoDB's protocol
 * (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/): does a message begin
 * here? Its header has four bytes that are always the same. It lets through everything that the
 * parser's own detection accepts (tests/structure checks that), and some that it refuses. Plain
 * pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_MONGODB_LENGTH_BYTES 4
#define ZS_MONGODB_HEADER_BYTES 16
/* Kinds of messages: OP_REPLY, OP_QUERY, OP_COMPRESSED, OP_MSG. */
#define ZS_MONGODB_REPLY 1
#define ZS_MONGODB_QUERY 2004
#define ZS_MONGODB_COMPRESSED 2012
#define ZS_MONGODB_MSG 2013
/* Behind the header, where a command's name is: flags, kind of section, length, type. What is
 * copied of one that has a password ends inside of the name. */
#define ZS_MONGODB_NAME 10
#define ZS_MONGODB_SECRET_BYTES 33

static inline __attribute__((always_inline)) __u32 zs_mongodb_word(const __u8* bytes) {
  return bytes[0] | bytes[1] << 8U | bytes[2] << 16U | bytes[3] * 0x1000000U;
}

/* saslStart, saslContinue, authenticate, createUser, updateUser: seven letters each. */
static inline __attribute__((always_inline)) int zs_mongodb_secret(const __u8* body) {
  const __u32 front = zs_mongodb_word(body + ZS_MONGODB_NAME);
  const __u32 back = zs_mongodb_word(body + ZS_MONGODB_NAME + 3);
  switch (front) {
    case 0x6c736173U: /* sasl */
      return back == 0x6174536cU || back == 0x6e6f436cU;
    case 0x68747561U: /* auth */
      return back == 0x746e6568U;
    case 0x61657263U: /* crea */
    case 0x61647075U: /* upda */
      return (back | 0xffU) == 0x556574ffU;
    default:
      return 0;
  }
}

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid; the operation has
 * `byte_count`. `known`: the connection is MongoDB's; its header, or the length in it, may be read
 * by itself.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_mongodb(const __u8* bytes,
                                                                          __u32 count,
                                                                          __u32 byte_count,
                                                                          int known) {
  if (count >= ZS_MONGODB_HEADER_BYTES) {
    const __u32 kind = zs_mongodb_word(bytes + 12);
    const __u32 answers = zs_mongodb_word(bytes + 8);
    if (kind == ZS_MONGODB_MSG || kind == ZS_MONGODB_COMPRESSED || kind == ZS_MONGODB_QUERY) {
      if (answers != 0) {
        return ZS_GATE_RESPONSE;
      }
      return count == ZS_GATE_BYTES && zs_mongodb_secret(bytes + ZS_MONGODB_HEADER_BYTES)
                 ? ZS_GATE_SECRET
                 : ZS_GATE_REQUEST;
    }
    if (known && kind == ZS_MONGODB_REPLY && answers != 0) {
      return ZS_GATE_RESPONSE;
    }
  }
  if (!known) {
    return ZS_GATE_NO;
  }
  if (count >= ZS_MONGODB_NAME + 7 && zs_mongodb_secret(bytes)) {
    return ZS_GATE_SECRET;
  }
  return byte_count == ZS_MONGODB_LENGTH_BYTES ? ZS_GATE_REQUEST : ZS_GATE_PARTIAL;
}
