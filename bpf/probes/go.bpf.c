/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Uprobes in Go programs, for what their socket calls do not show: a request is written by another
 * goroutine than the one that asked for it, or read by another one than the one that serves it.
 * They are placed where the registers still have the arguments (symbols/probe), and each is hit
 * once for a request.
 */
#define ZS_SOCKET_BY_ADDRESS
#include "bpf/lib/descriptor.h"
#include "bpf/lib/mix.h"
#include "bpf/maps/rooms.h"
#include "bpf/maps/streams.h"
#include "bpf/probes/socket_operation.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ZS_DESCRIPTOR_MAX (1U << 24)
#define ZS_NET_FD_WORDS 8 /* of net.netFD, from its descriptor on */

/* A stream socket that a program's memory names, and its entry; NULL: it has none yet. */
struct zs_go_socket {
  const struct sock* sk;
  struct zs_connection* connection;
};

/*
 * The socket behind a net.Conn, given the interface's data pointer; false if it is no *net.TCPConn
 * or *net.UnixConn. Nothing here knows Go's types: a net.netFD says of itself which family and kind
 * of socket it is, and that has to be what the kernel says of its descriptor.
 */
static __always_inline bool go__plain_socket(const struct zs_go_process* go, __u64 connection,
                                             struct zs_go_socket* socket) {
  __u64 net_fd = 0;
  __u64 fields[ZS_NET_FD_WORDS]; /* one look costs less than three */
  const __u32 family_at = (go->net_fd_family - go->net_fd_sysfd) / sizeof(__u64);
  const __u32 kind_at = (go->net_fd_sotype - go->net_fd_sysfd) / sizeof(__u64);
  if (family_at >= ZS_NET_FD_WORDS || kind_at >= ZS_NET_FD_WORDS ||
      !go__read(&net_fd, connection + go->conn_fd) ||
      bpf_probe_read_user(fields, sizeof(fields), (const void*)(net_fd + go->net_fd_sysfd))) {
    return false;
  }
  const __u64 descriptor = fields[0];
  const __u64 family = fields[family_at];
  if (fields[kind_at] != ZS_SOCK_STREAM || descriptor >= ZS_DESCRIPTOR_MAX) {
    return false;
  }
  const struct task_struct* task = zs_task();
  const struct sock* sk = task__socket(task, descriptor);
  if (!sk) {
    return false;
  }
  socket->sk = sk;
  socket->connection = connection__find(sk);
  return socket->connection ? socket->connection->family == family
                            : zs_read(sk, __sk_common.skc_family) == family &&
                                  socket__is_stream(sk, (__u16)family);
}

/* The same of what may be a wrapper that begins with the net.Conn that it wraps, as they do: that
 * of golang.org/x/net/http2/h2c, of netutil.LimitListener, and many a program's own. */
static __always_inline bool go__socket(const struct zs_go_process* go, __u64 connection,
                                       struct zs_go_socket* socket) {
  __u64 wrapped = 0;
  return go__plain_socket(go, connection, socket) ||
         (go__read(&wrapped, connection + sizeof(wrapped)) &&
          go__plain_socket(go, wrapped, socket));
}

/* What a probe's program begins with: the process, and the goroutine that runs. */
struct zs_go_hit {
  struct zs_process* process;
  struct zs_go_process* go;
  struct zs_goroutine_now now;
};

static __always_inline bool go__find(struct zs_go_hit* hit) {
  hit->process = processes__find(bpf_get_current_pid_tgid() >> 32U);
  if (!hit->process || !(hit->process->flags & ZS_PROCESS_GO)) {
    return false;
  }
  hit->go = &hit->process->go;
  return true;
}

static __always_inline bool go__enter(struct zs_go_hit* hit, const struct pt_regs* regs) {
  return go__find(hit) && goroutine__check_running(hit->go, ZS_GO_G(regs), &hit->now);
}

/*
 * The connection of a client, given its net.Conn; one that was open before us is added. NULL if
 * nothing is recorded of it, as of TLS.
 */
