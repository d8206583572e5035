/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The life of TCP connections, from the tracepoint sock:inet_sock_set_state (net/ipv4/af_inet.c):
 * connect() with the request that it is made for, half-close, close and reset; and which process
 * listens on which port.
 */
#include "bpf/maps/process_ring.h"
#include "bpf/maps/rooms.h"
#include "bpf/probes/socket_operation.h"

/* Capture a process that begins to listen until the agent has decided about it. Changes with the
 * selection. */
volatile __u8 zs_tentative_listeners = false;

static __always_inline void state__on_connect(const struct sock* sk) {
  const __u64 pid_tgid = bpf_get_current_pid_tgid();
  const __u32 tid = (__u32)pid_tgid;
  struct zs_process* process = processes__find(pid_tgid >> 32U);
  if (!process) {
    return;
  }
  struct zs_connection* room = rooms__get();
  struct zs_connection* connection =
      room ? connection__create(sk, process, sk->__sk_common.skc_family, true, room) : NULL;
  if (!connection) {
    return;
  }
  connection->role = ZS_ROLE_CLIENT;
  connection->connect_seen = 1;
  const struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread || !thread->request_id) {
    return;
  }
  connection->origin_request_id = thread->request_id;
  connection->origin_evidence = thread__evidence(process, thread);
  if (connection->origin_evidence == ZS_EVIDENCE_TICK_RESPONSE) {
    /* A pool that was full opens a connection for whoever queued first, which the response does
     * not tell. */
    connection->origin_evidence = ZS_EVIDENCE_TICK_SAME_CONNECTION;
  }
}

static __always_inline void state__forget(const struct sock* sk, enum zs_close_kind kind) {
  const __u64 key = (__u64)sk;
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  if (connection) {
    connection__emit_close(connection, kind);
    request__forget(connection);
    incoming__forget(connection);
    bpf_map_delete_elem(&connections, &key);
  }
}

/* What was read of a closed socket and not seen. A read that a reset overtakes finds no connection.
 */
static __always_inline void state__check_reads(const struct sock* sk) {
  const __u64 key = (__u64)sk;
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  if (connection && connection->read_known && !connection->tls) {
    connection__check_read(sk, connection, 0);
  }
}

static __always_inline int state__change(const struct sock* sk, int old_state, int new_state) {
  if (new_state == ZS_TCP_SYN_SENT) {
    state__on_connect(sk);
    return 0;
  }
  if (new_state == ZS_TCP_LISTEN) {
    __u32 tgid = bpf_get_current_pid_tgid() >> 32U;
    if (zs_tentative_listeners && tgid != zs_agent_tgid) {
      const struct zs_process tentative = {.flags = ZS_PROCESS_TENTATIVE, .ring = 0};
      processes__put(tgid, &tentative, BPF_NOEXIST);
    }
    process_ring__emit(ZS_PROCESS_LISTEN, tgid, 0, sk->__sk_common.skc_num);
    return 0;
  }
  if (old_state == ZS_TCP_LISTEN && new_state == ZS_TCP_SYN_RECV) {
    /* A new socket, which nobody has accepted yet. An entry at its address is that of an earlier
     * one, made while another CPU was closing it. */
    state__forget(sk, ZS_CLOSE_ALL);
    return 0;
  }
  if (new_state != ZS_TCP_FIN_WAIT1 && new_state != ZS_TCP_LAST_ACK && new_state != ZS_TCP_CLOSE) {
    return 0;
  }
  if (new_state != ZS_TCP_CLOSE) {
    const __u64 key = (__u64)sk;
    struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
    if (connection) {
      connection__emit_close(connection, ZS_CLOSE_SEND);
    }
    return 0;
  }
  state__check_reads(sk);
  /* Without a FIN in either direction, or with an error, the close was an abort. */
  const bool reset =
      sk->sk_err != 0 || old_state == ZS_TCP_ESTABLISHED || old_state == ZS_TCP_CLOSE_WAIT;
  state__forget(sk, reset ? ZS_CLOSE_RESET : ZS_CLOSE_ALL);
  return 0;
}
