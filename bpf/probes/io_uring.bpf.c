/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Where the bytes lie of what an io_uring sends and receives: sock_length.bpf.c sees the operation
 * and its size, and the request's completion (io_uring/io_uring.c, the tracepoint
 * io_uring_complete) names its buffer, before the program learns that it may use it again. The
 * request's memory is the kernel's: nothing here can be changed by the program, but for arrays of
 * buffers.
 *
 * Not told: requests that go on (multishot), buffers that the kernel selects, what was moved in
 * several parts, and arrays of buffers (sendmsg, recvmsg, readv, writev) of requests that had to
 * wait, because the program may have used the array's memory for others meanwhile.
 */
#include "bpf/lib/descriptor.h"
#include "bpf/probes/socket_operation.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* enum io_uring_op: include/uapi/linux/io_uring.h */
#define ZS_IORING_OP_READV 1
#define ZS_IORING_OP_WRITEV 2
#define ZS_IORING_OP_READ_FIXED 4
#define ZS_IORING_OP_WRITE_FIXED 5
#define ZS_IORING_OP_SENDMSG 9
#define ZS_IORING_OP_RECVMSG 10
#define ZS_IORING_OP_READ 22
#define ZS_IORING_OP_WRITE 23
#define ZS_IORING_OP_SEND 26
#define ZS_IORING_OP_RECV 27
#define ZS_IORING_OP_SEND_ZC 47
#define ZS_IORING_OP_SENDMSG_ZC 48

/*
 * include/linux/io_uring_types.h. The first two are bits of sqe->flags; they are in an enumeration
 * without a name, which CO-RE cannot relocate. The same in 6.1 to 7.2.
 */
#define ZS_REQ_F_FORCE_ASYNC (1ULL << 4)
#define ZS_REQ_F_BUFFER_SELECT (1ULL << 5)
#define ZS_REQ_F_POLLED (1ULL << 14)

static __always_inline bool request__sends(__u8 opcode) {
  return opcode == ZS_IORING_OP_WRITEV || opcode == ZS_IORING_OP_WRITE_FIXED ||
         opcode == ZS_IORING_OP_SENDMSG || opcode == ZS_IORING_OP_WRITE ||
         opcode == ZS_IORING_OP_SEND || opcode == ZS_IORING_OP_SEND_ZC ||
         opcode == ZS_IORING_OP_SENDMSG_ZC;
}

static __always_inline bool request__receives(__u8 opcode) {
  return opcode == ZS_IORING_OP_READV || opcode == ZS_IORING_OP_READ_FIXED ||
         opcode == ZS_IORING_OP_RECVMSG || opcode == ZS_IORING_OP_READ ||
         opcode == ZS_IORING_OP_RECV;
}

/* Was it done within the system call that has submitted it? */
static __always_inline bool request__was_at_once(const struct task_struct* task,
                                                 const struct io_kiocb* request) {
  struct zs_syscall call;
  return !(task->flags & ZS_PF_IO_WORKER) && zs_syscall__from_task(&call, task) &&
         call.number == ZS_NR_IO_URING_ENTER &&
         !(request->flags & (ZS_REQ_F_FORCE_ASYNC | ZS_REQ_F_POLLED));
}

/* The system call that would have moved the same bytes; false if it cannot be told. */
static __always_inline bool request__as_syscall(const struct task_struct* task,
                                                const struct io_kiocb* request, __u8 opcode,
                                                __u32 byte_count, struct zs_syscall* call) {
  const struct io_sr_msg* message = zs_kernel_cast(request, struct io_sr_msg);
  const struct io_rw* rw = zs_kernel_cast(request, struct io_rw);
  call->number = request__sends(opcode) ? ZS_NR_WRITE : ZS_NR_READ;
  call->argument2 = byte_count;
  const bool selected = request->flags & ZS_REQ_F_BUFFER_SELECT;
  switch (opcode) {
    case ZS_IORING_OP_READ:
    case ZS_IORING_OP_WRITE:
    case ZS_IORING_OP_READ_FIXED:
    case ZS_IORING_OP_WRITE_FIXED:
      call->argument1 = rw->addr;
      return !selected;
    case ZS_IORING_OP_SEND:
    case ZS_IORING_OP_SEND_ZC:
    case ZS_IORING_OP_RECV:
      call->argument1 = (__u64)message->buf;
      return !selected && message->done_io == 0;
    case ZS_IORING_OP_READV:
    case ZS_IORING_OP_WRITEV:
      call->number = request__sends(opcode) ? ZS_NR_WRITEV : ZS_NR_READV;
      call->argument1 = rw->addr;
      call->argument2 = rw->len;
      return !selected && request__was_at_once(task, request);
    default:
      call->number = request__sends(opcode) ? ZS_NR_SENDMSG : ZS_NR_RECVMSG;
      call->argument1 = (__u64)message->buf;
      return message->done_io == 0 && !selected && request__was_at_once(task, request);
  }
}

static __always_inline int complete(const void* address) {
  const struct task_struct* task = zs_task();
  const __u32 tgid = task->tgid;
  struct zs_process* process = processes__find(tgid);
  if (!process || !address) {
    return 0;
  }
  const struct io_kiocb* request = zs_kernel_cast(address, struct io_kiocb);
  const int result = request->cqe.res;
  const __u8 opcode = request->opcode;
  if (result <= 0 || !(request__sends(opcode) || request__receives(opcode))) {
    return 0;
  }
  const struct file* file = request->file;
  const struct socket* socket = zs_kernel_cast(file->private_data, struct socket);
  if (socket->file != file) {
    return 0;
  }
  const struct sock* sk = socket->sk;
  const enum zs_direction direction = request__sends(opcode) ? ZS_SEND : ZS_RECEIVE;
  const __u8 dir = direction == ZS_SEND;
  struct zs_connection* connection = connection__find(sk);
  if (!connection || connection->parked[dir] != (__u32)result) {
    return 0;
  }
  if (connection->parked[!dir] && connection->parked_first != direction) {
    /* Requests complete in their order: the other one's completion has told nothing. */
    connection__unpark(connection, connection->parked_first);
  }
  struct zs_syscall call = {};
  if (!request__as_syscall(task, request, opcode, result, &call)) {
    connection__unpark(connection, direction);
    return 0;
  }
  connection->parked[dir] = 0;
  connection->parked_first = !dir;
  return socket_operation__record(sk, process, connection, tgid, task->pid, direction, result,
                                  &call);
}

/* The arguments differ between kernels, but for the first two. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(io_uring__complete, void* ring, void* address) {
  zs_preempt__off();
  complete(address);
  zs_preempt__on();
  return 0;
}
