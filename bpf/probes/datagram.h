/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Datagrams of UDP sockets that carry DNS by their port: each becomes one data record. Only for
 * hooks that are given the socket by the kernel: what is known of it is kept in the socket itself.
 */
#include "bpf/probes/batch.h"
#include "bpf/probes/socket_operation.h"

/* Datagrams that a socket which is connected to nobody sends elsewhere until it is nobody's. */
#define ZS_DATAGRAM_LOOKS 8
/*
 * A socket that was quiet for longer begins a new connection: the agent has forgotten it by then
 * (agent/conn), because it does not hear of its end.
 */
#define ZS_DATAGRAM_QUIET_NS 10000000000ULL

/* The front of struct sockaddr_in and sockaddr_in6 (include/uapi/linux/in.h, in6.h). */
struct zs_user_address {
  __u16 family;
  __be16 port;
  __u8 front[4]; /* IPv4: the address; IPv6: the flow */
  __u8 back[16]; /* IPv6: the address */
};

/* The address that the program sends to with this very call; false if it names none. */
static __always_inline bool datagram__address(const struct zs_syscall* call,
                                              const struct pt_regs* regs,
                                              struct zs_user_address* address) {
  __u64 name = 0;
  if (call->number == ZS_NR_SENDTO) {
    name = zs_syscall__argument4(regs);
  } else if (call->number == ZS_NR_SENDMSG &&
             bpf_probe_read_user(&name, sizeof(name), (const void*)call->argument1)) {
    return false;
  }
  return name &&
         bpf_probe_read_user(address, __builtin_offsetof(struct zs_user_address, back),
                             (const void*)name) == 0 &&
         (address->family == ZS_AF_INET ||
          (address->family == ZS_AF_INET6 &&
           bpf_probe_read_user(
               address->back, sizeof(address->back),
               (const char*)name + __builtin_offsetof(struct zs_user_address, back)) == 0));
}

/* Tells the peers apart that a socket is connected to, one after the other. */
static __always_inline __u64 socket__target(const struct sock* sk, __u16 family) {
  __u64 target = sk->__sk_common.skc_dport;
  if (family == ZS_AF_INET) {
    return target << 32U | sk->__sk_common.skc_daddr;
  }
  __u64 address[2] = {};
  bpf_core_read(address, sizeof(address), &sk->__sk_common.skc_v6_daddr);
  return target ^ address[0] * 31 ^ address[1] * 37;
}

static __always_inline void datagram__begin(const struct sock* sk, struct zs_connection* connection,
                                            const struct zs_process* process, __u16 family,
                                            __u64 target, enum zs_role role) {
  connection->id = connection__new_id();
  connection->key = (__u64)sk;
  connection->ring = process->ring;
  connection->family = family;
  connection->inode = target;
  connection->state = ZS_CONNECTION_KNOWN;
  connection->protocol = ZS_PROTOCOL_DNS;
  connection->is_dns = 1;
  connection->datagrams = 1;
  connection->seen_from_start = 1;
  connection->role = role;
  connection->announced = 0;
  connection->request_id = 0;
  connection->offset[ZS_SEND] = 0;
  connection->offset[ZS_RECEIVE] = 0;
  connection->told[ZS_SEND] = 0;
  connection->told[ZS_RECEIVE] = 0;
  counters__add(ZS_COUNTER_CONNECTIONS_KNOWN);
}

/*
 * A query that a server reads. Only a thread that blocks is known to work for it: an event loop may
 * read many before it works for the first, and so does whoever asks for several at once.
 */
static __always_inline void datagram__serve(const struct sock* sk, const struct zs_process* process,
                                            struct zs_connection* connection, __u32 tid, bool one) {
  connection->request_id = request__new_id(connection);
  if (process->flags & ZS_PROCESS_NO_CONTEXT) {
    return;
  }
  if (one && socket__loop(sk, process) == ZS_LOOP_NONE) {
    thread__serve(tid, connection->request_id, connection, ZS_EVIDENCE_THREAD, ZS_LOOP_NONE,
                  process);
    return;
  }
  struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (thread) {
    thread->request_id = 0;
    thread->evidence = ZS_EVIDENCE_NONE;
  }
}

