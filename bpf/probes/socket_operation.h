/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * One socket operation of a selected process, whichever hook saw it: which connection, which
 * request, which bytes. Every attach kind calls socket_operation__handle; nothing here knows the
 * hook.
 */
#include "bpf/maps/connections.h"
#include "bpf/maps/process_ring.h"
#include "bpf/maps/processes.h"
#include "bpf/maps/rings.h"
#include "bpf/maps/threads.h"
#include "bpf/probes/capture.h"
#include "bpf/probes/frames.h"
#include "bpf/probes/goroutine.h"
#include "bpf/probes/request.h"
#include "bpf/probes/route.h"

#define ZS_SNIFFS_NEW 2 /* operations until a connection that we saw from its start is nobody's */
#define ZS_SNIFFS_OLD \
  16 /* the same for one that was open before us and may be in the middle of a message */
#define ZS_NO_DIRECTION 2
/* include/uapi/linux/tls.h, include/linux/socket.h: a control message with a record's type. */
#define ZS_SOL_TLS 282
#define ZS_TLS_APPLICATION_DATA 23
#define ZS_CMSG_TLS_BYTES 17

/* Unique: no CPU sees two connections in one nanosecond, and 48 bits of them last three days of
 * uptime at a time. */
static __always_inline __u64 connection__new_id(void) {
  return ((__u64)bpf_get_smp_processor_id() << 48U | (bpf_ktime_get_ns() & 0xffffffffffffULL)) + 1;
}

/*
 * It becomes the server span's id (W3C Trace Context section 3.2.2.4: random, not all zero). A
 * connection and a position in its stream have one request, and mixing both with a seed that nobody
 * outside knows (splitmix64's finalizer, a bijection) is as good as a random number at a tenth of
 * the cost of bpf_get_prandom_u32().
 */
static __always_inline __u64 request__new_id(const struct zs_connection* connection) {
  __u64 id = (connection->id ^ zs_id_seed) + connection->offset[0] * 0x9e3779b97f4a7c15ULL;
  id = (id ^ id >> 30U) * 0xbf58476d1ce4e5b9ULL;
  id = (id ^ id >> 27U) * 0x94d049bb133111ebULL;
  id ^= id >> 31U;
  return id ? id : 1;
}

static __always_inline struct file* socket__file(const struct sock* sk) {
  const struct socket* socket = zs_read(sk, sk_socket);
  return zs_read(socket, file);
}

static __always_inline __u64 socket__inode(const struct sock* sk) {
  const struct file* file = socket__file(sk);
  const struct inode* inode = zs_read(file, f_inode);
  return zs_read(inode, i_ino);
}

/*
 * How the program waits for this socket: a descriptor in an epoll set belongs to an event loop; a
 * non-blocking one that is in none may belong to a loop over poll or select. Java does not let a
 * channel be in a set and block: one that does is about to be taken out.
 */
static __always_inline enum zs_loop socket__loop(const struct sock* sk,
                                                 const struct zs_process* process) {
  const struct file* file = socket__file(sk);
  if (!file || ((process->flags & ZS_PROCESS_JAVA) && !(zs_read(file, f_flags) & ZS_O_NONBLOCK))) {
    return ZS_LOOP_NONE;
  }
  const bool in_set = bpf_core_field_exists(file->f_ep)
                          ? zs_read(file, f_ep) != NULL
                          : bpf_core_field_exists(file->f_ep_links) &&
                                zs_read(file, f_ep_links.next) != &file->f_ep_links;
  if (in_set) {
    return ZS_LOOP_EPOLL;
  }
  return zs_read(file, f_flags) & ZS_O_NONBLOCK ? ZS_LOOP_POLL : ZS_LOOP_NONE;
}

static __always_inline bool socket__is_stream(const struct sock* sk, __u16 family) {
  return (family == ZS_AF_INET || family == ZS_AF_INET6 || family == ZS_AF_UNIX) &&
         zs_read(sk, sk_type) == ZS_SOCK_STREAM;
}

/*
 * Is this operation of `byte_count` bytes the first of its connection? TCP counts what the program
 * has read and written; a FIN that it has read past takes one sequence number, which bytes_received
 * counts too, and so does a client's SYN in bytes_acked.
 */
static __always_inline bool socket__first_operation(const struct sock* sk, __u16 family,
                                                    enum zs_direction direction, __u32 byte_count) {
  if (family == ZS_AF_UNIX) {
    return false;
  }
  const struct tcp_sock* tcp = (const struct tcp_sock*)sk;
  const __u32 unread = BPF_CORE_READ(tcp, rcv_nxt) - BPF_CORE_READ(tcp, copied_seq);
  const __u64 read = BPF_CORE_READ(tcp, bytes_received) - unread;
  if (direction == ZS_RECEIVE) {
    return BPF_CORE_READ(tcp, bytes_sent) == 0 && (read == byte_count || read == byte_count + 1ULL);
  }
  const __u32 unacked = BPF_CORE_READ(tcp, write_seq) - BPF_CORE_READ(tcp, snd_una);
  const __u64 written = BPF_CORE_READ(tcp, bytes_acked) + unacked;
  return read == 0 && (written == byte_count || written == byte_count + 1ULL);
}

/* The path that the server's socket is bound to; an accepted socket has its listener's address. */
static __always_inline void socket__unix_path(const struct sock* sk, __u8* path) {
  const struct unix_sock* unix_sk = (const struct unix_sock*)sk;
  struct unix_address* address = BPF_CORE_READ(unix_sk, addr);
  if (!address) {
    const struct unix_sock* peer = (const struct unix_sock*)BPF_CORE_READ(unix_sk, peer);
    address = peer ? BPF_CORE_READ(peer, addr) : NULL;
  }
  if (address) {
    bpf_core_read(path, ZS_UNIX_PATH_BYTES, &address->name[0].sun_path);
  }
}

