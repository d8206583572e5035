/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Follows the bytes that the client of an HTTP/2 connection (RFC 9113) sends, from the connection's
 * start, and finds the header blocks that begin a request. On the client's side: where a
 * `traceparent` field can be put into them; on the server's: which one they have. Plain values and
 * pointers, no maps: also compiled for the host.
 *
 *   for (at = 0; at < size; ) {                    the bytes of one send
 *     at += zs_requests_step(requests, NULL, bytes[at], size - at);
 *     if (requests->ended && zs_requests_judge(requests, at, list_limit) == ZS_REQUESTS_INJECT) {
 *       zs_http2_length(bytes + at - zs_requests_behind(requests),
 *                       requests->length + ZS_HTTP2_FIELD_BYTES);
 *       insert ZS_HTTP2_FIELD_BYTES of zs_http2_field() at `at`, and step over them
 *     }
 *   }
 *
 * The field is a literal that is never indexed (RFC 7541 section 6.2.3), so that neither side's
 * table changes. It is put at the block's end, so into its last frame, in front of the padding.
 * That frame's length is in its header: it is changed only where the header is at hand, in the same
 * send. Flow control covers only DATA (RFC 9113 section 5.2.1).
 *
 * What is not the beginning of an HTTP/2 connection (yamux, TLS, HTTP/1), or breaks a rule of its
 * framing or of HPACK, is given up for good: `requests->at` is ZS_REQUESTS_OFF.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/gate_http2.h"
#include "bpf/lib/hpack_walk.h"
#include "bpf/lib/traceparent.h"

#define ZS_HTTP2_END_HEADERS 0x04 /* flags of HEADERS; the first one also of CONTINUATION */
#define ZS_HTTP2_HAS_PRIORITY 0x20
#define ZS_HTTP2_PRIORITY_BYTES 5
#define ZS_HTTP2_LENGTH_BYTES 3 /* a frame's header begins with its length */
#define ZS_HTTP2_ACK 0x01       /* flag of SETTINGS */
#define ZS_HTTP2_MAX_HEADER_LIST_SIZE 6

/* A literal never indexed with a new name: 0x10, the name's length, the name, the value's length,
 * the value. Not in Huffman code, whose length would depend on the ids. */
#define ZS_HTTP2_FIELD_BYTES (1 + 1 + ZS_HPACK_NAME_BYTES + 1 + ZS_TRACEPARENT_BYTES)
/* What it adds to the list of fields. */
#define ZS_HTTP2_FIELD_LISTED (ZS_HPACK_NAME_BYTES + ZS_TRACEPARENT_BYTES + ZS_HPACK_FIELD_BYTES)

enum zs_requests_at {
  ZS_REQUESTS_PREFACE = 0,
  ZS_REQUESTS_HEADER,
  ZS_REQUESTS_PAD_LENGTH,
  ZS_REQUESTS_PRIORITY,
  ZS_REQUESTS_FRAGMENT, /* of a header block */
  ZS_REQUESTS_SKIP,     /* what is left of the frame is of no interest */
  ZS_REQUESTS_OFF,
};

/* The client's direction. All zero at the connection's start. */
struct zs_requests {
  struct zs_hpack_walk hpack;
  __u32 length;      /* of the frame's payload */
  __u32 left;        /* of it, what is still to come */
  __u32 stream;      /* of the frame; when a block ends, the block's */
  __u32 last_stream; /* the highest that there was */
  __u32 in_block;    /* the stream whose CONTINUATION must be next; 0: none */
  __u8 at;           /* enum zs_requests_at */
  __u8 count;        /* bytes of the preface, the header or the priority that have come */
  __u8 type;
  __u8 flags;
  __u8 padding;
  __u8 request; /* the block begins a request; else it is a trailer */
  __u8 settled; /* the first SETTINGS, which end the preface, have begun */
  __u8 ended;   /* with the last step a block has ended */
  __u8 reserved[4];
};

enum zs_requests_verdict {
  ZS_REQUESTS_INJECT = 0,
  ZS_REQUESTS_TRAILER,   /* no request begins with this block */
  ZS_REQUESTS_CARRIES,   /* it has a traceparent */
  ZS_REQUESTS_UNKNOWN,   /* it has a field whose name is not known */
  ZS_REQUESTS_SPLIT,     /* the frame's header was in an earlier send */
  ZS_REQUESTS_FULL,      /* the frame would be longer than any peer must take */
  ZS_REQUESTS_LIST_FULL, /* the list of fields would be larger than the peer takes */
};

