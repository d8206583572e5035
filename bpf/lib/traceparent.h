/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The value of a `traceparent` field (W3C Trace Context, section 3.2), read character by character
 * and written. What the reader accepts is what propagation::parse_traceparent accepts of a value
 * without white space around it (tests/structure checks that). Plain pointers, no maps: also
 * compiled for the host.
 */
#pragma once

#include <linux/types.h>

#define ZS_TRACEPARENT_BYTES 55 /* "00-" + 32 + "-" + 16 + "-" + 2 */
#define ZS_TRACEPARENT_NIBBLES 52
#define ZS_TRACEPARENT_DASH 16
#define ZS_TRACEPARENT_OTHER 17

/* As it lies behind the dashes, for the reader: one nibble after the other. */
struct zs_traceparent {
  __u8 version;
  __u8 trace_id[16];
  __u8 span_id[8];
  __u8 flags;
  __u8 valid;
  __u8 reserved[5];
};

struct zs_traceparent_reader {
  union {
    struct zs_traceparent value;
    __u8 bytes[32]; /* a power of two for the verifier */
  };
  __u8 count; /* of characters, no more than ZS_TRACEPARENT_BYTES + 1 */
  __u8 bad;
  __u8 bit_count; /* Huffman: of `bits`, those that are of no whole code yet */
  __u8 reserved;
  __u32 bits;
};

static inline __attribute__((always_inline)) void zs_traceparent_begin(
    struct zs_traceparent_reader* reader) {
  __builtin_memset(reader, 0, sizeof(*reader));
}

/* 0 to 15: a digit's value; only lower case is valid. */
static inline __attribute__((always_inline)) __u8 zs_traceparent_digit(__u8 character) {
  if (character >= '0' && character <= '9') {
    return character - '0';
  }
  if (character >= 'a' && character <= 'f') {
    return character - 'a' + 10;
  }
  return character == '-' ? ZS_TRACEPARENT_DASH : ZS_TRACEPARENT_OTHER;
}

/* `digit` as zs_traceparent_digit says. */
static inline __attribute__((always_inline)) void zs_traceparent_take(
    struct zs_traceparent_reader* reader, __u8 digit) {
  const __u32 at = reader->count;
  if (at >= ZS_TRACEPARENT_BYTES) {
    /* A later version may only append, and behind a dash. */
    if (at == ZS_TRACEPARENT_BYTES &&
        (reader->value.version == 0 || digit != ZS_TRACEPARENT_DASH)) {
      reader->bad = 1;
    }
    reader->count = ZS_TRACEPARENT_BYTES + 1;
    return;
  }
  reader->count = (at + 1) & 63U;
  const int dash = at == 2 || at == 35 || at == 52;
  if (dash ? digit != ZS_TRACEPARENT_DASH : digit > 15) {
    reader->bad = 1;
    return;
  }
  if (dash) {
    return;
  }
  const __u32 nibble = at - (at > 2) - (at > 35) - (at > 52);
  const __u32 byte = nibble >> 1U & 31U;
  reader->bytes[byte] |= nibble & 1U ? digit : digit << 4U;
}

/*
 * One byte of a value in HPACK's Huffman code (RFC 7541, appendix B). All that a traceparent of
 * today consists of has codes of 5 or 6 bits; a later version's rest is not looked at.
 */
static inline __attribute__((always_inline)) void zs_traceparent_huffman(
    struct zs_traceparent_reader* reader, __u8 byte) {
  __u32 count = reader->bit_count & 15U;
  reader->bits = (reader->bits << 8U | byte) & 0xffffU;
  count += 8;
  for (__u32 i = 0; i < 3; ++i) { /* fewer than 6 bits were left: two codes, or one more */
    if (count < 5) {
      break;
    }
    const __u32 code =
        count >= 6 ? reader->bits >> ((count - 6) & 15U) & 0x3fU : reader->bits << 1U & 0x3fU;
    if (code == 0x3f && count < 8) {
      break; /* perhaps the value's end */
    }
    const __u32 high = code >> 1U;
    __u32 digit = ZS_TRACEPARENT_OTHER;
    __u32 width = 6;
    if (high < 10) {
      width = 5;
      digit = high < 3    ? high                  /* 0, 1, 2 */
              : high == 3 ? 10                    /* a */
              : high == 4 ? 12                    /* c */
              : high == 5 ? 14                    /* e */
                          : ZS_TRACEPARENT_OTHER; /* i, o, s, t */
    } else if (count < 6) {
      break;
    } else if (code >= 0x19 && code <= 0x1f) {
      digit = code - 0x19 + 3; /* 3 to 9 */
    } else if (code >= 0x23 && code <= 0x25) {
      digit = 11 + (code - 0x23) * 2; /* b, d, f */
    } else if (code == 0x16) {
      digit = ZS_TRACEPARENT_DASH;
    }
    zs_traceparent_take(reader, digit & 0xffU);
    count -= width;
  }
  reader->bit_count = count & 15U;
}

/* The value has come to its end: is it valid? */
static inline __attribute__((always_inline)) void zs_traceparent_end(
    struct zs_traceparent_reader* reader, int huffman) {
  __u8 trace = 0;
  __u8 span = 0;
  for (__u32 i = 0; i < 16; ++i) {
    trace |= reader->value.trace_id[i];
  }
  for (__u32 i = 0; i < 8; ++i) {
    span |= reader->value.span_id[i];
  }
  /* What is left must be the beginning of EOS, which is all ones (RFC 7541 section 5.2). Behind
   * the 55th character of a later version nothing is decoded, so nothing is asked of it. */
  const __u32 left = (1U << (reader->bit_count & 15U)) - 1;
  const int padded =
      !huffman || reader->count > ZS_TRACEPARENT_BYTES || (reader->bits & left) == left;
  reader->value.valid = !reader->bad && reader->count >= ZS_TRACEPARENT_BYTES && trace && span &&
                        reader->value.version != 0xff && padded;
}

static inline __attribute__((always_inline)) void zs_traceparent_hex(__u8* out, __u64 number) {
  for (__u32 i = 0; i < 16; ++i) {
    const __u8 digit = number >> (60U - 4U * i) & 15U;
    out[i] = digit < 10 ? '0' + digit : 'a' + digit - 10;
  }
}

/* Writes ZS_TRACEPARENT_BYTES to `out`, in version 00. `trace_id`: its first and its last eight
 * bytes, as numbers; `flags` below 16. */
static inline __attribute__((always_inline)) void zs_traceparent_write(__u8* out,
                                                                       const __u64* trace_id,
                                                                       __u64 span_id, __u8 flags) {
  out[0] = '0';
  out[1] = '0';
  out[2] = '-';
  zs_traceparent_hex(out + 3, trace_id[0]);
  zs_traceparent_hex(out + 19, trace_id[1]);
  out[35] = '-';
  zs_traceparent_hex(out + 36, span_id);
  out[52] = '-';
  out[53] = '0';
  out[54] = flags < 10 ? '0' + flags : 'a' + flags - 10;
}
