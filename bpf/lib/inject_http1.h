/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Follows the requests in one direction of an HTTP/1 connection (RFC 9112) from its first byte on:
 * where each head ends, whether it carries a trace context, and how long its body is, so that a
 * body is never taken for a request. Byte by byte, so that it makes no difference how the stream is
 * cut into operations. Stricter than the RFC asks a reader to be: what could be read in two ways
 * ends the walk, because a place found by a guess must not be written to. Plain pointers, no maps:
 * also compiled for the host.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#define ZS_HTTP1_NAME_BYTES 24     /* of a field's name; no longer one is looked for */
#define ZS_HTTP1_METHOD_BYTES 32   /* as the gate's */
#define ZS_HTTP1_HEAD_BYTES 65536U /* of a request's head */
#define ZS_HTTP1_LENGTH_MAX (1ULL << 60U)
#define ZS_TRACEPARENT_BYTES 55 /* W3C Trace Context section 3.2 */

enum zs_http1_state {
  ZS_HTTP1_START = 0, /* between requests */
  ZS_HTTP1_BLANK,     /* behind the CR of an empty line before a request (RFC 9112 section 2.2) */
  ZS_HTTP1_METHOD,
  ZS_HTTP1_TARGET,
  ZS_HTTP1_VERSION,
  ZS_HTTP1_LINE_END,    /* behind a line's CR */
  ZS_HTTP1_FIELD_START, /* at a line's first byte */
  ZS_HTTP1_NAME,
  ZS_HTTP1_VALUE,
  ZS_HTTP1_VALUE_OVER, /* only white space may follow */
  ZS_HTTP1_PASS,       /* in a value that says nothing */
  ZS_HTTP1_HEAD_END,   /* behind the CR of the empty line */
  ZS_HTTP1_BODY,       /* `body_left` bytes that are nobody's business */
  ZS_HTTP1_CHUNK_SIZE,
  ZS_HTTP1_CHUNK_EXTENSION,
  ZS_HTTP1_CHUNK_SIZE_END,
  ZS_HTTP1_CHUNK_CR, /* behind a chunk's data */
  ZS_HTTP1_CHUNK_LF,
  ZS_HTTP1_TRAILER_START,
  ZS_HTTP1_TRAILER,
  ZS_HTTP1_TRAILER_LF,
  ZS_HTTP1_TRAILERS_END,
};

/* Why a connection is not followed any more. */
enum zs_http1_off {
  ZS_HTTP1_ON = 0,
  ZS_HTTP1_OFF_NOT_HTTP1 =
      1,                     /* a byte that no request has there, or that can be read in two ways */
  ZS_HTTP1_OFF_UPGRADE = 2,  /* another protocol may follow (Upgrade, CONNECT) */
  ZS_HTTP1_OFF_EXPECT = 3,   /* the body may not be sent (100-continue) */
  ZS_HTTP1_OFF_TOO_LONG = 4, /* the head, or what the caller can look at */
  ZS_HTTP1_OFF_UNSEEN = 5,   /* the caller does not know all bytes */
  ZS_HTTP1_OFF_HTTP2 = 6,    /* by the caller: it is HTTP/2 that breaks a rule */
  ZS_HTTP1_OFF_BLOCKING = 7, /* by the caller: the socket's mode is none that it takes */
};

enum zs_http1_field {
  ZS_HTTP1_FIELD_OTHER = 0,
  ZS_HTTP1_FIELD_LENGTH,
  ZS_HTTP1_FIELD_CODING,
  ZS_HTTP1_FIELD_TRACEPARENT,
  ZS_HTTP1_FIELD_OTHER_CONTEXT, /* of another format than W3C's */
  ZS_HTTP1_FIELD_UPGRADE,
  ZS_HTTP1_FIELD_EXPECT,
};

