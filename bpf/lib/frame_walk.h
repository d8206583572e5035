/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Where one direction of a connection is that consists of frames: what all protocols share that are
 * followed frame by frame (frame_http2.h, frame_amqp.h, frame_mqtt.h, frame_nats.h,
 * frame_cassandra.h). A frame is a header, bytes that are wanted, and bytes that are passed over.
 * Plain values and pointers, no maps: also compiled for the host, where tests feed what is captured
 * to the parsers.
 *
 * The caller holds the bytes. For each operation:
 *
 *   zs_frame_begin(walk);
 *   for (i = 0; i < ZS_FRAME_STEPS_MAX && position < end; ++i) {
 *     count = zs_PROTOCOL_wanted(walk, end - position);
 *     capture `count` bytes at `position`;
 *     if (!zs_PROTOCOL_captured(walk, bytes, count)) break;
 *     position += count;
 *     (HTTP/2: position += zs_http2_payload(walk, bytes at hand), which are captured, too)
 *     position += zs_frame_skipped(walk, end - position);
 *   }
 *   if (position < end) zs_frame_lose(walk);
 *
 * A direction whose frames are lost (it was open before us, or an operation had too many frames) is
 * found again at the first operation that begins with a plausible frame header; what lies between
 * is not captured, so the parser sees that bytes are missing and does the same.
 */
#pragma once

#include <linux/types.h>

#define ZS_FRAME_WINDOW_BYTES 64
/* A step is a frame, a piece of one, or a change of buffer. A busy gRPC peer gathers thousands of
 * small frames in one system call. */
#define ZS_FRAME_STEPS_MAX 8192

enum zs_frame_followed {
  ZS_FRAME_LOST = 0,    /* where the next frame begins is not known */
  ZS_FRAME_GUESSED = 1, /* some bytes looked like a frame's header: all that follow must, too */
  ZS_FRAME_KNOWN = 2,   /* from the connection's start on */
};

/* NATS: the line that stands for a frame's header, as far as it has come. */
struct zs_frame_line {
  __u32 word;   /* the last letters of its first word */
  __u32 number; /* its last word, */
  __u32 before; /* and the one before it */
  __u32 length; /* of a hidden one: of the window that is read, what is kept */
  __u8 word_length;
  __u8 kind; /* enum zs_nats_line */
};

/* Cassandra: frames inside of segments. */
struct zs_frame_segment {
  __u8 header[16];
  __u32 left;   /* of the segment's payload, behind what is kept and skipped */
  __u32 body;   /* the same of the frame's body, which may go on in the next segment */
  __u32 wanted; /* how much of that is to be captured */
  __u8 on;      /* there are segments from here on */
  __u8 trailer; /* there was one before */
};

struct zs_frame_walk {
  __u32 keep; /* bytes of the frame's payload that come next and are wanted */
  __u32 skip; /* bytes of the payload behind them */
  union {
    __u8 header[16]; /* of the next frame, as far as it has come; a power of two for the verifier */
    struct zs_frame_line line;
    struct zs_frame_segment segment;
  };
  __u8 header_count;
  __u8 followed; /* 0: where the next frame begins is not known */
  /* HTTP/2, for messages of gRPC: */
  __u8 hops;         /* windows of the frame's payload that may still be looked for */
  __u8 lead;         /* bytes of a message's prefix before the window */
  __u32 rest;        /* bytes of the payload behind `skip` */
  __u32 last_stream; /* the highest number of a stream with a header block */
};

/* Frames begin behind the next `before` bytes, which are wanted. */
static inline __attribute__((always_inline)) void zs_frame_follow(struct zs_frame_walk* walk,
                                                                  __u32 before) {
  walk->keep = before;
  walk->skip = 0;
  walk->rest = 0;
  walk->header_count = 0;
  walk->followed = ZS_FRAME_KNOWN;
}

static inline __attribute__((always_inline)) void zs_frame_lose(struct zs_frame_walk* walk) {
  walk->keep = 0;
  walk->skip = 0;
  walk->rest = 0;
  walk->header_count = 0;
  walk->followed = ZS_FRAME_LOST;
}

/* An operation begins. */
static inline __attribute__((always_inline)) void zs_frame_begin(struct zs_frame_walk* walk) {
  if (walk->followed == ZS_FRAME_LOST) {
    zs_frame_lose(walk);
  }
}

/* Where bytes were passed over up to a window, that is kept. */
static inline __attribute__((always_inline)) void zs_frame_land(struct zs_frame_walk* walk) {
  if (walk->rest && !walk->skip && !walk->keep) {
    walk->keep = walk->rest < ZS_FRAME_WINDOW_BYTES ? walk->rest : ZS_FRAME_WINDOW_BYTES;
    walk->skip = walk->rest - walk->keep;
    walk->rest = 0;
  }
}

/* How many of the next `left` bytes are passed over. */
static inline __attribute__((always_inline)) __u32 zs_frame_skipped(struct zs_frame_walk* walk,
                                                                    __u32 left) {
  if (walk->keep) {
    return 0;
  }
  const __u32 count = walk->skip < left ? walk->skip : left;
  walk->skip -= count;
  zs_frame_land(walk);
  return count;
}

/* `count` bytes went by that could not be read (sendfile). Inside one payload nothing is lost but
 * the bytes. */
static inline __attribute__((always_inline)) void zs_frame_missed(struct zs_frame_walk* walk,
                                                                  __u32 count) {
  walk->skip += walk->rest;
  walk->rest = 0;
  walk->hops = 0;
  if (walk->followed == ZS_FRAME_LOST || walk->header_count || count > walk->keep + walk->skip) {
    zs_frame_lose(walk);
    return;
  }
  const __u32 kept = count < walk->keep ? count : walk->keep;
  walk->keep -= kept;
  walk->skip -= count - kept;
}
