/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for HTTP/1 (RFC 9112): do these bytes look like the start of a request
 * or a response? It lets through everything that the parser's own detection accepts
 * (tests/structure checks that), and some that it refuses. Plain pointers, no maps: also compiled
 * for the host.
 */
#pragma once

#include <linux/types.h>

#define ZS_GATE_BYTES                                                                         \
  33 /* how many bytes the gate needs at most: the longest method name that is followed and a \
        space */
/* Bit n: the byte '-' + n may be in a method name. A mask, because the verifier follows each
 * comparison of a range. */
#define ZS_GATE_METHOD_BYTES \
  (1ULL | 0x3ffULL << ('0' - '-') | 0x3ffffffULL << ('A' - '-') | 1ULL << ('_' - '-'))

enum zs_gate {
  ZS_GATE_NO = 0,
  ZS_GATE_REQUEST = 1,
  ZS_GATE_RESPONSE = 2,
  ZS_GATE_PARTIAL = 3, /* too short to tell, nothing against it */
  ZS_GATE_SECRET = 4,  /* a password: of this operation only the message's header may be copied */
  ZS_GATE_IDLE = 5,    /* a sign of life, by either side: it tells nothing more */
};

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid. A request starts with a
 * method token of upper-case letters, digits, '-' or '_' and a space. Empty lines may precede it
 * (RFC 9112 section 2.2): such a start is let through. The loop carries no state but its index, or
 * the verifier would follow each combination.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_http1(const __u8* bytes,
                                                                        __u32 count) {
  if (count == 0 || bytes[0] == '\r' || bytes[0] == '\n') {
    return ZS_GATE_PARTIAL;
  }
  if (count >= 5 && bytes[0] == 'H' && bytes[1] == 'T' && bytes[2] == 'T' && bytes[3] == 'P' &&
      bytes[4] == '/') {
    return ZS_GATE_RESPONSE;
  }
  for (__u32 i = 0; i < ZS_GATE_BYTES; ++i) {
    if (i >= count) {
      return ZS_GATE_PARTIAL;
    }
    const __u8 byte = bytes[i];
    if (byte == ' ') {
      return i > 0 ? ZS_GATE_REQUEST : ZS_GATE_NO;
    }
    if (byte < '-' || byte > '_' || !(ZS_GATE_METHOD_BYTES >> (byte - '-') & 1)) {
      return ZS_GATE_NO;
    }
  }
  return ZS_GATE_NO;
}
