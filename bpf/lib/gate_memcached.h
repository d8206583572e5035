/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for Memcached's text protocol
 * (https://github.com/memcached/memcached/blob/master/doc/protocol.txt): does a command begin here?
 * It lets through everything that the parser's own detection accepts (tests/structure checks that),
 * and some that it refuses. Plain pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_MEMCACHED_LEAST 3 /* "mn", and a line's end */
#define ZS_MEMCACHED_WORD(a, b, c) ((a) << 16U | (b) << 8U | (c))

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid. `known`: the connection is
 * Memcached's; then capitals or a digit begin an answer.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_memcached(const __u8* bytes,
                                                                            __u32 count,
                                                                            int known) {
  if (count < ZS_MEMCACHED_LEAST) {
    return known && count != 0 ? ZS_GATE_PARTIAL : ZS_GATE_NO;
  }
  switch (ZS_MEMCACHED_WORD(bytes[0], bytes[1], bytes[2])) {
    case ZS_MEMCACHED_WORD('g', 'e', 't'):
    case ZS_MEMCACHED_WORD('g', 'a', 't'):
    case ZS_MEMCACHED_WORD('s', 'e', 't'):
    case ZS_MEMCACHED_WORD('a', 'd', 'd'):
    case ZS_MEMCACHED_WORD('r', 'e', 'p'):
    case ZS_MEMCACHED_WORD('a', 'p', 'p'):
    case ZS_MEMCACHED_WORD('p', 'r', 'e'):
    case ZS_MEMCACHED_WORD('c', 'a', 's'):
    case ZS_MEMCACHED_WORD('i', 'n', 'c'):
    case ZS_MEMCACHED_WORD('d', 'e', 'c'):
    case ZS_MEMCACHED_WORD('d', 'e', 'l'):
    case ZS_MEMCACHED_WORD('t', 'o', 'u'):
    case ZS_MEMCACHED_WORD('s', 't', 'a'):
    case ZS_MEMCACHED_WORD('v', 'e', 'r'):
    case ZS_MEMCACHED_WORD('m', 'g', ' '):
    case ZS_MEMCACHED_WORD('m', 's', ' '):
    case ZS_MEMCACHED_WORD('m', 'd', ' '):
    case ZS_MEMCACHED_WORD('m', 'a', ' '):
    case ZS_MEMCACHED_WORD('m', 'e', ' '):
    case ZS_MEMCACHED_WORD('m', 'n', ' '):
    case ZS_MEMCACHED_WORD('m', 'n', '\r'):
    case ZS_MEMCACHED_WORD('m', 'n', '\n'):
      return ZS_GATE_REQUEST;
    default:
      break;
  }
  if (!known) {
    return ZS_GATE_NO;
  }
  const __u8 first = bytes[0];
  return (first >= 'A' && first <= 'Z' && bytes[1] >= 'A' && bytes[1] <= 'Z') ||
                 (first >= '0' && first <= '9')
             ? ZS_GATE_RESPONSE
             : ZS_GATE_PARTIAL;
}
