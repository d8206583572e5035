/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Walks the header blocks (HPACK, RFC 7541) of one direction of an HTTP/2 connection that is seen
 * from its start, and says whether a block has a `traceparent` field, in whatever form; if wanted,
 * its value; and how large the block's list of fields is at most. Bounded: of the dynamic table,
 * the newest ZS_HPACK_ENTRIES entries are known, by their name's being `traceparent` and by their
 * lengths.
 *
 * No sizes are needed to know which entry an index means: indices count from the newest entry
 * (section 2.3.3), so that evictions, at the other end, move none. An entry that is larger than the
 * table empties it (section 4.4): the entries behind it that are kept here are gone there, and the
 * encoder cannot refer to them any more. So an index below ZS_HPACK_ENTRIES is exact, and what is
 * above is told as unknown (decision 3 has the long form).
 *
 * Byte by byte, with a whole string in a step where its content does not matter: a block may be cut
 * anywhere. Plain values and pointers, no maps: also compiled for the host.
 */
#pragma once

#include <linux/types.h>

#include "bpf/lib/traceparent.h"

#define ZS_HPACK_ENTRIES 128 /* a power of two; the usual table of 4096 bytes has no more */
#define ZS_HPACK_STATIC 61   /* none of these is traceparent */
/* The longest name and the longest value of the static table. */
#define ZS_HPACK_STATIC_NAME 27
#define ZS_HPACK_STATIC_VALUE 13
#define ZS_HPACK_FIELD_BYTES 32 /* what a field counts besides its strings (section 4.1) */
#define ZS_HPACK_VALUES 8       /* a power of two */

/* "traceparent": its first eight and its last three letters, and its Huffman code. */
#define ZS_HPACK_NAME_BYTES 11
#define ZS_HPACK_NAME_FRONT 0x7472616365706172ULL
#define ZS_HPACK_NAME_BACK 0x656e74U
#define ZS_HPACK_NAME_HUFFMAN_BYTES 8
#define ZS_HPACK_NAME_HUFFMAN 0x4d83216b1d85a93fULL

/* What is known of an entry, and of the name of a field. The lengths are upper bounds: a
 * Huffman-coded string has at most 8/5 of its bytes. */
#define ZS_HPACK_IS_TRACEPARENT 0x80000000U
#define ZS_HPACK_IS_UNKNOWN 0x40000000U
#define ZS_HPACK_NAME_SHIFT 16U
#define ZS_HPACK_NAME_MAX 0x3fffU
#define ZS_HPACK_VALUE_MAX 0xffffU
/* A list of fields that has a string which is longer than these. */
#define ZS_HPACK_LIST_MAX 0x40000000U

enum zs_hpack_phase {
  ZS_HPACK_FIELD = 0, /* a field begins here, or the block ends */
  ZS_HPACK_INDEX,     /* the rest of an index */
  ZS_HPACK_NAME_LENGTH,
  ZS_HPACK_NAME_LENGTH_MORE,
  ZS_HPACK_NAME,
  ZS_HPACK_VALUE_LENGTH,
  ZS_HPACK_VALUE_LENGTH_MORE,
  ZS_HPACK_VALUE,
  ZS_HPACK_BROKEN, /* this is no HPACK; for good */
};

enum zs_hpack_form {
  ZS_HPACK_INDEXED,
  ZS_HPACK_INSERTED, /* a literal with incremental indexing */
  ZS_HPACK_RESIZED,
  ZS_HPACK_LITERAL,
};

/* All zero at the connection's start. */
struct zs_hpack_walk {
  __u32 entries[ZS_HPACK_ENTRIES]; /* a ring */
  __u32 inserted;                  /* how many there have been; wraps */
  __u32 known;                     /* no more than ZS_HPACK_ENTRIES */
  __u32 number;                    /* an integer, as far as it has come */
  __u32 left;                      /* of the string */
  __u64 text;                      /* the last bytes of a name that may be traceparent */
  __u32 name;                      /* of the field, as of an entry */
  __u32 value_bytes;
  /* Of the block so far: */
  __u32 list;   /* upper bound of its size as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113
                   section 6.5.2) */
  __u8 carried; /* how many traceparent fields there are; 255: or more */
  __u8 unknown; /* there is a field whose name is not known */
  __u8 phase;   /* enum zs_hpack_phase */
  __u8 form;    /* enum zs_hpack_form */
  __u8 shift;   /* of the next seven bits of `number` */
  __u8 huffman;
  __u8 candidate; /* the name may be traceparent */
  __u8 reserved;
};

