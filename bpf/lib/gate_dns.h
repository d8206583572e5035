/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * DNS (RFC 1035 section 4.1.1): is this a query or an answer? Which connections are DNS's is known
 * by the port. Plain pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_DNS_LENGTH_BYTES 2 /* before each message over TCP (RFC 1035 section 4.2.2) */
#define ZS_DNS_HEADER_BYTES 12

/*
 * Of `bytes`, which must have room for ZS_GATE_BYTES, `count` are valid; the message's header
 * begins at `header`. An operation in the middle of a message is taken for one that begins with it:
 * what depends on it is the context of calls, and the first operation's counts.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_dns(const __u8* bytes,
                                                                      __u32 count, __u32 header) {
  if (count < header + ZS_DNS_HEADER_BYTES) {
    return ZS_GATE_PARTIAL;
  }
  return bytes[header + 2] & 0x80 ? ZS_GATE_RESPONSE : ZS_GATE_REQUEST;
}
