/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * What the kernel side and the agent share: the records in the ring buffers, the values of maps
 * that both write, and the settings in read-only data. Fixed-width fields, natural alignment, named
 * padding, no pointers. tests/structure compares the layout in the built objects' BTF with the C++
 * compiler's.
 *
 * Change rule: enumerators are append-only with explicit numbers. Any other change of a
 * record raises ZS_ABI_VERSION, which the agent checks when it loads an object and when it replays
 * a recording.
 */
#pragma once

#include <linux/types.h>

#define ZS_ABI_VERSION 5

/* Bounds that size buffers at build time; the settings below stay within them. */
#define ZS_HEAD_BYTES_MAX 8192
#define ZS_TAIL_BYTES_MAX 256
#define ZS_UNIX_PATH_BYTES 108 /* sizeof(sockaddr_un.sun_path), unix(7) */
#define ZS_RINGS_MAX 64
#define ZS_DNS_PORTS_MAX 4

enum zs_record_type {
  ZS_RECORD_CONNECTION = 1, /* before the first data record of a connection */
  ZS_RECORD_DATA = 2,
  ZS_RECORD_CLOSE = 3,
  ZS_RECORD_PROCESS = 4, /* in the process ring only */
  ZS_RECORD_STREAM = 5,
  ZS_RECORD_ROUTE = 6, /* before the first data record of the answer */
  ZS_RECORD_DATAGRAM = 7,
  ZS_RECORD_INJECTED = 8, /* before the data record of the operation */
};

enum zs_direction {
  ZS_RECEIVE = 0,
  ZS_SEND = 1,
};

enum zs_role {
  ZS_ROLE_UNKNOWN = 0,
  ZS_ROLE_SERVER = 1,
  ZS_ROLE_CLIENT = 2,
};

/* How the request that an operation was made for is known; the same numbers as model::Evidence. */
enum zs_evidence {
  ZS_EVIDENCE_NONE = 0,
  ZS_EVIDENCE_THREAD = 1,
  ZS_EVIDENCE_TICK = 2,
  ZS_EVIDENCE_TICK_RESPONSE = 3,
  ZS_EVIDENCE_TICK_SAME_CONNECTION = 4,
  ZS_EVIDENCE_CREATING_THREAD = 5,
  ZS_EVIDENCE_AMBIGUOUS = 6,
  ZS_EVIDENCE_GOROUTINE = 7,
};

enum zs_close_kind {
  ZS_CLOSE_SEND = 0,
  ZS_CLOSE_RECEIVE = 1,
  ZS_CLOSE_ALL = 2,
  ZS_CLOSE_RESET = 3,
};

enum zs_process_event {
  ZS_PROCESS_FORK =
      1, /* tgid is the child's; only of a process that has an entry in the map of processes */
  ZS_PROCESS_EXEC = 2,
  ZS_PROCESS_EXIT = 3,   /* the last thread is gone; only of a process that has an entry */
  ZS_PROCESS_LISTEN = 4, /* a TCP socket of tgid listens on port */
  ZS_PROCESS_TICKS_WANTED =
      5,                     /* an event loop of tgid calls out: zs_control.ticks_wanted was set */
  ZS_PROCESS_GO_REFUSED = 6, /* what was read as tgid's goroutines cannot be such */
};

struct zs_record_header {
  __u32 length; /* of the whole record, this header included */
  __u16 type;   /* enum zs_record_type */
  __u16 reserved;
};

struct zs_connection_record {
  struct zs_record_header header;
  __u64 connection_id;
  __u64 time_ns; /* CLOCK_MONOTONIC, as all times here */
  __u32 tgid;
  __u16 family; /* AF_INET, AF_INET6 or AF_UNIX */
  __u8 role;    /* enum zs_role */
  __u8 seen_from_start;
  __u16 local_port; /* host byte order */
  __u16 peer_port;  /* 0: its socket is connected to nobody */
  __u8 is_dns;      /* by its port, whatever its bytes are */
  __u8 datagrams;   /* UDP: each data record is a datagram */
  __u8 reserved[2];
  __u64 socket;           /* its key in the map of connections, to mute it; zero in recordings */
  __u8 local_address[16]; /* network byte order; IPv4 in the first four bytes */
  __u8 peer_address[16];
  __u8 unix_path[ZS_UNIX_PATH_BYTES]; /* of the server's socket; zero-terminated unless full; empty
                                         if unnamed */
  __u32 reserved2;
};

