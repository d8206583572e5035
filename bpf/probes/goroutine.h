/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Which goroutine a thread of a Go program runs, and which request that goroutine works for. A
 * goroutine that reads a request from a connection serves it; one that does not read requests works
 * for the request that the goroutine which started it served at that time.
 */
#include "bpf/lib/syscall.h"
#include "bpf/maps/connections.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/goroutines.h"
#include "bpf/maps/process_ring.h"

#define ZS_GO_ANCESTORS_MAX 8
#define ZS_GO_SEARCHES_MAX 2    /* of one look at a goroutine */
#define ZS_GO_SEARCHED_MAX 4096 /* goroutines that a search looks at, some 40 ns each */
#define ZS_GO_ID_BITS 48        /* no program lives that long */
#define ZS_GO_BATCH 16          /* runtime/proc.go: _GoidCacheBatch */

/* The goroutine that runs now, as its program's memory has it. */
struct zs_goroutine_now {
  __u64 goid;
  __u64 g;
  /* Its origin: */
  __u64 parent; /* 0: the runtime's own, or not known */
  __u64 gopc;   /* behind the `go` statement that started it */
};

static __always_inline bool go__read(__u64* value, __u64 address) {
  return bpf_probe_read_user(value, sizeof(*value), (const void*)address) == 0;
}

static __always_inline bool code__contains(const struct zs_code* code, __u64 address) {
  return address > code->begin && address <= code->end;
}

/* What cannot be a goroutine was read. Before it was proven to work, that ends the attempt. */
ZS_COLD void go__refuse(struct zs_go_process* go) {
  counters__add(ZS_COUNTER_GO_CHECKS_FAILED);
  go->checks_failed += 1;
  if (go->state == ZS_GO_UNVERIFIED) {
    go->state = ZS_GO_REFUSED;
    process_ring__emit(ZS_PROCESS_GO_REFUSED, bpf_get_current_pid_tgid() >> 32U, 0, 0);
  }
}

static __always_inline bool goroutine__read_id(const struct zs_go_process* go,
                                               struct zs_goroutine_now* now) {
  return go__read(&now->goid, now->g + go->g_goid) && now->goid && !(now->goid >> ZS_GO_ID_BITS);
}

/*
 * `g` is the thread's: a goroutine, or the one on whose stack the thread calls C and schedules. All
 * three of g, m and curg must agree, at every look.
 */
static __always_inline bool goroutine__read(struct zs_go_process* go, __u64 g,
                                            struct zs_goroutine_now* now) {
  __u64 m = 0;
  __u64 current = 0;
  if (!go__read(&m, g + go->g_m) || !go__read(&current, m + go->m_curg)) {
    return false;
  }
  if (current != g) {
    __u64 g0 = 0;
    if (!current || !go__read(&g0, m + go->m_g0) || g0 != g) {
      return false;
    }
  }
  now->g = current;
  return goroutine__read_id(go, now);
}

/* Where it was started, and by whom. */
static __always_inline bool goroutine__read_origin(const struct zs_go_process* go,
                                                   struct zs_goroutine_now* now) {
  now->parent = 0;
  now->gopc = 0;
  if (go->g_gopc != ZS_GO_ABSENT && !go__read(&now->gopc, now->g + go->g_gopc)) {
    return false;
  }
  return go->g_parent_goid == ZS_GO_ABSENT ||
         (go__read(&now->parent, now->g + go->g_parent_goid) && now->parent >> ZS_GO_ID_BITS == 0);
}

/* `certain`: `g` can only be one of Go's. */
static __always_inline bool goroutine__check(struct zs_go_process* go, __u64 g, bool certain,
                                             struct zs_goroutine_now* now) {
  if (go->state == ZS_GO_REFUSED || g == 0) {
    return false; /* or a thread that C has made */
  }
  if (!goroutine__read(go, g, now)) {
    if (certain) {
      go__refuse(go);
    } else {
      counters__add(ZS_COUNTER_GO_CHECKS_FAILED);
    }
    return false;
  }
  if (zs_unlikely(go->state == ZS_GO_UNVERIFIED)) {
    go->checks_passed += 1;
    if (go->checks_passed >= ZS_GO_CHECKS) {
      go->state = ZS_GO_VERIFIED;
    }
  }
  return true;
}

/* The same in Go's own code, where a register has the goroutine that runs (ZS_GO_G): once that
 * was proven, its id is all there is to read. */
