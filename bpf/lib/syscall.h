/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * System call numbers and registers of the processor that the probes are built for, and those of
 * functions in Go programs (src/cmd/compile/abi-internal.md). `regs` must have a type that the
 * verifier knows: plain loads. `task` is what zs_task() gives.
 */
#pragma once

#include "bpf/lib/kernel.h"

struct zs_syscall {
  __s64 number;
  __u64 argument0;
  __u64 argument1;
  __u64 argument2;
  __u64 g; /* Go's internal ABI has the running goroutine here */
};

#if defined(__TARGET_ARCH_x86)

/* arch/x86/entry/syscalls/syscall_64.tbl; the fourth argument is in r10 (entry_64.S). */
#define ZS_NR_READ 0
#define ZS_NR_WRITE 1
#define ZS_NR_CLOSE 3
#define ZS_NR_READV 19
#define ZS_NR_WRITEV 20
#define ZS_NR_SENDFILE 40
#define ZS_NR_ACCEPT 43
#define ZS_NR_SENDTO 44
#define ZS_NR_RECVFROM 45
#define ZS_NR_SENDMSG 46
#define ZS_NR_RECVMSG 47
#define ZS_NR_GETSOCKOPT 55
#define ZS_NR_EPOLL_WAIT 232
#define ZS_NR_SPLICE 275
#define ZS_NR_ACCEPT4 288
#define ZS_NR_RECVMMSG 299
#define ZS_NR_SENDMMSG 307
#define ZS_NR_EPOLL_PWAIT 281
#define ZS_NR_IO_URING_SETUP 425
#define ZS_NR_IO_URING_ENTER 426
#define ZS_NR_EPOLL_PWAIT2 441

#define ZS_TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h: it is in a 32-bit system call */

static __always_inline void zs_syscall__from_regs(struct zs_syscall* call,
                                                  const struct pt_regs* regs) {
  call->number = (__s64)regs->orig_ax;
  call->argument0 = regs->di;
  call->argument1 = regs->si;
  call->argument2 = regs->dx;
  call->g = regs->r14;
}

/* The fourth and the fifth argument, which only few ask for. */
static __always_inline __u64 zs_syscall__argument3(const struct pt_regs* regs) {
  return regs->r10;
}

static __always_inline __u64 zs_syscall__argument4(const struct pt_regs* regs) {
  return regs->r8;
}

/* arch/x86/include/asm/page_64_types.h, ptrace.h: __USER_CS's privilege, at the stack's end. */
#define ZS_THREAD_SIZE 16384
#define ZS_CS_PRIVILEGE 3

/*
 * The system call that a user's thread is in. False: it cannot be told. Before 5.15 the registers
 * are looked for where the entry code has put them (arch/x86/include/asm/processor.h,
 * task_pt_regs()), and only believed if they are those of user mode: a kernel built for KASAN has
 * larger stacks.
 */
static __always_inline bool zs_syscall__from_task(struct zs_syscall* call,
                                                  const struct task_struct* task) {
  if (zs_has_task_regs()) {
    zs_syscall__from_regs(call, (const struct pt_regs*)bpf_task_pt_regs((struct task_struct*)task));
    return true;
  }
  const struct pt_regs* regs = (const struct pt_regs*)(zs_task_read(task, stack) + ZS_THREAD_SIZE -
                                                       bpf_core_type_size(struct pt_regs));
  call->number = (__s64)BPF_CORE_READ(regs, orig_ax);
  call->argument0 = BPF_CORE_READ(regs, di);
  call->argument1 = BPF_CORE_READ(regs, si);
  call->argument2 = BPF_CORE_READ(regs, dx);
  call->g = BPF_CORE_READ(regs, r14);
  return (BPF_CORE_READ(regs, cs) & ZS_CS_PRIVILEGE) == ZS_CS_PRIVILEGE;
}

/* The arguments and the result of a kernel function, by the registers at its entry and its end. */
static __always_inline __u64 zs_function__argument0(const struct pt_regs* regs) {
  return regs->di;
}

static __always_inline __u64 zs_function__argument3(const struct pt_regs* regs) {
  return regs->cx;
}

static __always_inline __s64 zs_function__result(const struct pt_regs* regs) {
  return (__s64)regs->ax;
}