/* By word: a table would be one more map, which not all objects have. */
static inline __attribute__((always_inline)) __u8 zs_requests_preface(__u32 at) {
  const __u64 word = at < 8    ? 0x5448202a20495250ULL /* "PRI * HT" */
                     : at < 16 ? 0x0a0d302e322f5054ULL /* "TP/2.0" CR LF */
                     : at < 24 ? 0x0a0d0a0d4d530a0dULL /* CR LF "SM" CR LF CR LF */
                               : 0;
  return word >> (8U * (at & 7U)) & 0xffU;
}

/* The fragment of a block that this frame has is over; the padding may follow. */
static inline __attribute__((always_inline)) void zs_requests_fragment_ends(
    struct zs_requests* requests) {
  requests->at = requests->left ? ZS_REQUESTS_SKIP : ZS_REQUESTS_HEADER;
  if (!(requests->flags & ZS_HTTP2_END_HEADERS)) {
    return;
  }
  requests->in_block = 0;
  if (!zs_hpack_end(&requests->hpack)) {
    requests->at = ZS_REQUESTS_OFF;
    return;
  }
  requests->ended = 1;
}

static inline __attribute__((always_inline)) void zs_requests_fragment(
    struct zs_requests* requests) {
  requests->at = ZS_REQUESTS_FRAGMENT;
  if (requests->left < requests->padding) {
    requests->at = ZS_REQUESTS_OFF;
  } else if (requests->left == requests->padding) {
    zs_requests_fragment_ends(requests);
  }
}

/* Behind the pad length, if there is one. */
static inline __attribute__((always_inline)) void zs_requests_priority(
    struct zs_requests* requests) {
  if (requests->type == ZS_HTTP2_HEADERS && requests->flags & ZS_HTTP2_HAS_PRIORITY) {
    requests->at = ZS_REQUESTS_PRIORITY;
    requests->count = 0;
    if (requests->left < ZS_HTTP2_PRIORITY_BYTES) {
      requests->at = ZS_REQUESTS_OFF;
    }
    return;
  }
  zs_requests_fragment(requests);
}

/* A frame's header is whole. */
static inline __attribute__((always_inline)) void zs_requests_enter(
    struct zs_requests* requests, struct zs_hpack_values* values) {
  const __u8 type = requests->type;
  requests->count = 0;
  requests->left = requests->length;
  requests->padding = 0;
  requests->stream &= 0x7fffffffU;
  requests->at = requests->left ? ZS_REQUESTS_SKIP : ZS_REQUESTS_HEADER;
  if (!requests->settled) {
    requests->settled = 1;
    if (type != ZS_HTTP2_SETTINGS || requests->flags & ZS_HTTP2_ACK || requests->stream) {
      requests->at = ZS_REQUESTS_OFF;
    }
    return;
  }
  if (type == ZS_HTTP2_CONTINUATION && requests->in_block &&
      requests->in_block == requests->stream) {
    zs_requests_fragment(requests);
    return;
  }
  if (type == ZS_HTTP2_CONTINUATION || requests->in_block || type == ZS_HTTP2_PUSH_PROMISE ||
      (type == ZS_HTTP2_HEADERS && !(requests->stream & 1U))) {
    requests->at = ZS_REQUESTS_OFF;
    return;
  }
  if (type != ZS_HTTP2_HEADERS) {
    return;
  }
  zs_hpack_begin(&requests->hpack, values);
  requests->in_block = requests->stream;
  requests->request = requests->stream > requests->last_stream;
  if (requests->request) {
    requests->last_stream = requests->stream;
  }
  if (requests->flags & ZS_HTTP2_PADDED) {
    requests->at = requests->left ? ZS_REQUESTS_PAD_LENGTH : ZS_REQUESTS_OFF;
    return;
  }
  zs_requests_priority(requests);
}

/* In ZS_REQUESTS_SKIP, where no byte need be at hand: how many of the next `left` bytes are gone
 * over. */
static inline __attribute__((always_inline)) __u32 zs_requests_skip(struct zs_requests* requests,
                                                                    __u32 left) {
  const __u32 count = requests->left < left ? requests->left : left;
  requests->left -= count;
  if (requests->left == 0) {
    requests->at = ZS_REQUESTS_HEADER;
  }
  return count;
}

