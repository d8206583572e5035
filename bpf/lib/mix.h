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