ZS_COLD bool connection__announce(const struct sock* sk, struct zs_connection* connection,
                                  __u32 tgid, __u64 now, struct zs_scratch* out) {
  struct zs_connection_record* record = &out->connection;
  __builtin_memset(record, 0, sizeof(*record));
  record->header.length = sizeof(*record);
  record->header.type = ZS_RECORD_CONNECTION;
  record->connection_id = connection->id;
  record->time_ns = now;
  record->tgid = tgid;
  record->socket = (__u64)sk;
  record->family = connection->family;
  record->role = connection->role;
  record->seen_from_start = connection->seen_from_start;
  record->is_dns = connection->is_dns;
  record->datagrams = connection->datagrams;
  if (record->family == ZS_AF_INET) {
    __be32 address = zs_read(sk, __sk_common.skc_rcv_saddr);
    __builtin_memcpy(record->local_address, &address, sizeof(address));
    address = zs_read(sk, __sk_common.skc_daddr);
    __builtin_memcpy(record->peer_address, &address, sizeof(address));
  } else if (record->family == ZS_AF_INET6) {
    bpf_core_read(record->local_address, sizeof(record->local_address),
                  &sk->__sk_common.skc_v6_rcv_saddr);
    bpf_core_read(record->peer_address, sizeof(record->peer_address),
                  &sk->__sk_common.skc_v6_daddr);
  } else {
    socket__unix_path(sk, record->unix_path);
  }
  if (record->family != ZS_AF_UNIX) {
    record->local_port = zs_read(sk, __sk_common.skc_num);
    record->peer_port = __builtin_bswap16(zs_read(sk, __sk_common.skc_dport));
  }
  return rings__output(connection->ring, record, sizeof(*record));
}

/*
 * Bytes whose operation was not seen, or not what they were: a hole in the stream, which the parser
 * finds by the offset of the direction's next record, or of the close.
 */
static __always_inline void connection__miss(struct zs_connection* connection,
                                             enum zs_direction direction, __u32 byte_count) {
  const __u8 dir = direction == ZS_SEND;
  counters__add(ZS_COUNTER_LOST_SYSCALL_UNREADABLE);
  zs_frame_missed(&connection->walk[dir], byte_count);
  connection->offset[dir] += byte_count;
  connection->told[dir] = connection->offset[dir];
  connection->last_direction = direction;
  if (!connection->announced) {
    /* What the agent sees first will be the middle of its streams. */
    connection->seen_from_start = 0;
  }
}

/* What io_uring has moved and whose completion has not told where it lies: nothing will any more.
 */
static __always_inline void connection__unpark(struct zs_connection* connection,
                                               enum zs_direction direction) {
  const __u8 dir = direction == ZS_SEND;
  const __u32 byte_count = connection->parked[dir];
  if (byte_count) {
    connection->parked[dir] = 0;
    connection__miss(connection, direction, byte_count);
  }
}

static __always_inline bool connection__is_parked(const struct zs_connection* connection) {
  return connection->parked[ZS_RECEIVE] || connection->parked[ZS_SEND];
}

ZS_COLD void connection__unpark_all(struct zs_connection* connection) {
  connection__unpark(connection, ZS_RECEIVE);
  connection__unpark(connection, ZS_SEND);
}

ZS_COLD void connection__emit_close(struct zs_connection* connection, enum zs_close_kind kind) {
  struct zs_close_record record = {};
  if (connection__is_parked(connection)) {
    connection__unpark_all(connection);
  }
  if (!connection->announced || connection->state != ZS_CONNECTION_KNOWN) {
    return;
  }
  record.header.length = sizeof(record);
  record.header.type = ZS_RECORD_CLOSE;
  record.connection_id = connection->id;
  record.time_ns = bpf_ktime_get_ns();
  record.kind = kind;
  record.offset[ZS_RECEIVE] = connection->told[ZS_RECEIVE];
  record.offset[ZS_SEND] = connection->told[ZS_SEND];
  rings__output(connection->ring, &record, sizeof(record));
}

static __always_inline bool port__is_dns(__u16 port) {
  bool is = false;
  for (__u32 i = 0; i < ZS_DNS_PORTS_MAX; ++i) {
    is = is || (port && zs_dns_ports[i] == port);
  }
  return protocol__is_on(ZS_PROTOCOL_DNS) && is;
}

/* Adds the connection of a socket; NULL and a counter if the map is full. `fresh` is room that
 * nobody else uses meanwhile. */
static __always_inline struct zs_connection* connection__create(const struct sock* sk,
                                                                const struct zs_process* process,
                                                                __u16 family, bool seen_from_start,
                                                                struct zs_connection* fresh) {
  const __u64 key = (__u64)sk;
  __builtin_memset(fresh, 0, sizeof(*fresh));
  fresh->id = connection__new_id();
  fresh->key = key;
  fresh->ring = process->ring;
  fresh->last_direction = ZS_NO_DIRECTION;
  fresh->seen_from_start = seen_from_start;
  fresh->sniffs_left = seen_from_start ? ZS_SNIFFS_NEW : ZS_SNIFFS_OLD;
  fresh->family = family;
  if (family == ZS_AF_UNIX) {
    fresh->inode = socket__inode(sk);
  } else {
    const bool client = port__is_dns(__builtin_bswap16(zs_read(sk, __sk_common.skc_dport)));
    if (client || port__is_dns(zs_read(sk, __sk_common.skc_num))) {
      fresh->is_dns = 1;
      fresh->protocol = ZS_PROTOCOL_DNS;
      fresh->role = client ? ZS_ROLE_CLIENT : ZS_ROLE_SERVER;
    }
  }
  if (bpf_map_update_elem(&connections, &key, fresh, BPF_ANY)) {
    counters__add(ZS_COUNTER_LOST_CONNECTIONS_FULL);
    return NULL;
  }
  return bpf_map_lookup_elem(&connections, &key);
}

static __always_inline struct zs_connection* connection__find(const struct sock* sk) {
  const __u64 key = (__u64)sk;
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  if (connection && connection->family == ZS_AF_UNIX && connection->inode != socket__inode(sk)) {
    /* Unix sockets have no close event: this address is another socket by now. */
    connection__emit_close(connection, ZS_CLOSE_ALL);
    request__forget(connection);
    connection = NULL;
  }
  return connection;
}

