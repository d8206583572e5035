/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Copies the interesting bytes of one socket operation out of the program's memory: the first
 * head_want bytes, and the last bytes, whatever buffers they lie in.
 */
#include "bpf/lib/gate_amqp.h"
#include "bpf/lib/gate_cassandra.h"
#include "bpf/lib/gate_dns.h"
#include "bpf/lib/gate_http1.h"
#include "bpf/lib/gate_http2.h"
#include "bpf/lib/gate_kafka.h"
#include "bpf/lib/gate_memcached.h"
#include "bpf/lib/gate_mongodb.h"
#include "bpf/lib/gate_mqtt.h"
#include "bpf/lib/gate_mysql.h"
#include "bpf/lib/gate_nats.h"
#include "bpf/lib/gate_postgresql.h"
#include "bpf/lib/gate_redis.h"
#include "bpf/lib/syscall.h"
#include "bpf/maps/connections.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/scratch.h"
#include "bpf/maps/settings.h"

/* What capture__first() returns: whose gate let the bytes through, and what it said (enum zs_gate,
 * of HTTP/2 enum zs_http2_gate). */
#define ZS_SEEN(protocol, gate) ((protocol) << 8 | (gate))
#define ZS_SEEN_GATE(seen) ((seen)&0xff)
#define ZS_SEEN_PROTOCOL(seen) ((seen) >> 8)
#define ZS_BUFFERS_MAX \
  16 /* iovec entries that are followed; servers that gather use two to eight */

/* struct mmsghdr (include/linux/socket.h) on a 64-bit kernel, and how many of one system call:
 * UIO_MAXIOV */
#define ZS_MMSGHDR_BYTES 64
#define ZS_MMSGHDR_LENGTH_AT 56
#define ZS_MESSAGES_MAX 1024

/* The front of struct user_msghdr (include/linux/socket.h) on a 64-bit kernel. */
struct zs_user_msghdr {
  __u64 name;
  __u64 name_length;
  __u64 iov;
  __u64 iov_count;
};

/* False: the bytes of this system call cannot be found, only their number is known. */
static __always_inline bool buffers__find(struct zs_buffers* buffers,
                                          const struct zs_syscall* call) {
  switch (call->number) {
    case ZS_NR_READ:
    case ZS_NR_WRITE:
    case ZS_NR_SENDTO:
    case ZS_NR_RECVFROM:
      buffers->front[0].base = call->argument1;
      buffers->front[0].length = call->argument2;
      buffers->count = 1;
      return true;
    case ZS_NR_READV:
    case ZS_NR_WRITEV:
      buffers->iov = call->argument1;
      buffers->count = call->argument2;
      break;
    case ZS_NR_SENDMSG:
    case ZS_NR_RECVMSG: {
      struct zs_user_msghdr message;
      if (bpf_probe_read_user(&message, sizeof(message), (const void*)call->argument1)) {
        return false;
      }
      buffers->iov = message.iov;
      buffers->count = message.iov_count;
      break;
    }
    default:
      return false;
  }
  /* Two at once: a server's header and body. */
  const __u64 front = buffers->count < 2 ? sizeof(struct zs_iovec) : sizeof(buffers->front);
  return buffers->count > 0 &&
         bpf_probe_read_user(buffers->front, front, (const void*)buffers->iov) == 0;
}

static __always_inline bool buffers__at(const struct zs_buffers* buffers, __u32 index,
                                        struct zs_iovec* buffer) {
  if (index < 2) {
    *buffer = buffers->front[index & 1U];
    return true;
  }
  return bpf_probe_read_user(buffer, sizeof(*buffer),
                             (const void*)(buffers->iov + index * sizeof(*buffer))) == 0;
}

static __always_inline bool protocol__is_on(enum zs_protocol protocol) {
  return zs_protocols >> protocol & 1;
}

/* Is it followed frame by frame, where there is bpf_loop? */
static __always_inline bool protocol__has_frames(__u8 protocol) {
  return protocol == ZS_PROTOCOL_HTTP2 || protocol == ZS_PROTOCOL_AMQP ||
         protocol == ZS_PROTOCOL_MQTT || protocol == ZS_PROTOCOL_NATS ||
         protocol == ZS_PROTOCOL_CASSANDRA;
}

/*
 * Copies the first buffer's first bytes, as many as the gate needs and at most head_want if that is
 * more, and tells what they look like. Here and below a global function with scalar arguments only:
 * the verifier proves it once, apart from its callers (kernel 5.6+).
 */
