/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The route of a request, read when its answer begins: by then the program's router has found it.
 * Where it is, the probe in the router has noted (go_route.bpf.c). The memory may be used for
 * something else by now: what is read is told only as a claim, which the agent compares with the
 * path that was asked for.
 */
#include "bpf/maps/connections.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/rings.h"
#include "bpf/maps/route_record.h"

/* A string as Go has it. */
struct zs_go_string {
  __u64 address;
  __u64 length;
};

static __always_inline bool route__read(const struct zs_route_note* note,
                                        struct zs_route_record* record) {
  struct zs_go_string text = {note->address, note->length};
  if (note->ambiguous ||
      (!note->length && bpf_probe_read_user(&text, sizeof(text), (const void*)note->address))) {
    return false;
  }
  const __u64 length = text.length;
  if (length > ZS_ROUTE_BYTES_MAX ||
      bpf_probe_read_user(record->route, length, (const void*)text.address) || length == 0) {
    return false;
  }
  record->route_bytes = length;
  return true;
}

ZS_COLD void route__tell(struct zs_connection* connection) {
  const __u32 zero = 0;
  struct zs_route_note* note = &connection->route;
  const __u64 request_id = note->request_id;
  note->request_id = 0;
  connection->route_noted = 0;
  if (request_id != connection->request_id) {
    return;
  }
  struct zs_route_record* record = bpf_map_lookup_elem(&route_record, &zero);
  if (!record || !route__read(note, record)) {
    counters__add(ZS_COUNTER_GO_ROUTES_UNKNOWN);
    return;
  }
  record->header.length = sizeof(*record);
  record->header.type = ZS_RECORD_ROUTE;
  record->connection_id = connection->id;
  record->time_ns = bpf_ktime_get_ns();
  record->request_id = request_id;
  record->router = note->router;
  rings__output(connection->ring, record, sizeof(*record));
}