/* What the head of the current request, or of the last one, has. */
enum zs_http1_flags {
  ZS_HTTP1_HAS_LENGTH = 1,
  ZS_HTTP1_CHUNKED = 2,
  ZS_HTTP1_TRACEPARENT = 4,     /* there is one, */
  ZS_HTTP1_TRACEPARENT_ODD = 8, /* which is not of version 00 and valid, or not the only one */
  ZS_HTTP1_OTHER_CONTEXT = 16,
  ZS_HTTP1_HAS_UPGRADE = 32,
  ZS_HTTP1_HAS_EXPECT = 64,
  ZS_HTTP1_IS_CONNECT = 128,
};

enum zs_http1_event {
  ZS_HTTP1_MORE = 0,
  ZS_HTTP1_HEAD, /* this byte was the head's last one */
};

/* All zero: at a connection's first byte. */
struct zs_http1_walk {
  __u64 body_left;                     /* of the body, or of its current chunk */
  __u64 body_bytes;                    /* how long that was */
  __u64 name[ZS_HTTP1_NAME_BYTES / 8]; /* in small letters, the first one in the lowest byte */
  __u64 number;
  __u64 trace_id[2]; /* of the traceparent, if there is a single one and it is not odd: the first
                        and the last eight bytes */
  __u64 span_id;
  __u32 requests;   /* begun */
  __u32 head_bytes; /* of the current head */
  __u8 state;       /* enum zs_http1_state */
  __u8 off;         /* enum zs_http1_off */
  __u8 flags;       /* enum zs_http1_flags */
  __u8 field;       /* enum zs_http1_field */
  __u8 column;      /* in the name, the value, or the version; stops at 255 */
  __u8 trace_flags; /* of the traceparent */
  __u8 reserved[2];
};

/* RFC 9110 section 5.6.2 */
static inline __attribute__((always_inline)) bool zs_http1_is_token(__u8 byte) {
  const __u64 low = 0x03ff6cfa00000000ULL;  /* !#$%&'*+-. and digits */
  const __u64 high = 0x57ffffffc7fffffeULL; /* letters, and ^_`|~ */
  return byte < 128 && ((byte < 64 ? low >> byte : high >> (byte - 64U)) & 1U);
}