/*
 * False for all that goes elsewhere by its ports. Whom a socket asks that is connected to nobody is
 * seen when it sends.
 */
static __always_inline bool datagram__concerns(const struct sock* sk) {
  const __be16 peer_port = sk->__sk_common.skc_dport;
  const __u16 family = sk->__sk_common.skc_family;
  return (family == ZS_AF_INET || family == ZS_AF_INET6) && sk->sk_protocol == ZS_IPPROTO_UDP &&
         protocol__is_on(ZS_PROTOCOL_DNS) &&
         (!peer_port || port__is_dns(__builtin_bswap16(peer_port)) ||
          port__is_dns(sk->__sk_common.skc_num));
}

/*
 * Of one that datagram__concerns(): fills its record, and the one that goes before it, which has no
 * length if there is none to go. Parameters as those of socket_operation__handle(); what is known
 * of the socket, or NULL if there is nothing to tell.
 */
ZS_COLD struct zs_connection* datagram__capture(struct sock* sk, const struct zs_process* process,
                                                enum zs_direction direction, int result,
                                                const struct zs_syscall* call) {
  const __u16 family = sk->__sk_common.skc_family;
  const __u16 peer_port = __builtin_bswap16(sk->__sk_common.skc_dport);
  const bool asks = port__is_dns(peer_port);
  const bool serves = !asks && port__is_dns(sk->__sk_common.skc_num);
  struct zs_connection* connection = bpf_sk_storage_get(&datagrams, sk, NULL, 0);
  const bool unknown = !asks && !serves && (!connection || !connection->id);
  if (unknown &&
      (direction == ZS_RECEIVE || (connection && connection->state == ZS_CONNECTION_MUTED))) {
    return NULL;
  }
  const struct task_struct* task = zs_task();
  const struct pt_regs* regs = (const struct pt_regs*)bpf_task_pt_regs((struct task_struct*)task);
  struct zs_syscall message = {};
  bool readable = false;
  if (call) {
    message = *call;
    readable = batch__find(sk, &message, result, regs);
  }
  if (result <= 0) {
    if (result == -ZS_ECONNREFUSED && connection && connection->id) {
      connection__emit_close(connection, ZS_CLOSE_RESET);
      connection->id = 0;
    }
    return NULL;
  }
  struct zs_user_address address = {};
  const bool addressed =
      !peer_port && direction == ZS_SEND && readable && datagram__address(&message, regs, &address);
  if (!connection) {
    connection = bpf_sk_storage_get(&datagrams, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!connection) {
      counters__add(ZS_COUNTER_LOST_CONNECTIONS_FULL);
      return NULL;
    }
    connection->sniffs_left = ZS_DATAGRAM_LOOKS;
  }
  if (!asks && !serves && direction == ZS_SEND &&
      !(addressed && port__is_dns(__builtin_bswap16(address.port)))) {
    if (unknown && connection->sniffs_left > 0 && --connection->sniffs_left == 0) {
      connection->state = ZS_CONNECTION_MUTED;
      counters__add(ZS_COUNTER_CONNECTIONS_MUTED);
    }
    return NULL;
  }
  counters__add(ZS_COUNTER_OPERATIONS_SEEN);

  const __u32 byte_count = result;
  const __u8 dir = direction == ZS_SEND;
  const __u32 slot = ZS_DATAGRAM_SLOTS + direction;
  struct zs_scratch* out = scratch__get(slot);
  if (!out) {
    return NULL;
  }
  const __u64 now = bpf_ktime_get_ns();
  const __u64 target = socket__target(sk, family);
  if (!connection->id || now > connection->last_send_ns + ZS_DATAGRAM_QUIET_NS ||
      connection->inode != target) {
    datagram__begin(sk, connection, process, family, target,
                    serves ? ZS_ROLE_SERVER : ZS_ROLE_CLIENT);
  }
  connection->last_send_ns = now;
  if (!connection->announced) {
    connection->announced = connection__announce(sk, connection, task->tgid, now, out);
    if (!connection->announced) {
      /* What comes next is seen to follow a gap. */
      connection->told[dir] = connection->offset[dir] += byte_count;
      return NULL;
    }
  }

  struct zs_data_record* record = &out->record;
  __builtin_memset(record, 0, sizeof(*record));
  record->header.type = ZS_RECORD_DATA;
  record->connection_id = connection->id;
  record->time_ns = now;
  record->departed_ns = now;
  record->thread_id = task->pid;
  record->byte_count = byte_count;
  record->direction = direction;
  if (!zs_take(&connection->offset[dir], byte_count, &record->offset)) {
    return NULL; /* never: there are no datagrams where it may be false */
  }
  record->opposite_offset = connection->told[!dir];
  readable = readable && buffers__find(&out->buffers, &message);
  if (readable) {
    capture__first(slot, byte_count, zs_head_bytes, ZS_PROTOCOL_DNS);
    __u32 want = zs_head_bytes;
    if (want > byte_count) {
      want = byte_count;
    }
    if (zs_likely(out->copy.first == byte_count && byte_count == want)) {
      record->head_bytes = byte_count;
    } else {
      capture__copy(slot, byte_count, want, 0);
    }
  } else {
    counters__add(ZS_COUNTER_LOST_SYSCALL_UNREADABLE);
  }
  struct zs_datagram_record* datagram = &out->datagram;
  __builtin_memset(datagram, 0, sizeof(*datagram));
  if (addressed) {
    datagram->header.length = sizeof(*datagram);
    datagram->header.type = ZS_RECORD_DATAGRAM;
    datagram->connection_id = connection->id;
    datagram->time_ns = now;
    datagram->peer_port = __builtin_bswap16(address.port);
    datagram->peer_family = address.family;
    if (address.family == ZS_AF_INET) {
      __builtin_memcpy(datagram->peer_address, address.front, sizeof(address.front));
    } else {
      __builtin_memcpy(datagram->peer_address, address.back, sizeof(address.back));
    }
  }
  connection->told[dir] = record->offset + byte_count;
  return connection;
}

