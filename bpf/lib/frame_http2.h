/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Follows the frames of one direction of an HTTP/2 connection (RFC 9113 section 4.1) through its
 * socket operations, and says which bytes are worth capturing. Plain values and pointers, no maps:
 * also compiled for the host, where tests feed what it captures to the parser.
 *
 * Captured are
 * - every frame's header;
 * - the whole payload of frames that carry header blocks or end something: HEADERS, CONTINUATION,
 *   PUSH_PROMISE (its block changes the state of HPACK), RST_STREAM, GOAWAY, SETTINGS;
 * - the payload of any other frame up to ZS_HTTP2_WHOLE_BYTES: to step over so few would cost a
 *   record more, and the messages of gRPC in it can be counted;
 * - of a longer one, which is DATA, the first ZS_HTTP2_KEPT_BYTES: the pad length, and the five
 *   bytes in front of a message;
 * - as many bytes where the next gRPC message of the same DATA frame begins, if it begins with one:
 *   some implementations gather several in a frame. With these the parser counts the messages. What
 *   would count them all is the number of bytes left of each stream's message, which is per stream
 *   and so not bounded here; where a frame begins in the midst of a message and another begins in
 *   it, the parser says that the count is unknown.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/frame_walk.h"
#include "bpf/lib/gate_http2.h"

#define ZS_HTTP2_WHOLE_BYTES 512
#define ZS_HTTP2_KEPT_BYTES ZS_FRAME_WINDOW_BYTES
/* The length and the flag in front of a gRPC message. */
#define ZS_HTTP2_PREFIX_BYTES 5
/* How often in one frame the next message is looked for. */
#define ZS_HTTP2_HOPS 64
/* What is kept of a frame behind a window of which only a part is there to be looked at. */
#define ZS_HTTP2_CUT_BYTES 4096

/* A direction that is seen from its start; `preface`: it is the client's. All zero is one that is
 * not. */
static inline __attribute__((always_inline)) void zs_http2_start(struct zs_frame_walk* walk,
                                                                 int preface) {
  zs_frame_follow(walk, preface ? ZS_HTTP2_PREFACE_BYTES : 0);
}

/* How many of the next `left` bytes are to be captured: not 0, except in a payload that is skipped.
 * They are ZS_HTTP2_HEADER_BYTES at most if they are of a header. */
static inline __attribute__((always_inline)) __u32 zs_http2_wanted(const struct zs_frame_walk* walk,
                                                                   __u32 left) {
  __u32 wanted = walk->keep;
  if (wanted == 0 && walk->skip == 0) {
    wanted = ZS_HTTP2_HEADER_BYTES - walk->header_count;
  }
  return wanted < left ? wanted : left;
}

/* Takes the header's word for what its payload is. 0: it cannot be one. */
static inline __attribute__((always_inline)) int zs_http2_enter(struct zs_frame_walk* walk,
                                                                const __u8* header) {
  const __u32 length = header[0] << 16U | header[1] << 8U | header[2];
  const __u8 type = header[3];
  walk->rest = 0;
  walk->hops = 0;
  walk->lead = 0;
  if (walk->followed == ZS_FRAME_LOST && zs_http2_begins_preface(header)) {
    zs_frame_follow(walk, ZS_HTTP2_PREFACE_BYTES - ZS_HTTP2_HEADER_BYTES);
    return 1;
  }
  if (walk->followed != ZS_FRAME_KNOWN) {
    if (!(walk->followed == ZS_FRAME_LOST ? zs_http2_resumes(header)
                                          : zs_http2_plausible(header))) {
      zs_frame_lose(walk);
      return 0;
    }
    walk->followed = ZS_FRAME_GUESSED;
  }
  walk->header_count = 0;
  walk->keep = length;
  switch (type) {
    case ZS_HTTP2_HEADERS: {
      const __u32 stream =
          (header[5] & 0x7fU) << 24U | header[6] << 16U | header[7] << 8U | header[8];
      walk->last_stream = stream > walk->last_stream ? stream : walk->last_stream;
      break;
    }
    case ZS_HTTP2_CONTINUATION:
    case ZS_HTTP2_PUSH_PROMISE:
    case ZS_HTTP2_RST_STREAM:
    case ZS_HTTP2_GOAWAY:
    case ZS_HTTP2_SETTINGS:
      break;
    default:
      if (length > ZS_HTTP2_WHOLE_BYTES) {
        walk->keep = ZS_HTTP2_KEPT_BYTES;
        walk->hops = type == ZS_HTTP2_DATA && !(header[4] & ZS_HTTP2_PADDED) ? ZS_HTTP2_HOPS : 0;
      }
      break;
  }
  walk->skip = length - walk->keep;
  return 1;
}

