/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The kernel types that the probes touch, as CO-RE flavours: only the fields that are read,
 * relocated by libbpf to the running kernel's layout. Field names are those of include/linux/ in
 * kernel 6.x; what was renamed or came later is guarded by bpf_core_field_exists where it is read.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
  union {
    __u8 u6_addr8[16];
  } in6_u;
};

struct proto {
  void* sendmsg; /* functions */
  void* recvmsg;
  void* sendpage; /* up to 6.4: takes a page */
};

struct sock_common {
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  struct proto* skc_prot;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};

struct inode {
  unsigned long i_ino;
};

struct list_head {
  struct list_head* next;
};

struct file {
  struct inode* f_inode;
  unsigned int f_flags;
  void* private_data;
  /* include/linux/fs.h, while the file is in an epoll set: */
  void* f_ep;                  /* non-null (5.11+) */
  struct list_head f_ep_links; /* not empty (up to 5.10) */
};

struct socket {
  struct file* file;
  struct sock* sk;
};

struct sock {
  struct sock_common __sk_common;
  __u8 sk_shutdown;
  __u16 sk_type;
  __u16 sk_protocol;
  struct socket* sk_socket;
  struct proto* sk_prot_creator; /* what skc_prot was at first */
  int sk_err;
  int sk_wmem_queued; /* bytes of its send buffer in use, */
  int sk_sndbuf;      /* and how many may be */
};

struct inet_connection_sock {
  void* icsk_ulp_ops; /* kernel TLS, if something is above TCP */
};

struct tcp_sock {
  __u64 bytes_received; /* data that arrived in order */
  __u64 bytes_acked;
  __u32 snd_una;
  __u32 write_seq; /* up to where the program has written */
  __u64 bytes_sent;
  __u32 rcv_nxt;
  __u32 copied_seq;    /* up to where the program has read */
  __u64 tcp_wstamp_ns; /* include/linux/tcp.h: departure time of the last sent packet,
                          CLOCK_MONOTONIC */
};

struct sockaddr_un {
  unsigned short sun_family;
  char sun_path[108];
};

struct unix_address {
  int len;
  struct sockaddr_un name[0];
};

