/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * What kernels before 5.13 refuse even in code that never runs: atomic instructions with a result
 * (5.12), and pointers to functions (5.13). So some objects are compiled a second time, for those
 * kernels, with ZS_BEFORE_5_13, and all that is different then is here
 * (docs/decisions/0016-kernels-before-5-13.md). The end of kernel.h, which includes it.
 */
#pragma once

#ifdef ZS_BEFORE_5_13

#include "bpf/lib/without_result.h"

/* Before 5.11 a program gets its task as a number. */
static __always_inline const struct task_struct* zs_task(void) {
  return (const struct task_struct*)bpf_get_current_task();
}
#define zs_task_read(pointer, field) BPF_CORE_READ(pointer, field)

static __always_inline bool zs_has_loop(void) {
  return false;
}

/* A short loop, which the verifier walks through turn by turn: only for a global function. */
static __always_inline bool zs_can_loop(void) {
  return true;
}
#define ZS_LOOP_TURNS 1024

static __always_inline void zs_loop(__u32 count, long (*step)(__u32, void*), void* context) {
  for (__u32 i = 0; i < ZS_LOOP_TURNS && i < count; ++i) {
    zs_unknown(count);
    if (step(i, context)) {
      break;
    }
  }
}

static __always_inline bool zs_has_task_regs(void) {
  return false;
}

#define ZS_WITHOUT_KERNEL_FUNCTIONS

/* Never called: with it both objects have the same maps, and the agent one skeleton for both. */
__weak int zs_kernel_version(void) {
  return LINUX_KERNEL_VERSION;
}

/* A global function takes no pointers before 5.13. */
#define ZS_VERIFIED_ONCE static __noinline

/*
 * Memory of a thread's own is for tracing programs since 5.12. Uprobes and tracepoints, which need
 * it later, run without preemption there (trace_call_bpf(), __DO_TRACE): what is not kept beyond a
 * run may be the processor's.
 */
#define ZS_THREAD_MAP_TYPE BPF_MAP_TYPE_PERCPU_ARRAY
#define ZS_THREAD_MAP_FLAGS 0
#define ZS_THREAD_MAP_ENTRIES 1

static __always_inline void* zs_thread_room(void* map) {
  const int only = 0;
  return bpf_map_lookup_elem(map, &only);
}

static __always_inline bool zs_take(__u64* sum, __u64 count, __u64* before) {
  return zs_add_alone(sum, count, before);
}

static __always_inline bool zs_claim(__u64* value, __u64 expected, __u64 claimed, __u64* claims) {
  return zs_claim_alone(value, expected, claimed, claims);
}

static __always_inline void zs_release(__u64* value, __u64 now, __u64* claims) {
  zs_release_alone(value, now, claims);
}

#else

/* As a pointer whose type the verifier knows: plain loads. */
static __always_inline const struct task_struct* zs_task(void) {
  return (const struct task_struct*)bpf_get_current_task_btf();
}
#define zs_task_read(pointer, field) ((pointer)->field)

/* bpf_loop(), kernel 5.17. */
static __always_inline bool zs_has_loop(void) {
  return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop);
}

static __always_inline bool zs_can_loop(void) {
  return zs_has_loop();
}

static __always_inline void zs_loop(__u32 count, long (*step)(__u32, void*), void* context) {
  bpf_loop(count, step, context, 0);
}

/* bpf_task_pt_regs(), kernel 5.15. */
static __always_inline bool zs_has_task_regs(void) {
  return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs);
}

/* A global function: the verifier proves it once, apart from its callers. */
#define ZS_VERIFIED_ONCE __noinline

#define ZS_THREAD_MAP_TYPE BPF_MAP_TYPE_TASK_STORAGE
#define ZS_THREAD_MAP_FLAGS BPF_F_NO_PREALLOC
#define ZS_THREAD_MAP_ENTRIES 0

static __always_inline void* zs_thread_room(void* map) {
  return bpf_task_storage_get(map, (struct task_struct*)zs_task(), NULL,
                              BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* These as zs_add_alone(), which may fail, and so on; `claims` is for those. */
static __always_inline bool zs_take(__u64* sum, __u64 count, __u64* before) {
  *before = __sync_fetch_and_add(sum, count);
  return true;
}

static __always_inline bool zs_claim(__u64* value, __u64 expected, __u64 claimed, __u64* claims) {
  return __sync_val_compare_and_swap(value, expected, claimed) == expected;
}

static __always_inline void zs_release(__u64* value, __u64 now, __u64* claims) {
#if defined(__TARGET_ARCH_x86)
  /* Stores are seen in their order. An exchange would wait until the entry is in the cache. */
  barrier();
  *(volatile __u64*)value = now;
#else
  __sync_lock_test_and_set(value, now);
#endif
}

#endif
