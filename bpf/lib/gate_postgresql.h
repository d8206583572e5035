/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for PostgreSQL's protocol, version 3
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html): are these bytes a
 * startup message, or the header of a message that only one side sends? It lets through everything
 * that the parser's own detection accepts (tests/structure checks that), and some that it refuses.
 * Plain pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_POSTGRESQL_HEADER_BYTES 5
#define ZS_POSTGRESQL_STARTUP_BYTES 8

/* Bit n: the type '0' + n is one of these. Masks, because the verifier follows each comparison. */
#define ZS_POSTGRESQL_TYPE(type) (1ULL << ((type) - '0'))
/* Query, Parse, Bind, FunctionCall, Terminate, CopyFail */
#define ZS_POSTGRESQL_REQUESTS                                                   \
  (ZS_POSTGRESQL_TYPE('Q') | ZS_POSTGRESQL_TYPE('P') | ZS_POSTGRESQL_TYPE('B') | \
   ZS_POSTGRESQL_TYPE('F') | ZS_POSTGRESQL_TYPE('X') | ZS_POSTGRESQL_TYPE('f'))
#define ZS_POSTGRESQL_RESPONSES_LOW                                              \
  (ZS_POSTGRESQL_TYPE('1') | ZS_POSTGRESQL_TYPE('2') | ZS_POSTGRESQL_TYPE('3') | \
   ZS_POSTGRESQL_TYPE('A') | ZS_POSTGRESQL_TYPE('G') | ZS_POSTGRESQL_TYPE('I') | \
   ZS_POSTGRESQL_TYPE('K') | ZS_POSTGRESQL_TYPE('N') | ZS_POSTGRESQL_TYPE('R') | \
   ZS_POSTGRESQL_TYPE('T') | ZS_POSTGRESQL_TYPE('V') | ZS_POSTGRESQL_TYPE('W') | \
   ZS_POSTGRESQL_TYPE('Z') | ZS_POSTGRESQL_TYPE('n'))
/* Bit n: the type 'p' + n; 's', 't', 'v' */
#define ZS_POSTGRESQL_RESPONSES_HIGH (1U << ('s' - 'p') | 1U << ('t' - 'p') | 1U << ('v' - 'p'))
/* Execute, Describe, Close, Sync, Flush, CopyData, CopyDone: the other side has the same types. */
#define ZS_POSTGRESQL_EITHER                                                     \
  (ZS_POSTGRESQL_TYPE('E') | ZS_POSTGRESQL_TYPE('D') | ZS_POSTGRESQL_TYPE('C') | \
   ZS_POSTGRESQL_TYPE('S') | ZS_POSTGRESQL_TYPE('H') | ZS_POSTGRESQL_TYPE('d') | \
   ZS_POSTGRESQL_TYPE('c'))

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid. `known`: the connection is
 * PostgreSQL's, so a type that both sides have begins a message as well.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_postgresql(const __u8* bytes,
                                                                             __u32 count,
                                                                             int known) {
  if (count < ZS_POSTGRESQL_HEADER_BYTES || bytes[1] != 0) {
    return ZS_GATE_NO;
  }
  const __u8 type = bytes[0];
  if (type == 0) {
    /* Version 3, or the codes 1234.5678 to 1234.5680 of what may come before it. */
    return count >= ZS_POSTGRESQL_STARTUP_BYTES &&
                   ((bytes[4] == 0 && bytes[5] == 3) || (bytes[4] == 0x04 && bytes[5] == 0xd2))
               ? ZS_GATE_REQUEST
               : ZS_GATE_NO;
  }
  if (type == 'p') {
    return ZS_GATE_SECRET;
  }
  if (type >= '0' && type < '0' + 64) {
    const __u32 bit = type - '0';
    if (ZS_POSTGRESQL_REQUESTS >> bit & 1) {
      return ZS_GATE_REQUEST;
    }
    if (ZS_POSTGRESQL_RESPONSES_LOW >> bit & 1) {
      return ZS_GATE_RESPONSE;
    }
    return known && (ZS_POSTGRESQL_EITHER >> bit & 1) ? ZS_GATE_PARTIAL : ZS_GATE_NO;
  }
  return type > 'p' && type < 'p' + 32 && (ZS_POSTGRESQL_RESPONSES_HIGH >> (type - 'p') & 1)
             ? ZS_GATE_RESPONSE
             : ZS_GATE_NO;
}
