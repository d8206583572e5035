/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel's coarse gate for HTTP/2 (RFC 9113): are these bytes the client's connection preface
 * (section 3.4), or could they be a frame's header (section 4.1)? It lets through everything that
 * the parser's own detection accepts (tests/structure checks that), and some that it refuses. Plain
 * pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#define ZS_HTTP2_PREFACE_BYTES 24
#define ZS_HTTP2_HEADER_BYTES 9
/* What the gate needs to see of a partial preface: fewer bytes begin HTTP/1 methods as well. */
#define ZS_HTTP2_PREFACE_LEAST 4
/* The largest frame of a peer that has not been allowed more (SETTINGS_MAX_FRAME_SIZE, section
 * 6.5.2). */
#define ZS_HTTP2_USUAL_LENGTH 16384

/* Frame types and flags (section 6) that both sides of the project name alike. */
enum zs_http2_type {
  ZS_HTTP2_DATA = 0,
  ZS_HTTP2_HEADERS = 1,
  ZS_HTTP2_PRIORITY = 2,
  ZS_HTTP2_RST_STREAM = 3,
  ZS_HTTP2_SETTINGS = 4,
  ZS_HTTP2_PUSH_PROMISE = 5,
  ZS_HTTP2_PING = 6,
  ZS_HTTP2_GOAWAY = 7,
  ZS_HTTP2_WINDOW_UPDATE = 8,
  ZS_HTTP2_CONTINUATION = 9,
};

#define ZS_HTTP2_PADDED 0x08 /* flag of DATA, HEADERS and PUSH_PROMISE */

enum zs_http2_gate {
  ZS_GATE_HTTP2_NO = 0,
  ZS_GATE_HTTP2_PREFACE = 1, /* this direction is the client's */
  ZS_GATE_HTTP2_FRAMES = 2,
};

/*
 * Could these ZS_HTTP2_HEADER_BYTES bytes be a frame's header? Fixed lengths, streams and flags are
 * as section 6 wants them. A type that the RFC does not know is legal (section 5.5), but rare: it
 * is believed only where a frame must begin. Each condition is one of a chain without state, so
 * that the verifier follows few paths.
 */
static inline __attribute__((always_inline)) int zs_http2_plausible(const __u8* header) {
  const __u32 length = header[0] << 16U | header[1] << 8U | header[2];
  const __u8 type = header[3];
  const __u8 flags = header[4];
  const __u32 stream = (header[5] & 0x7fU) << 24U | header[6] << 16U | header[7] << 8U | header[8];
  if (length > ZS_HTTP2_USUAL_LENGTH || header[5] >> 7U) {
    return 0;
  }
  switch (type) {
    case ZS_HTTP2_DATA:
      return stream != 0 && !(flags & ~0x09U);
    case ZS_HTTP2_HEADERS:
      return stream != 0 && !(flags & ~0x2dU) && length != 0;
    case ZS_HTTP2_PRIORITY:
      return stream != 0 && flags == 0 && length == 5;
    case ZS_HTTP2_RST_STREAM:
      return stream != 0 && flags == 0 && length == 4;
    case ZS_HTTP2_SETTINGS:
      return stream == 0 && !(flags & ~0x01U) && (flags ? length == 0 : length % 6 == 0);
    case ZS_HTTP2_PUSH_PROMISE:
      return stream != 0 && !(flags & ~0x0cU) && length > 4;
    case ZS_HTTP2_PING:
      return stream == 0 && !(flags & ~0x01U) && length == 8;
    case ZS_HTTP2_GOAWAY:
      return stream == 0 && flags == 0 && length >= 8;
    case ZS_HTTP2_WINDOW_UPDATE:
      return flags == 0 && length == 4;
    case ZS_HTTP2_CONTINUATION:
      return stream != 0 && !(flags & ~0x04U);
    default:
      return 0;
  }
}

/*
 * May frames be followed from here on, where nothing says that one begins? Not from DATA and the
 * like, which one byte of a message too few or too many can turn into another frame, and not on a
 * server's stream (section 5.1.1).
 */
static inline __attribute__((always_inline)) int zs_http2_resumes(const __u8* header) {
  if (header[3] == ZS_HTTP2_DATA || header[3] == ZS_HTTP2_PRIORITY ||
      header[3] == ZS_HTTP2_CONTINUATION || header[3] == ZS_HTTP2_PUSH_PROMISE) {
    return 0;
  }
  const __u8 numbered = header[5] | header[6] | header[7] | header[8];
  return (!numbered || (header[8] & 1U)) && zs_http2_plausible(header);
}

/* The preface looks like no frame. */
static inline __attribute__((always_inline)) int zs_http2_begins_preface(const __u8* header) {
  return header[0] == 'P' && header[1] == 'R' && header[2] == 'I' && header[3] == ' ' &&
         header[4] == '*';
}

/* How much of an answer to an upgrade is looked at. */
#define ZS_H2C_HEAD_BYTES 512

/* In memory, where the verifier does not follow it: in registers, each byte would double what it
 * has to look at. */
struct zs_h2c_scan {
  volatile __u32 last; /* four bytes */
  volatile __u32 agreed;
};

/*
 * Where the frames begin if `bytes` begin with an HTTP/1.1 server's 101 to `Upgrade: h2c` (RFC 7540
 * section 3.2), else 0. `bytes` must have room for ZS_H2C_HEAD_BYTES, of which `count` are valid.
 */
static inline __attribute__((always_inline)) __u32 zs_h2c_frames(struct zs_h2c_scan* scan,
                                                                 const __u8* bytes, __u32 count) {
  scan->last = 0;
  scan->agreed = 0;
  for (__u32 i = 0; i < ZS_H2C_HEAD_BYTES; ++i) {
    if (i >= count) {
      return 0;
    }
    scan->last = scan->last << 8U | bytes[i];
    if (scan->last == 0x6832630dU) { /* "h2c\r", which ends a field */
      scan->agreed = 1;
    } else if (scan->last == 0x0d0a0d0aU) {
      return scan->agreed ? i + 1 : 0;
    }
  }
  return 0;
}

/* `bytes` must have room for ZS_HTTP2_PREFACE_BYTES, of which `count` are valid. */
static inline __attribute__((always_inline)) enum zs_http2_gate zs_gate_http2(const __u8* bytes,
                                                                              __u32 count) {
  if (count >= ZS_HTTP2_PREFACE_LEAST && bytes[0] == 'P' && bytes[1] == 'R' && bytes[2] == 'I' &&
      bytes[3] == ' ') {
    return ZS_GATE_HTTP2_PREFACE;
  }
  if (count >= ZS_HTTP2_HEADER_BYTES && zs_http2_resumes(bytes)) {
    return ZS_GATE_HTTP2_FRAMES;
  }
  return ZS_GATE_HTTP2_NO;
}