/* For the side that reads the values. All zero at the connection's start. */
struct zs_hpack_values {
  struct zs_traceparent_reader reader;
  struct zs_traceparent value; /* the block's; not valid: there is none, or none that is known */
  struct {
    struct zs_traceparent value;
    __u32 number; /* which insertion it was, plus one; 0: none */
    __u32 reserved;
  } kept[ZS_HPACK_VALUES]; /* of entries of the table, the newest */
  __u32 next;
  __u32 reserved;
};

static inline __attribute__((always_inline)) void zs_hpack_begin(struct zs_hpack_walk* walk,
                                                                 struct zs_hpack_values* values) {
  walk->list = 0;
  walk->carried = 0;
  walk->unknown = 0;
  if (walk->phase != ZS_HPACK_BROKEN) {
    walk->phase = ZS_HPACK_FIELD;
  }
  if (values) {
    values->value.valid = 0;
  }
}

/* The block is over: was it whole? If not, the walk is broken for good. */
static inline __attribute__((always_inline)) int zs_hpack_end(struct zs_hpack_walk* walk) {
  if (walk->phase != ZS_HPACK_FIELD) {
    walk->phase = ZS_HPACK_BROKEN;
    return 0;
  }
  return 1;
}

/* What is known of the entry with this index, which is not 0. */
static inline __attribute__((always_inline)) __u32 zs_hpack_entry(const struct zs_hpack_walk* walk,
                                                                  __u32 index) {
  if (index <= ZS_HPACK_STATIC) {
    return ZS_HPACK_STATIC_NAME << ZS_HPACK_NAME_SHIFT | ZS_HPACK_STATIC_VALUE;
  }
  index -= ZS_HPACK_STATIC + 1;
  if (index >= walk->known) {
    return ZS_HPACK_IS_UNKNOWN;
  }
  return walk->entries[(walk->inserted - 1 - index) & (ZS_HPACK_ENTRIES - 1)];
}

static inline __attribute__((always_inline)) __u32 zs_hpack_bound(__u32 bytes, int huffman) {
  if (bytes > ZS_HPACK_VALUE_MAX) {
    return ZS_HPACK_VALUE_MAX;
  }
  return huffman ? bytes * 8 / 5 : bytes;
}

/* A field is whole; `entry`: its name, and for the indexed form its value's length. */
static inline __attribute__((always_inline)) void zs_hpack_field(struct zs_hpack_walk* walk,
                                                                 struct zs_hpack_values* values,
                                                                 __u32 entry, __u32 value_bytes) {
  const __u32 name_bytes = entry >> ZS_HPACK_NAME_SHIFT & ZS_HPACK_NAME_MAX;
  if (name_bytes == ZS_HPACK_NAME_MAX || value_bytes >= ZS_HPACK_VALUE_MAX ||
      walk->list >= ZS_HPACK_LIST_MAX) {
    walk->list = ZS_HPACK_LIST_MAX;
  } else {
    walk->list += name_bytes + value_bytes + ZS_HPACK_FIELD_BYTES;
  }
  if (entry & ZS_HPACK_IS_UNKNOWN) {
    walk->unknown = 1;
  }
  if (entry & ZS_HPACK_IS_TRACEPARENT) {
    walk->carried = (walk->carried < 255 ? walk->carried + 1U : 255U) & 255U;
  }
  walk->phase = ZS_HPACK_FIELD;
  const int inserted = walk->form == ZS_HPACK_INSERTED;
  if (inserted) {
    walk->entries[walk->inserted & (ZS_HPACK_ENTRIES - 1)] =
        (entry & ~ZS_HPACK_VALUE_MAX) |
        (value_bytes < ZS_HPACK_VALUE_MAX ? value_bytes : ZS_HPACK_VALUE_MAX);
    walk->inserted += 1;
    walk->known += walk->known < ZS_HPACK_ENTRIES;
  }
  if (!values || !(entry & ZS_HPACK_IS_TRACEPARENT)) {
    return;
  }
  if (walk->form == ZS_HPACK_INDEXED) {
    /* walk->number is still the index. */
    const __u32 number = walk->inserted - (walk->number - ZS_HPACK_STATIC - 1);
    values->value.valid = 0;
    for (__u32 i = 0; i < ZS_HPACK_VALUES; ++i) {
      if (number != 0 && values->kept[i].number == number) {
        values->value = values->kept[i].value;
      }
    }
    return;
  }
  zs_traceparent_end(&values->reader, walk->huffman);
  values->value = values->reader.value;
  if (inserted) {
    values->kept[values->next & (ZS_HPACK_VALUES - 1)].value = values->value;
    values->kept[values->next & (ZS_HPACK_VALUES - 1)].number = walk->inserted;
    values->next += 1;
  }
}

