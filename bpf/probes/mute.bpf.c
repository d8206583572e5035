/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Run by the agent when it found that a connection has nothing more to tell, or is that of a
 * process which is not traced any more. In the kernel, and not by an update from user space, so
 * that the check of the id and the write cannot be torn apart by a socket that takes the address
 * over. Attached to nothing: the argument takes the place of a tracepoint's (5.10).
 */
#include "bpf/maps/connections.h"
#include "bpf/maps/requests.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("raw_tp")
int mute__connection(struct zs_mute* request) {
  const __u64 socket = request->socket; /* a key must be on the stack or in a map */
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &socket);
  if (!connection || connection->id != request->connection_id) {
    return 0;
  }
  connection->state = ZS_CONNECTION_MUTED;
  return 1;
}

SEC("raw_tp")
int forget__connection(struct zs_mute* request) {
  const __u64 socket = request->socket;
  struct zs_connection* connection = bpf_map_lookup_elem(&connections, &socket);
  if (!connection || connection->id != request->connection_id) {
    return 0;
  }
  const __u64 served = connection->tracked_request;
  if (served) {
    bpf_map_delete_elem(&requests, &served);
  }
  return bpf_map_delete_elem(&connections, &socket) == 0;
}
