/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Gives the requests that selected processes send over HTTP/1 a traceparent, below TCP's sendmsg
 * and so before the bytes leave: a program at the socket operations of the root cgroup puts their
 * connections into a sockhash, and one at that map's messages (net/ipv4/tcp_bpf.c) writes into
 * them. The program's own memory is not touched, and what sendmsg() returns does not count the
 * header. See docs/decisions/0017-injection-in-the-socket-layer.md.
 */
#include "bpf/lib/inject_http2.h"
#include "bpf/lib/mix.h"
#include "bpf/maps/outgoing.h"
#include "bpf/maps/streams.h"
#include "bpf/probes/socket_operation.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* How the agent samples and which headers it reads; changes with its configuration. */
volatile __u64 zs_sample_threshold = 0; /* of the trace id's last 56 bits */
volatile __u8 zs_sample_alone = 0;      /* whatever a caller has decided */
volatile __u8 zs_skips_traceparent = 0; /* or reads another format before it */
volatile __u8 zs_reads_others = 0;      /* B3, Jaeger, X-Ray */

/* Whether this kernel's sockets in blocking mode are like others in a sockmap; the self-test says
 * so. */
volatile __u8 zs_takes_blocking = 0;

/* "traceparent: 00-", trace, "-", span, "-", flags, CR LF */
#define ZS_INJECT_BYTES 70
#define ZS_INJECT_VALUE_AT 13
/* A head that ends further behind in an operation is left alone: all before it may have to be
 * copied together. */
#define ZS_INJECT_WITHIN 32768
#define ZS_INJECT_WINDOW 4096 /* bytes that are made readable at a time */
#define ZS_INJECT_STEPS 65536 /* of the walk over an operation */
#define ZS_NOWHERE (~0U)
#define ZS_INJECT_SALT 0x696e6a65ULL

/* The frames in the send direction of a connection of HTTP/2. As `outgoing`; most have none. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct zs_requests);
} outgoing_http2 SEC(".maps");

/*
 * Client connections of selected processes, by the address of their struct sock. The kernel takes a
 * socket out when it is closed, and gives all back their own functions when the map goes. The
 * program at the messages must not name it: each would keep the other alive.
 */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __uint(max_entries, 65536);
  __type(key, __u64);
  __type(value, __u64);
} clients SEC(".maps");

static __always_inline const struct sock* tcp__sock(const struct tcp_sock* tcp) {
  return (const struct sock*)tcp;
}

static __always_inline bool sock__is_spared(const struct sock* sk) {
  return !zs_takes_blocking && sock__blocks(sk);
}

/* The handshake has ended, in an interrupt: the current task is anybody. */
SEC("sockops")
int propagate__established(struct bpf_sock_ops* operation) {
  if (operation->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
    return 1;
  }
  struct bpf_sock* socket = operation->sk;
  if (!socket) {
    return 1;
  }
  const struct tcp_sock* tcp = bpf_skc_to_tcp_sock(socket);
  if (!tcp) {
    return 1;
  }
  __u64 key = (__u64)tcp;
  const struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  if (!connection || !connection->connect_seen || connection->role != ZS_ROLE_CLIENT) {
    return 1;
  }
  if (sock__is_spared(tcp__sock(tcp))) {
    counters__add(ZS_COUNTER_INJECT_BLOCKING);
    return 1;
  }
  struct zs_outgoing* out =
      bpf_sk_storage_get(&outgoing, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!out) {
    return 1;
  }
  out->key = key;
  if (bpf_sock_hash_update(operation, &clients, &key, BPF_ANY)) {
    return 1;
  }
  counters__add(ZS_COUNTER_INJECT_CONNECTIONS);
  return 1;
}

struct zs_message {
  struct sk_msg_md* message;
  struct zs_outgoing* out;
  struct zs_requests* requests; /* HTTP/2 */
};

static __always_inline bool task__has_ring(const struct task_struct* task) {
  return bpf_core_field_exists(task->io_uring) && task->io_uring;
}

/*
 * The same for a stream of HTTP/2. Whichever thread is at hand writes it
 * (context__on_multiplexed()), so only Go's tell: the probe in grpc-go has told, or net/http begins
 * the stream in a goroutine of its own, which sends no other's headers with them.
 */
