/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The route of a request, read when its answer begins: by then the program's router has written it
 * into the request. The address is from the probe in the router (go_route.bpf.c). The request may
 * be gone by now, and its memory used again: what is read is told only as a claim, which the agent
 * compares with the path that was asked for.
 */
#include "bpf/maps/connections.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/rings.h"
#include "bpf/maps/route_record.h"

#define ZS_ROUTE_AMBIGUOUS 1

/* A string as Go has it. */
struct zs_go_string {
  __u64 address;
  __u64 length;
};

ZS_COLD void route__tell(struct zs_connection* connection) {
  const __u32 zero = 0;
  const __u64 route = connection->route;
  connection->route = 0;
  if (connection->route_request_id != connection->request_id) {
    return;
  }
  struct zs_route_record* record = bpf_map_lookup_elem(&route_record, &zero);
  struct zs_go_string text;
  if (!record || route == ZS_ROUTE_AMBIGUOUS ||
      bpf_probe_read_user(&text, sizeof(text), (const void*)route)) {
    counters__add(ZS_COUNTER_GO_ROUTES_UNKNOWN);
    return;
  }
  const __u64 length = text.length;
  if (length > ZS_ROUTE_BYTES_MAX ||
      bpf_probe_read_user(record->route, length, (const void*)text.address) || length == 0) {
    counters__add(ZS_COUNTER_GO_ROUTES_UNKNOWN);
    return;
  }
  record->header.length = sizeof(*record);
  record->header.type = ZS_RECORD_ROUTE;
  record->connection_id = connection->id;
  record->time_ns = bpf_ktime_get_ns();
  record->request_id = connection->request_id;
  record->route_bytes = length;
  rings__output(connection->ring, record, sizeof(*record));
}