/* As the gate and the parser have it. */
static inline __attribute__((always_inline)) bool zs_http1_is_method(__u8 byte) {
  return (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

static inline __attribute__((always_inline)) __u8 zs_http1_small(__u8 byte) {
  return byte >= 'A' && byte <= 'Z' ? byte | 0x20U : byte;
}

static inline __attribute__((always_inline)) int zs_http1_hex(__u8 byte) {
  return byte >= '0' && byte <= '9'   ? byte - '0'
         : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                                      : -1;
}

#define ZS_HTTP1_8(a, b, c, d, e, f, g, h)                                         \
  ((0ULL + (a)) | (0ULL + (b)) << 8U | (0ULL + (c)) << 16U | (0ULL + (d)) << 24U | \
   (0ULL + (e)) << 32U | (0ULL + (f)) << 40U | (0ULL + (g)) << 48U | (0ULL + (h)) << 56U)

static inline __attribute__((always_inline)) bool zs_http1_name_is(const struct zs_http1_walk* walk,
                                                                   __u64 first, __u64 second,
                                                                   __u64 third) {
  return walk->name[0] == first && walk->name[1] == second && walk->name[2] == third;
}

static inline __attribute__((always_inline)) enum zs_http1_field zs_http1_field_of(
    const struct zs_http1_walk* walk) {
  if (walk->column > ZS_HTTP1_NAME_BYTES) {
    return ZS_HTTP1_FIELD_OTHER;
  }
  if (zs_http1_name_is(walk, ZS_HTTP1_8('c', 'o', 'n', 't', 'e', 'n', 't', '-'),
                       ZS_HTTP1_8('l', 'e', 'n', 'g', 't', 'h', 0, 0), 0)) {
    return ZS_HTTP1_FIELD_LENGTH;
  }
  if (zs_http1_name_is(walk, ZS_HTTP1_8('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'),
                       ZS_HTTP1_8('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n'), 'g')) {
    return ZS_HTTP1_FIELD_CODING;
  }
  if (zs_http1_name_is(walk, ZS_HTTP1_8('t', 'r', 'a', 'c', 'e', 'p', 'a', 'r'),
                       ZS_HTTP1_8('e', 'n', 't', 0, 0, 0, 0, 0), 0)) {
    return ZS_HTTP1_FIELD_TRACEPARENT;
  }
  if (zs_http1_name_is(walk, ZS_HTTP1_8('b', '3', 0, 0, 0, 0, 0, 0), 0, 0) ||
      zs_http1_name_is(walk, ZS_HTTP1_8('x', '-', 'b', '3', '-', 't', 'r', 'a'),
                       ZS_HTTP1_8('c', 'e', 'i', 'd', 0, 0, 0, 0), 0) ||
      zs_http1_name_is(walk, ZS_HTTP1_8('u', 'b', 'e', 'r', '-', 't', 'r', 'a'),
                       ZS_HTTP1_8('c', 'e', '-', 'i', 'd', 0, 0, 0), 0) ||
      zs_http1_name_is(walk, ZS_HTTP1_8('x', '-', 'a', 'm', 'z', 'n', '-', 't'),
                       ZS_HTTP1_8('r', 'a', 'c', 'e', '-', 'i', 'd', 0), 0)) {
    return ZS_HTTP1_FIELD_OTHER_CONTEXT;
  }
  if (zs_http1_name_is(walk, ZS_HTTP1_8('u', 'p', 'g', 'r', 'a', 'd', 'e', 0), 0, 0)) {
    return ZS_HTTP1_FIELD_UPGRADE;
  }
  if (zs_http1_name_is(walk, ZS_HTTP1_8('e', 'x', 'p', 'e', 'c', 't', 0, 0), 0, 0)) {
    return ZS_HTTP1_FIELD_EXPECT;
  }
  return ZS_HTTP1_FIELD_OTHER;
}

static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_refuse(
    struct zs_http1_walk* walk) {
  walk->off = ZS_HTTP1_OFF_NOT_HTTP1;
  return ZS_HTTP1_MORE;
}

static inline __attribute__((always_inline)) void zs_http1_go(struct zs_http1_walk* walk,
                                                              enum zs_http1_state state) {
  walk->state = state;
  walk->column = 0;
}

/* One more byte of a name or of a method. */
static inline __attribute__((always_inline)) void zs_http1_add(struct zs_http1_walk* walk,
                                                               __u8 byte) {
  const __u32 at = walk->column;
  if (at < ZS_HTTP1_NAME_BYTES) {
    /* By word, not by index: a write at an unknown place costs the verifier more. */
    const __u64 bits = (0ULL + byte) << (8U * (at & 7U));
    if (at < 8) {
      walk->name[0] |= bits;
    } else if (at < 16) {
      walk->name[1] |= bits;
    } else {
      walk->name[2] |= bits;
    }
  }
  if (at < 255) {
    walk->column += 1;
  }
}

static inline __attribute__((always_inline)) void zs_http1_clear_name(struct zs_http1_walk* walk) {
  walk->name[0] = 0;
  walk->name[1] = 0;
  walk->name[2] = 0;
  walk->column = 0;
}

static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_begin_value(
    struct zs_http1_walk* walk) {
  walk->field = zs_http1_field_of(walk);
  zs_http1_go(walk, ZS_HTTP1_PASS);
  walk->number = 0;
  switch (walk->field) {
    case ZS_HTTP1_FIELD_LENGTH:
    case ZS_HTTP1_FIELD_CODING:
      /* Twice, or both: which one holds is read in two ways (RFC 9112 section 6.3). */
      if (walk->flags & (ZS_HTTP1_HAS_LENGTH | ZS_HTTP1_CHUNKED)) {
        return zs_http1_refuse(walk);
      }
      walk->flags |= walk->field == ZS_HTTP1_FIELD_LENGTH ? ZS_HTTP1_HAS_LENGTH : ZS_HTTP1_CHUNKED;
      walk->state = ZS_HTTP1_VALUE;
      break;
    case ZS_HTTP1_FIELD_TRACEPARENT:
      if (walk->flags & ZS_HTTP1_TRACEPARENT) {
        walk->flags |= ZS_HTTP1_TRACEPARENT_ODD;
      } else {
        walk->flags |= ZS_HTTP1_TRACEPARENT;
        walk->state = ZS_HTTP1_VALUE;
      }
      break;
    case ZS_HTTP1_FIELD_OTHER_CONTEXT:
      walk->flags |= ZS_HTTP1_OTHER_CONTEXT;
      break;
    case ZS_HTTP1_FIELD_UPGRADE:
      walk->flags |= ZS_HTTP1_HAS_UPGRADE;
      break;
    case ZS_HTTP1_FIELD_EXPECT:
      walk->flags |= ZS_HTTP1_HAS_EXPECT;
      break;
    default:
      break;
  }
  return ZS_HTTP1_MORE;
}

/* version "-" trace-id "-" parent-id "-" trace-flags */
static inline __attribute__((always_inline)) bool zs_http1_traceparent(struct zs_http1_walk* walk,
                                                                       __u8 byte) {
  const __u32 at = walk->column;
  if (at >= ZS_TRACEPARENT_BYTES) {
    return false;
  }
  if (at == 2 || at == 35 || at == 52) {
    return byte == '-';
  }
  const int digit = zs_http1_hex(byte);
  if (digit < 0 || (at < 2 && digit)) {
    return false;
  }
  const __u64 value = digit;
  if (at < 3) {
    return true;
  }
  if (at < 19) {
    walk->trace_id[0] = walk->trace_id[0] << 4U | value;
  } else if (at < 35) {
    walk->trace_id[1] = walk->trace_id[1] << 4U | value;
  } else if (at < 52) {
    walk->span_id = walk->span_id << 4U | value;
  } else {
    walk->trace_flags = (walk->trace_flags << 4U | value) & 0xffU;
  }
  return true;
}

static inline __attribute__((always_inline)) bool zs_http1_is_chunked(__u8 byte, __u32 at) {
  const __u64 word = ZS_HTTP1_8('c', 'h', 'u', 'n', 'k', 'e', 'd', 0);
  return at < 7 && zs_http1_small(byte) == (word >> (8U * (at & 7U)) & 0xffU);
}

/* A value is over: is it one? */
static inline __attribute__((always_inline)) bool zs_http1_value_is_whole(
    struct zs_http1_walk* walk) {
  switch (walk->field) {
    case ZS_HTTP1_FIELD_LENGTH:
      return walk->column > 0;
    case ZS_HTTP1_FIELD_CODING:
      return walk->column == 7;
    default:
      if (walk->column != ZS_TRACEPARENT_BYTES || !(walk->trace_id[0] | walk->trace_id[1]) ||
          !walk->span_id) {
        walk->flags |= ZS_HTTP1_TRACEPARENT_ODD;
      }
      return true;
  }
}

static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_value(
    struct zs_http1_walk* walk, __u8 byte) {
  const bool white = byte == ' ' || byte == '\t';
  if (white && walk->state == ZS_HTTP1_VALUE && walk->column == 0) {
    return ZS_HTTP1_MORE;
  }
  if (byte == '\r' || white) {
    if (walk->state == ZS_HTTP1_VALUE && !zs_http1_value_is_whole(walk)) {
      return zs_http1_refuse(walk);
    }
    walk->state = white ? ZS_HTTP1_VALUE_OVER : ZS_HTTP1_LINE_END;
    return ZS_HTTP1_MORE;
  }
  bool fits = walk->state == ZS_HTTP1_VALUE;
  if (walk->field == ZS_HTTP1_FIELD_TRACEPARENT) {
    if (byte == '\n') {
      return zs_http1_refuse(walk);
    }
    if (!fits || !zs_http1_traceparent(walk, byte)) {
      walk->flags |= ZS_HTTP1_TRACEPARENT_ODD;
      walk->state = ZS_HTTP1_PASS;
    }
  } else if (walk->field == ZS_HTTP1_FIELD_LENGTH) {
    fits = fits && byte >= '0' && byte <= '9' && walk->number < ZS_HTTP1_LENGTH_MAX / 10;
    walk->number = walk->number * 10 + (byte - '0');
    walk->body_left = walk->number;
    if (!fits) {
      return zs_http1_refuse(walk);
    }
  } else if (!fits || !zs_http1_is_chunked(byte, walk->column)) {
    return zs_http1_refuse(walk);
  }
  if (walk->column < 255) {
    walk->column += 1;
  }
  return ZS_HTTP1_MORE;
}

static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_end_head(
    struct zs_http1_walk* walk) {
  walk->body_bytes = 0;
  if (walk->flags & ZS_HTTP1_CHUNKED) {
    zs_http1_go(walk, ZS_HTTP1_CHUNK_SIZE);
    walk->number = 0;
  } else if ((walk->flags & ZS_HTTP1_HAS_LENGTH) && walk->body_left) {
    walk->body_bytes = walk->body_left;
    zs_http1_go(walk, ZS_HTTP1_BODY);
  } else {
    zs_http1_go(walk, ZS_HTTP1_START);
  }
  if (walk->flags & (ZS_HTTP1_HAS_UPGRADE | ZS_HTTP1_IS_CONNECT)) {
    walk->off = ZS_HTTP1_OFF_UPGRADE;
  } else if (walk->flags & ZS_HTTP1_HAS_EXPECT) {
    walk->off = ZS_HTTP1_OFF_EXPECT;
  }
  return ZS_HTTP1_HEAD;
}

/* Passes over `count` bytes of a body, at most `body_left`. */
static inline __attribute__((always_inline)) void zs_http1_skip(struct zs_http1_walk* walk,
                                                                __u64 count) {
  walk->body_left -= count;
  if (!walk->body_left) {
    zs_http1_go(walk, (walk->flags & ZS_HTTP1_CHUNKED) ? ZS_HTTP1_CHUNK_CR : ZS_HTTP1_START);
  }
}

/*
 * The last `count` bytes were not sent after all, and come again. False: they were not all of one
 * body.
 */
static inline __attribute__((always_inline)) bool zs_http1_take_back(struct zs_http1_walk* walk,
                                                                     __u64 count) {
  const bool in_body = walk->state == ZS_HTTP1_BODY ||
                       (walk->state == ZS_HTTP1_START && !(walk->flags & ZS_HTTP1_CHUNKED)) ||
                       walk->state == ZS_HTTP1_CHUNK_CR;
  if (!in_body || count > walk->body_bytes - walk->body_left) {
    return false;
  }
  walk->body_left += count;
  walk->state = ZS_HTTP1_BODY;
  return true;
}

/* Do the eight bytes of `word` have a CR or a LF? */
static inline __attribute__((always_inline)) bool zs_http1_ends_line(__u64 word) {
  const __u64 ones = 0x0101010101010101ULL;
  const __u64 highs = 0x8080808080808080ULL;
  const __u64 cr = word ^ ones * '\r';
  const __u64 lf = word ^ ones * '\n';
  return (((cr - ones) & ~cr) | ((lf - ones) & ~lf)) & highs;
}

/* In a part of the head that only a line's end ends. */
static inline __attribute__((always_inline)) bool zs_http1_passes(
    const struct zs_http1_walk* walk) {
  return walk->state == ZS_HTTP1_PASS && walk->head_bytes < ZS_HTTP1_HEAD_BYTES;
}

static inline __attribute__((always_inline)) void zs_http1_pass(struct zs_http1_walk* walk,
                                                                __u32 count) {
  walk->head_bytes += count;
}

static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_chunk_size(
    struct zs_http1_walk* walk, __u8 byte) {
  const int digit = zs_http1_hex(zs_http1_small(byte));
  if (digit >= 0 && walk->number < ZS_HTTP1_LENGTH_MAX / 16) {
    walk->number = walk->number << 4U | (0ULL + digit);
    walk->column = 1;
    return ZS_HTTP1_MORE;
  }
  if (!walk->column || (byte != '\r' && byte != ';' && byte != ' ' && byte != '\t')) {
    return zs_http1_refuse(walk);
  }
  walk->state = byte == '\r' ? ZS_HTTP1_CHUNK_SIZE_END : ZS_HTTP1_CHUNK_EXTENSION;
  return ZS_HTTP1_MORE;
}

/* One byte, in a state that expects a single one. */
static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_expect(
    struct zs_http1_walk* walk, __u8 byte, __u8 expected, enum zs_http1_state next) {
  if (byte != expected) {
    return zs_http1_refuse(walk);
  }
  zs_http1_go(walk, next);
  return ZS_HTTP1_MORE;
}

/* Goes on to `next` at a CR; a bare LF is no line's end. */
static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_until_cr(
    struct zs_http1_walk* walk, __u8 byte, enum zs_http1_state next) {
  if (byte == '\n') {
    return zs_http1_refuse(walk);
  }
  if (byte == '\r') {
    zs_http1_go(walk, next);
  }
  return ZS_HTTP1_MORE;
}

static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_begin(
    struct zs_http1_walk* walk, __u8 byte) {
  walk->body_bytes = 0;
  walk->body_left = 0;
  if (byte == '\r') {
    walk->state = ZS_HTTP1_BLANK;
    return ZS_HTTP1_MORE;
  }
  if (!zs_http1_is_method(byte)) {
    return zs_http1_refuse(walk);
  }
  walk->requests += 1;
  walk->flags = 0;
  walk->head_bytes = 1;
  walk->trace_id[0] = 0;
  walk->trace_id[1] = 0;
  walk->span_id = 0;
  walk->trace_flags = 0;
  zs_http1_clear_name(walk);
  zs_http1_add(walk, byte);
  walk->state = ZS_HTTP1_METHOD;
  return ZS_HTTP1_MORE;
}

/* The next byte. Not once `off` is set. */
static inline __attribute__((always_inline)) enum zs_http1_event zs_http1_step(
    struct zs_http1_walk* walk, __u8 byte) {
  const __u8 state = walk->state;
  if (state >= ZS_HTTP1_METHOD && state <= ZS_HTTP1_HEAD_END) {
    if (walk->head_bytes >= ZS_HTTP1_HEAD_BYTES) {
      walk->off = ZS_HTTP1_OFF_TOO_LONG;
      return ZS_HTTP1_MORE;
    }
    walk->head_bytes += 1;
  }
  switch (state) {
    case ZS_HTTP1_PASS:
      return zs_http1_until_cr(walk, byte, ZS_HTTP1_LINE_END);
    case ZS_HTTP1_NAME:
      if (byte == ':') {
        return zs_http1_begin_value(walk);
      }
      if (!zs_http1_is_token(byte)) {
        return zs_http1_refuse(walk);
      }
      zs_http1_add(walk, zs_http1_small(byte));
      return ZS_HTTP1_MORE;
    case ZS_HTTP1_FIELD_START:
      if (byte == '\r') {
        walk->state = ZS_HTTP1_HEAD_END;
        return ZS_HTTP1_MORE;
      }
      /* White space here goes on with the line before (obs-fold), which may be a length. */
      if (!zs_http1_is_token(byte)) {
        return zs_http1_refuse(walk);
      }
      zs_http1_clear_name(walk);
      zs_http1_add(walk, zs_http1_small(byte));
      walk->state = ZS_HTTP1_NAME;
      return ZS_HTTP1_MORE;
    case ZS_HTTP1_LINE_END:
      return zs_http1_expect(walk, byte, '\n', ZS_HTTP1_FIELD_START);
    case ZS_HTTP1_VALUE:
    case ZS_HTTP1_VALUE_OVER:
      return zs_http1_value(walk, byte);
    case ZS_HTTP1_HEAD_END:
      return byte == '\n' ? zs_http1_end_head(walk) : zs_http1_refuse(walk);
    case ZS_HTTP1_START:
      return zs_http1_begin(walk, byte);
    case ZS_HTTP1_BLANK:
      return zs_http1_expect(walk, byte, '\n', ZS_HTTP1_START);
    case ZS_HTTP1_METHOD:
      if (byte == ' ') {
        if (walk->column == 7 &&
            walk->name[0] == ZS_HTTP1_8('C', 'O', 'N', 'N', 'E', 'C', 'T', 0)) {
          walk->flags |= ZS_HTTP1_IS_CONNECT;
        }
        zs_http1_go(walk, ZS_HTTP1_TARGET);
        return ZS_HTTP1_MORE;
      }
      if (!zs_http1_is_method(byte) || walk->column >= ZS_HTTP1_METHOD_BYTES) {
        return zs_http1_refuse(walk);
      }
      zs_http1_add(walk, byte);
      return ZS_HTTP1_MORE;
    case ZS_HTTP1_TARGET:
      if (byte == ' ' && walk->column) {
        zs_http1_go(walk, ZS_HTTP1_VERSION);
        return ZS_HTTP1_MORE;
      }
      walk->column = 1;
      return byte <= ' ' || byte == 127 ? zs_http1_refuse(walk) : ZS_HTTP1_MORE;
    case ZS_HTTP1_VERSION: {
      const __u64 version = ZS_HTTP1_8('H', 'T', 'T', 'P', '/', '1', '.', 0);
      const __u32 at = walk->column;
      if (at == 8) {
        return zs_http1_expect(walk, byte, '\r', ZS_HTTP1_LINE_END);
      }
      if (at == 7 ? byte != '0' && byte != '1' : byte != (version >> (8U * (at & 7U)) & 0xffU)) {
        return zs_http1_refuse(walk);
      }
      walk->column += 1;
      return ZS_HTTP1_MORE;
    }
    case ZS_HTTP1_BODY:
      zs_http1_skip(walk, 1);
      return ZS_HTTP1_MORE;
    case ZS_HTTP1_CHUNK_SIZE:
      return zs_http1_chunk_size(walk, byte);
    case ZS_HTTP1_CHUNK_EXTENSION:
      return zs_http1_until_cr(walk, byte, ZS_HTTP1_CHUNK_SIZE_END);
    case ZS_HTTP1_CHUNK_SIZE_END:
      walk->body_bytes = walk->number;
      walk->body_left = walk->number;
      return zs_http1_expect(walk, byte, '\n',
                             walk->number ? ZS_HTTP1_BODY : ZS_HTTP1_TRAILER_START);
    case ZS_HTTP1_CHUNK_CR:
      return zs_http1_expect(walk, byte, '\r', ZS_HTTP1_CHUNK_LF);
    case ZS_HTTP1_CHUNK_LF:
      walk->number = 0;
      return zs_http1_expect(walk, byte, '\n', ZS_HTTP1_CHUNK_SIZE);
    case ZS_HTTP1_TRAILER_START:
      if (byte == '\r') {
        walk->state = ZS_HTTP1_TRAILERS_END;
        return ZS_HTTP1_MORE;
      }
      walk->state = ZS_HTTP1_TRAILER;
      return zs_http1_until_cr(walk, byte, ZS_HTTP1_TRAILER_LF);
    case ZS_HTTP1_TRAILER:
      return zs_http1_until_cr(walk, byte, ZS_HTTP1_TRAILER_LF);
    case ZS_HTTP1_TRAILER_LF:
      return zs_http1_expect(walk, byte, '\n', ZS_HTTP1_TRAILER_START);
    case ZS_HTTP1_TRAILERS_END:
      return zs_http1_expect(walk, byte, '\n', ZS_HTTP1_START);
    default:
      return zs_http1_refuse(walk);
  }
}