static __always_inline __u8 outgoing__stream_origin(struct zs_process* process,
                                                    const struct zs_connection* connection,
                                                    const struct zs_outgoing* out,
                                                    __u64* request_id) {
  if (!(process->flags & ZS_PROCESS_GO)) {
    return ZS_EVIDENCE_NONE;
  }
  const struct zs_stream_key key = {.connection_id = connection->id, .stream_id = out->stream_id};
  const struct zs_stream_origin* told = bpf_map_lookup_elem(&stream_origins, &key);
  if (told) {
    *request_id = told->request_id;
    return told->evidence;
  }
  return out->inserted ? ZS_EVIDENCE_NONE
                       : context__go_writer(&process->go, ZS_GO_STREAM, request_id);
}

/* For which request is this one sent? The evidence is returned. */
static __always_inline __u8 outgoing__origin(struct zs_process* process,
                                             struct zs_connection* connection,
                                             const struct zs_outgoing* out, __u32 tid,
                                             __u64* request_id) {
  const struct task_struct* task = (const struct task_struct*)bpf_get_current_task_btf();
  *request_id = 0;
  if ((task->flags & (ZS_PF_IO_WORKER | ZS_PF_KTHREAD)) || task__has_ring(task)) {
    return ZS_EVIDENCE_NONE;
  }
  if (out->http2) {
    return outgoing__stream_origin(process, connection, out, request_id);
  }
  if (!(process->flags & ZS_PROCESS_NO_CONTEXT)) {
    return context__of_thread(process, connection, tid, out->request_offset == 0, request_id);
  }
  if (!(process->flags & ZS_PROCESS_GO) || out->inserted) {
    return ZS_EVIDENCE_NONE;
  }
  if (connection->caller_told) {
    *request_id = connection->caller_request_id;
    return connection->caller_evidence;
  }
  return context__go_writer(&process->go, ZS_GO_CALLER, request_id);
}

static __always_inline bool trace__is_sampled(__u64 low, bool parent_decided, bool parent) {
  return parent_decided && !zs_sample_alone ? parent
                                            : (low & ((1ULL << 56U) - 1)) >= zs_sample_threshold;
}

/* The request that is sent is made for this one, whose traceparent had this trace id and flags;
 * null: it had none. */
static __always_inline void outgoing__continue(struct zs_injected_record* record, __u64 request_id,
                                               const __u64* trace_id, __u8 flags) {
  if (trace_id) {
    record->trace_id[0] = trace_id[0];
    record->trace_id[1] = trace_id[1];
  } else {
    zs_request_trace_id(zs_id_seed, request_id, record->trace_id);
  }
  record->sampled = trace__is_sampled(record->trace_id[1], trace_id != NULL, flags & 1U);
  record->parent_id = request_id;
}

/*
 * The context of the request that is sent, into out->record. Only what is certain names a parent;
 * where that is not known for sure, the request starts a trace. False: it is for a request whose
 * trace is not known, so that any context would be a wrong one.
 */
