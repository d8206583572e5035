/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * What several processors do to one value, with no atomic instruction but an addition whose result
 * is not told: all that BPF has before 5.12. Plain values and pointers, no maps: also compiled for
 * the host, where a test lets threads race. Needs a processor that keeps loads and stores in order
 * around an atomic addition, as x86-64.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

/* For the compiler: what is written before is written before. */
#define zs_in_order() __asm__ volatile("" ::: "memory")

/*
 * Adds to a sum, and tells what it was before. False: that is not known, because another processor
 * has added at this very moment. (If one came between the addition and the second look, the first
 * look was less than what the second one makes of it.)
 */
static inline __attribute__((always_inline)) bool zs_add_alone(volatile __u64* sum, __u64 count,
                                                               __u64* before) {
  const __u64 first = *sum;
  __sync_fetch_and_add(sum, count);
  *before = *sum - count;
  return *before == first;
}

/*
 * Puts `claimed` where `expected` is. False: it was not, or another processor was there; of two
 * that come at once it may be both. `claims` is 0 while nobody is there.
 */
static inline __attribute__((always_inline)) bool zs_claim_alone(volatile __u64* value,
                                                                 __u64 expected, __u64 claimed,
                                                                 volatile __u64* claims) {
  __sync_fetch_and_add(claims, 1);
  if (*claims != 1 || *value != expected) {
    __sync_fetch_and_add(claims, -1);
    return false;
  }
  *value = claimed;
  zs_in_order();
  return true;
}

/* Gives back what was claimed. */
static inline __attribute__((always_inline)) void zs_release_alone(volatile __u64* value, __u64 now,
                                                                   volatile __u64* claims) {
  zs_in_order();
  *value = now;
  __sync_fetch_and_add(claims, -1);
}