__noinline int capture__first(__u32 slot, __u32 byte_count, __u32 head_want, __u32 protocol) {
  struct zs_scratch* out = scratch__get(slot);
  if (!out) {
    return ZS_GATE_NO;
  }
  out->copy.first = 0;
  struct zs_iovec buffer = out->buffers.front[0];
  const bool skipped = buffer.length == 0 && out->buffers.count > 1;
  if (skipped) {
    buffer = out->buffers.front[1];
  }
  __u64 count = buffer.length < byte_count ? buffer.length : byte_count;
  const __u64 want = head_want > ZS_GATE_BYTES ? head_want : ZS_GATE_BYTES;
  if (count > want) {
    count = want;
  }
  if (count > ZS_HEAD_BYTES_MAX ||
      bpf_probe_read_user(out->bytes, count, (const void*)buffer.base)) {
    return ZS_GATE_NO;
  }
  if (!skipped) {
    out->copy.first = count;
  }
  const __u32 seen = count < ZS_GATE_BYTES ? count : ZS_GATE_BYTES;
  if (protocol == ZS_PROTOCOL_DNS) {
    return ZS_SEEN(ZS_PROTOCOL_DNS, zs_gate_dns(out->bytes, seen, ZS_DNS_LENGTH_BYTES));
  }
  const bool any = protocol == ZS_PROTOCOL_UNKNOWN;
  if (protocol == ZS_PROTOCOL_KAFKA || (any && protocol__is_on(ZS_PROTOCOL_KAFKA))) {
    const enum zs_gate gate = zs_gate_kafka(out->bytes, seen, byte_count, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_KAFKA) {
      return ZS_SEEN(ZS_PROTOCOL_KAFKA, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_MONGODB || (any && protocol__is_on(ZS_PROTOCOL_MONGODB))) {
    const enum zs_gate gate = zs_gate_mongodb(out->bytes, seen, byte_count, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_MONGODB) {
      return ZS_SEEN(ZS_PROTOCOL_MONGODB, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_AMQP || (any && protocol__is_on(ZS_PROTOCOL_AMQP))) {
    const enum zs_gate gate = zs_gate_amqp(out->bytes, seen, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_AMQP) {
      return ZS_SEEN(ZS_PROTOCOL_AMQP, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_CASSANDRA || (any && protocol__is_on(ZS_PROTOCOL_CASSANDRA))) {
    const enum zs_gate gate = zs_gate_cassandra(out->bytes, seen, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_CASSANDRA) {
      return ZS_SEEN(ZS_PROTOCOL_CASSANDRA, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_MQTT || (any && protocol__is_on(ZS_PROTOCOL_MQTT))) {
    const enum zs_gate gate = zs_gate_mqtt(out->bytes, seen, byte_count, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_MQTT) {
      return ZS_SEEN(ZS_PROTOCOL_MQTT, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_NATS || (any && protocol__is_on(ZS_PROTOCOL_NATS))) {
    const enum zs_gate gate = zs_gate_nats(out->bytes, seen, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_NATS) {
      return ZS_SEEN(ZS_PROTOCOL_NATS, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_HTTP2 || (any && protocol__is_on(ZS_PROTOCOL_HTTP2))) {
    const enum zs_http2_gate gate = zs_gate_http2(out->bytes, seen);
    if (gate != ZS_GATE_HTTP2_NO || protocol == ZS_PROTOCOL_HTTP2) {
      return ZS_SEEN(ZS_PROTOCOL_HTTP2, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_HTTP1 || (any && protocol__is_on(ZS_PROTOCOL_HTTP1))) {
    const enum zs_gate gate = zs_gate_http1(out->bytes, seen);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_HTTP1) {
      return ZS_SEEN(ZS_PROTOCOL_HTTP1, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_MYSQL || (any && protocol__is_on(ZS_PROTOCOL_MYSQL))) {
    const enum zs_gate gate = zs_gate_mysql(out->bytes, seen, byte_count, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_MYSQL) {
      return ZS_SEEN(ZS_PROTOCOL_MYSQL, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_POSTGRESQL || (any && protocol__is_on(ZS_PROTOCOL_POSTGRESQL))) {
    const enum zs_gate gate = zs_gate_postgresql(out->bytes, seen, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_POSTGRESQL) {
      return ZS_SEEN(ZS_PROTOCOL_POSTGRESQL, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_REDIS || (any && protocol__is_on(ZS_PROTOCOL_REDIS))) {
    const enum zs_gate gate = zs_gate_redis(out->bytes, seen, !any);
    if (gate != ZS_GATE_NO || protocol == ZS_PROTOCOL_REDIS) {
      return ZS_SEEN(ZS_PROTOCOL_REDIS, gate);
    }
  }
  if (protocol == ZS_PROTOCOL_MEMCACHED || protocol__is_on(ZS_PROTOCOL_MEMCACHED)) {
    return ZS_SEEN(ZS_PROTOCOL_MEMCACHED, zs_gate_memcached(out->bytes, seen, !any));
  }
  return ZS_GATE_NO;
}

/* Where HTTP/2 begins in what capture__first has copied, if that is a server's consent to it; else
 * 0. */
__noinline int capture__h2c(__u32 slot) {
  struct zs_scratch* out = scratch__get(slot);
  if (!out) {
    return 0;
  }
  return zs_h2c_frames(&out->h2c, out->bytes, out->copy.first);
}

/* Appends `count` bytes of the program's memory, at most `limit`, to the scratch area. */
static __always_inline bool capture__append(struct zs_scratch* out, __u64 address, __u64 count,
                                            __u64 limit) {
  __u64 filled = out->copy.filled;
  if (count > limit) {
    count = limit;
  }
  if (filled > ZS_HEAD_BYTES_MAX + ZS_TAIL_BYTES_MAX) {
    return false;
  }
  if (bpf_probe_read_user(&out->bytes[filled], count, (const void*)address)) {
    return false;
  }
  out->copy.filled = filled + count;
  return true;
}

/* One buffer's share of the head and of the tail. */
static __always_inline bool capture__copy_buffer(struct zs_scratch* out, __u32 index) {
  struct zs_iovec buffer;
  if (!buffers__at(&out->buffers, index, &buffer)) {
    return false;
  }
  const __u64 position = out->copy.position;
  __u64 length = buffer.length;
  if (length > out->copy.end - position) {
    length = out->copy.end - position;
  }
  out->copy.position = position + length;
  if (position < out->copy.head_end) {
    const __u64 left = out->copy.head_end - position;
    const __u64 count = left < length ? left : length;
    if (index == 0 && count <= out->copy.first) {
      out->copy.filled = count;
    } else if (!capture__append(out, buffer.base, count, ZS_HEAD_BYTES_MAX)) {
      return false;
    }
    out->copy.head_filled = out->copy.filled;
  }
  const __u64 tail_start = out->copy.tail_start;
  if (position + length > tail_start) {
    const __u64 from = tail_start > position ? tail_start - position : 0;
    return capture__append(out, buffer.base + from, length - from, ZS_TAIL_BYTES_MAX);
  }
  return true;
}

/*
 * Fills bytes[], head_bytes and tail_bytes of the scratch record. On failure both lengths are 0 and
 * a counter tells why.
 */
__noinline int capture__copy(__u32 slot, __u32 byte_count, __u32 head_want, __u32 tail_want) {
  struct zs_scratch* out = scratch__get(slot);
  if (!out) {
    return 0;
  }
  if (tail_want > ZS_TAIL_BYTES_MAX) {
    tail_want = ZS_TAIL_BYTES_MAX;
  }
  __u64 tail_start = byte_count > tail_want ? byte_count - tail_want : 0;
  if (tail_start < head_want) {
    tail_start = head_want;
  }
  out->record.head_bytes = 0;
  out->record.tail_bytes = 0;
  out->copy.end = byte_count;
  out->copy.head_end = head_want;
  out->copy.tail_start = tail_start;
  out->copy.position = 0;
  out->copy.filled = 0;
  out->copy.head_filled = 0;
  for (__u32 i = 0; i < ZS_BUFFERS_MAX; ++i) {
    if (out->copy.position >= out->copy.end || (i > 0 && i >= out->buffers.count)) {
      break;
    }
    if (!capture__copy_buffer(out, i)) {
      counters__add(ZS_COUNTER_LOST_USER_MEMORY);
      return 0;
    }
  }
  out->record.head_bytes = out->copy.head_filled;
  if (out->copy.position < out->copy.end) {
    /* Buffers are left over: what was copied for the tail is not the operation's end. */
    counters__add(ZS_COUNTER_LOST_TOO_MANY_BUFFERS);
  } else {
    out->record.tail_bytes = out->copy.filled - out->copy.head_filled;
  }
  return 0;
}
