/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The same functions as agent/core/mix.h, for ids that both sides make. Also compiled for the host.
 */
#include <linux/types.h>

static inline __attribute__((always_inline)) __u64 zs_mix64(__u64 x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27U) * 0x94d049bb133111ebULL;
  return x ^ x >> 31U;
}

/* The request that an HTTP/2 server reads on this stream (parents::stream_request_id). */
static inline __attribute__((always_inline)) __u64 zs_stream_request_id(__u64 seed,
                                                                        __u64 connection_id,
                                                                        __u32 stream_id) {
  const __u64 id = zs_mix64(zs_mix64(zs_mix64(zs_mix64(seed) ^ connection_id)) ^ stream_id);
  return id ? id : 1;
}

static inline __attribute__((always_inline)) __u64 zs_mix64_with(__u64 a, __u64 b) {
  return zs_mix64(zs_mix64(a) ^ b);
}

/* The trace that a request starts which continues none (parents::request_trace_id). */
static inline __attribute__((always_inline)) void zs_request_trace_id(__u64 seed, __u64 request_id,
                                                                      __u64 trace_id[2]) {
  const __u64 salt = 0x74726163;
  trace_id[0] = zs_mix64_with(zs_mix64_with(seed, salt), request_id);
  trace_id[1] = zs_mix64_with(trace_id[0], salt);
  if (!trace_id[1]) {
    trace_id[1] = 1;
  }
}