/* The value of a literal field begins. */
static inline __attribute__((always_inline)) void zs_hpack_value(struct zs_hpack_walk* walk,
                                                                 struct zs_hpack_values* values) {
  walk->left = walk->number;
  walk->value_bytes = zs_hpack_bound(walk->number, walk->huffman);
  walk->phase = ZS_HPACK_VALUE;
  if (values) {
    zs_traceparent_begin(&values->reader);
  }
  if (walk->left == 0) {
    zs_hpack_field(walk, values, walk->name, 0);
  }
}

/* The name of a literal field begins. */
static inline __attribute__((always_inline)) void zs_hpack_name(struct zs_hpack_walk* walk) {
  const __u32 bound = zs_hpack_bound(walk->number, walk->huffman);
  walk->left = walk->number;
  walk->name = (bound < ZS_HPACK_NAME_MAX ? bound : ZS_HPACK_NAME_MAX) << ZS_HPACK_NAME_SHIFT;
  walk->text = 0;
  walk->candidate =
      walk->number == (walk->huffman ? ZS_HPACK_NAME_HUFFMAN_BYTES : ZS_HPACK_NAME_BYTES);
  walk->phase = walk->left ? ZS_HPACK_NAME : ZS_HPACK_VALUE_LENGTH;
}

/* The index that begins each representation is whole, or the new size of the table. */
static inline __attribute__((always_inline)) void zs_hpack_index(struct zs_hpack_walk* walk,
                                                                 struct zs_hpack_values* values) {
  if (walk->form == ZS_HPACK_RESIZED) {
    walk->phase = ZS_HPACK_FIELD;
    return;
  }
  if (walk->number == 0) {
    walk->phase = walk->form == ZS_HPACK_INDEXED ? ZS_HPACK_BROKEN : ZS_HPACK_NAME_LENGTH;
    return;
  }
  const __u32 entry = zs_hpack_entry(walk, walk->number);
  if (walk->form == ZS_HPACK_INDEXED) {
    zs_hpack_field(walk, values, entry, entry & ZS_HPACK_VALUE_MAX);
    return;
  }
  walk->name = entry & ~ZS_HPACK_VALUE_MAX;
  walk->phase = ZS_HPACK_VALUE_LENGTH;
}

/* An integer's first byte, of which `mask` are its bits (section 5.1). 1: it is whole. */
static inline __attribute__((always_inline)) int zs_hpack_integer(struct zs_hpack_walk* walk,
                                                                  __u8 byte, __u8 mask) {
  walk->number = byte & mask;
  walk->shift = 0;
  return walk->number != mask;
}

/* A further byte of an integer. 1: it is whole. */
static inline __attribute__((always_inline)) int zs_hpack_more(struct zs_hpack_walk* walk,
                                                               __u8 byte) {
  const __u32 shift = walk->shift;
  const __u32 bits = byte & 0x7fU;
  if (shift > 28 || (shift == 28 && bits > 15)) {
    walk->phase = ZS_HPACK_BROKEN;
    return 0;
  }
  const __u32 sum = walk->number + (bits << (shift & 31U));
  if (sum < walk->number) {
    walk->phase = ZS_HPACK_BROKEN;
    return 0;
  }
  walk->number = sum;
  walk->shift = (shift + 7) & 63U;
  return byte < 0x80;
}