/*
 * Whether what this thread does now is for the request that it read last. A blocking thread serves
 * that request, unless its program hands requests over: then the thread goes on with any of them.
 * Java's executors do so often enough that its threads are believed only once one has answered what
 * it had read. An event loop's thread serves it if it is still in the call-back that has read it.
 * What else could have run since:
 * - another event's call-back: it would have read, or gone on with a message of another connection,
 *   and either ends the thread's right. One that a thread pool queued need not: so nginx must have
 *   no other thread, and libuv only sockets in this turn.
 * - nginx's timers, after all events: none is due yet.
 * - libuv's immediates and timers, after all events: the last event is still to come; or it is the
 *   only one, so that what this turn has queued is its own, and no older timer is due; or a probe
 *   tells when the events are handled.
 * - what libuv does for writes that have ended, between the last event and that probe: this turn
 * has one event, or no write that could be such.
 */
static __always_inline bool thread__proves(const struct zs_process* process,
                                           const struct zs_thread* thread) {
  if (thread->loop == ZS_LOOP_NONE) {
    return !(process->flags & ZS_PROCESS_HANDS_OVER) &&
           (process->flags & (ZS_PROCESS_JAVA | ZS_PROCESS_ANSWERS)) != ZS_PROCESS_JAVA;
  }
  if (thread->loop != ZS_LOOP_EPOLL || !(process->flags & ZS_PROCESS_CALLBACKS)) {
    return false;
  }
  if (process->turns_from_ns == 0) {
    struct zs_control* shared = control__get();
    if (shared && !shared->ticks_wanted) {
      shared->ticks_wanted = 1;
      process_ring__emit(ZS_PROCESS_TICKS_WANTED, bpf_get_current_pid_tgid() >> 32U, 0, 0);
    }
    return false;
  }
  if (thread->turn_ns <= process->turns_from_ns) {
    return false;
  }
  const bool no_timer = bpf_ktime_get_ns() < thread->timers_ns;
  if (thread->libuv) {
    const bool probed = process->flags & ZS_PROCESS_PROBED;
    return thread->sockets_only &&
           (thread->last >= 0 || (thread->single ? no_timer || probed : probed && !thread->mixed));
  }
  const struct task_struct* task = zs_task();
  const struct signal_struct* process_wide = zs_task_read(task, signal);
  return no_timer && zs_task_read(process_wide, live.counter) == 1;
}

/* How well it is known that this thread works for thread->request_id. A blocking thread that does
 * not prove it is like one that its creator has made for a pool. */
static __always_inline enum zs_evidence thread__evidence(const struct zs_process* process,
                                                         const struct zs_thread* thread) {
  if (thread__proves(process, thread)) {
    return thread->evidence;
  }
  return thread->loop == ZS_LOOP_NONE ? ZS_EVIDENCE_CREATING_THREAD : ZS_EVIDENCE_AMBIGUOUS;
}

/* Remembers what this thread serves from now on. */
static __always_inline void thread__serve(__u32 tid, __u64 request_id,
                                          const struct zs_connection* connection,
                                          enum zs_evidence evidence, enum zs_loop loop,
                                          const struct zs_process* process) {
  const bool libuv = process->flags & ZS_PROCESS_LIBUV;
  struct zs_thread* known = bpf_map_lookup_elem(&threads, &tid);
  if (known) {
    /* Only the thread itself writes its entry: in place costs a tenth of an update. */
    known->request_id = request_id;
    known->connection_id = connection->id;
    known->evidence = evidence;
    known->loop = loop;
    known->libuv = libuv;
    return;
  }
  struct zs_thread value = {};
  value.request_id = request_id;
  value.connection_id = connection->id;
  value.evidence = evidence;
  value.loop = loop;
  value.libuv = libuv;
  if (bpf_map_update_elem(&threads, &tid, &value, BPF_ANY)) {
    counters__add(ZS_COUNTER_LOST_THREADS_FULL);
  }
}

/* A ring's operations end in any order and in any thread of their program: what this one does next
 * may be for any of them. */
ZS_COLD void thread__serve_nobody(__u32 tid) {
  struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (thread) {
    thread->request_id = 0;
    thread->evidence = ZS_EVIDENCE_NONE;
  }
}

/*
 * Go: a request is read by the goroutine that serves its connection, or by one that waited for the
 * peer's end meanwhile, and got the next request's first byte (net/http's backgroundRead, started
 * by whoever read the body's end). Bodies are read by anyone, and say nothing. `g` is what the
 * register has: another one's after C or assembly code has used it, so it is only believed if it
 * names the goroutine that the connection had. A global function, which the verifier looks at once
 * (see capture__first()).
 */
ZS_VERIFIED_ONCE int context__on_go_receive(struct zs_go_process* go,
                                            struct zs_connection* connection, __u32 begins,
                                            __u64 g) {
  if (!go || !connection || connection->role != ZS_ROLE_SERVER ||
      (!begins && connection->goroutine)) {
    return 0;
  }
  const __u64 known = connection->goroutine;
  if (!known || g != connection->goroutine_at || !goroutine__is_still(go, g, known)) {
    struct zs_goroutine_now now;
    if (!goroutine__check_caller(go, &g, &now)) {
      return 0;
    }
    const bool helps = known && now.goid != known && goroutine__read_origin(go, &now) &&
                       code__contains(&go->background, now.gopc);
    if (!helps) {
      connection->goroutine = now.goid;
      connection->goroutine_at = g == now.g ? g : 0;
    }
  }
  goroutine__serve(go, connection);
  return 0;
}

/* Who writes a request of Go's. */
enum zs_go_writer {
  ZS_GO_CALLER = 0, /* whoever asks, but for net/http's client */
  ZS_GO_STREAM = 1, /* a goroutine that begins a stream of HTTP/2 */
  ZS_GO_SERVER = 2, /* whoever asks, if it serves a request itself: others may be a driver's own */
};

/*
 * Go: for which request the running goroutine writes one of its own; the evidence is returned. Of
 * net/http's HTTP/1 client the goroutine that writes is one of its pool, and writes for whoever has
 * the connection. Its HTTP/2 client begins each stream in a goroutine of its own, started by the
 * caller.
 */
static __always_inline int context__go_writer(struct zs_go_process* go, __u32 writer,
                                              __u64* request_id) {
  struct zs_goroutine_now now;
  __u64 g = 0;
  if (!goroutine__check_caller(go, &g, &now) || !goroutine__read_origin(go, &now)) {
    return ZS_EVIDENCE_NONE;
  }
  const bool stream = writer == ZS_GO_STREAM;
  bool believed = !stream && !code__contains(&go->transport, now.gopc);
  for (__u32 i = 0; i < ZS_GO_STREAMS; ++i) {
    believed = believed || (stream && code__contains(&go->streams[i], now.gopc));
  }
  if (writer == ZS_GO_SERVER) {
    const struct zs_goroutine* known = goroutines__find(go, now.goid);
    believed = known && known->serves;
  }
  return believed ? goroutine__origin(go, &now, request_id) : ZS_EVIDENCE_NONE;
}

