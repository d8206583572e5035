/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The turns of event loops over epoll, and in them the call-backs: what thread__proves() in
 * socket_operation.h needs to know. Attached only while a selected event loop makes outgoing calls,
 * because hooks on system calls cost every process of the host.
 */
#include "bpf/lib/descriptor.h"
#include "bpf/lib/syscall.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/threads.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Loops round times to milliseconds and read a coarse clock: libuv one of at most 1 ms, nginx
 * CLOCK_MONOTONIC_COARSE, which lags by a jiffy (10 ms at HZ=100).
 */
#define ZS_LIBUV_CLOCK_ERROR_NS (2 * ZS_NS_PER_MS)
#define ZS_CLOCK_ERROR_NS (12 * ZS_NS_PER_MS)
#define ZS_EVENTS_MAX 64 /* events of a turn that are looked at */

static __always_inline struct zs_thread* threads__of_loop(void) {
  __u32 tid = (__u32)bpf_get_current_pid_tgid();
  struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  return thread && thread->loop == ZS_LOOP_EPOLL ? thread : NULL;
}

static __always_inline void thread__forget(struct zs_thread* thread) {
  thread->request_id = 0;
  thread->evidence = ZS_EVIDENCE_NONE;
}

/* The call-back of an event begins by what it does with its descriptor; closed, it has none. */
static __always_inline void thread__begin(struct zs_thread* thread, __s32 descriptor) {
  if (thread->last == descriptor) {
    thread->last = -1;
  }
}

/*
 * The loop waits no longer than until its next timer is due, counted from a clock that it has read
 * since the last wait returned. A wait of no time at all: work is queued for this turn.
 */
static __always_inline __u64 thread__timers_ns(const struct zs_thread* thread, int timeout_ms) {
  if (timeout_ms < 0) {
    return thread->libuv ? ~0ULL : 0; /* nginx with timer_resolution waits for a signal instead */
  }
  const __u64 error = thread->libuv ? ZS_LIBUV_CLOCK_ERROR_NS : ZS_CLOCK_ERROR_NS;
  const __u64 due = thread->turn_ns + timeout_ms * ZS_NS_PER_MS;
  return thread->turn_ns == 0 || timeout_ms == 0 || due < error ? 0 : due - error;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(tick__enter, struct pt_regs* regs, long number) {
  struct zs_thread* thread;
  struct zs_syscall call;
  zs_syscall__from_regs(&call, regs);
  switch (number) {
#ifdef ZS_NR_EPOLL_WAIT
    case ZS_NR_EPOLL_WAIT:
#endif
    case ZS_NR_EPOLL_PWAIT:
      thread = threads__of_loop();
      if (thread) {
        thread__forget(thread);
        thread->timers_ns = thread__timers_ns(thread, (int)zs_syscall__argument3(regs));
        counters__add(ZS_COUNTER_TICKS);
      }
      break;
    case ZS_NR_EPOLL_PWAIT2:
      thread = threads__of_loop();
      if (thread) {
        thread__forget(thread);
        thread->timers_ns = 0; /* no loop that we know uses it */
        counters__add(ZS_COUNTER_TICKS);
      }
      break;
    case ZS_NR_READ:
    case ZS_NR_READV:
    case ZS_NR_RECVFROM:
    case ZS_NR_RECVMSG:
    case ZS_NR_RECVMMSG:
    case ZS_NR_ACCEPT:
    case ZS_NR_ACCEPT4:
    case ZS_NR_GETSOCKOPT:
      thread = threads__of_loop();
      /* libuv asks a socket for its error once, when connect() has ended; nginx before each call.
       */
      if (thread && (number != ZS_NR_GETSOCKOPT || thread->libuv)) {
        const __s32 descriptor = (__s32)call.argument0;
        if (thread->descriptor != descriptor) {
          thread__forget(thread);
          thread->descriptor = descriptor;
        }
        thread__begin(thread, descriptor);
      }
      break;
    case ZS_NR_WRITE:
    case ZS_NR_WRITEV:
    case ZS_NR_SENDTO:
    case ZS_NR_SENDMSG:
    case ZS_NR_CLOSE:
      thread = threads__of_loop();
      if (thread) {
        thread__begin(thread, (__s32)call.argument0);
      }
      break;
    default:
      break;
  }
  return 0;
}

/*
 * Of libuv it is known which descriptors its events are on, and that it handles them in this order.
 * A thread pool wakes the loop by a descriptor that is no socket.
 */
static __always_inline void thread__take_events(struct zs_thread* thread,
                                                const struct zs_epoll_event* events, __u32 count) {
  const struct task_struct* task = zs_task();
  thread->single = count == 1;
  thread->last = -1;
  thread->sockets_only = 0;
  if (!thread->libuv || count > ZS_EVENTS_MAX) {
    return;
  }
  struct zs_epoll_event event = {.data = -1};
  for (__u32 i = 0; i < ZS_EVENTS_MAX && i < count; ++i) {
    zs_unknown(count); /* else it is the only bound, in the stack, where 5.10 does not know it */
    if (bpf_probe_read_user(&event, sizeof(event), events + i) || !task__socket(task, event.data)) {
      return;
    }
  }
  thread->last = (__s32)event.data;
  thread->sockets_only = 1;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(tick__exit, struct pt_regs* regs, long result) {
  struct zs_syscall call;
  zs_syscall__from_regs(&call, regs);
#ifdef ZS_NR_EPOLL_WAIT
  const bool waited = call.number == ZS_NR_EPOLL_WAIT || call.number == ZS_NR_EPOLL_PWAIT;
#else
  const bool waited = call.number == ZS_NR_EPOLL_PWAIT;
#endif
  if (!waited && call.number != ZS_NR_EPOLL_PWAIT2) {
    return 0;
  }
  struct zs_thread* thread = threads__of_loop();
  if (!thread) {
    return 0;
  }
  thread->turn_ns = bpf_ktime_get_ns();
  thread->descriptor = -1;
  thread->mixed = 0;
  thread__take_events(thread, (const struct zs_epoll_event*)call.argument1,
                      result > 0 ? result : 0);
  return 0;
}

/*
 * uv__run_check() of libuv (src/unix/core.c, uv_run): the events of this turn are handled; closing
 * handles, immediates and timers follow.
 */
SEC("uprobe")
int tick__after_events(struct pt_regs* regs) {
  struct zs_thread* thread = threads__of_loop();
  if (thread) {
    thread__forget(thread);
  }
  return 0;
}