struct unix_sock {
  struct sock sk;
  struct unix_address* addr;
  struct sock* peer;
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

typedef struct {
  int counter;
} zs_atomic_t;

struct signal_struct {
  zs_atomic_t live;
};

#if defined(__TARGET_ARCH_x86)

struct thread_info {
  __u32 status;
};

struct thread_struct {
  unsigned long fsbase;
};

struct pt_regs {
  unsigned long r14;
  unsigned long r10;
  unsigned long r8;
  unsigned long ax;
  unsigned long bx;
  unsigned long cx;
  unsigned long dx;
  unsigned long si;
  unsigned long di;
  unsigned long orig_ax;
  unsigned long cs;
};

#elif defined(__TARGET_ARCH_arm64)

struct thread_info {
  unsigned long flags;
};

struct pt_regs {
  __u64 regs[31];
  __u64 orig_x0;
  __s32 syscallno;
};

#endif

/* io_uring/net.h, io_uring/rw.h, include/linux/io_uring_types.h */
struct io_cqe {
  __s32 res;
};

struct io_kiocb {
  struct file* file;
  __u8 opcode;
  __u64 flags;
  struct io_cqe cqe;
};

struct io_sr_msg {
  void* buf; /* or a struct user_msghdr */
  unsigned int done_io;
};

struct io_rw {
  __u64 addr;
  __u32 len;
};

struct task_struct {
  struct thread_info thread_info;
#if defined(__TARGET_ARCH_x86)
  struct thread_struct thread;
#endif
  char* stack;
  unsigned int flags;
  int pid;
  int tgid;
  struct task_struct* real_parent;
  struct files_struct* files;
  void* io_uring; /* it has, or had, a ring */
  struct signal_struct* signal;
};

#pragma clang attribute pop

/*
 * A field of a socket, or of what it points to. Where the verifier knows the pointer's type, as of
 * the arguments of tp_btf programs, this is a plain load (a nanosecond; a bad address reads as
 * zero). A probe that has found the address by itself defines ZS_SOCKET_BY_ADDRESS before its
 * includes, and pays for a helper call.
 */
#ifdef ZS_SOCKET_BY_ADDRESS
#define zs_read(pointer, field) BPF_CORE_READ(pointer, field)
#else
#define zs_read(pointer, field) ((pointer)->field)
#endif

extern int LINUX_KERNEL_VERSION __kconfig;

/* kernel/bpf/helpers.c, since 6.2: the same address, whose type the verifier knows from then on. */
extern void* bpf_rdonly_cast(const void* address, __u32 type) __ksym __weak;

#define zs_kernel_cast(address, type) \
  ((const type*)bpf_rdonly_cast(address, bpf_core_type_id_kernel(type)))

/* kernel/bpf/helpers.c, since 6.10. */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/*
 * A BPF tracepoint program is preempted since kernel 7.0 (include/linux/tracepoint.h,
 * __DECLARE_TRACE). Then another one on this CPU would use the same per-CPU memory, and the same
 * one would be left out. So each that does more than look up its process runs between these two. A
 * program that is preempted in earlier kernels, too, defines ZS_PREEMPTED_SINCE before its
 * includes; global functions may be called in between since 6.15.
 */
#ifndef ZS_PREEMPTED_SINCE
#define ZS_PREEMPTED_SINCE KERNEL_VERSION(7, 0, 0)
#endif
static __always_inline bool zs_preempt__is_possible(void) {
#ifdef ZS_BEFORE_5_13
  return false;
#else
  return LINUX_KERNEL_VERSION >= ZS_PREEMPTED_SINCE && bpf_preempt_disable && bpf_preempt_enable;
#endif
}

static __always_inline void zs_preempt__off(void) {
  if (zs_preempt__is_possible()) {
    bpf_preempt_disable();
  }
}

static __always_inline void zs_preempt__on(void) {
  if (zs_preempt__is_possible()) {
    bpf_preempt_enable();
  }
}

/*
 * Where the compiler compares a copy of a length, the verifier before 6.13 does not know the
 * length's own bounds: behind this one it is compared again, and in the very register.
 */
#define zs_unknown(value) asm volatile("" : "+r"(value))

/*
 * What nearly every operation does stays in one straight line of code and the rest out of it: the
 * programs run between two stretches of the traced program, with little of their code in the cache.
 */
#define zs_likely(condition) __builtin_expect(!!(condition), 1)
#define zs_unlikely(condition) __builtin_expect(!!(condition), 0)
#define ZS_COLD static __attribute__((noinline))

/* include/linux/socket.h, include/net/tcp_states.h, include/linux/sched.h,
 * include/uapi/asm-generic/fcntl.h */
#define ZS_AF_UNIX 1
#define ZS_AF_INET 2
#define ZS_AF_INET6 10
#define ZS_SOCK_STREAM 1
#define ZS_SOCK_DGRAM 2
#define ZS_IPPROTO_TCP 6
#define ZS_IPPROTO_UDP 17
#define ZS_MSG_PEEK 2
#define ZS_RCV_SHUTDOWN 1
#define ZS_O_NONBLOCK 04000
#define ZS_PF_IO_WORKER 0x00000010
#define ZS_PF_KTHREAD 0x00200000
#define ZS_EAGAIN 11
#define ZS_ECONNREFUSED 111
#define ZS_NS_PER_MS 1000000ULL

enum zs_tcp_state {
  ZS_TCP_ESTABLISHED = 1,
  ZS_TCP_SYN_SENT = 2,
  ZS_TCP_SYN_RECV = 3,
  ZS_TCP_FIN_WAIT1 = 4,
  ZS_TCP_CLOSE = 7,
  ZS_TCP_CLOSE_WAIT = 8,
  ZS_TCP_LAST_ACK = 9,
  ZS_TCP_LISTEN = 10,
};

#include "bpf/lib/compat.h"