/*
 * Takes `byte`, the next of the `left` bytes that are at hand (not 0), and says how many of them it
 * has gone over: at least one. `values`: of the server's side, else null. `requests->ended`: a
 * block has ended behind them.
 */
static inline __attribute__((always_inline)) __u32 zs_requests_step(struct zs_requests* requests,
                                                                    struct zs_hpack_values* values,
                                                                    __u8 byte, __u32 left) {
  __u32 count = 1;
  requests->ended = 0;
  switch (requests->at) {
    case ZS_REQUESTS_PREFACE:
      if (byte != zs_requests_preface(requests->count)) {
        requests->at = ZS_REQUESTS_OFF;
        return left;
      }
      requests->count += 1;
      if (requests->count == ZS_HTTP2_PREFACE_BYTES) {
        requests->count = 0;
        requests->at = ZS_REQUESTS_HEADER;
      }
      return 1;
    case ZS_REQUESTS_HEADER:
      if (requests->count < 3) {
        requests->length = requests->count ? requests->length << 8U | byte : byte;
      } else if (requests->count == 3) {
        requests->type = byte;
      } else if (requests->count == 4) {
        requests->flags = byte;
      } else {
        requests->stream = requests->stream << 8U | byte;
      }
      requests->count += 1;
      if (requests->count == ZS_HTTP2_HEADER_BYTES) {
        zs_requests_enter(requests, values);
      }
      return 1;
    case ZS_REQUESTS_PAD_LENGTH:
      requests->left -= 1;
      requests->padding = byte;
      zs_requests_priority(requests);
      return 1;
    case ZS_REQUESTS_PRIORITY:
      requests->left -= 1;
      requests->count += 1;
      if (requests->count == ZS_HTTP2_PRIORITY_BYTES) {
        requests->count = 0;
        zs_requests_fragment(requests);
      }
      return 1;
    case ZS_REQUESTS_FRAGMENT: {
      const __u32 fragment = requests->left - requests->padding;
      count = zs_hpack_step(&requests->hpack, values, byte, fragment < left ? fragment : left);
      if (count > fragment) { /* it never is; for the verifier */
        count = fragment;
      }
      requests->left -= count;
      if (requests->left == requests->padding) {
        zs_requests_fragment_ends(requests);
      }
      return count;
    }
    case ZS_REQUESTS_SKIP:
      return zs_requests_skip(requests, left);
    default:
      return left;
  }
}

/*
 * The last `count` bytes that were stepped over have not left: they will be sent again, or others
 * in their place. 0: it cannot be told what would come then, because they were not all of one
 * payload that is of no interest. Not for blocks that something was put into.
 */
static inline __attribute__((always_inline)) int zs_requests_take_back(struct zs_requests* requests,
                                                                       __u32 count) {
  const int between = requests->at == ZS_REQUESTS_HEADER && requests->count == 0;
  if ((!between && requests->at != ZS_REQUESTS_SKIP) || requests->type == ZS_HTTP2_HEADERS ||
      requests->type == ZS_HTTP2_CONTINUATION ||
      count > requests->length - (between ? 0 : requests->left)) {
    return 0;
  }
  requests->left = (between ? 0 : requests->left) + count;
  requests->at = ZS_REQUESTS_SKIP;
  return 1;
}

/* How far behind the end of the block, that has just ended, its last frame's header begins. */
static inline __attribute__((always_inline)) __u32 zs_requests_behind(
    const struct zs_requests* requests) {
  return ZS_HTTP2_HEADER_BYTES + requests->length - requests->left;
}

/*
 * Can the block that has just ended be given a field? `at_hand`: how many bytes before its end can
 * be changed; `list_limit`: the peer's SETTINGS_MAX_HEADER_LIST_SIZE, or 0xffffffff. A peer that
 * takes longer frames than ZS_HTTP2_USUAL_LENGTH is not asked to take one for our sake.
 */
static inline __attribute__((always_inline)) enum zs_requests_verdict zs_requests_judge(
    const struct zs_requests* requests, __u32 at_hand, __u32 list_limit) {
  if (!requests->request) {
    return ZS_REQUESTS_TRAILER;
  }
  if (requests->hpack.carried) {
    return ZS_REQUESTS_CARRIES;
  }
  if (requests->hpack.unknown) {
    return ZS_REQUESTS_UNKNOWN;
  }
  if (zs_requests_behind(requests) > at_hand) {
    return ZS_REQUESTS_SPLIT;
  }
  if (requests->length + ZS_HTTP2_FIELD_BYTES > ZS_HTTP2_USUAL_LENGTH) {
    return ZS_REQUESTS_FULL;
  }
  if (list_limit != 0xffffffffU && requests->hpack.list + ZS_HTTP2_FIELD_LISTED > list_limit) {
    return ZS_REQUESTS_LIST_FULL;
  }
  return ZS_REQUESTS_INJECT;
}