/*
 * The window `kept` of a payload holds the beginning of a gRPC message, as it looks: what is behind
 * the last message that begins in it is the next window. A prefix may lie across two of them; its
 * first bytes are then the last ones of the window before, in walk->header.
 */
static inline __attribute__((always_inline)) void zs_http2_hop(struct zs_frame_walk* walk,
                                                               const __u8* kept) {
  const __s32 window = ZS_HTTP2_KEPT_BYTES;
  const __s32 lead = walk->lead & 7U;
  __s32 next = -lead;
  for (__u32 i = 0; i <= ZS_HTTP2_KEPT_BYTES / ZS_HTTP2_PREFIX_BYTES; ++i) {
    if (next > window - ZS_HTTP2_PREFIX_BYTES) {
      break;
    }
    __u32 length = 0;
    __u32 top = 0; /* the flag, and a length that no frame has */
    for (__s32 j = 0; j < ZS_HTTP2_PREFIX_BYTES; ++j) {
      const __s32 at = next + j;
      const __u8 byte = at < 0 ? walk->header[at & 15] : kept[at & (window - 1)];
      length = length << 8U | byte;
      top = j == 1 ? length : top;
    }
    if (top & ~0x100U) {
      walk->hops = 0;
      return;
    }
    next += ZS_HTTP2_PREFIX_BYTES + (length & 0xffffffU);
  }
  const __u32 over = next > window ? next - window : 0;
  if (over >= walk->skip) {
    walk->hops = 0;
    return;
  }
  for (__u32 i = 0; i < 4; ++i) {
    walk->header[12 + i] = kept[ZS_HTTP2_KEPT_BYTES - 4 + i];
  }
  walk->lead = over ? 0 : (window - next) & 7;
  walk->hops -= 1;
  walk->rest = walk->skip - over;
  walk->skip = over;
}

/*
 * The `count` bytes that zs_http2_wanted asked for; `bytes`, which must have room for
 * ZS_HTTP2_KEPT_BYTES, are looked at if they are of a header or may begin with a message. 0: no
 * frame begins here, and the rest of the operation is not to be captured.
 */
static inline __attribute__((always_inline)) int zs_http2_captured(struct zs_frame_walk* walk,
                                                                   const __u8* bytes, __u32 count) {
  if (walk->keep) {
    if (walk->hops && count == ZS_HTTP2_KEPT_BYTES && walk->keep == ZS_HTTP2_KEPT_BYTES) {
      zs_http2_hop(walk, bytes);
    } else if (walk->hops) {
      /* Cut by the operation's end, so there are few of them. */
      const __u32 more = walk->skip < ZS_HTTP2_CUT_BYTES ? walk->skip : ZS_HTTP2_CUT_BYTES;
      walk->keep += more;
      walk->skip -= more;
      walk->hops = 0;
    }
    walk->keep -= count < walk->keep ? count : walk->keep;
    zs_frame_land(walk);
    return 1;
  }
  if (walk->skip || count == 0) {
    return 1;
  }
  if (count >= ZS_HTTP2_HEADER_BYTES) {
    return zs_http2_enter(walk, bytes);
  }
  if (walk->followed == ZS_FRAME_LOST) {
    return 0; /* too short to tell */
  }
  for (__u32 i = 0; i < ZS_HTTP2_HEADER_BYTES - 1; ++i) {
    if (i < count) {
      walk->header[(walk->header_count + i) & 15U] = bytes[i];
    }
  }
  walk->header_count = (walk->header_count + count) & 15U;
  return walk->header_count < ZS_HTTP2_HEADER_BYTES ? 1 : zs_http2_enter(walk, walk->header);
}

/* Takes the payload behind a header that was just captured, if `ahead` bytes hold it whole, and
 * says how many bytes it has. It saves a step for most frames. */
static inline __attribute__((always_inline)) __u32 zs_http2_payload(struct zs_frame_walk* walk,
                                                                    __u32 ahead) {
  const __u32 count = walk->keep;
  if (walk->hops || count > ahead) {
    return 0;
  }
  walk->keep = 0;
  return count;
}
