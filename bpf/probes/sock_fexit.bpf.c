/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Attach kind (b): the ends of the functions by which the kernel's socket layer calls a protocol
 * (struct proto_ops in net/ipv4/af_inet.c, net/ipv6/af_inet6.c and net/unix/af_unix.c). Each of
 * them is called through a pointer, so that compilers keep it whole; the names and arguments are
 * the same from 5.10 to 7.2. None calls another, but for inet_sendpage() where the protocol takes
 * no pages. What replaces a protocol's own functions (kTLS, MPTCP, sockmap) is below them.
 *
 * Without the agent's table (agent/kernel/capture.cc) each has to exist.
 */
/* On a trampoline a program may be preempted (kernel/bpf/trampoline.c) whenever the kernel is. By
 * default kernels are not before 6.15. */
#define ZS_PREEMPTED_SINCE KERNEL_VERSION(6, 15, 0)
#include "bpf/probes/socket_end.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int ended(struct sock* sk, enum zs_direction direction, long result,
                                 int flags, bool has_buffers) {
  zs_preempt__off();
  socket_end__handle(sk, direction, (int)result, flags, has_buffers);
  zs_preempt__on();
  return 0;
}

SEC("fexit/inet_sendmsg")
int BPF_PROG(sock_fexit__send4, struct socket* socket, void* message, __u64 size, int result) {
  return ended(socket->sk, ZS_SEND, result, 0, true);
}

SEC("fexit/inet6_sendmsg")
int BPF_PROG(sock_fexit__send6, struct socket* socket, void* message, __u64 size, int result) {
  return ended(socket->sk, ZS_SEND, result, 0, true);
}

SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(sock_fexit__send_unix, struct socket* socket, void* message, __u64 size, int result) {
  return ended(socket->sk, ZS_SEND, result, 0, true);
}

SEC("fexit/inet_recvmsg")
int BPF_PROG(sock_fexit__receive4, struct socket* socket, void* message, __u64 size, int flags,
             int result) {
  return ended(socket->sk, ZS_RECEIVE, result, flags, true);
}

SEC("fexit/inet6_recvmsg")
int BPF_PROG(sock_fexit__receive6, struct socket* socket, void* message, __u64 size, int flags,
             int result) {
  return ended(socket->sk, ZS_RECEIVE, result, flags, true);
}

SEC("fexit/unix_stream_recvmsg")
int BPF_PROG(sock_fexit__receive_unix, struct socket* socket, void* message, __u64 size, int flags,
             int result) {
  return ended(socket->sk, ZS_RECEIVE, result, flags, true);
}

/* From a socket to a pipe: only the length is seen. */
SEC("fexit/tcp_splice_read")
int BPF_PROG(sock_fexit__splice, struct socket* socket, void* position, void* pipe, __u64 length,
             unsigned int flags, long result) {
  return ended(socket->sk, ZS_RECEIVE, result, 0, false);
}

SEC("fexit/unix_stream_splice_read")
int BPF_PROG(sock_fexit__splice_unix, struct socket* socket, void* position, void* pipe,
             __u64 length, unsigned int flags, long result) {
  return ended(socket->sk, ZS_RECEIVE, result, 0, false);
}

/* sendfile() and splice() up to 6.4, for each page; later they send messages. */
SEC("fexit/inet_sendpage")
int BPF_PROG(sock_fexit__page, struct socket* socket, void* page, int offset, __u64 size, int flags,
             long result) {
  struct sock* sk = socket->sk;
  const struct proto* protocol = sk->__sk_common.skc_prot;
  /* A protocol that takes none is sent a message, by inet_sendmsg(). */
  return bpf_core_field_exists(protocol->sendpage) && protocol->sendpage
             ? ended(sk, ZS_SEND, result, 0, false)
             : 0;
}

SEC("fexit/unix_stream_sendpage")
int BPF_PROG(sock_fexit__page_unix, struct socket* socket, void* page, int offset, __u64 size,
             int flags, long result) {
  return ended(socket->sk, ZS_SEND, result, 0, false);
}