struct zs_data_record {
  struct zs_record_header header;
  __u64 connection_id;
  __u64 time_ns;
  __u64 departed_ns; /* sends: when the first byte could have left; else time_ns */
  __u64 offset;      /* of the first byte in this direction's stream */
  /* In the other direction's stream: records below it are in the ring before this one, or lost. */
  __u64 opposite_offset;
  __u64 request_id;
  __u32 thread_id;
  __u32 byte_count; /* bytes that the operation moved; of them head_bytes and then tail_bytes follow
                       this struct */
  __u32 head_bytes;
  __u32 tail_bytes;
  __u8 direction; /* enum zs_direction */
  __u8 evidence;  /* enum zs_evidence */
  __u8 reserved[6];
};

/*
 * A datagram that a socket which is connected to nobody has sent, and to whom. Its data record
 * follows as it would be by itself, and is counted in the length.
 */
struct zs_datagram_record {
  struct zs_record_header header;
  __u64 connection_id;
  __u64 time_ns;
  __u8 peer_address[16]; /* network byte order; IPv4 in the first four bytes */
  __u16 peer_port;       /* host byte order */
  __u16 peer_family;     /* AF_INET or AF_INET6 */
  __u8 reserved[4];
};

struct zs_close_record {
  struct zs_record_header header;
  __u64 connection_id;
  __u64 time_ns;
  __u8 kind; /* enum zs_close_kind */
  __u8 reserved[7];
  __u64 offset[2]; /* by enum zs_direction: what is missing below was lost */
};

/*
 * A client's stream of HTTP/2: for which request it is begun. In the ring before the stream's first
 * frame; a later one for the same stream takes its place.
 */
struct zs_stream_record {
  struct zs_record_header header;
  __u64 connection_id;
  __u64 time_ns;
  __u64 request_id;
  __u32 stream_id;
  __u8 evidence; /* enum zs_evidence */
  __u8 reserved[3];
};

/* A request that a client sends was given a traceparent, which its program does not know of. */
struct zs_injected_record {
  struct zs_record_header header;
  __u64 connection_id;
  __u64 time_ns;
  __u64 offset;      /* of the request's first byte, as zs_data_record counts; HTTP/2: its stream */
  __u64 trace_id[2]; /* its first and its last eight bytes, as numbers */
  __u64 span_id;
  __u64 parent_id; /* of the request that it is made for; 0: it starts the trace */
  __u8 sampled;
  __u8 evidence; /* enum zs_evidence: how parent_id is known */
  __u8 reserved[6];
};

#define ZS_ROUTE_BYTES_MAX 128

/* Whose template a route is: they differ in how it is written, and in what it fits. */
enum zs_router {
  ZS_ROUTER_PATTERN = 0, /* net/http's ServeMux, and chi */
  ZS_ROUTER_GIN = 1,
  ZS_ROUTER_ECHO = 2,
  ZS_ROUTER_MUX = 3, /* gorilla's */
  ZS_ROUTER_FIBER = 4,
  ZS_ROUTER_COUNT = 5,
};

/* Which route a program's own router has found for a request. */
struct zs_route_record {
  struct zs_record_header header;
  __u64 connection_id;
  __u64 time_ns;
  __u64 request_id;
  __u32 route_bytes; /* used of the following */
  __u8 router;       /* enum zs_router */
  __u8 reserved[3];
  __u8 route[ZS_ROUTE_BYTES_MAX];
};

struct zs_process_record {
  struct zs_record_header header;
  __u64 time_ns;
  __u32 tgid;
  __u32 parent_tgid; /* fork only */
  __u16 port;        /* listen only */
  __u8 event;        /* enum zs_process_event */
  __u8 reserved[5];
};

/* A stretch of a program's code, in its memory. */
struct zs_code {
  __u64 begin;
  __u64 end;
};

enum zs_go_state {
  ZS_GO_UNVERIFIED = 0,
  ZS_GO_VERIFIED = 1, /* what was read was plausible, ZS_GO_CHECKS times in a row */
  ZS_GO_REFUSED = 2,  /* it was not: nothing is told of its goroutines any more */
};
#define ZS_GO_CHECKS 3
#define ZS_GO_STREAMS 4
#define ZS_GO_HTTP2_SERVERS 2
#define ZS_GO_ABSENT 0xffffffffU /* of a field that this version of Go does not have */

/* Where an HTTP/2 server of Go has a stream's number, and its connection. */
struct zs_go_http2_server {
  __u32 server_conn;
  __u32 writer_stream;
  __u32 stream_id;
};

/*
 * What has to be known of a Go process. Offsets are in bytes from the struct's beginning, as this
 * very program has them; addresses are of the process. 0: not known.
 */
