/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for the protocol of MySQL and MariaDB
 * (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html): is this the
 * server's greeting, or exactly one command that carries a statement? It lets through everything
 * that the parser's own detection accepts (tests/structure checks that), and some that it refuses.
 * Plain pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http1.h"

#define ZS_MYSQL_HEADER_BYTES 4
#define ZS_MYSQL_GREETING 0x0a
#define ZS_MYSQL_GREETING_LEAST 32 /* bytes of a greeting: the fixed fields alone have 45 or so */
#define ZS_MYSQL_GREETING_MOST 255
#define ZS_MYSQL_QUERY 0x03
#define ZS_MYSQL_PREPARE 0x16
#define ZS_MYSQL_EXECUTE 0x17

/*
 * `bytes` must have room for ZS_GATE_BYTES, of which `count` are valid; the operation has
 * `byte_count`. `known`: the connection is MySQL's; then a packet's sequence number tells who
 * begins.
 */
static inline __attribute__((always_inline)) enum zs_gate zs_gate_mysql(const __u8* bytes,
                                                                        __u32 count,
                                                                        __u32 byte_count,
                                                                        int known) {
  if (count < ZS_MYSQL_HEADER_BYTES) {
    return ZS_GATE_NO;
  }
  if (known) {
    return bytes[3] == 0 ? ZS_GATE_REQUEST : bytes[3] == 1 ? ZS_GATE_RESPONSE : ZS_GATE_NO;
  }
  const __u32 length = bytes[0] | bytes[1] << 8U | bytes[2] << 16U;
  if (byte_count == ZS_MYSQL_HEADER_BYTES) {
    /* A client may read the greeting's header by itself. */
    return bytes[3] == 0 && length >= ZS_MYSQL_GREETING_LEAST && length <= ZS_MYSQL_GREETING_MOST
               ? ZS_GATE_RESPONSE
               : ZS_GATE_NO;
  }
  if (count <= ZS_MYSQL_HEADER_BYTES || bytes[3] != 0 ||
      length + ZS_MYSQL_HEADER_BYTES != byte_count) {
    return ZS_GATE_NO;
  }
  switch (bytes[4]) {
    case ZS_MYSQL_GREETING:
      return ZS_GATE_RESPONSE;
    case ZS_MYSQL_QUERY:
    case ZS_MYSQL_PREPARE:
    case ZS_MYSQL_EXECUTE:
      return ZS_GATE_REQUEST;
    default:
      return ZS_GATE_NO;
  }
}