static __always_inline bool goroutine__check_running(struct zs_go_process* go, __u64 g,
                                                     struct zs_goroutine_now* now) {
  if (zs_unlikely(go->state != ZS_GO_VERIFIED)) {
    return goroutine__check(go, g, true, now);
  }
  now->g = g;
  if (goroutine__read_id(go, now)) {
    return true;
  }
  go__refuse(go);
  return false;
}

/*
 * In a system call. x86-64: the thread's g is in its own storage (runtime·get_tls). arm64: Go keeps
 * it in a register, and in the thread's storage only for C. Code in C may have anything in that
 * register: a g that does not agree with itself is then no sign that the layout is wrong.
 */
static __always_inline bool goroutine__check_caller(struct zs_go_process* go, __u64* g,
                                                    struct zs_goroutine_now* now) {
  const struct task_struct* task = zs_task();
#if defined(__TARGET_ARCH_x86)
  return go__read(g, zs_task_read(task, thread.fsbase) + go->tls) &&
         goroutine__check(go, *g, true, now);
#else
  const struct pt_regs* regs = (const struct pt_regs*)bpf_task_pt_regs((struct task_struct*)task);
  *g = ZS_GO_G(regs);
  return goroutine__check(go, *g, false, now);
#endif
}

/* Whether `g` is a goroutine that was checked before: a g is used again, but with another id. */
static __always_inline bool goroutine__is_still(const struct zs_go_process* go, __u64 g,
                                                __u64 goid) {
  __u64 now = 0;
  return go->state == ZS_GO_VERIFIED && go__read(&now, g + go->g_goid) && now == goid;
}

static __always_inline struct zs_goroutine* goroutines__at(__u32 slot) {
  return bpf_map_lookup_elem(&goroutines, &slot);
}

static __always_inline struct zs_goroutine_tag* goroutines__tag(__u32 slot) {
  const __u32 index = slot / ZS_GO_WAYS;
  struct zs_goroutine_set* set = bpf_map_lookup_elem(&goroutine_sets, &index);
  return set ? &set->ways[slot % ZS_GO_WAYS] : NULL;
}

static __always_inline bool tag__is(const struct zs_goroutine_tag* tag,
                                    const struct zs_go_process* go, __u64 goid) {
  return tag->goid == goid && tag->generation == go->generation;
}

/* Whether the slot is still this goroutine's: asked again after its values were read, because
 * another goroutine may have got it meanwhile. */
static __always_inline bool goroutines__holds(__u32 slot, const struct zs_go_process* go,
                                              __u64 goid) {
  barrier();
  const struct zs_goroutine_tag* tag = goroutines__tag(slot);
  return tag && tag__is(tag, go, goid);
}

/*
 * The goroutine's set. Ids are given in turn: those of one process do not meet, but for two that
 * follow each other, of which the second finds the set in the cache.
 */
static __always_inline __u32 goroutines__set(const struct zs_go_process* go, __u64 goid) {
  return (goid / 2 + (__u64)go->generation * 0x9e3779b1U) % ZS_GO_SETS;
}

/* Where the goroutine's entry is; -1: it has none. As the next one a global function, which the
 * verifier looks at once (see capture__first()). */
ZS_VERIFIED_ONCE int goroutines__slot(const struct zs_go_process* go, __u64 goid) {
  if (!go) {
    return -1;
  }
  const __u32 index = goroutines__set(go, goid);
  const struct zs_goroutine_set* set = bpf_map_lookup_elem(&goroutine_sets, &index);
  for (__u32 i = 0; set && i < ZS_GO_WAYS; ++i) {
    if (tag__is(&set->ways[i], go, goid)) {
      return index * ZS_GO_WAYS + i;
    }
  }
  return -1;
}

static __always_inline const struct zs_goroutine* goroutines__find(const struct zs_go_process* go,
                                                                   __u64 goid) {
  const int slot = goroutines__slot(go, goid);
  return slot < 0 ? NULL : goroutines__at(slot);
}

#define ZS_GO_SLOT_KNOWN 0x10000 /* the goroutine had it before */

/*
 * The slot of the goroutine's entry, with ZS_GO_SLOT_KNOWN; or if it has none that of an empty one,
 * which another may have had to give up. It is the caller's alone until goroutines__release(). -1:
 * another CPU was faster, and the goroutine has no entry.
 */