ZS_VERIFIED_ONCE int context__go_origin(struct zs_go_process* go, __u32 slot, __u32 writer) {
  struct zs_scratch* out = scratch__get(slot);
  return go && out ? context__go_writer(go, writer, &out->record.request_id) : ZS_EVIDENCE_NONE;
}

/* Go: the connection goes on in HTTP/2, and goroutines for its streams are started by the one that
 * has read this request: they do not work for it. */
ZS_VERIFIED_ONCE int context__on_go_upgrade(const struct zs_go_process* go,
                                            struct zs_connection* connection) {
  if (go && connection) {
    goroutine__doubt(go, connection->goroutine, ZS_EVIDENCE_AMBIGUOUS);
  }
  return 0;
}

/*
 * Go: a request is for whom the probe in the client has told, else the writing goroutine. What was
 * told holds for one request: none may be written for another one's caller.
 */
static __always_inline __u8 context__on_go_client_send(struct zs_go_process* go,
                                                       struct zs_connection* connection,
                                                       struct zs_data_record* record, __u32 slot) {
  if (connection->caller_told) {
    const __u8 evidence = connection->caller_evidence;
    record->request_id = connection->caller_request_id;
    connection->caller_request_id = 0;
    connection->caller_evidence = ZS_EVIDENCE_NONE;
    return evidence;
  }
  return context__go_origin(go, slot, ZS_GO_CALLER);
}

/*
 * An event loop has read an answer: how well is it known for which request it goes on? Not better
 * than when that call was sent, or a guess would become a proof. Nor can it be told whose answer it
 * is where those of several callers are awaited, as clients of Redis and Memcached often do.
 */
static __always_inline enum zs_evidence connection__answer_proves(
    const struct zs_connection* connection) {
  if (!connection->request_id) {
    return ZS_EVIDENCE_NONE;
  }
  if (connection->shared || connection->request_evidence == ZS_EVIDENCE_AMBIGUOUS) {
    return ZS_EVIDENCE_AMBIGUOUS;
  }
  if (connection->request_evidence == ZS_EVIDENCE_TICK_SAME_CONNECTION ||
      connection->request_evidence == ZS_EVIDENCE_CREATING_THREAD ||
      (connection->protocol != ZS_PROTOCOL_HTTP1 &&
       connection->protocol != ZS_PROTOCOL_POSTGRESQL &&
       connection->protocol != ZS_PROTOCOL_MYSQL)) {
    return ZS_EVIDENCE_TICK_SAME_CONNECTION;
  }
  return ZS_EVIDENCE_TICK_RESPONSE;
}

/* A read of a connection by a thread that serves requests itself. */
static __always_inline void context__on_thread_receive(const struct sock* sk,
                                                       struct zs_process* process,
                                                       struct zs_connection* connection,
                                                       __u32 tid) {
  enum zs_loop loop = connection->loop;
  if (loop != ZS_LOOP_EPOLL) {
    loop = socket__loop(sk, process);
    connection->loop = loop;
  }
  if (connection->role == ZS_ROLE_SERVER) {
    if (loop != ZS_LOOP_NONE && !(process->flags & ZS_PROCESS_EVENT_LOOP)) {
      process->flags |= ZS_PROCESS_EVENT_LOOP;
    }
    thread__serve(tid, connection->request_id, connection,
                  loop == ZS_LOOP_NONE ? ZS_EVIDENCE_THREAD : ZS_EVIDENCE_TICK, loop, process);
  } else if (loop != ZS_LOOP_NONE) {
    /*
     * An event loop goes on with whoever waited for this response. In a blocking thread the
     * response changes nothing, and a blocking client's non-blocking socket (a timeout set) must
     * not disturb what the thread serves.
     */
    struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
    if (loop == ZS_LOOP_EPOLL || !thread || thread->loop != ZS_LOOP_NONE) {
      if (thread && thread->loop == ZS_LOOP_NONE && thread->evidence == ZS_EVIDENCE_THREAD) {
        return;
      }
      thread__serve(tid, connection->request_id, connection, connection__answer_proves(connection),
                    loop, process);
    }
  }
}

/* A read of a connection: it decides what the reading thread serves. */
static __always_inline void context__on_receive(const struct sock* sk, struct zs_process* process,
                                                struct zs_connection* connection, __u32 tid,
                                                const struct zs_syscall* call, enum zs_gate gate) {
  bool begins = false;
  if (connection->role == ZS_ROLE_SERVER &&
      (connection->request_id == 0 ||
       (gate == ZS_GATE_REQUEST && connection->last_direction != ZS_RECEIVE) ||
       (gate == ZS_GATE_PARTIAL && connection->last_direction == ZS_SEND))) {
    connection->request_id = request__new_id(connection);
    begins = true;
  }
  if (process->flags & ZS_PROCESS_NO_CONTEXT) {
    if (process->flags & ZS_PROCESS_GO) {
      context__on_go_receive(&process->go, connection, begins, call ? call->g : 0);
    }
    return;
  }
  if (zs_unlikely(connection->uring)) {
    thread__serve_nobody(tid);
    return;
  }
  context__on_thread_receive(sk, process, connection, tid);
}

/* A thread writes on a client connection: for which request? The evidence is returned. */
static __always_inline __u8 context__of_thread(const struct zs_process* process,
                                               const struct zs_connection* connection, __u32 tid,
                                               bool first_send, __u64* request_id) {
  __u8 evidence = ZS_EVIDENCE_NONE;
  *request_id = 0;
  if (zs_unlikely(connection->uring)) {
    return evidence;
  }
  const struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (thread && thread->request_id) {
    *request_id = thread->request_id;
    evidence = thread__evidence(process, thread);
    if (evidence == ZS_EVIDENCE_TICK_RESPONSE && thread->connection_id == connection->id) {
      evidence = ZS_EVIDENCE_TICK_SAME_CONNECTION;
    }
  }
  if (first_send && (process->flags & ZS_PROCESS_EVENT_LOOP) && evidence != ZS_EVIDENCE_THREAD) {
    /* An event loop writes when the connection is ready, in any turn: what counts is who asked for
     * it. */
    if (connection->connect_seen) {
      *request_id = connection->origin_request_id;
      evidence = connection->origin_evidence;
    } else if (*request_id) {
      evidence = ZS_EVIDENCE_AMBIGUOUS;
    }
  }
  return evidence;
}

