/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for NATS's client protocol
 * (https://docs.nats.io/reference/reference-protocols/nats-protocol): does a server's INFO begin
 * here, or a line that tells who speaks? It lets through everything that the parser's own detection
 * accepts (tests/structure checks that), and some that it refuses. Plain pointers, no maps: also
 * compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_NATS_LEAST 6 /* "INFO {", "PUB a " */
/* What is copied of an operation with a CONNECT: nothing, for the next may go on in its middle. */
#define ZS_NATS_SECRET_BYTES 0
#define ZS_NATS_WORD(a, b, c, d) ((a) << 24U | (b) << 16U | (c) << 8U | (d))

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid. `known`: the connection is
 * NATS's. What the frame walk (bpf/lib/frame_nats.h) follows is not asked.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_nats(const __u8* bytes,
                                                                       __u32 count, int known) {
  if (count < ZS_NATS_LEAST) {
    return known && count != 0 ? ZS_GATE_SECRET : ZS_GATE_NO;
  }
  const __u32 word = ZS_NATS_WORD(bytes[0] & 0xffU, bytes[1], bytes[2], bytes[3]);
  switch (word) {
    case ZS_NATS_WORD('I', 'N', 'F', 'O'):
      return bytes[4] == ' ' && bytes[5] == '{' ? ZS_GATE_RESPONSE : ZS_GATE_NO;
    case ZS_NATS_WORD('C', 'O', 'N', 'N'):
      return count >= 9 && bytes[4] == 'E' && bytes[5] == 'C' && bytes[6] == 'T' &&
                     bytes[7] == ' ' && bytes[8] == '{'
                 ? ZS_GATE_SECRET
                 : ZS_GATE_NO;
    /* Behind an unknown method of HTTP a path would come. */
    case ZS_NATS_WORD('P', 'U', 'B', ' '):
      return bytes[4] == '/' ? ZS_GATE_NO : ZS_GATE_REQUEST;
    case ZS_NATS_WORD('M', 'S', 'G', ' '):
      return bytes[4] == '/' ? ZS_GATE_NO : ZS_GATE_RESPONSE;
    case ZS_NATS_WORD('H', 'P', 'U', 'B'):
      return bytes[4] != ' ' || bytes[5] == '/' ? ZS_GATE_NO : ZS_GATE_REQUEST;
    case ZS_NATS_WORD('H', 'M', 'S', 'G'):
      return bytes[4] != ' ' || bytes[5] == '/' ? ZS_GATE_NO : ZS_GATE_RESPONSE;
    default:
      break;
  }
  const int ping =
      word == ZS_NATS_WORD('P', 'I', 'N', 'G') || word == ZS_NATS_WORD('P', 'O', 'N', 'G');
  if (!known) {
    /* It may be Redis's, too. */
    return ping && count == 6 && bytes[4] == '\r' && bytes[5] == '\n' ? ZS_GATE_IDLE : ZS_GATE_NO;
  }
  /* What is not known for a line may be the rest of a CONNECT. */
  return ping || word == ZS_NATS_WORD('S', 'U', 'B', ' ') ||
                 word == ZS_NATS_WORD('U', 'N', 'S', 'U')
             ? ZS_GATE_REQUEST
             : ZS_GATE_SECRET;
}