ZS_VERIFIED_ONCE int goroutines__claim(const struct zs_go_process* go, __u64 goid) {
  if (!go) {
    return -1;
  }
  const __u32 index = goroutines__set(go, goid);
  struct zs_goroutine_set* set = bpf_map_lookup_elem(&goroutine_sets, &index);
  const __u32 now = bpf_jiffies64();
  __u32 longest = 0;
  __u64 holder = ZS_GO_CLAIMED;
  __u32 way = 0;
  if (!set) {
    return -1;
  }
  for (__u32 i = 0; i < ZS_GO_WAYS; ++i) {
    const struct zs_goroutine_tag* tag = &set->ways[i];
    const __u64 other = tag->goid;
    if (tag__is(tag, go, goid)) {
      way = i | ZS_GO_SLOT_KNOWN;
      holder = goid;
      break;
    }
    const __u32 unused = other ? now - tag->used : ~0U;
    if (other != ZS_GO_CLAIMED && unused >= longest) {
      way = i;
      holder = other;
      longest = unused;
    }
  }
  struct zs_goroutine_tag* tag = &set->ways[way % ZS_GO_WAYS];
  const __u32 slot = index * ZS_GO_WAYS + way;
  struct zs_goroutine* entry = goroutines__at(slot & ~ZS_GO_SLOT_KNOWN);
  if (!entry || holder == ZS_GO_CLAIMED ||
      !zs_claim(&tag->goid, holder, ZS_GO_CLAIMED, &entry->claims)) {
    return -1;
  }
  tag->used = now;
  if (way & ZS_GO_SLOT_KNOWN) {
    return slot;
  }
  tag->generation = go->generation;
  entry->request_id = 0;
  entry->connection_id = 0;
  entry->connection = 0;
  entry->route_url = 0;
  entry->serves = 0;
  entry->evidence = ZS_EVIDENCE_NONE;
  entry->fresh = 0;
  entry->mixed = 0;
  entry->marked = 0;
  entry->stream = 0;
  return slot;
}

/* goroutines__claim() of a goroutine that has an entry, if that is in `slot`. */
static __always_inline bool goroutines__claim_at(__u32 slot, const struct zs_go_process* go,
                                                 __u64 goid) {
  struct zs_goroutine_tag* tag = goroutines__tag(slot);
  struct zs_goroutine* entry = goroutines__at(slot);
  if (!tag || !entry || !tag__is(tag, go, goid) ||
      !zs_claim(&tag->goid, goid, ZS_GO_CLAIMED, &entry->claims)) {
    return false;
  }
  tag->used = bpf_jiffies64();
  return true;
}

static __always_inline void goroutines__release(__u32 slot, __u64 goid) {
  struct zs_goroutine_tag* tag = goroutines__tag(slot);
  struct zs_goroutine* entry = goroutines__at(slot);
  if (tag && entry) {
    zs_release(&tag->goid, goid, &entry->claims);
  }
}

/* What was known of the goroutine's request is not certain any more. */
static __always_inline void goroutine__doubt(const struct zs_go_process* go, __u64 goid,
                                             enum zs_evidence evidence) {
  const int slot = goroutines__slot(go, goid);
  if (slot < 0 || !goroutines__claim_at(slot, go, goid)) {
    return;
  }
  struct zs_goroutine* entry = goroutines__at(slot);
  if (entry) {
    entry->evidence = evidence;
  }
  goroutines__release(slot, goid);
}

/*
 * Remembers which ids goroutines will have that are started from now on. Only if they matter: two
 * looks at the program's memory for each processor, some 50 ns.
 */
static __always_inline void goroutine__mark(const struct zs_go_process* go,
                                            struct zs_goroutine* goroutine) {
  struct zs_code slice; /* address and length */
  goroutine->marked = 0;
  if (!go->descends || !go->goidgen || !go__read(&goroutine->goidgen, go->goidgen)) {
    return;
  }
  goroutine->processors = 0;
  goroutine->marked = 1;
  if (!go->allp || bpf_probe_read_user(&slice, sizeof(slice), (const void*)go->allp)) {
    return;
  }
  for (__u32 i = 0; i < ZS_GO_PROCESSORS_MAX && i < slice.end; ++i) {
    struct zs_code batch;
    __u64 p = 0;
    if (!go__read(&p, slice.begin + i * sizeof(p)) ||
        bpf_probe_read_user(&batch, sizeof(batch), (const void*)(p + go->p_goidcache))) {
      return;
    }
    const bool plausible = batch.begin < batch.end && batch.end - batch.begin <= ZS_GO_BATCH &&
                           batch.begin <= goroutine->goidgen &&
                           goroutine->goidgen - batch.begin <= 0xffffffffU;
    goroutine->below[i] = goroutine->goidgen - batch.begin;
    goroutine->unused[i] = plausible ? batch.end - batch.begin : 0;
    goroutine->processors = i + 1;
  }
}

