/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/frame_walk.h"
#include "bpf/lib/inject_http2.h"
#include "bpf/lib/kernel.h"

enum zs_connection_state {
  ZS_CONNECTION_SNIFFING = 0,
  ZS_CONNECTION_KNOWN = 1,
  ZS_CONNECTION_MUTED = 2,
};

enum zs_protocol {
  ZS_PROTOCOL_UNKNOWN,
#define ZS_PROTOCOL(id, name) ZS_PROTOCOL_##id,
#include "bpf/abi/protocols.def"
#undef ZS_PROTOCOL
};

/*
 * Where in a program's memory the route is that its router has found for a request, or where the
 * router will write it.
 */
struct zs_route_note {
  __u64 request_id; /* of the request that it is for; 0: none */
  __u64 url;        /* of the http.Request that the router was given; 0: it has none */
  __u64 address;    /* of the template's bytes if they have a length, else of its string */
  __u16 length;
  __u8 router;    /* enum zs_router */
  __u8 ambiguous; /* there was another router, with another path; or it is too long */
  __u8 reserved[4];
};

/* What most operations use comes first: the lines of a connection are cold when it is its turn. */
struct zs_connection {
  __u64 id;
  __u64 offset[2]; /* bytes seen, by enum zs_direction */
  __u64 told[2];   /* of them, those whose records are in the ring or lost */
  __u64 last_send_ns;
  __u64 request_id;     /* server: the request being read or answered; client: the one that the last
                           send was for */
  __u64 goroutine;      /* Go, server: the one that serves this connection, */
  __u64 goroutine_at;   /* where its g was when it last read from it, */
  __u32 goroutine_slot; /* and its entry */
  __u32 head_budget[2]; /* bytes of the current message that may still be captured */
  __u32 ring;
  __u8 state;          /* enum zs_connection_state; the agent writes ZS_CONNECTION_MUTED */
  __u8 role;           /* enum zs_role */
  __u8 last_direction; /* enum zs_direction, or 2 before the first operation */
  __u8 sniffs_left;
  __u8 announced; /* the connection record is in the ring */
  __u8 seen_from_start;
  __u8 loop;            /* enum zs_loop, once it was seen to be in an epoll set */
  __u8 origin_evidence; /* enum zs_evidence at connect() */
  __u8 connect_seen;
  __u8 receive_closed;
  __u16 family;          /* AF_INET, AF_INET6 or AF_UNIX */
  __u8 protocol;         /* enum zs_protocol, once it is known */
  __u8 request_evidence; /* client: enum zs_evidence of request_id */
  __u8 shared;          /* client: a request was sent while that of another caller was unanswered */
  __u8 caller_evidence; /* enum zs_evidence of caller_request_id */
  __u8 caller_told;     /* Go, client: a probe that tells callers has seen this connection */
  __u8 route_noted;     /* route is that of a request which is not answered yet */
  __u8 is_dns;          /* by its port */
  __u8 datagrams;       /* UDP */
  __u8 tls;          /* the kernel encrypts, or decrypts: what programs read and write is plain */
  __u8 uring;        /* it is used through an io_uring */
  __u8 parked_first; /* enum zs_direction: of the two below, which came first */
  __u8 read_known;
  __u32 read_seq;  /* TCP: up to where the program has read; what is read past it was not seen */
  __u32 parked[2]; /* bytes of an operation whose buffer its completion will tell, by enum
                      zs_direction */
  /* TCP, client: how far the program had written when it first read after that, and when. */
  __u32 answered_seq;
  __u64 answered_ns;
  __u64 key;   /* its own in this map */
  __u64 inode; /* Unix sockets, of the socket's file: tells a new socket at the same address. UDP:
                  whom the socket is connected to */
  __u64 origin_request_id; /* client: what was current in the thread that called connect() */
  __u64 caller_request_id; /* Go, client: whom the client's next request is for */
  __u32 told_stream;       /* Go, client: the last stream that was told, */
  __u32 untold_stream;     /* and one whose telling did not fit into the ring; */
  __u32 handled_stream;    /* server: the last stream whose handler was begun */
  __u8 answer_seen;        /* the answer to tracked_request has begun */
  __u8 reserved2[3];
  __u64 tracked_request; /* server, with injection: the request whose entry in `requests` is its own
                          */
  struct zs_announced limits;   /* HTTP/2, client, with injection: of its peer */
  struct zs_route_note route;   /* Go, server, HTTP/1 */
  struct zs_frame_walk walk[2]; /* of those that are followed by frames, by enum zs_direction */
};

/*
 * Connections of selected processes, by the address of their struct sock. Entries go when the TCP
 * state becomes CLOSE, and at end of stream for Unix sockets; no hook sees a Unix socket closed
 * that nobody read to its end, so such an entry stays until a new socket gets its address. A hash
 * without LRU: eviction would tear a connection's accounting apart without a word. Not
 * preallocated: sized for the worst, paid for by use. The agent sets max_entries.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u64); /* struct sock * */
  __type(value, struct zs_connection);
} connections SEC(".maps");
