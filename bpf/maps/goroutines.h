/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

#define ZS_GO_PROCESSORS_MAX 32

/*
 * A goroutine that serves requests of a connection, one after the other; or one that does not, and
 * so was started for one request at most. Whose this is says its tag.
 */
struct zs_goroutine {
  __u64 request_id;
  __u64 connection_id; /* whose reading made the request current */
  __u64 connection;    /* its key */
  __u64 route_url; /* of a stream's request: which URL the router was given that found the route */
  __u8 serves;
  __u8 evidence; /* enum zs_evidence */
  __u8 fresh;    /* it has served no other request before */
  __u8 mixed;    /* it has begun a request while another was open: an event loop's */
  __u8 marked;   /* what is below is of this request */
  __u8 processors;
  __u8 stream; /* what it serves came on a stream of HTTP/2 */
  __u8 reserved[1];
  /*
   * When the request began, ids up to goidgen had been given to the processors of Go's scheduler,
   * in batches; of each processor's batch so many were still unused, which begin this much below
   * goidgen. A goroutine with an id above goidgen or in there was started since.
   */
  __u64 goidgen;
  __u32 below[ZS_GO_PROCESSORS_MAX];
  __u8 unused[ZS_GO_PROCESSORS_MAX];
  __u64 claims;       /* see zs_claim() */
  __u8 reserved2[40]; /* all that most requests use is in one cache line */
};

#define ZS_GO_CLAIMED ~0ULL /* somebody writes this entry: nobody else may read or write it */
#define ZS_GO_WAYS 4
#define ZS_GO_SETS 4096 /* a power of two */

/* Whose an entry is. */
struct zs_goroutine_tag {
  __u64 goid;       /* not used twice in a process; 0: nobody's entry; or ZS_GO_CLAIMED */
  __u32 generation; /* which program's goroutine it is */
  __u32 used;       /* when it was written last, in jiffies */
};

struct zs_goroutine_set {
  struct zs_goroutine_tag ways[ZS_GO_WAYS]; /* a cache line */
};

/*
 * What is known of goroutines: each has its place in one set. Nothing tells when one ends, so a
 * full set forgets the one that was written longest ago; what that loses is a parent, and shows as
 * a root without evidence. Arrays, because an LRU hash takes ten times as long, for each stream
 * of HTTP/2. Entries are filled in their place: uprobes may be preempted, so that a room of the
 * CPU's would be another's meanwhile. See goroutines__holds() and goroutines__claim().
 */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE); /* so that the kernel puts it at a page's beginning */
  __uint(max_entries, ZS_GO_SETS);
  __type(key, __u32);
  __type(value, struct zs_goroutine_set);
} goroutine_sets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, ZS_GO_SETS* ZS_GO_WAYS); /* the ways of the first set, of the second, ... */
  __type(key, __u32);
  __type(value, struct zs_goroutine);
} goroutines SEC(".maps");
