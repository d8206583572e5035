/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/* Ids of goroutines are not used twice in a process. */
struct zs_goroutine_key {
  __u64 goid;
  __u32 tgid;
  __u32 generation; /* of the program in that process */
};

#define ZS_GO_PROCESSORS_MAX 32

/*
 * Where in a program's memory the route is that its router has found for a request, or where the
 * router will write it.
 */
struct zs_route_note {
  __u64 request_id; /* of the request that it is for */
  __u64 url;        /* of the http.Request that the router was given; 0: it has none */
  __u64 address;    /* of the template's bytes if they have a length, else of its string */
  __u16 length;
  __u8 router;    /* enum zs_router */
  __u8 ambiguous; /* there was another router, with another path; or it is too long */
  __u8 reserved[4];
};

/*
 * A goroutine that serves requests of a connection, one after the other; or one that does not, and
 * so was started for one request at most.
 */
struct zs_goroutine {
  __u64 request_id;
  __u64 connection_id; /* whose reading made the request current */
  __u64 connection;    /* its key */
  /*
   * When the request began, ids up to goidgen had been given to the processors of Go's scheduler,
   * in batches; of each processor's batch so many were still unused, which begin this much below
   * goidgen. A goroutine with an id above goidgen or in there was started since.
   */
  __u64 goidgen;
  __u32 below[ZS_GO_PROCESSORS_MAX];
  __u8 unused[ZS_GO_PROCESSORS_MAX];
  __u8 serves;
  __u8 evidence; /* enum zs_evidence */
  __u8 fresh;    /* it has served no other request before */
  __u8 mixed;    /* it has begun a request while another was open: an event loop's */
  __u8 processors;
  __u8 reserved[3];
  struct zs_route_note route;
};

/*
 * What is known of goroutines. Nothing tells when one ends, so the map forgets those that were not
 * used for the longest time; what that loses is a parent, and shows as a root without evidence.
 */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct zs_goroutine_key);
  __type(value, struct zs_goroutine);
} goroutines SEC(".maps");

/*
 * What new entries of the map above begin as: zeros, which are many for the BPF stack. Nobody
 * writes it. Entries are filled in their place: uprobes may be preempted, so that a room of the
 * CPU's would be another's meanwhile.
 */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_RDONLY_PROG);
  __type(key, __u32);
  __type(value, struct zs_goroutine);
} blank_goroutine SEC(".maps");