/* A write on a client connection: which request is it for? `record` is that of `slot`. */
static __always_inline void context__on_client_send(struct zs_process* process,
                                                    struct zs_connection* connection, __u32 tid,
                                                    bool first_send, struct zs_data_record* record,
                                                    __u32 slot) {
  record->request_id = 0;
  record->evidence = ZS_EVIDENCE_NONE;
  if (!(process->flags & ZS_PROCESS_NO_CONTEXT)) {
    record->evidence =
        context__of_thread(process, connection, tid, first_send, &record->request_id);
  } else if (process->flags & ZS_PROCESS_GO) {
    record->evidence = context__on_go_client_send(&process->go, connection, record, slot);
  }
}

/* A thread of an event loop that goes on with another request's message is in another call-back. */
static __always_inline void context__on_other_send(const struct zs_process* process,
                                                   const struct zs_connection* connection,
                                                   __u32 tid) {
  if (!(process->flags & ZS_PROCESS_CALLBACKS)) {
    return;
  }
  struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (thread && thread->loop == ZS_LOOP_EPOLL && thread->request_id != connection->request_id) {
    thread->request_id = 0;
    thread->evidence = ZS_EVIDENCE_NONE;
    thread->mixed = 1;
  }
}

/* An answer begins: has its thread read this connection's request itself? Which one of them is not
 * asked: the next may have been read, and is recorded, before this answer is. */
static __always_inline void context__on_answer(struct zs_process* process,
                                               const struct zs_connection* connection, __u32 tid) {
  if (connection->last_direction != ZS_RECEIVE || connection->loop != ZS_LOOP_NONE ||
      !connection->request_id ||
      (process->flags & (ZS_PROCESS_NO_CONTEXT | ZS_PROCESS_HANDS_OVER))) {
    return;
  }
  const struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  const bool own =
      thread && thread->evidence == ZS_EVIDENCE_THREAD && thread->connection_id == connection->id;
  const __u32 flag = own ? ZS_PROCESS_ANSWERS : ZS_PROCESS_HANDS_OVER;
  if (!(process->flags & flag)) {
    process->flags |= flag;
  }
}

/* A write that the socket did not take, or not all of: the program writes on later, in any turn. */
static __always_inline void context__on_short_send(const struct zs_process* process, __u32 tid) {
  if (!(process->flags & ZS_PROCESS_LIBUV)) {
    return;
  }
  struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (thread) {
    thread->mixed = 1;
  }
}

/*
 * A connection of HTTP/2 carries many requests at once, and they are written by whichever thread is
 * at hand: its operations prove nothing about a thread, and end what was known of one that goes on
 * with them. So do AMQP's and Cassandra's, but for what a client sends: how far the thread that
 * sends is believed is the parser's to say.
 */
ZS_COLD void context__on_multiplexed(struct zs_process* process,
                                     const struct zs_connection* connection, __u32 tid,
                                     enum zs_direction direction, struct zs_data_record* record) {
  if (process->flags & ZS_PROCESS_NO_CONTEXT) {
    if ((process->flags & ZS_PROCESS_GO) && connection->role == ZS_ROLE_CLIENT &&
        direction == ZS_SEND) {
      record->evidence = context__go_origin(&process->go, ZS_SEND, ZS_GO_STREAM);
      /* What was told of a stream before would be wrong for it. */
      if (zs_unlikely(connection->untold_stream > connection->walk[ZS_SEND].last_stream)) {
        record->evidence = ZS_EVIDENCE_AMBIGUOUS;
      }
    }
    return;
  }
  struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread || !thread->request_id) {
    return;
  }
  if (connection->role == ZS_ROLE_CLIENT && direction == ZS_SEND) {
    record->request_id = thread->request_id;
    record->evidence = ZS_EVIDENCE_AMBIGUOUS;
  } else if (connection->role != ZS_ROLE_CLIENT || thread->loop != ZS_LOOP_NONE) {
    thread->request_id = 0;
    thread->evidence = ZS_EVIDENCE_NONE;
  }
}

ZS_COLD void connection__sniff(struct zs_connection* connection, enum zs_direction direction,
                               int seen) {
  if (seen == ZS_SEEN(ZS_PROTOCOL_NATS, ZS_GATE_IDLE) && connection->seen_from_start &&
      protocol__is_on(ZS_PROTOCOL_REDIS)) {
    /* A PING by which a connection begins is Redis's; in the middle of one it is anybody's. */
    seen = ZS_SEEN(ZS_PROTOCOL_REDIS, ZS_GATE_REQUEST);
  }
  const int gate = ZS_SEEN_GATE(seen);
  if (gate == ZS_GATE_IDLE) {
    return;
  }
  if (gate == ZS_GATE_NO) {
    if (connection->sniffs_left > 0) {
      connection->sniffs_left -= 1;
    }
    if (connection->sniffs_left == 0) {
      connection->state = ZS_CONNECTION_MUTED;
      counters__add(ZS_COUNTER_CONNECTIONS_MUTED);
    }
    return;
  }
  connection->state = ZS_CONNECTION_KNOWN;
  connection->protocol = ZS_SEEN_PROTOCOL(seen);
  if (connection->protocol == ZS_PROTOCOL_HTTP2 && connection->seen_from_start) {
    const bool preface = gate == ZS_GATE_HTTP2_PREFACE;
    const bool client_sends = preface == (direction == ZS_SEND);
    zs_http2_start(&connection->walk[ZS_SEND], client_sends);
    zs_http2_start(&connection->walk[ZS_RECEIVE], !client_sends);
  }
  if (connection->protocol == ZS_PROTOCOL_AMQP && connection->seen_from_start) {
    zs_amqp_start(&connection->walk[direction == ZS_SEND], true);
    zs_amqp_start(&connection->walk[direction != ZS_SEND], false);
  }
  if ((connection->protocol == ZS_PROTOCOL_MQTT || connection->protocol == ZS_PROTOCOL_NATS ||
       connection->protocol == ZS_PROTOCOL_CASSANDRA) &&
      connection->seen_from_start) {
    zs_frame_follow(&connection->walk[ZS_SEND], 0);
    zs_frame_follow(&connection->walk[ZS_RECEIVE], 0);
  }
  /* Frames look the same in both directions of HTTP/2; the preface is a client's. */
  if (connection->role == ZS_ROLE_UNKNOWN &&
      seen != ZS_SEEN(ZS_PROTOCOL_HTTP2, ZS_GATE_HTTP2_FRAMES)) {
    const bool request = gate != ZS_GATE_RESPONSE;
    connection->role = (direction == ZS_RECEIVE) == request ? ZS_ROLE_SERVER : ZS_ROLE_CLIENT;
  }
  counters__add(ZS_COUNTER_CONNECTIONS_KNOWN);
}