/* Whether `goid`, started by this goroutine, was started for the request that it serves now. */
static __always_inline bool goroutine__started_since(const struct zs_goroutine* goroutine,
                                                     __u64 goid) {
  if (goroutine->fresh || !goroutine->marked) {
    return goroutine->fresh;
  }
  if (goid > goroutine->goidgen) {
    return true;
  }
  for (__u32 i = 0; i < ZS_GO_PROCESSORS_MAX && i < goroutine->processors; ++i) {
    const __u64 begin = goroutine->goidgen - goroutine->below[i];
    if (goid >= begin && goid < begin + goroutine->unused[i]) {
      return true;
    }
  }
  return false;
}

/* From now on the connection's goroutine serves the request that was begun on it. */
ZS_COLD void goroutine__serve(const struct zs_go_process* go, struct zs_connection* connection) {
  const __u64 goid = connection->goroutine;
  bool known = true;
  if (!goroutines__claim_at(connection->goroutine_slot, go, goid)) {
    const int claimed = goroutines__claim(go, goid);
    if (claimed < 0) {
      return;
    }
    known = claimed & ZS_GO_SLOT_KNOWN;
    connection->goroutine_slot = claimed & ~ZS_GO_SLOT_KNOWN;
  }
  struct zs_goroutine* value = goroutines__at(connection->goroutine_slot);
  if (!value) {
    return;
  }
  if (value->serves) {
    value->fresh = 0;
    if (value->connection_id != connection->id && !value->stream) {
      const struct zs_connection* other = bpf_map_lookup_elem(&connections, &value->connection);
      if (other && other->id == value->connection_id && other->last_direction == ZS_RECEIVE) {
        value->mixed = 1;
      }
    }
  } else {
    value->fresh = !known;
    value->serves = 1;
  }
  value->request_id = connection->request_id;
  if (value->connection_id != connection->id) {
    value->connection_id = connection->id;
    value->connection = connection->key;
  }
  value->stream = 0;
  goroutine__mark(go, value);
  value->evidence = value->mixed ? ZS_EVIDENCE_AMBIGUOUS : ZS_EVIDENCE_GOROUTINE;
  goroutines__release(connection->goroutine_slot, goid);
}

/*
 * From now on the goroutine serves what came on a stream of HTTP/2. Most have no other stream
 * before or after: all that such a one starts is for it.
 */
static __always_inline void goroutine__serve_stream(struct zs_go_process* go, __u64 goid,
                                                    const struct zs_connection* connection,
                                                    __u64 request_id) {
  const int claimed = goroutines__claim(go, goid);
  const __u32 slot = claimed & ~ZS_GO_SLOT_KNOWN;
  struct zs_goroutine* value = claimed < 0 ? NULL : goroutines__at(slot);
  if (!value) {
    return;
  }
  const bool known = claimed & ZS_GO_SLOT_KNOWN;
  value->fresh = !known;
  value->serves = 1;
  value->mixed = 0;
  value->stream = 1;
  value->connection_id = connection->id;
  value->connection = connection->key;
  value->route_url = 0;
  value->request_id = request_id;
  if (known) {
    go->descends = 1;
    goroutine__mark(go, value);
  }
  value->evidence = ZS_EVIDENCE_GOROUTINE;
  goroutines__release(slot, goid);
}

/* State of a search for a goroutine that was never seen. */
struct zs_go_search {
  __u64 array;
  __u64 goid;
  __u32 goid_at; /* in g */
  __u64 found;   /* g */
};

static long go__search_step(__u32 index, void* context) {
  struct zs_go_search* search = context;
  __u64 g = 0;
  __u64 goid = 0;
  if (!go__read(&g, search->array + index * sizeof(g)) || !go__read(&goid, g + search->goid_at)) {
    return 1;
  }
  if (goid != search->goid) {
    return 0;
  }
  search->found = g;
  return 1;
}