static __always_inline struct zs_connection* go__client_connection(const struct zs_go_hit* hit,
                                                                   __u64 data) {
  struct zs_go_socket socket;
  if (!go__socket(hit->go, data, &socket)) {
    return NULL;
  }
  struct zs_connection* connection = socket.connection;
  if (!connection) {
    const struct sock* sk = socket.sk;
    struct zs_connection* room = rooms__get();
    connection = room ? connection__create(sk, hit->process, zs_read(sk, __sk_common.skc_family),
                                           false, room)
                      : NULL;
    if (connection) {
      connection->role = ZS_ROLE_CLIENT;
    }
  }
  return connection && connection->state != ZS_CONNECTION_MUTED &&
                 connection->role != ZS_ROLE_SERVER
             ? connection
             : NULL;
}

/*
 * net/http.(*persistConn).roundTrip: the receiver is argument 0, and the goroutine that asks runs.
 * Its request is the next one on that connection.
 */
SEC("uprobe")
int go__round_trip(struct pt_regs* regs) {
  struct zs_go_hit hit;
  if (!go__enter(&hit, regs)) {
    return 0;
  }
  counters__add(ZS_COUNTER_GO_CALLS);
  __u64 data = 0;
  struct zs_connection* connection = NULL;
  if (go__read(&data, ZS_GO_ARGUMENT0(regs) + hit.go->persist_conn_conn + sizeof(data))) {
    connection = go__client_connection(&hit, data);
  }
  if (!connection) {
    counters__add(ZS_COUNTER_GO_CALLS_UNREADABLE);
    return 0;
  }
  __u64 request_id = 0;
  connection->caller_evidence = goroutine__origin(hit.go, &hit.now, &request_id);
  connection->caller_request_id = request_id;
  connection->caller_told = 1;
  return 0;
}

static __always_inline bool go__read_number(__u32* value, __u64 address) {
  return bpf_probe_read_user(value, sizeof(*value), (const void*)address) == 0;
}

/*
 * The function inside of grpc-go's (*http2Client).NewStream that gives the stream its number, which
 * is the client's next one: it runs in the goroutine that asks, and under the lock of the queue
 * that the stream's headers are put into. So nobody else can get that number now, and no byte of
 * the stream has left. It may find that the peer allows no more streams; then it is called again
 * later, and tells again. What it has of its surroundings is in a register of its own (Go's
 * closures).
 */
SEC("uprobe")
int go__grpc_new_stream(struct pt_regs* regs) {
  struct zs_go_hit hit;
  if (!go__find(&hit)) {
    return 0;
  }
  counters__add(ZS_COUNTER_GO_CALLS);
  struct zs_go_process* go = hit.go;
  __u64 client = 0;
  __u64 data = 0;
  __u32 stream = 0;
  struct zs_connection* connection = NULL;
  if (go__read(&client, ZS_GO_CLOSURE(regs) + go->grpc_new_stream_client) &&
      go__read(&data, client + go->grpc_client_conn + sizeof(data)) &&
      go__read_number(&stream, client + go->grpc_client_next_id)) {
    connection = go__client_connection(&hit, data);
  }
  if (!connection) {
    counters__add(ZS_COUNTER_GO_CALLS_UNREADABLE);
    return 0;
  }
  const struct zs_frame_walk* sent = &connection->walk[ZS_SEND];
  __u64 request_id = 0;
  __u8 evidence = ZS_EVIDENCE_NONE;
  if (stream % 2 == 0 || (sent->followed == ZS_FRAME_KNOWN && stream <= sent->last_stream)) {
    go__refuse(go);
  } else if (goroutine__check_running(go, ZS_GO_G(regs), &hit.now)) {
    evidence = goroutine__origin(go, &hit.now, &request_id);
  }
  if (evidence == ZS_EVIDENCE_NONE && connection->told_stream != stream) {
    return 0; /* to tell nothing says the same */
  }
  struct zs_stream_record record = {};
  record.header.length = sizeof(record);
  record.header.type = ZS_RECORD_STREAM;
  record.connection_id = connection->id;
  record.time_ns = bpf_ktime_get_ns();
  record.request_id = request_id;
  record.stream_id = stream;
  record.evidence = evidence;
  if (zs_propagate) {
    const struct zs_stream_key key = {.connection_id = connection->id, .stream_id = stream};
    const struct zs_stream_origin origin = {.request_id = request_id, .evidence = evidence};
    bpf_map_update_elem(&stream_origins, &key, &origin, BPF_ANY);
  }
  if (rings__output(connection->ring, &record, sizeof(record))) {
    connection->told_stream = stream;
  } else if (connection->told_stream == stream) {
    connection->untold_stream = stream;
  }
  return 0;
}