static __always_inline bool outgoing__decide(struct zs_process* process,
                                             struct zs_connection* connection,
                                             struct zs_outgoing* out) {
  const __u64 pid_tgid = bpf_get_current_pid_tgid();
  struct zs_injected_record* record = &out->record;
  __u64 request_id = 0;
  const __u8 evidence = outgoing__origin(process, connection, out, (__u32)pid_tgid, &request_id);
  record->evidence = evidence;
  record->parent_id = 0;
  record->span_id = zs_mix64_with(zs_mix64_with(zs_id_seed ^ ZS_INJECT_SALT, connection->id),
                                  out->request_offset);
  if (!record->span_id) {
    record->span_id = 1;
  }
  const bool certain = evidence == ZS_EVIDENCE_THREAD || evidence == ZS_EVIDENCE_TICK ||
                       evidence == ZS_EVIDENCE_TICK_RESPONSE || evidence == ZS_EVIDENCE_GOROUTINE;
  if (certain && request_id) {
    const struct zs_request* request = bpf_map_lookup_elem(&requests, &request_id);
    const struct zs_stream_context* stream =
        request ? NULL : bpf_map_lookup_elem(&stream_contexts, &request_id);
    if (stream && stream->tgid == pid_tgid >> 32U) {
      const bool carries = stream->carries && !zs_skips_traceparent;
      if ((carries && !stream->known) || (!carries && zs_reads_others)) {
        return false;
      }
      outgoing__continue(record, request_id, carries ? stream->trace_id : NULL,
                         stream->trace_flags);
      return true;
    }
    if (!request || !request->head_read) {
      return false;
    }
    if (request->tgid == pid_tgid >> 32U && !request->answered && !request->shared) {
      const bool traceparent = (request->flags & ZS_HTTP1_TRACEPARENT) && !zs_skips_traceparent;
      if ((traceparent && (request->flags & ZS_HTTP1_TRACEPARENT_ODD)) ||
          (!traceparent && (request->flags & ZS_HTTP1_OTHER_CONTEXT) && zs_reads_others) ||
          (zs_skips_traceparent && zs_reads_others)) {
        return false;
      }
      outgoing__continue(record, request_id, traceparent ? request->trace_id : NULL,
                         request->trace_flags);
      return true;
    }
  }
  /* As of a request that is served: nobody has this id. */
  zs_request_trace_id(zs_id_seed ^ ZS_INJECT_SALT, record->span_id, record->trace_id);
  record->sampled = trace__is_sampled(record->trace_id[1], false, false);
  return true;
}

static __always_inline void header__write(__u8* text, const struct zs_injected_record* record) {
  __builtin_memcpy(text, "traceparent: ", ZS_INJECT_VALUE_AT);
  zs_traceparent_write(text + ZS_INJECT_VALUE_AT, record->trace_id, record->span_id,
                       record->sampled);
  text[ZS_INJECT_BYTES - 2] = '\r';
  text[ZS_INJECT_BYTES - 1] = '\n';
}

/*
 * tcp_bpf_sendmsg() tells the program how many of its bytes were sent by taking what was not sent
 * from what it was given, whoever's bytes these are: right only if the header went out whole. TCP
 * asks whether there is room in the send buffer each time it begins a packet. So there must be room
 * for all up to the header's end, with the packets around it.
 */
static __always_inline bool outgoing__has_room(const struct tcp_sock* tcp, __u32 end) {
  const struct sock* sk = tcp__sock(tcp);
  const __s64 free = (__s64)sk->sk_sndbuf - sk->sk_wmem_queued;
  return free >= 2 * (__s64)end + 4096;
}

/*
 * Puts the header before the empty line that ends at `end` of the operation. Everything up to there
 * is one piece first: kernels before 6.13 split a later piece at the wrong place
 * (bpf_msg_push_data(), net/core/filter.c).
 */
static __always_inline bool outgoing__insert(struct sk_msg_md* message, struct zs_outgoing* out,
                                             __u32 end) {
  const __u32 start = end - 2;
  if (bpf_msg_pull_data(message, 0, end, 0)) {
    return false;
  }
  out->base = 0;
  if (bpf_msg_push_data(message, start, ZS_INJECT_BYTES, 0)) {
    return false;
  }
  const long unreadable = bpf_msg_pull_data(message, start, start + ZS_INJECT_BYTES, 0);
  __u8* text = message->data;
  if (unreadable || (void*)(text + ZS_INJECT_BYTES) > message->data_end) {
    out->drop = bpf_msg_pop_data(message, start, ZS_INJECT_BYTES, 0) != 0;
    out->walk.off = ZS_HTTP1_OFF_UNSEEN;
    return false;
  }
  header__write(text, &out->record);
  out->base = start;
  out->pulled = ZS_NOWHERE;
  out->inserted += ZS_INJECT_BYTES;
  out->size += ZS_INJECT_BYTES;
  out->position += ZS_INJECT_BYTES;
  return true;
}

/* Are the bytes that are sent in buffers of the program, where the capture finds them? If not, no
 * span is made of the request. What a ring sends is told when it is complete. */