static __always_inline bool zs_syscall__is_compat(const struct task_struct* task) {
  return zs_task_read(task, thread_info.status) & ZS_TS_COMPAT;
}

/* include/uapi/linux/eventpoll.h: packed here, so that 32-bit programs have the same. */
struct zs_epoll_event {
  __u32 events;
  __u32 data; /* libuv: the descriptor */
  __u32 data_high;
};

/* In functions of Go programs. */
#define ZS_GO_G(of) ((of)->r14)
#define ZS_GO_ARGUMENT0(of) ((of)->ax)
#define ZS_GO_ARGUMENT1(of) ((of)->bx)
#define ZS_GO_ARGUMENT2(of) ((of)->cx)
#define ZS_GO_ARGUMENT3(of) ((of)->di)
#define ZS_GO_CLOSURE(of) ((of)->dx)
#define ZS_GO_REGISTERS 16 /* at the beginning of struct pt_regs */

#elif defined(__TARGET_ARCH_arm64)

/* include/uapi/asm-generic/unistd.h. There is no epoll_wait. */
#define ZS_NR_EPOLL_PWAIT 22
#define ZS_NR_CLOSE 57
#define ZS_NR_READ 63
#define ZS_NR_WRITE 64
#define ZS_NR_READV 65
#define ZS_NR_WRITEV 66
#define ZS_NR_SENDFILE 71
#define ZS_NR_SPLICE 76
#define ZS_NR_ACCEPT 202
#define ZS_NR_SENDTO 206
#define ZS_NR_RECVFROM 207
#define ZS_NR_GETSOCKOPT 209
#define ZS_NR_SENDMSG 211
#define ZS_NR_RECVMSG 212
#define ZS_NR_ACCEPT4 242
#define ZS_NR_RECVMMSG 243
#define ZS_NR_SENDMMSG 269
#define ZS_NR_IO_URING_SETUP 425
#define ZS_NR_IO_URING_ENTER 426
#define ZS_NR_EPOLL_PWAIT2 441

#define ZS_TIF_32BIT (1UL << 22) /* arch/arm64/include/asm/thread_info.h */

/* The result is written to x0 before the end of the call is traced (arch/arm64/kernel/syscall.c);
 * what x0 was is in orig_x0. */
static __always_inline void zs_syscall__from_regs(struct zs_syscall* call,
                                                  const struct pt_regs* regs) {
  call->number = regs->syscallno;
  call->argument0 = regs->orig_x0;
  call->argument1 = regs->regs[1];
  call->argument2 = regs->regs[2];
  call->g = regs->regs[28];
}

static __always_inline __u64 zs_syscall__argument3(const struct pt_regs* regs) {
  return regs->regs[3];
}

static __always_inline __u64 zs_syscall__argument4(const struct pt_regs* regs) {
  return regs->regs[4];
}

static __always_inline bool zs_syscall__from_task(struct zs_syscall* call,
                                                  const struct task_struct* task) {
  if (!zs_has_task_regs()) {
    return false;
  }
  zs_syscall__from_regs(call, (const struct pt_regs*)bpf_task_pt_regs((struct task_struct*)task));
  return true;
}

static __always_inline __u64 zs_function__argument0(const struct pt_regs* regs) {
  return regs->regs[0];
}

static __always_inline __u64 zs_function__argument3(const struct pt_regs* regs) {
  return regs->regs[3];
}

static __always_inline __s64 zs_function__result(const struct pt_regs* regs) {
  return (__s64)regs->regs[0];
}

static __always_inline bool zs_syscall__is_compat(const struct task_struct* task) {
  return zs_task_read(task, thread_info.flags) & ZS_TIF_32BIT;
}

struct zs_epoll_event {
  __u32 events;
  __u32 padding;
  __u32 data;
  __u32 data_high;
};

#define ZS_GO_G(of) ((of)->regs[28])
#define ZS_GO_ARGUMENT0(of) ((of)->regs[0])
#define ZS_GO_ARGUMENT1(of) ((of)->regs[1])
#define ZS_GO_ARGUMENT2(of) ((of)->regs[2])
#define ZS_GO_ARGUMENT3(of) ((of)->regs[3])
#define ZS_GO_CLOSURE(of) ((of)->regs[26])
#define ZS_GO_REGISTERS 32

#else
#error "no system call table for this processor"
#endif