/*
 * The running goroutine begins to serve a stream of an HTTP/2 server's connection. `data` is its
 * net.Conn's. What is read must be a stream that has begun, and no other goroutine's.
 */
static __always_inline void go__serve_stream(struct zs_go_hit* hit, __u64 data, __u32 stream) {
  struct zs_go_socket socket;
  struct zs_connection* connection = go__socket(hit->go, data, &socket) ? socket.connection : NULL;
  __u64 request_id = 0;
  if (connection && connection->protocol == ZS_PROTOCOL_HTTP2 &&
      connection->role != ZS_ROLE_CLIENT) {
    if (stream == 1 && connection->request_id) {
      request_id = connection->request_id; /* it came over HTTP/1.1, and asked for HTTP/2 */
    } else if (stream % 2 == 1 &&
               (!zs_has_loop() || stream <= connection->walk[ZS_RECEIVE].last_stream)) {
      request_id = zs_stream_request_id(zs_id_seed, connection->id, stream);
    }
  }
  const struct zs_goroutine* known = NULL;
  if (!request_id || connection->handled_stream == stream) {
    known = goroutines__find(hit->go, hit->now.goid);
  }
  if (request_id && connection->handled_stream == stream) {
    if (known && known->request_id == request_id) {
      return; /* Go before 1.21: the probe may be passed twice */
    }
    go__refuse(hit->go);
  } else if (request_id) {
    connection->handled_stream = stream;
    goroutine__serve_stream(hit->go, hit->now.goid, connection, request_id);
    return;
  }
  counters__add(ZS_COUNTER_GO_STREAMS_UNREADABLE);
  if (known) {
    goroutine__doubt(hit->go, hit->now.goid, ZS_EVIDENCE_NONE);
    return;
  }
  /* gRPC on top of net/http's server: that one's goroutine is known, and has started this one. */
  const struct zs_goroutine* starter = goroutine__read_origin(hit->go, &hit->now)
                                           ? goroutines__find(hit->go, hit->now.parent)
                                           : NULL;
  if (starter && starter->serves) {
    goroutine__descend(hit->go, &hit->now, &request_id);
  }
}

/*
 * grpc-go's (*Server).handleStream: what the handler gets of its stream is argument 3, the
 * transport argument 2. It may be one over net/http's server; then the goroutine was started for a
 * stream of that.
 */
SEC("uprobe")
int go__grpc_handle_stream(struct pt_regs* regs) {
  struct zs_go_hit hit;
  if (!go__enter(&hit, regs)) {
    return 0;
  }
  counters__add(ZS_COUNTER_GO_STREAMS);
  struct zs_go_process* go = hit.go;
  __u64 data = 0;
  __u64 at = ZS_GO_ARGUMENT3(regs);
  __u32 stream = 0;
  if ((go->grpc_stream_indirect && !go__read(&at, at)) ||
      !go__read_number(&stream, at + go->grpc_stream_id) ||
      !go__read(&data, ZS_GO_ARGUMENT2(regs) + go->grpc_server_conn + sizeof(data))) {
    stream = 0;
  }
  go__serve_stream(&hit, data, stream);
  return 0;
}

/* (*serverConn).runHandler of HTTP/2: the receiver is argument 0, what the handler writes to 1. */
static __always_inline int go__run_handler(const struct pt_regs* regs, __u32 which) {
  struct zs_go_hit hit;
  if (!go__enter(&hit, regs)) {
    return 0;
  }
  counters__add(ZS_COUNTER_GO_STREAMS);
  const struct zs_go_http2_server* server = &hit.go->http2_servers[which];
  __u64 data = 0;
  __u64 at = 0;
  __u32 stream = 0;
  if (!go__read(&at, ZS_GO_ARGUMENT1(regs)) || !go__read(&at, at + server->writer_stream) ||
      !go__read_number(&stream, at + server->stream_id) ||
      !go__read(&data, ZS_GO_ARGUMENT0(regs) + server->server_conn + sizeof(data))) {
    stream = 0;
  }
  go__serve_stream(&hit, data, stream);
  return 0;
}

SEC("uprobe")
int go__http2_run_handler(struct pt_regs* regs) {
  return go__run_handler(regs, 0);
}

SEC("uprobe")
int go__x_http2_run_handler(struct pt_regs* regs) {
  return go__run_handler(regs, 1);
}