/* A 101: if the connection goes on in HTTP/2 (RFC 7540 section 3.2), its frames are followed from
 * here on. The client's begin with its preface, where the walk finds them. */
ZS_COLD void connection__upgrade(const struct zs_process* process, struct zs_connection* connection,
                                 __u32 slot) {
  const int frames = capture__h2c(slot);
  if (frames > 0) {
    connection->protocol = ZS_PROTOCOL_HTTP2;
    zs_frame_lose(&connection->walk[ZS_RECEIVE]);
    zs_frame_lose(&connection->walk[ZS_SEND]);
    /* `slot` is the direction. */
    zs_frame_follow(&connection->walk[slot == ZS_SEND], frames);
    if ((process->flags & ZS_PROCESS_GO) && connection->role == ZS_ROLE_SERVER) {
      context__on_go_upgrade(&process->go, connection);
    }
  }
}

/* The first operation that is seen of a socket; NULL if it is none to follow. */
ZS_COLD struct zs_connection* socket_operation__begin(const struct sock* sk,
                                                      const struct zs_process* process,
                                                      enum zs_direction direction, int result) {
  const __u16 family = zs_read(sk, __sk_common.skc_family);
  if (result <= 0 || !socket__is_stream(sk, family)) {
    return NULL;
  }
  /* A reset that came inside of this very call: its close was seen already, and no other will come
   * to take an entry away again. */
  struct zs_scratch* out = scratch__get(direction);
  if (!out || (family != ZS_AF_UNIX && zs_read(sk, __sk_common.skc_state) == ZS_TCP_CLOSE)) {
    return NULL;
  }
  return connection__create(sk, process, family,
                            socket__first_operation(sk, family, direction, result), &out->fresh);
}

/* An operation that moved nothing: the end of the stream, or an error. */
ZS_COLD int socket_operation__end(const struct sock* sk, struct zs_connection* connection,
                                  enum zs_direction direction, int result) {
  if (direction == ZS_RECEIVE && result == 0) {
    if (!connection->receive_closed && (zs_read(sk, sk_shutdown) & ZS_RCV_SHUTDOWN)) {
      connection->receive_closed = 1;
      connection__emit_close(connection, ZS_CLOSE_RECEIVE);
    }
  } else if (connection->family == ZS_AF_UNIX && result < 0) {
    connection__emit_close(connection, ZS_CLOSE_RESET);
  }
  return 0;
}

/*
 * TCP counts what the program has read. More than this operation's `byte_count` since the last one:
 * it was read in a way that no hook sees (splice(2) out of the socket, TCP_ZEROCOPY_RECEIVE).
 */
static __always_inline void connection__check_read(const struct sock* sk,
                                                   struct zs_connection* connection,
                                                   __u32 byte_count) {
  const __u32 read = BPF_CORE_READ((const struct tcp_sock*)sk, copied_seq);
  const __u32 unseen = read - connection->read_seq - byte_count;
  const bool known = connection->read_known;
  connection->read_seq = read;
  connection->read_known = 1;
  /* Negative where two threads read at once; a FIN that was read past takes one number. */
  if (zs_unlikely(known && (__s32)unseen > 0) &&
      !(unseen == 1 && (zs_read(sk, sk_shutdown) & ZS_RCV_SHUTDOWN))) {
    connection__miss(connection, ZS_RECEIVE, unseen);
  }
}

/*
 * Whether the kernel itself encrypts what is sent, or decrypts what is received
 * (Documentation/networking/tls.rst): it has put its own functions into the socket then.
 */
static __always_inline bool socket__has_tls(const struct sock* sk, enum zs_direction direction) {
  if (!BPF_CORE_READ((const struct inet_connection_sock*)sk, icsk_ulp_ops)) {
    return false;
  }
  return direction == ZS_SEND ? BPF_CORE_READ(sk, __sk_common.skc_prot, sendmsg) !=
                                    BPF_CORE_READ(sk, sk_prot_creator, sendmsg)
                              : BPF_CORE_READ(sk, __sk_common.skc_prot, recvmsg) !=
                                    BPF_CORE_READ(sk, sk_prot_creator, recvmsg);
}

/*
 * A record of TLS's own, by the control message that goes with it: handshake and alerts do not
 * belong to the program's stream.
 */
static __always_inline bool tls__is_control(const struct zs_syscall* call) {
  if (!call || (call->number != ZS_NR_SENDMSG && call->number != ZS_NR_RECVMSG)) {
    return false;
  }
  __u64 control[2] = {}; /* of struct user_msghdr: where, and how long */
  struct {
    __u64 length;
    __s32 level;
    __s32 type;
    __u8 record;
  } message = {};
  return bpf_probe_read_user(control, sizeof(control),
                             (const char*)call->argument1 + sizeof(struct zs_user_msghdr)) == 0 &&
         control[1] >= ZS_CMSG_TLS_BYTES &&
         bpf_probe_read_user(&message, ZS_CMSG_TLS_BYTES, (const void*)control[0]) == 0 &&
         message.level == ZS_SOL_TLS && message.record != ZS_TLS_APPLICATION_DATA;
}

/*
 * Of a TCP connection that is nobody's, or in kernel TLS: is this operation to be followed? Until
 * the kernel has the keys a connection is encrypted, and nobody's; what comes then is a connection
 * of its own. One direction may stay encrypted.
 */