/* Takes `byte`, the next of the `left` bytes of the block that are at hand, and says how many of
 * them it has gone over: at least one, and none behind the end of a string. */
static inline __attribute__((always_inline)) __u32 zs_hpack_step(struct zs_hpack_walk* walk,
                                                                 struct zs_hpack_values* values,
                                                                 __u8 byte, __u32 left) {
  switch (walk->phase) {
    case ZS_HPACK_FIELD: {
      const __u8 form = byte & 0x80   ? ZS_HPACK_INDEXED
                        : byte & 0x40 ? ZS_HPACK_INSERTED
                        : byte & 0x20 ? ZS_HPACK_RESIZED
                                      : ZS_HPACK_LITERAL;
      walk->form = form;
      walk->phase = ZS_HPACK_INDEX;
      if (zs_hpack_integer(walk, byte,
                           form == ZS_HPACK_INDEXED    ? 0x7f
                           : form == ZS_HPACK_INSERTED ? 0x3f
                           : form == ZS_HPACK_RESIZED  ? 0x1f
                                                       : 0x0f)) {
        zs_hpack_index(walk, values);
      }
      return 1;
    }
    case ZS_HPACK_INDEX:
      if (zs_hpack_more(walk, byte)) {
        zs_hpack_index(walk, values);
      }
      return 1;
    case ZS_HPACK_NAME_LENGTH:
      walk->huffman = byte >> 7U;
      walk->phase = ZS_HPACK_NAME_LENGTH_MORE;
      if (zs_hpack_integer(walk, byte, 0x7f)) {
        zs_hpack_name(walk);
      }
      return 1;
    case ZS_HPACK_NAME_LENGTH_MORE:
      if (zs_hpack_more(walk, byte)) {
        zs_hpack_name(walk);
      }
      return 1;
    case ZS_HPACK_NAME: {
      __u32 count = 1;
      if (walk->candidate) {
        walk->text = walk->text << 8U | byte;
      } else {
        count = walk->left < left ? walk->left : left;
      }
      walk->left -= count;
      if (walk->candidate && !walk->huffman && walk->left == ZS_HPACK_NAME_BYTES - 8) {
        walk->candidate = walk->text == ZS_HPACK_NAME_FRONT;
      }
      if (walk->left == 0) {
        if (walk->candidate && (walk->huffman ? walk->text == ZS_HPACK_NAME_HUFFMAN
                                              : (walk->text & 0xffffffU) == ZS_HPACK_NAME_BACK)) {
          walk->name |= ZS_HPACK_IS_TRACEPARENT;
        }
        walk->phase = ZS_HPACK_VALUE_LENGTH;
      }
      return count;
    }
    case ZS_HPACK_VALUE_LENGTH:
      walk->huffman = byte >> 7U;
      walk->phase = ZS_HPACK_VALUE_LENGTH_MORE;
      if (zs_hpack_integer(walk, byte, 0x7f)) {
        zs_hpack_value(walk, values);
      }
      return 1;
    case ZS_HPACK_VALUE_LENGTH_MORE:
      if (zs_hpack_more(walk, byte)) {
        zs_hpack_value(walk, values);
      }
      return 1;
    case ZS_HPACK_VALUE: {
      __u32 count = 1;
      if (values && walk->name & ZS_HPACK_IS_TRACEPARENT) {
        if (walk->huffman) {
          zs_traceparent_huffman(&values->reader, byte);
        } else {
          zs_traceparent_take(&values->reader, zs_traceparent_digit(byte));
        }
      } else {
        count = walk->left < left ? walk->left : left;
      }
      walk->left -= count;
      if (walk->left == 0) {
        zs_hpack_field(walk, values, walk->name, walk->value_bytes);
      }
      return count;
    }
    default:
      return left;
  }
}