/* Puts out what datagram__capture() has filled. Whether there was room. */
static __always_inline bool datagram__output(struct zs_scratch* out,
                                             const struct zs_connection* connection) {
  struct zs_data_record* record = &out->record;
  __u64 length = sizeof(*record) + record->head_bytes;
  if (length > sizeof(*record) + ZS_HEAD_BYTES_MAX) {
    return false;
  }
  record->header.length = length;
  const bool addressed = out->datagram.header.length != 0;
  if (addressed) {
    length += sizeof(out->datagram);
    out->datagram.header.length = length;
  }
  return rings__output(connection->ring, addressed ? (void*)&out->datagram : (void*)record, length);
}

/* After datagram__capture(): the request that the datagram is for, and then it is put out. By
 * direction, because of the stack that what they call needs. */
ZS_COLD bool datagram__sent(struct zs_process* process, struct zs_connection* connection) {
  const __u32 slot = ZS_DATAGRAM_SLOTS + ZS_SEND;
  struct zs_scratch* out = scratch__get(slot);
  if (!out) {
    return false;
  }
  if (connection->role == ZS_ROLE_CLIENT) {
    context__on_client_send(process, connection, out->record.thread_id, false, &out->record, slot);
  }
  return datagram__output(out, connection);
}

ZS_COLD bool datagram__received(const struct sock* sk, struct zs_process* process,
                                struct zs_connection* connection, const struct zs_syscall* call) {
  struct zs_scratch* out = scratch__get(ZS_DATAGRAM_SLOTS + ZS_RECEIVE);
  if (!out) {
    return false;
  }
  const __u32 tid = out->record.thread_id;
  if (connection->role != ZS_ROLE_CLIENT) {
    datagram__serve(sk, process, connection, tid, call && call->number != ZS_NR_RECVMMSG);
    out->record.request_id = connection->request_id;
  } else if (!(process->flags & ZS_PROCESS_NO_CONTEXT)) {
    context__on_thread_receive(sk, process, connection, tid);
  }
  return datagram__output(out, connection);
}