ZS_COLD bool connection__follow_tls(const struct sock* sk, struct zs_connection* connection,
                                    enum zs_direction direction, const struct zs_syscall* call) {
  if (!socket__has_tls(sk, direction)) {
    return !connection->tls && connection->state != ZS_CONNECTION_MUTED;
  }
  if (tls__is_control(call)) {
    return false;
  }
  if (!connection->tls && !connection->announced) {
    connection->id = connection__new_id();
    connection->tls = 1;
    connection->state = ZS_CONNECTION_SNIFFING;
    connection->sniffs_left = ZS_SNIFFS_NEW;
    connection->seen_from_start = 1;
    connection->last_direction = ZS_NO_DIRECTION;
    __builtin_memset(connection->offset, 0, sizeof(connection->offset));
    __builtin_memset(connection->told, 0, sizeof(connection->told));
  }
  return connection->state != ZS_CONNECTION_MUTED;
}

/* The connection that an operation belongs to; NULL if there is nothing to record. Parameters as
 * those of socket_operation__handle(). */
static __always_inline struct zs_connection* socket_operation__find(
    const struct sock* sk, const struct zs_process* process, enum zs_direction direction,
    int result, const struct zs_syscall* call) {
  struct zs_connection* connection = connection__find(sk);
  if (zs_unlikely(!connection)) {
    connection = socket_operation__begin(sk, process, direction, result);
    if (!connection) {
      return NULL;
    }
  }
  counters__add(ZS_COUNTER_OPERATIONS_SEEN);
  const bool tcp = connection->family != ZS_AF_UNIX && zs_read(sk, sk_protocol) == ZS_IPPROTO_TCP;
  if (zs_unlikely(connection->state != ZS_CONNECTION_KNOWN || connection->tls)) {
    const bool follow = tcp && result > 0 ? connection__follow_tls(sk, connection, direction, call)
                                          : connection->state != ZS_CONNECTION_MUTED;
    if (!follow) {
      counters__add(ZS_COUNTER_OPERATIONS_MUTED);
      return NULL;
    }
  }
  if (zs_unlikely(result <= 0)) {
    socket_operation__end(sk, connection, direction, result);
    return NULL;
  }
  if (tcp && direction == ZS_RECEIVE && !connection->tls) {
    connection__check_read(sk, connection, result);
  }
  return connection;
}

