/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * One uprobe in a Go program's router, hit once for each request that the router takes. Placed
 * where the registers still have the arguments (symbols/probe) of a ServeHTTP method: receiver,
 * both words of the http.ResponseWriter, and the *http.Request. The router has not decided yet;
 * it writes the route into that request. Its offset in there is the probe's cookie (kernel 5.15).
 */
#define ZS_SOCKET_BY_ADDRESS
#include "bpf/probes/socket_operation.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("uprobe")
int go_route__serve(struct pt_regs* regs) {
  const __u32 tgid = bpf_get_current_pid_tgid() >> 32U;
  struct zs_go_process* go = go_processes__find(tgid);
  struct zs_goroutine_now now;
  if (!go || !goroutine__check_running(go, regs->r14, &now)) {
    return 0;
  }
  const struct zs_goroutine* goroutine = goroutines__find(go, tgid, now.goid);
  if (!goroutine || !goroutine->serves) {
    return 0;
  }
  const __u64 key = goroutine->connection;
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &key);
  if (!connection || connection->id != goroutine->connection_id ||
      connection->request_id != goroutine->request_id) {
    return 0;
  }
  const __u64 route = regs->di + bpf_get_attach_cookie(regs);
  if (connection->route_request_id != connection->request_id || !connection->route) {
    connection->route_request_id = connection->request_id;
    connection->route = route;
    counters__add(ZS_COUNTER_GO_ROUTES);
  } else if (connection->route != route) {
    /* A router below another one that was given a copy of the request, with another path. */
    connection->route = ZS_ROUTE_AMBIGUOUS;
  }
  return 0;
}
