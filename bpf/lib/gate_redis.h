/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for Redis's protocol
 * (https://redis.io/docs/latest/develop/reference/protocol-spec/): does an array of a command's
 * strings begin here, or PING in a line of its own? It lets through everything that the parser's
 * own detection accepts (tests/structure checks that), and some that it refuses. Plain pointers, no
 * maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

/* Where the name of a command of one to nine arguments is: "*2\r\n$4\r\nAUTH". What is copied of
 * one that has a password ends behind "*5\r\n$5\r\nHELLO\r\n". */
#define ZS_REDIS_NAME 8
#define ZS_REDIS_SECRET_BYTES 15
/* Bit n: the byte '!' + n begins an answer: ! # $ % ( + , - : = > _ | ~ in two words. */
#define ZS_REDIS_ANSWER(byte) (1ULL << ((byte) - '!'))
#define ZS_REDIS_ANSWERS                                                                       \
  (ZS_REDIS_ANSWER('!') | ZS_REDIS_ANSWER('#') | ZS_REDIS_ANSWER('$') | ZS_REDIS_ANSWER('%') | \
   ZS_REDIS_ANSWER('(') | ZS_REDIS_ANSWER('+') | ZS_REDIS_ANSWER(',') | ZS_REDIS_ANSWER('-') | \
   ZS_REDIS_ANSWER(':') | ZS_REDIS_ANSWER('=') | ZS_REDIS_ANSWER('>') | ZS_REDIS_ANSWER('_'))

/* Four letters without regard to case. */
static inline __attribute__((always_inline)) __u32 zs_redis_word(const __u8* bytes) {
  return (bytes[0] << 24U | bytes[1] << 16U | bytes[2] << 8U | bytes[3]) & 0xdfdfdfdfU;
}

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid. `known`: the connection is
 * Redis's, so the first byte tells an answer; an array may be either.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_redis(const __u8* bytes,
                                                                        __u32 count, int known) {
  if (count < 4) {
    return known && count != 0 ? ZS_GATE_PARTIAL : ZS_GATE_NO;
  }
  const __u8 type = bytes[0];
  if (type == '*' && bytes[1] >= '0' && bytes[1] <= '9') {
    /* AUTH, or HELLO with more than a version. */
    if (count >= ZS_REDIS_SECRET_BYTES && bytes[2] == '\r' && bytes[7] == '\n') {
      const __u32 word = zs_redis_word(bytes + ZS_REDIS_NAME);
      if ((bytes[5] == '4' && word == 0x41555448U) ||
          (bytes[5] == '5' && word == 0x48454c4cU && bytes[1] > '2')) {
        return ZS_GATE_SECRET;
      }
    }
    return ZS_GATE_REQUEST;
  }
  if (!known) {
    return count >= 6 && zs_redis_word(bytes) == 0x50494e47U && bytes[4] == '\r' ? ZS_GATE_REQUEST
                                                                                 : ZS_GATE_NO;
  }
  if (type >= '!' && type <= '_' && (ZS_REDIS_ANSWERS >> (type - '!') & 1)) {
    return ZS_GATE_RESPONSE;
  }
  return type == '|' || type == '~' ? ZS_GATE_RESPONSE : ZS_GATE_PARTIAL;
}