/* An operation that socket_operation__find() lets through becomes a record. */
static __always_inline int socket_operation__record(const struct sock* sk,
                                                    struct zs_process* process,
                                                    struct zs_connection* connection, __u32 tgid,
                                                    __u32 tid, enum zs_direction direction,
                                                    int result, const struct zs_syscall* call) {
  const __u32 slot = direction;
  struct zs_scratch* out = scratch__get(slot);
  if (!out) {
    return 0;
  }
  const __u32 byte_count = result;
  const __u8 dir = direction == ZS_SEND;
  /* One copy serves the gate and the capture, where this may be the start of a message. */
  const __u32 first_want = protocol__has_frames(connection->protocol) ? ZS_HEAD_BYTES_MAX
                           : connection->last_direction == direction  ? connection->head_budget[dir]
                                                                      : zs_head_bytes;
  const bool readable = call && buffers__find(&out->buffers, call);
  /* The frame walk copies for itself. */
  const bool walked = protocol__has_frames(connection->protocol) && zs_has_loop();
  const int seen = readable && !walked
                       ? capture__first(slot, byte_count, first_want, connection->protocol)
                       : ZS_GATE_NO;
  const enum zs_gate gate = ZS_SEEN_GATE(seen);
  if (zs_unlikely(connection->state == ZS_CONNECTION_SNIFFING)) {
    if (!readable) {
      connection__miss(connection, direction, byte_count);
    }
    connection__sniff(connection, direction, seen);
    if (connection->state != ZS_CONNECTION_KNOWN) {
      return 0;
    }
  }
  const __u64 now = bpf_ktime_get_ns();
  if (zs_unlikely(!connection->announced)) {
    connection->announced = connection__announce(sk, connection, tgid, now, out);
    if (!connection->announced) {
      /* What the agent sees first will be the middle of its streams. */
      connection->seen_from_start = 0;
      zs_frame_missed(&connection->walk[dir], byte_count);
      return 0;
    }
  }

  struct zs_data_record* record = &out->record;
  __builtin_memset(record, 0, sizeof(*record));
  record->header.type = ZS_RECORD_DATA;
  record->connection_id = connection->id;
  record->time_ns = now;
  record->departed_ns = now;
  record->thread_id = tid;
  record->byte_count = byte_count;
  record->direction = direction;
  if (!zs_take(&connection->offset[dir], byte_count, &record->offset)) {
    counters__add(ZS_COUNTER_LOST_SYSCALL_UNREADABLE);
    connection->told[dir] = connection->offset[dir];
    connection->last_direction = direction;
    return 0;
  }
  record->opposite_offset = connection->told[!dir];

  if (direction == ZS_SEND && connection->role == ZS_ROLE_CLIENT &&
      connection->family != ZS_AF_UNIX) {
    const __u64 departed = BPF_CORE_READ((const struct tcp_sock*)sk, tcp_wstamp_ns);
    if (departed > connection->last_send_ns && departed < now) {
      record->departed_ns = departed;
    }
    /* Read after these bytes were written, and recorded before them: an answer, or the beginning of
     * one. TCP stamps its acknowledgements, too, so `departed` may be later. */
    if (connection->answered_ns && connection->answered_ns <= record->departed_ns &&
        connection->answered_seq == BPF_CORE_READ((const struct tcp_sock*)sk, write_seq)) {
      record->departed_ns = connection->answered_ns - 1;
    }
  } else if (direction == ZS_RECEIVE && connection->role == ZS_ROLE_CLIENT &&
             connection->family != ZS_AF_UNIX) {
    const __u32 written = BPF_CORE_READ((const struct tcp_sock*)sk, write_seq);
    if (written != connection->answered_seq || !connection->answered_ns) {
      connection->answered_seq = written;
      connection->answered_ns = now;
    }
  }
  if (zs_unlikely(seen == ZS_SEEN(ZS_PROTOCOL_HTTP1, ZS_GATE_RESPONSE) && out->bytes[9] == '1' &&
                  out->bytes[10] == '0' && out->bytes[11] == '1')) {
    connection__upgrade(process, connection, slot);
  }
  const bool frames = protocol__has_frames(connection->protocol);
  if (zs_unlikely(frames)) {
    const bool asks = connection->role == ZS_ROLE_CLIENT && direction == ZS_SEND;
    if (asks && connection->protocol == ZS_PROTOCOL_CASSANDRA && (process->flags & ZS_PROCESS_GO)) {
      record->evidence = context__go_origin(&process->go, ZS_SEND, ZS_GO_SERVER);
    } else if (asks && (connection->protocol == ZS_PROTOCOL_AMQP ||
                        connection->protocol == ZS_PROTOCOL_CASSANDRA)) {
      context__on_client_send(process, connection, tid, record->offset == 0, record, ZS_SEND);
    } else {
      context__on_multiplexed(process, connection, tid, direction, record);
    }
  } else if (direction == ZS_RECEIVE) {
    context__on_receive(sk, process, connection, tid, call, gate);
    if (connection->role == ZS_ROLE_SERVER) {
      record->request_id = connection->request_id;
    }
  } else {
    if (connection->role == ZS_ROLE_CLIENT) {
      const bool request_start = gate == ZS_GATE_REQUEST || connection->last_direction != ZS_SEND;
      if (request_start) {
        context__on_client_send(process, connection, tid, record->offset == 0, record, ZS_SEND);
        if (connection->last_direction == ZS_SEND && connection->request_id != record->request_id) {
          connection->shared = 1;
        }
        connection->request_id = record->request_id;
        connection->request_evidence = record->evidence;
      } else {
        context__on_other_send(process, connection, tid);
      }
    } else {
      context__on_answer(process, connection, tid);
      context__on_other_send(process, connection, tid);
      /* 100, 102, 103: the request goes on (RFC 9110 section 15.2). */
      request__on_answer(connection, gate == ZS_GATE_RESPONSE && out->copy.first > 11 &&
                                         out->bytes[9] == '1' && out->bytes[11] != '1');
      if (zs_unlikely(connection->route_noted)) {
        route__tell(connection);
      }
    }
  }
  if (direction == ZS_SEND) {
    connection->last_send_ns = now;
  }

  if (connection->last_direction != direction || gate == ZS_GATE_REQUEST ||
      gate == ZS_GATE_RESPONSE) {
    connection->head_budget[dir] = zs_head_bytes;
  }
  connection->last_direction = direction;
  if (zs_unlikely(frames) && zs_has_loop()) {
    if (readable) {
      frames__capture(out, connection, direction, byte_count);
      connection->told[dir] = out->frames.stream_offset + byte_count;
      return 0;
    }
    zs_frame_missed(&connection->walk[dir], byte_count);
  }
  if (zs_likely(readable)) {
    __u32 head_want = frames ? ZS_HEAD_BYTES_MAX : connection->head_budget[dir];
    if (head_want > byte_count) {
      head_want = byte_count;
    }
    /* The end of a database's answer lies in its last messages, which are longer than a chunk's. */
    __u32 tail_want = zs_tail_bytes;
    if (connection->protocol != ZS_PROTOCOL_HTTP1) {
      tail_want = ZS_TAIL_BYTES_MAX;
      const bool from_client = (direction == ZS_SEND) == (connection->role == ZS_ROLE_CLIENT);
      if (zs_unlikely(gate == ZS_GATE_SECRET && from_client)) {
        const __u32 told =
            connection->protocol == ZS_PROTOCOL_REDIS       ? ZS_REDIS_SECRET_BYTES
            : connection->protocol == ZS_PROTOCOL_KAFKA     ? ZS_KAFKA_SECRET_BYTES
            : connection->protocol == ZS_PROTOCOL_AMQP      ? ZS_AMQP_SECRET_BYTES
            : connection->protocol == ZS_PROTOCOL_MQTT      ? ZS_MQTT_SECRET_BYTES
            : connection->protocol == ZS_PROTOCOL_NATS      ? ZS_NATS_SECRET_BYTES
            : connection->protocol == ZS_PROTOCOL_CASSANDRA ? ZS_CASSANDRA_SECRET_BYTES
            : connection->protocol == ZS_PROTOCOL_MONGODB   ? ZS_MONGODB_SECRET_BYTES
                                                            : ZS_POSTGRESQL_HEADER_BYTES;
        if (head_want > told) {
          head_want = told;
        }
        tail_want = 0;
      }
    }
    if (!frames) {
      connection->head_budget[dir] -= head_want;
    }
    if (zs_likely(out->copy.first == byte_count && byte_count == head_want)) {
      record->head_bytes = byte_count;
    } else {
      /* Without the frames before it, an operation's end says nothing. */
      capture__copy(slot, byte_count, head_want, frames ? 0 : tail_want);
    }
  } else {
    counters__add(ZS_COUNTER_LOST_SYSCALL_UNREADABLE);
  }
  if (zs_propagate && direction == ZS_RECEIVE && connection->role == ZS_ROLE_SERVER &&
      connection->protocol == ZS_PROTOCOL_HTTP1) {
    request__read(connection, slot, byte_count, tgid);
  }
  const __u64 length = sizeof(*record) + record->head_bytes + record->tail_bytes;
  if (length > sizeof(*record) + ZS_HEAD_BYTES_MAX + ZS_TAIL_BYTES_MAX) {
    return 0;
  }
  record->header.length = length;
  rings__output(connection->ring, record, length);
  connection->told[dir] = record->offset + byte_count;
  return 0;
}

/*
 * `process` is the entry of the current thread's process `tgid`. `result` is what the operation
 * returned: bytes moved, 0 at end of stream, or a negative errno. `call` is the system call that
 * the thread is in; NULL if its arguments cannot be had.
 */
static __always_inline int socket_operation__handle(const struct sock* sk,
                                                    struct zs_process* process, __u32 tgid,
                                                    __u32 tid, enum zs_direction direction,
                                                    int result, const struct zs_syscall* call) {
  struct zs_connection* connection = socket_operation__find(sk, process, direction, result, call);
  if (!connection) {
    return 0;
  }
  if (zs_unlikely(connection__is_parked(connection))) {
    connection__unpark_all(connection);
  }
  return socket_operation__record(sk, process, connection, tgid, tid, direction, result, call);
}