struct zs_go_process {
  /* What each request uses comes first. */
  __u32 state;      /* enum zs_go_state; by the kernel side, as the next one */
  __u32 descends;   /* goroutines that a serving one has started make calls */
  __u32 generation; /* tells programs apart that had this tgid */
  __u32 g_goid;
  __s32 tls; /* of the thread's g, from its fs base */
  __u32 g_m;
  __u64 goidgen; /* runtime.sched.goidgen: no goroutine has a higher id */
  __u64 allgs;   /* runtime.allgs: the slice of all g */
  __u64 allp;    /* runtime.allp: the slice of the scheduler's processors */
  struct zs_code
      transport; /* net/http.(*Transport).dialConn: it starts a connection's goroutines */
  struct zs_code background; /* (*connReader).startBackgroundRead: it starts one that waits for the
                                peer's end while a request is served */
  struct zs_code streams[ZS_GO_STREAMS]; /* RoundTrip of HTTP/2 clients: it starts a stream's
                                            goroutine, which writes the stream's headers */
  __u32 g_parent_goid;                   /* ZS_GO_ABSENT before Go 1.21 */
  __u32 g_gopc;
  __u32 m_curg;
  __u32 m_g0;
  __u32 p_goidcache; /* and goidcacheend behind it; ZS_GO_ABSENT if they are apart */
  __u32 persist_conn_conn;
  __u32 conn_fd;
  __u32 net_fd_family;
  __u32 net_fd_sotype;
  __u32 net_fd_sysfd;
  /* net/http's own, and golang.org/x/net's. */
  struct zs_go_http2_server http2_servers[ZS_GO_HTTP2_SERVERS];
  /* google.golang.org/grpc. */
  __u32 grpc_server_conn;
  __u32 grpc_stream_indirect; /* what a handler gets begins with the stream's address */
  __u32 grpc_stream_id;
  __u32 grpc_client_conn;
  __u32 grpc_client_next_id;
  __u32 grpc_new_stream_client; /* in the closure that gives a stream its number */
  __u32 checks_passed;          /* by the kernel side, as the next one */
  __u32 checks_failed;
};

/* Value of the map of processes; key: tgid in the initial pid namespace. An entry means: capture.
 */
enum zs_process_flags {
  ZS_PROCESS_TENTATIVE = 1, /* just executed; the agent has not decided yet */
  ZS_PROCESS_NO_CONTEXT =
      2, /* a thread says nothing about the request that it serves (goroutines) */
  ZS_PROCESS_EVENT_LOOP =
      4, /* set by the kernel side: it read a request from a socket in an epoll set */
  /*
   * Its event loop does in a call-back what the bytes ask for that this call-back has read. Only
   * programs of which that is known: a loop that queues tasks (asyncio, tokio, Netty) reads for one
   * task and goes on with another.
   */
  ZS_PROCESS_CALLBACKS = 16,
  ZS_PROCESS_LIBUV = 32,  /* with ZS_PROCESS_CALLBACKS: the loop is libuv's */
  ZS_PROCESS_PROBED = 64, /* with ZS_PROCESS_LIBUV: tick__after_events is attached to it */
  ZS_PROCESS_GO = 128,    /* its goroutines can be told */
  ZS_PROCESS_JAVA = 256,
  ZS_PROCESS_PROPAGATE = 512, /* its requests may be given a trace context */
  /* Set by the kernel side: a request that a thread had read from a blocking socket was answered by
   * that thread; by another one. */
  ZS_PROCESS_ANSWERS = 1024,
  ZS_PROCESS_HANDS_OVER = 2048,
};

struct zs_process {
  __u32 flags; /* enum zs_process_flags */
  __u32 ring;  /* index of the ring that its connections use; inherited over fork so that a tree
                  shares one */
  /* Its event loop's turns that began after this time are followed from their first event on; 0:
   * none is. */
  __u64 turns_from_ns;
  struct zs_go_process go; /* with ZS_PROCESS_GO */
};

/* Argument of the programs that mute a connection, and that forget one. */
struct zs_mute {
  __u64 socket;
  __u64 connection_id; /* must still be that socket's */
};

#define ZS_PROCESS_HINTS 65536 /* a power of two */

/* One memory-mapped value that both sides write. */
struct zs_control {
  __u32 ticks_wanted; /* kernel: an event loop whose turns are not followed makes outgoing calls */
  __u32 reserved;
  __u32 asleep[ZS_RINGS_MAX]; /* both: the consumer of this ring sleeps, and was not woken */
  /* both: by tgid modulo ZS_PROCESS_HINTS, 1 once such a process was put into the map of processes
   */
  __u8 process_hints[ZS_PROCESS_HINTS];
};

/* Loss reasons and counters, each the index of a per-CPU counter. */
enum zs_counter {
#define ZS_COUNTER(id, name, help) ZS_COUNTER_##id,
#include "bpf/abi/counters.def"
#undef ZS_COUNTER
  ZS_COUNTER_COUNT,
};
