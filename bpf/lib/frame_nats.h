/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Follows one direction of a NATS connection as frame_mqtt.h does MQTT's packets, and with the same
 * state. What stands for a frame's header is a line; of PUB, HPUB, MSG and HMSG its last word is
 * the size of the payload that follows, and of the two with headers the word before is their size.
 * Plain values and pointers, no maps: also compiled for the host.
 *
 * Where a line ends is only known when it was read: zs_nats_wanted asks for a window of bytes, and
 * zs_nats_captured tells how many of them are kept; what is behind them is read again. The use is
 *
 *   count = zs_nats_wanted(walk, end - position);
 *   read `count` bytes at `position`;
 *   kept = zs_nats_captured(walk, bytes, count);   capture the first `kept`
 *   position += kept;
 *   if (walk->followed == ZS_FRAME_LOST) break;
 *   position += zs_frame_skipped(walk, end - position);
 *
 * Captured are
 * - lines, but of CONNECT, where passwords are, and INFO the first word and the last byte;
 * - payloads with their headers up to ZS_NATS_WHOLE_BYTES, of longer ones the headers, of which
 *   the first ZS_NATS_HEADERS_KEPT bytes.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/frame_walk.h"
#include "bpf/lib/gate_nats.h"

#define ZS_NATS_WINDOW_BYTES 64
#define ZS_NATS_LINE_MOST 512
#define ZS_NATS_WORD_MOST 7 /* "CONNECT" */
#define ZS_NATS_WHOLE_BYTES 512
#define ZS_NATS_HEADERS_KEPT 1024
#define ZS_NATS_NUMBER_MOST 100000000U /* servers allow 64 MiB at most */
#define ZS_NATS_NO_WORD 0xfffffffeU
#define ZS_NATS_NO_NUMBER 0xffffffffU
/* A server may gather megabytes of small messages in one system call. */
#define ZS_NATS_STEPS_MAX 65536

/* What a line is, as far as it has come. */
enum zs_nats_line {
  ZS_NATS_FIRST_WORD = 0,
  ZS_NATS_PLAIN = 1,
  ZS_NATS_PAYLOAD = 2,    /* PUB, MSG */
  ZS_NATS_HEADERS = 3,    /* HPUB, HMSG */
  ZS_NATS_HIDDEN = 4,     /* CONNECT, INFO */
  ZS_NATS_HIDDEN_END = 5, /* its last byte comes next */
  ZS_NATS_UNKNOWN = 6,
};

/* How many of the next `left` bytes are to be read: not 0, except in a payload that is skipped. */
static inline __attribute__((always_inline)) __u32 zs_nats_wanted(const struct zs_frame_walk* walk,
                                                                  __u32 left) {
  __u32 wanted = walk->keep;
  if (wanted == 0 && walk->skip == 0) {
    wanted = ZS_NATS_WINDOW_BYTES;
  }
  return wanted < left ? wanted : left;
}

/* Does a stretch of captured bytes end here, after `skipped` were passed over? Not in the middle of
 * a hidden line, and in any case in front of its last byte. */
static inline __attribute__((always_inline)) int zs_nats_stretch_ends(
    const struct zs_frame_walk* walk, __u32 skipped) {
  if (!walk->header_count) {
    return skipped != 0;
  }
  return walk->line.kind == ZS_NATS_HIDDEN_END || (skipped && walk->line.kind != ZS_NATS_HIDDEN);
}