/* The g of `goid` among the `count` that the array names; 0: it is not there. A global function,
 * too. */
__noinline __u64 go__search(__u64 array, __u32 count, __u64 goid, __u32 goid_at) {
  struct zs_go_search search = {.array = array, .goid = goid, .goid_at = goid_at};
  zs_loop(count, go__search_step, &search);
  return search.found;
}

/* Who started `goid`; false if it is not among the goroutines that there are. */
static __always_inline bool go__find_parent(const struct zs_go_process* go, __u64 goid,
                                            __u64* parent) {
  struct zs_code slice = {}; /* address and length */
  if (!zs_can_loop() || !go->allgs ||
      bpf_probe_read_user(&slice, sizeof(slice), (const void*)go->allgs)) {
    return false;
  }
  counters__add(ZS_COUNTER_GO_ANCESTORS_SOUGHT);
  const __u64 found =
      go__search(slice.begin, slice.end < ZS_GO_SEARCHED_MAX ? slice.end : ZS_GO_SEARCHED_MAX, goid,
                 go->g_goid);
  if (!found || !go__read(parent, found + go->g_parent_goid)) {
    counters__add(ZS_COUNTER_GO_ANCESTORS_NOT_FOUND);
    return false;
  }
  return true;
}

static __always_inline void goroutines__remember(const struct zs_go_process* go, __u64 goid,
                                                 __u64 request_id, __u8 evidence) {
  const int claimed = goroutines__claim(go, goid);
  const __u32 slot = claimed & ~ZS_GO_SLOT_KNOWN;
  struct zs_goroutine* value = claimed < 0 ? NULL : goroutines__at(slot);
  if (value) {
    value->request_id = request_id;
    value->evidence = evidence;
    goroutines__release(slot, goid);
  }
}

/* A goroutine that is seen for the first time, and reads no request: by its ancestors; the evidence
 * is returned. Its origin was read. A global function, too. */
ZS_VERIFIED_ONCE int goroutine__descend(struct zs_go_process* go,
                                        const struct zs_goroutine_now* now, __u64* request_id) {
  if (!go || !now || !request_id) {
    return ZS_EVIDENCE_NONE;
  }
  __u64 child = now->goid;
  __u64 parent = now->parent;
  __u64 sought = 0; /* the last one that a search has found */
  __u32 searches = 0;
  __u8 evidence = ZS_EVIDENCE_NONE;
  for (__u32 i = 0; i < ZS_GO_ANCESTORS_MAX && parent; ++i) {
    const int slot = goroutines__slot(go, parent);
    const struct zs_goroutine* known = slot < 0 ? NULL : goroutines__at(slot);
    if (known) {
      *request_id = known->request_id;
      evidence = known->evidence;
      if (known->serves && evidence == ZS_EVIDENCE_GOROUTINE) {
        go->descends = 1;
        if (!goroutine__started_since(known, child)) {
          counters__add(ZS_COUNTER_GO_UNCERTAIN);
          evidence = ZS_EVIDENCE_AMBIGUOUS;
        }
      }
      if (!goroutines__holds(slot, go, parent)) {
        evidence = ZS_EVIDENCE_AMBIGUOUS;
      }
      break;
    }
    child = parent;
    if (searches >= ZS_GO_SEARCHES_MAX || !go__find_parent(go, child, &parent)) {
      break;
    }
    searches += 1;
    sought = child;
  }
  if (sought) {
    goroutines__remember(go, sought, *request_id, evidence);
  }
  goroutines__remember(go, now->goid, *request_id, evidence);
  return evidence;
}

/* The request that the goroutine works for, and how that is known. `request_id` is 0 before. */
static __always_inline __u8 goroutine__origin(struct zs_go_process* go,
                                              struct zs_goroutine_now* now, __u64* request_id) {
  const int slot = goroutines__slot(go, now->goid);
  const struct zs_goroutine* known = slot < 0 ? NULL : goroutines__at(slot);
  if (!known) {
    return goroutine__read_origin(go, now) ? goroutine__descend(go, now, request_id)
                                           : ZS_EVIDENCE_NONE;
  }
  *request_id = known->request_id;
  const __u8 evidence = known->evidence;
  return goroutines__holds(slot, go, now->goid) ? evidence : ZS_EVIDENCE_AMBIGUOUS;
}