static __always_inline bool outgoing__is_readable(const struct task_struct* task) {
  struct zs_syscall call;
  if ((task->flags & (ZS_PF_IO_WORKER | ZS_PF_KTHREAD)) || task__has_ring(task)) {
    return true;
  }
  if (zs_syscall__is_compat(task) || !zs_syscall__from_task(&call, task)) {
    return false;
  }
  return call.number == ZS_NR_WRITE || call.number == ZS_NR_WRITEV || call.number == ZS_NR_SENDTO ||
         call.number == ZS_NR_SENDMSG || call.number == ZS_NR_SENDMMSG;
}

/*
 * Puts the field behind the header block that ends at `end` of the operation, and its length into
 * that of the frame. Kernels before 6.13 put nothing behind a message's last byte, so it goes in
 * front of the block's last byte, which is written anew before it.
 */
static __always_inline bool outgoing__insert_field(struct zs_message* current, __u32 end) {
  struct sk_msg_md* message = current->message;
  struct zs_outgoing* out = current->out;
  struct zs_requests* requests = current->requests;
  const struct zs_injected_record* record = &out->record;
  const __u32 start = end - 1;
  const __u32 header_at = end - zs_requests_behind(requests);
  if (bpf_msg_pull_data(message, 0, end, 0)) {
    return false;
  }
  out->base = 0;
  out->pulled = ZS_NOWHERE;
  if (bpf_msg_pull_data(message, start, end, 0)) {
    return false;
  }
  out->base = start;
  __u8* text = message->data;
  if ((void*)(text + 1) > message->data_end) {
    return false;
  }
  const __u8 last = text[0];
  if (bpf_msg_push_data(message, start, ZS_HTTP2_FIELD_BYTES, 0)) {
    return false;
  }
  /* This may need memory; what follows does not, because it is in one piece already. */
  bool done = !bpf_msg_pull_data(message, start, end + ZS_HTTP2_FIELD_BYTES, 0) &&
              !bpf_msg_pull_data(message, header_at, header_at + ZS_HTTP2_LENGTH_BYTES, 0);
  __u8* header = message->data;
  done = done && (void*)(header + ZS_HTTP2_LENGTH_BYTES) <= message->data_end;
  if (!done) {
    out->drop = bpf_msg_pop_data(message, start, ZS_HTTP2_FIELD_BYTES, 0) != 0;
    requests->at = ZS_REQUESTS_OFF;
    return false;
  }
  zs_http2_length(header, requests->length + ZS_HTTP2_FIELD_BYTES);
  const long unreadable = bpf_msg_pull_data(message, start, end + ZS_HTTP2_FIELD_BYTES, 0);
  text = message->data;
  if (unreadable || (void*)(text + 1 + ZS_HTTP2_FIELD_BYTES) > message->data_end) {
    out->drop = 1;
    return false;
  }
  text[0] = last;
  zs_http2_field(text + 1, record->trace_id, record->span_id, record->sampled);
  out->base = start;
  out->inserted += ZS_HTTP2_FIELD_BYTES;
  out->size += ZS_HTTP2_FIELD_BYTES;
  out->position += ZS_HTTP2_FIELD_BYTES;
  return true;
}