/* By its first word, of which `word` has the last four letters, in capitals. */
static inline __attribute__((always_inline)) __u8 zs_nats_kind(__u32 word, __u32 length) {
  switch (word) {
    case ZS_NATS_WORD(0, 'P', 'U', 'B'):
    case ZS_NATS_WORD(0, 'M', 'S', 'G'):
      return length == 3 ? ZS_NATS_PAYLOAD : ZS_NATS_UNKNOWN;
    case ZS_NATS_WORD('H', 'P', 'U', 'B'):
    case ZS_NATS_WORD('H', 'M', 'S', 'G'):
      return length == 4 ? ZS_NATS_HEADERS : ZS_NATS_UNKNOWN;
    case ZS_NATS_WORD('P', 'I', 'N', 'G'):
    case ZS_NATS_WORD('P', 'O', 'N', 'G'):
    case ZS_NATS_WORD('-' & 0xdf, 'E', 'R', 'R'):
      return length == 4 ? ZS_NATS_PLAIN : ZS_NATS_UNKNOWN;
    case ZS_NATS_WORD(0, '+' & 0xdf, 'O', 'K'):
    case ZS_NATS_WORD(0, 'S', 'U', 'B'):
      return length == 3 ? ZS_NATS_PLAIN : ZS_NATS_UNKNOWN;
    case ZS_NATS_WORD('N', 'S', 'U', 'B'):
      return length == 5 ? ZS_NATS_PLAIN : ZS_NATS_UNKNOWN;
    case ZS_NATS_WORD('I', 'N', 'F', 'O'):
      return length == 4 ? ZS_NATS_HIDDEN : ZS_NATS_UNKNOWN;
    case ZS_NATS_WORD('N', 'E', 'C', 'T'):
      return length == ZS_NATS_WORD_MOST ? ZS_NATS_HIDDEN : ZS_NATS_UNKNOWN;
    default:
      return ZS_NATS_UNKNOWN;
  }
}

/* After a loss: a message, or a sign of life; texts begin otherwise. `byte` ends the first word. */
static inline __attribute__((always_inline)) int zs_nats_resumes(__u8 kind, __u32 word, __u8 byte) {
  if (kind == ZS_NATS_PAYLOAD || kind == ZS_NATS_HEADERS) {
    return byte == ' ';
  }
  return byte == '\r' &&
         (word == ZS_NATS_WORD('P', 'I', 'N', 'G') || word == ZS_NATS_WORD('P', 'O', 'N', 'G'));
}

/* One function for the verifier to look at by itself: it would follow each combination of the bytes
 * of a window. */
#ifdef __bpf__
#define ZS_NATS_APART __attribute__((noinline))
#else
#define ZS_NATS_APART static inline
#endif

/* The line's first word goes on, or ends. */
static inline __attribute__((always_inline)) void zs_nats_first_word(struct zs_frame_walk* walk,
                                                                     __u8 byte) {
  struct zs_frame_line* line = &walk->line;
  if (byte != ' ' && byte != '\t' && byte != '\r') {
    line->word = line->word << 8U | (byte & 0xdfU);
    line->word_length += 1;
    if (line->word_length > ZS_NATS_WORD_MOST) {
      line->kind = ZS_NATS_UNKNOWN;
    }
    return;
  }
  const __u8 kind = zs_nats_kind(line->word, line->word_length);
  line->kind = kind;
  if (walk->followed == ZS_FRAME_LOST) {
    if (zs_nats_resumes(kind, line->word, byte)) {
      walk->followed = ZS_FRAME_GUESSED;
    } else {
      line->kind = ZS_NATS_UNKNOWN;
    }
  }
}

/* The words behind it: the last two are remembered as numbers. */
static inline __attribute__((always_inline)) void zs_nats_number(struct zs_frame_line* line,
                                                                 __u8 byte) {
  if (byte == ' ' || byte == '\t') {
    if (line->number != ZS_NATS_NO_WORD) {
      line->before = line->number;
      line->number = ZS_NATS_NO_WORD;
    }
  } else if (byte != '\r') {
    const __u32 digit = byte - 48U;
    const __u32 number = line->number;
    line->number = digit > 9                       ? ZS_NATS_NO_NUMBER
                   : number == ZS_NATS_NO_WORD     ? digit
                   : number <= ZS_NATS_NUMBER_MOST ? number * 10 + digit
                                                   : ZS_NATS_NO_NUMBER;
  }
}

