/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * One uprobe in a Go program's router, hit once for each request that the router takes. Placed
 * where the registers still have the arguments (symbols/probe). It notes where the route is; who
 * begins the answer reads it from there (route.h). Over HTTP/2 the answer is not begun by the
 * goroutine that serves the stream: there a route that is known already is told at once. The
 * fields' places are the probe's cookie (kernel 5.15), of 16 bits each, the first one lowest.
 */
#define ZS_SOCKET_BY_ADDRESS
#include "bpf/probes/socket_operation.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline __u64 go_route__offset(__u64 cookie, __u32 which) {
  return cookie >> (16 * which) & 0xffff;
}

/* What the running goroutine serves; NULL: nothing. */
static __always_inline struct zs_goroutine* go_route__goroutine(const struct pt_regs* regs) {
  struct zs_process* process = processes__find(bpf_get_current_pid_tgid() >> 32U);
  struct zs_goroutine_now now;
  if (!process || !(process->flags & ZS_PROCESS_GO) ||
      !goroutine__check_running(&process->go, ZS_GO_G(regs), &now)) {
    return NULL;
  }
  const int slot = goroutines__slot(&process->go, now.goid);
  struct zs_goroutine* goroutine = slot < 0 ? NULL : goroutines__at(slot);
  return goroutine && goroutine->serves ? goroutine : NULL;
}

static __always_inline struct zs_connection* go_route__connection(
    const struct zs_goroutine* goroutine) {
  const __u64 key = goroutine->connection;
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  return connection && connection->id == goroutine->connection_id ? connection : NULL;
}

/*
 * The note of the request that the goroutine serves, for the router to fill; NULL if there is none
 * to fill. Of routers below one another the last one holds if they were given the same URL,
 * also in copies of the request; a router below one that has taken a part of the path away only
 * knows the rest.
 */
static __always_inline struct zs_route_note* go_route__note(const struct zs_goroutine* goroutine,
                                                            __u64 url, __u8 router) {
  struct zs_connection* connection = go_route__connection(goroutine);
  if (!connection || goroutine->stream || connection->request_id != goroutine->request_id) {
    return NULL;
  }
  struct zs_route_note* note = &connection->route;
  if (note->request_id != connection->request_id) {
    counters__add(ZS_COUNTER_GO_ROUTES);
    note->request_id = connection->request_id;
    note->ambiguous = 0;
    connection->route_noted = 1;
  } else if (note->url != url) {
    note->ambiguous = 1;
  }
  note->url = url;
  note->router = router;
  note->length = 0;
  return note;
}

/*
 * A ServeHTTP method (receiver, both words of the http.ResponseWriter, the *http.Request) that will
 * write the route into the request. Cookie: of Pattern and URL.
 */
SEC("uprobe")
int go_route__serve(struct pt_regs* regs) {
  const __u64 cookie = bpf_get_attach_cookie(regs);
  __u64 url = 0;
  const struct zs_goroutine* goroutine = go_route__goroutine(regs);
  struct zs_route_note* note =
      goroutine && go__read(&url, ZS_GO_ARGUMENT3(regs) + go_route__offset(cookie, 1))
          ? go_route__note(goroutine, url, ZS_ROUTER_PATTERN)
          : NULL;
  if (note) {
    note->address = ZS_GO_ARGUMENT3(regs) + go_route__offset(cookie, 0);
  }
  return 0;
}

/*
 * Tells the route of a stream's request: an empty one if routers below one another were given
 * different URLs. The last record for a request holds. The record is built on the stack, because a
 * uprobe may be preempted.
 */
ZS_COLD int go_route__tell(struct zs_goroutine* goroutine, const struct zs_go_string* text,
                           __u64 url, __u32 router) {
  const struct zs_connection* connection = go_route__connection(goroutine);
  __u64 length = text->length;
  if (!connection) {
    return 0;
  }
  struct zs_route_record record = {};
  const __u64 before = goroutine->route_url;
  if (!before) {
    counters__add(ZS_COUNTER_GO_ROUTES);
  }
  goroutine->route_url = !before || before == url ? url : ~0ULL;
  if ((!before || before == url) && length && length <= sizeof(record.route)) {
    zs_unknown(length);
    if (length > sizeof(record.route) ||
        bpf_probe_read_user(record.route, length, (const void*)text->address)) {
      counters__add(ZS_COUNTER_GO_ROUTES_UNKNOWN);
      return 0;
    }
    record.route_bytes = length;
  } else {
    counters__add(ZS_COUNTER_GO_ROUTES_UNKNOWN);
    if (!before) {
      return 0; /* to tell nothing says the same */
    }
  }
  record.header.length = sizeof(record);
  record.header.type = ZS_RECORD_ROUTE;
  record.connection_id = connection->id;
  record.time_ns = bpf_ktime_get_ns();
  record.request_id = goroutine->request_id;
  record.router = router;
  rings__output(connection->ring, &record, sizeof(record));
  return 0;
}