/* Gives the request whose head ends at `end` of the operation its context, in so many bytes. */
static __always_inline void outgoing__inject(struct zs_message* current, __u32 end,
                                             __u32 byte_count) {
  struct sk_msg_md* message = current->message;
  struct zs_outgoing* out = current->out;
  if (!outgoing__is_readable((const struct task_struct*)bpf_get_current_task_btf())) {
    counters__add(ZS_COUNTER_NOT_INJECTED_UNREADABLE);
    return;
  }
  struct zs_process* process = processes__find(bpf_get_current_pid_tgid() >> 32U);
  if (!process || !(process->flags & ZS_PROCESS_PROPAGATE)) {
    counters__add(ZS_COUNTER_NOT_INJECTED_PROCESS);
    return;
  }
  const __u64 key = out->key;
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  struct bpf_sock* socket = message->sk;
  const struct tcp_sock* tcp = socket ? bpf_skc_to_tcp_sock(socket) : NULL;
  if (!connection || !tcp || !outgoing__decide(process, connection, out)) {
    counters__add(ZS_COUNTER_NOT_INJECTED_PARENT);
    return;
  }
  if (!outgoing__has_room(tcp, end + byte_count)) {
    counters__add(ZS_COUNTER_NOT_INJECTED_BUFFER);
    return;
  }
  struct zs_injected_record* record = &out->record;
  record->header.length = sizeof(*record);
  record->header.type = ZS_RECORD_INJECTED;
  record->connection_id = connection->id;
  record->time_ns = bpf_ktime_get_ns();
  record->offset = out->request_offset;
  /* A header whose span is not told would name a parent that nobody has. */
  if (!rings__output(connection->ring, record, sizeof(*record)) ||
      !(current->requests ? outgoing__insert_field(current, end)
                          : outgoing__insert(message, out, end))) {
    counters__add(ZS_COUNTER_NOT_INJECTED_FAILED);
    return;
  }
  counters__add(ZS_COUNTER_INJECTED);
  if (!record->parent_id) {
    counters__add(ZS_COUNTER_INJECTED_ROOTS);
  }
}

/* A request's head ends at out->position. A function of its own, so that it is one place for the
 * verifier. */
static __attribute__((noinline)) int outgoing__on_head(struct zs_message* current) {
  struct zs_outgoing* out = current->out;
  const __u32 end = out->position;
  if (out->walk.flags & (ZS_HTTP1_TRACEPARENT | ZS_HTTP1_OTHER_CONTEXT)) {
    counters__add(ZS_COUNTER_NOT_INJECTED_OWN);
    return 0;
  }
  if (out->walk.flags & ZS_HTTP1_IS_CONNECT) {
    return 0;
  }
  if (end < 2 || end > ZS_INJECT_WITHIN) {
    counters__add(ZS_COUNTER_NOT_INJECTED_SPLIT);
    return 0;
  }
  outgoing__inject(current, end, ZS_INJECT_BYTES);
  return 0;
}

static __always_inline __u32 outgoing__list_limit(const struct zs_outgoing* out) {
  const __u64 key = out->key;
  const struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  return connection ? zs_announced_list_limit(&connection->limits) : 0;
}

/* The same of a header block. */
static __attribute__((noinline)) int outgoing__on_block(struct zs_message* current) {
  struct zs_outgoing* out = current->out;
  struct zs_requests* requests = current->requests;
  const __u32 end = out->position;
  const enum zs_requests_verdict verdict =
      zs_requests_judge(requests, end, outgoing__list_limit(out));
  if (verdict == ZS_REQUESTS_TRAILER) {
    return 0;
  }
  if (verdict != ZS_REQUESTS_INJECT || end < ZS_HTTP2_HEADER_BYTES || end > ZS_INJECT_WITHIN) {
    counters__add(verdict == ZS_REQUESTS_CARRIES   ? ZS_COUNTER_NOT_INJECTED_OWN
                  : verdict == ZS_REQUESTS_UNKNOWN ? ZS_COUNTER_NOT_INJECTED_UNKNOWN
                  : verdict == ZS_REQUESTS_FULL || verdict == ZS_REQUESTS_LIST_FULL
                      ? ZS_COUNTER_NOT_INJECTED_LIMIT
                      : ZS_COUNTER_NOT_INJECTED_SPLIT);
    return 0;
  }
  out->stream_id = requests->stream;
  out->request_offset = requests->stream;
  outgoing__inject(current, end, ZS_HTTP2_FIELD_BYTES);
  return 0;
}

/* Nothing more is injected into this connection. */
static __always_inline long outgoing__stop(struct zs_outgoing* out, enum zs_http1_off why) {
  out->walk.off = why;
  return 1;
}

/* Where the byte at out->position is; null: it is to be pulled. */
static __always_inline const __u8* outgoing__bytes(struct sk_msg_md* message,
                                                   const struct zs_outgoing* out) {
  const __u32 at = out->position - out->base;
  if (out->position < out->base || at > 0xefff) {
    return NULL;
  }
  const __u8* bytes = message->data;
  bytes += at;
  return (void*)(bytes + 1) > message->data_end ? NULL : bytes;
}