/* The byte `at` of the window, which does not end the line. 1: it is not of one. */
ZS_NATS_APART int zs_nats_byte(struct zs_frame_walk* walk, __u32 byte, __u32 at) {
  if (!walk) {
    return 1; /* for the verifier */
  }
  struct zs_frame_line* line = &walk->line;
  const __u8 kind = line->kind;
  if (kind == ZS_NATS_FIRST_WORD) {
    zs_nats_first_word(walk, byte & 0xffU);
    if (line->kind == ZS_NATS_HIDDEN) {
      line->length = at + 1;
    }
  } else if (kind == ZS_NATS_PAYLOAD || kind == ZS_NATS_HEADERS) {
    zs_nats_number(line, byte & 0xffU);
  }
  return line->kind == ZS_NATS_UNKNOWN;
}

/* A line has ended: what follows it? 0: it cannot be one. */
static inline __attribute__((always_inline)) int zs_nats_enter(struct zs_frame_walk* walk) {
  const __u8 kind = walk->line.kind;
  walk->header_count = 0;
  if (kind != ZS_NATS_PAYLOAD && kind != ZS_NATS_HEADERS) {
    return kind == ZS_NATS_PLAIN || kind == ZS_NATS_HIDDEN_END;
  }
  const __u32 size = walk->line.number;
  const __u32 headers = kind == ZS_NATS_HEADERS ? walk->line.before : 0;
  if (size > ZS_NATS_NUMBER_MOST || headers > size) {
    return 0;
  }
  const __u32 total = size + 2; /* with the line's end */
  __u32 keep = total;
  if (size > ZS_NATS_WHOLE_BYTES) {
    keep = headers < ZS_NATS_HEADERS_KEPT ? headers : ZS_NATS_HEADERS_KEPT;
  }
  walk->keep = keep;
  walk->skip = total - keep;
  return 1;
}

/*
 * The `count` bytes that zs_nats_wanted asked for: how many of them are kept. Those behind are
 * passed over if zs_frame_skipped says so, else read again. No line begins here if `followed` is
 * ZS_FRAME_LOST then, and the rest of the operation is not to be captured.
 */
static inline __attribute__((always_inline)) __u32 zs_nats_captured(struct zs_frame_walk* walk,
                                                                    const __u8* bytes,
                                                                    __u32 count) {
  if (walk->keep) {
    walk->keep -= count < walk->keep ? count : walk->keep;
    return count;
  }
  if (walk->skip || count == 0) {
    return count;
  }
  struct zs_frame_line* line = &walk->line;
  if (!walk->header_count) {
    walk->header_count = 1;
    line->word = 0;
    line->number = ZS_NATS_NO_WORD;
    line->before = ZS_NATS_NO_WORD;
    line->length = 0;
    line->word_length = 0;
    line->kind = ZS_NATS_FIRST_WORD;
  }
  if (line->kind == ZS_NATS_HIDDEN) {
    line->length = 0;
  }
  __u32 at = 0;
  for (; at < ZS_NATS_WINDOW_BYTES; ++at) {
    if (at >= count || bytes[at] == '\n' || zs_nats_byte(walk, bytes[at], at)) {
      break;
    }
  }
  const __u8 kind = line->kind;
  const int ended = at < count && kind != ZS_NATS_UNKNOWN;
  if (kind == ZS_NATS_HIDDEN) {
    const __u32 kept = line->length < at ? line->length : at;
    walk->skip = at - kept;
    if (ended) {
      line->kind = ZS_NATS_HIDDEN_END;
    }
    return kept;
  }
  line->length += at;
  if (kind == ZS_NATS_UNKNOWN || line->length > ZS_NATS_LINE_MOST ||
      (walk->followed == ZS_FRAME_LOST && kind == ZS_NATS_FIRST_WORD)) {
    /* It tells what is there instead. */
    const __u32 kept = walk->followed == ZS_FRAME_LOST ? 0 : kind == ZS_NATS_UNKNOWN ? at + 1 : at;
    zs_frame_lose(walk);
    return kept < count ? kept : count;
  }
  if (!ended) {
    return at;
  }
  ++at;
  if (!zs_nats_enter(walk)) {
    zs_frame_lose(walk);
    return at;
  }
  /* A short payload is in the window, too. */
  const __u32 left = count - at;
  const __u32 more = walk->keep < left ? walk->keep : left;
  walk->keep -= more;
  return at + more;
}