/* The route is known already, and stays where it is as long as the router. */
static __always_inline void go_route__found(const struct pt_regs* regs,
                                            const struct zs_go_string* text, __u64 url,
                                            __u8 router) {
  const __u64 length = text->length;
  struct zs_goroutine* goroutine = go_route__goroutine(regs);
  if (goroutine && goroutine->stream) {
    go_route__tell(goroutine, text, url, router);
    return;
  }
  struct zs_route_note* note = goroutine ? go_route__note(goroutine, url, router) : NULL;
  if (note) {
    note->address = text->address;
    note->length = length;
    note->ambiguous |= !length || length > ZS_ROUTE_BYTES_MAX;
  }
}

static __always_inline void go_route__told(const struct pt_regs* regs, __u64 string, __u64 url,
                                           __u8 router) {
  struct zs_go_string text;
  if (bpf_probe_read_user(&text, sizeof(text), (const void*)string) == 0) {
    go_route__found(regs, &text, url, router);
  }
}

/*
 * A router that is just storing the route into a context of its own, which has the request already,
 * or into the request: registers have the string's address, and where it is stored; its length is
 * there already. Cookie: the numbers of these two registers as words of struct pt_regs, of 5 bits
 * each; the places of the request in the context, and of URL in the request; the enum zs_router in
 * 4 bits, and the place of the length.
 */
SEC("uprobe")
int go_route__stored(struct pt_regs* regs) {
  const __u64 cookie = bpf_get_attach_cookie(regs);
  __u64 words[ZS_GO_REGISTERS];
  __u64 request = 0;
  __u64 url = 0;
  if (bpf_probe_read_kernel(words, sizeof(words), regs)) {
    return 0;
  }
  const __u32 last = ZS_GO_REGISTERS - 1;
  struct zs_go_string text = {.address = words[cookie & last]};
  const __u64 context = words[cookie >> 5 & last];
  const __u8 router = cookie >> 48 & 15;
  if (!go__read(&text.length, context + (cookie >> 52))) {
    return 0;
  }
  if (router == ZS_ROUTER_PATTERN) {
    request = context;
  } else if (!go__read(&request, context + go_route__offset(cookie, 1))) {
    return 0;
  }
  if (go__read(&url, request + go_route__offset(cookie, 2))) {
    go_route__found(regs, &text, url, router);
  }
  return 0;
}

/*
 * gorilla/mux's requestWithRoute(*http.Request, *Route), once a route was found. Cookie: of the
 * pointer to the path's regular expression in the route, of the template in there, of URL.
 */
SEC("uprobe")
int go_route__mux(struct pt_regs* regs) {
  const __u64 cookie = bpf_get_attach_cookie(regs);
  __u64 path = 0;
  __u64 url = 0;
  if (ZS_GO_ARGUMENT1(regs) &&
      go__read(&path, ZS_GO_ARGUMENT1(regs) + go_route__offset(cookie, 0)) && path &&
      go__read(&url, ZS_GO_ARGUMENT0(regs) + go_route__offset(cookie, 2))) {
    go_route__told(regs, path + go_route__offset(cookie, 1), url, ZS_ROUTER_MUX);
  }
  return 0;
}

/*
 * fiber's (*App).handler, where all handlers are done and it gives its *Ctx back to the pool; the
 * answer is sent after that. It is a deferred call, which the compiler has made a function of: what
 * it was given lies behind the closure's address, the *App and the *Ctx in either order. The
 * context's first field tells which is which. Cookie: of the route and whether one matched in the
 * context, of whether it is middleware, and of its path in the route.
 */
SEC("uprobe")
int go_route__fiber(struct pt_regs* regs) {
  const __u64 cookie = bpf_get_attach_cookie(regs);
  __u64 given[2];
  __u64 app = 0;
  __u64 route = 0;
  __u8 matched = 0;
  __u8 use = 1;
  if (bpf_probe_read_user(given, sizeof(given),
                          (const void*)(ZS_GO_CLOSURE(regs) + sizeof(route)))) {
    return 0;
  }
  __u64 context = given[1];
  if (!go__read(&app, context) || app != given[0]) {
    context = given[0];
    if (!go__read(&app, context) || app != given[1]) {
      return 0;
    }
  }
  if (go__read(&route, context + go_route__offset(cookie, 0)) && route &&
      !bpf_probe_read_user(&matched, sizeof(matched),
                           (const void*)(context + go_route__offset(cookie, 1))) &&
      !bpf_probe_read_user(&use, sizeof(use), (const void*)(route + go_route__offset(cookie, 2))) &&
      matched == 1 && use == 0) {
    go_route__told(regs, route + go_route__offset(cookie, 3), 0, ZS_ROUTER_FIBER);
  }
  return 0;
}