/* Makes the bytes from out->position on readable. 1: they cannot be read. */
static __always_inline long outgoing__pull(struct sk_msg_md* message, struct zs_outgoing* out) {
  const __u32 position = out->position;
  const __u32 left = out->size - position;
  const __u32 count = left < ZS_INJECT_WINDOW ? left : ZS_INJECT_WINDOW;
  if (out->pulled == position || bpf_msg_pull_data(message, position, position + count, 0)) {
    return outgoing__stop(out, ZS_HTTP1_OFF_UNSEEN);
  }
  out->pulled = position;
  out->base = position;
  return 0;
}

/* The walk moves by one byte, by eight, or over a body's bytes. */
static long outgoing__step(__u32 index, struct zs_message* current) {
  struct sk_msg_md* message = current->message;
  struct zs_outgoing* out = current->out;
  struct zs_http1_walk* walk = &out->walk;
  const __u32 position = out->position;
  if (position >= out->size) {
    return 1;
  }
  const __u32 left = out->size - position;
  if (walk->state == ZS_HTTP1_BODY) {
    const __u64 count = walk->body_left < left ? walk->body_left : left;
    zs_http1_skip(walk, count);
    out->position = position + count;
    return 0;
  }
  const __u8* bytes = outgoing__bytes(message, out);
  if (!bytes) {
    return outgoing__pull(message, out);
  }
  if (zs_http1_passes(walk) && (void*)(bytes + 8) <= message->data_end) {
    __u64 word;
    __builtin_memcpy(&word, bytes, sizeof(word));
    if (!zs_http1_ends_line(word)) {
      zs_http1_pass(walk, 8);
      out->position = position + 8;
      return 0;
    }
  }
  if (walk->state == ZS_HTTP1_START) {
    out->request_offset = out->stream + position - out->inserted;
  }
  out->position = position + 1;
  if (zs_http1_step(walk, *bytes) == ZS_HTTP1_HEAD) {
    outgoing__on_head(current);
  }
  return walk->off != ZS_HTTP1_ON;
}

/* The walk moves by one byte, or over a string or a payload. */
static long outgoing__step_http2(__u32 index, struct zs_message* current) {
  struct sk_msg_md* message = current->message;
  struct zs_outgoing* out = current->out;
  struct zs_requests* requests = current->requests;
  if (!requests) {
    return 1;
  }
  const __u32 position = out->position;
  if (position >= out->size) {
    return 1;
  }
  const __u32 left = out->size - position;
  if (requests->at == ZS_REQUESTS_SKIP) {
    out->position = position + zs_requests_skip(requests, left);
    return 0;
  }
  const __u8* bytes = outgoing__bytes(message, out);
  if (!bytes) {
    return outgoing__pull(message, out);
  }
  out->position = position + zs_requests_step(requests, NULL, *bytes, left);
  if (requests->ended) {
    outgoing__on_block(current);
  }
  return requests->at == ZS_REQUESTS_OFF ? outgoing__stop(out, ZS_HTTP1_OFF_HTTP2) : 0;
}

static __always_inline void outgoing__count_off(const struct zs_http1_walk* walk) {
  counters__add(walk->off == ZS_HTTP1_OFF_UPGRADE    ? ZS_COUNTER_INJECT_OFF_UPGRADE
                : walk->off == ZS_HTTP1_OFF_EXPECT   ? ZS_COUNTER_INJECT_OFF_EXPECT
                : walk->off == ZS_HTTP1_OFF_TOO_LONG ? ZS_COUNTER_INJECT_OFF_TOO_LONG
                : walk->off == ZS_HTTP1_OFF_UNSEEN   ? ZS_COUNTER_INJECT_OFF_UNSEEN
                : walk->off == ZS_HTTP1_OFF_HTTP2    ? ZS_COUNTER_INJECT_OFF_HTTP2
                : walk->off == ZS_HTTP1_OFF_BLOCKING ? ZS_COUNTER_INJECT_OFF_BLOCKING
                                                     : ZS_COUNTER_INJECT_OFF_NOT_HTTP1);
}