/* The server's side: the context of the block that has just ended, if it is a request's and has
 * exactly one that is valid and known; else null. */
static inline __attribute__((always_inline)) const struct zs_traceparent* zs_requests_context(
    const struct zs_requests* requests, const struct zs_hpack_values* values) {
  return requests->request && requests->hpack.carried == 1 && !requests->hpack.unknown &&
                 values->value.valid
             ? &values->value
             : 0;
}

/* Writes a frame's length, which are the first ZS_HTTP2_LENGTH_BYTES of its header. */
static inline __attribute__((always_inline)) void zs_http2_length(__u8* header, __u32 length) {
  header[0] = length >> 16U & 255U;
  header[1] = length >> 8U & 255U;
  header[2] = length & 255U;
}

/* Writes ZS_HTTP2_FIELD_BYTES; the ids as of zs_traceparent_write. */
static inline __attribute__((always_inline)) void zs_http2_field(__u8* out, const __u64* trace_id,
                                                                 __u64 span_id, __u8 flags) {
  out[0] = 0x10;
  out[1] = ZS_HPACK_NAME_BYTES;
  __builtin_memcpy(out + 2, "traceparent", ZS_HPACK_NAME_BYTES);
  out[2 + ZS_HPACK_NAME_BYTES] = ZS_TRACEPARENT_BYTES;
  zs_traceparent_write(out + 3 + ZS_HPACK_NAME_BYTES, trace_id, span_id, flags);
}

/* What a connection's server announces, in the bytes that the client receives, from their start.
 * All zero at the connection's start. */
struct zs_announced {
  __u32 position; /* for the caller */
  __u32 length;   /* of the frame's payload, what is still to come */
  __u32 value;    /* of a setting */
  __u32 list_limit;
  __u16 setting;
  __u8 count; /* bytes of the header or of the setting that have come */
  __u8 in_frame;
  __u8 is_settings;
  __u8 limited; /* list_limit was announced */
  __u8 settled; /* the first frame was SETTINGS; if it was not, nothing is believed */
  __u8 off;
};

/* As zs_requests_step, of the server's bytes. */
static inline __attribute__((always_inline)) __u32 zs_announced_step(struct zs_announced* announced,
                                                                     __u8 byte, __u32 left) {
  if (announced->off) {
    return left;
  }
  if (!announced->in_frame) {
    const __u32 at = announced->count;
    if (at < 3) {
      announced->length = at ? announced->length << 8U | byte : byte;
    } else if (at == 3) {
      announced->is_settings = byte == ZS_HTTP2_SETTINGS;
    } else if (at == 4 && byte & ZS_HTTP2_ACK) {
      announced->is_settings = 0;
    }
    announced->count = (at + 1) & 15U;
    if (announced->count == ZS_HTTP2_HEADER_BYTES) {
      announced->count = 0;
      announced->in_frame = announced->length != 0;
      announced->off = !announced->settled && !announced->is_settings;
      announced->settled = 1;
    }
    return 1;
  }
  __u32 count = 1;
  if (announced->is_settings) {
    if (announced->count < 2) {
      announced->setting = (announced->setting << 8U | byte) & 0xffffU;
    } else {
      announced->value = announced->value << 8U | byte;
    }
    announced->count += 1;
    if (announced->count == 6) {
      announced->count = 0;
      if (announced->setting == ZS_HTTP2_MAX_HEADER_LIST_SIZE) {
        announced->list_limit = announced->value;
        announced->limited = 1;
      }
    }
  } else {
    count = announced->length < left ? announced->length : left;
  }
  announced->length -= count;
  if (announced->length == 0) {
    announced->in_frame = 0;
    announced->count = 0;
  }
  return count;
}

/* The first SETTINGS are over, which tell all that a server has to say in most cases. */
static inline __attribute__((always_inline)) int zs_announced_done(
    const struct zs_announced* announced) {
  return announced->off || (announced->settled && !announced->in_frame);
}

static inline __attribute__((always_inline)) __u32 zs_announced_list_limit(
    const struct zs_announced* announced) {
  return announced->limited ? announced->list_limit : 0xffffffffU;
}