/* Is this how the client of an HTTP/2 connection begins? No method of HTTP/1 is called so (RFC 9113
 * section 3.4). */
static __always_inline bool outgoing__is_http2(struct sk_msg_md* message) {
  const __u8* bytes = message->data;
  return (void*)(bytes + ZS_HTTP2_PREFACE_LEAST) <= message->data_end && bytes[0] == 'P' &&
         bytes[1] == 'R' && bytes[2] == 'I' && bytes[3] == ' ';
}

/* Is the operation that begins the next one of the stream, as far as the walk knows that? */
static __always_inline bool outgoing__begin(struct zs_outgoing* out, struct zs_requests* requests,
                                            const struct tcp_sock* tcp) {
  const __u32 written = BPF_CORE_READ(tcp, write_seq);
  if (!out->begun) {
    const __u64 key = out->key;
    const struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
    out->begun = 1;
    /* Something was sent with the SYN, or by a call that waited for the handshake. */
    return connection && connection->offset[ZS_SEND] == 0;
  }
  const __s32 ahead = written - out->expected_seq;
  if (ahead < 0) {
    /* Of the last operation, the socket did not take these; the program sends them again. */
    if (!(requests ? zs_requests_take_back(requests, -ahead)
                   : zs_http1_take_back(&out->walk, -(__s64)ahead))) {
      return false;
    }
  } else if (ahead > 0) {
    /* An operation behind one that was cut short does not come here: tcp_bpf_send_verdict() has the
     * verdict of that one still. */
    if (requests) {
      if (requests->at != ZS_REQUESTS_SKIP || (__u32)ahead > requests->left) {
        return false;
      }
      zs_requests_skip(requests, ahead);
    } else {
      if (out->walk.state != ZS_HTTP1_BODY || (__u64)ahead > out->walk.body_left) {
        return false;
      }
      zs_http1_skip(&out->walk, ahead);
    }
  }
  out->stream += ahead;
  return true;
}

SEC("sk_msg")
int propagate__message(struct sk_msg_md* message) {
  struct bpf_sock* socket = message->sk;
  if (!socket) {
    return SK_PASS;
  }
  struct zs_outgoing* out = bpf_sk_storage_get(&outgoing, socket, NULL, 0);
  if (!out || out->walk.off) {
    return SK_PASS;
  }
  const struct tcp_sock* tcp = bpf_skc_to_tcp_sock(socket);
  if (!tcp) {
    return SK_PASS;
  }
  /* A mode that was changed behind the handshake; the agent takes the socket out. */
  if (sock__is_spared(tcp__sock(tcp))) {
    outgoing__stop(out, ZS_HTTP1_OFF_BLOCKING);
    outgoing__count_off(&out->walk);
    return SK_PASS;
  }
  const __u32 written = BPF_CORE_READ(tcp, write_seq);
  if (!out->begun && outgoing__is_http2(message)) {
    out->http2 = 1;
  }
  struct zs_requests* requests = NULL;
  if (out->http2) {
    requests = bpf_sk_storage_get(&outgoing_http2, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  }
  if ((out->http2 && !requests) || !outgoing__begin(out, requests, tcp)) {
    outgoing__stop(out, ZS_HTTP1_OFF_UNSEEN);
    outgoing__count_off(&out->walk);
    return SK_PASS;
  }
  out->size = message->size;
  out->position = 0;
  out->base = 0;
  out->pulled = ZS_NOWHERE;
  out->inserted = 0;
  struct zs_message current = {.message = message, .out = out, .requests = requests};
  if (requests) {
    bpf_loop(ZS_INJECT_STEPS, outgoing__step_http2, &current, 0);
  } else {
    bpf_loop(ZS_INJECT_STEPS, outgoing__step, &current, 0);
  }
  if (out->drop) {
    return SK_DROP;
  }
  if (!out->walk.off && out->position < out->size) {
    outgoing__stop(out, ZS_HTTP1_OFF_TOO_LONG);
  }
  if (out->walk.off) {
    outgoing__count_off(&out->walk);
    return SK_PASS;
  }
  out->stream += out->size - out->inserted;
  out->expected_seq = written + out->size;
  return SK_PASS;
}
