/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The least program that the self-test must find in order, and what it must notice: `fault` says
 * which mistake is made. Knows GET without a body, and POST as the last of its connection.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "tests/propagation/faults.h"

#define LOOK 700 /* bytes of a message */
#define INSERTS 8
#define LINE "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
#define LINE_LENGTH (sizeof(LINE) - 1)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u32 fault = 0;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sock {
  int sk_wmem_queued;
  int sk_sndbuf;
};
struct inet_sock {
  struct sock sk;
};
struct inet_connection_sock {
  struct inet_sock icsk_inet;
};
struct tcp_sock {
  struct inet_connection_sock inet_conn;
  __u32 write_seq;
};
#pragma clang attribute pop

enum phase { PHASE_START, PHASE_LINE, PHASE_HEAD, PHASE_OTHER, PHASE_LOST };

struct state {
  __u32 phase;
  __u32 has_body;
  __u32 line;  /* bytes of the line so far */
  __u32 count; /* places of this message */
  __u32 places[INSERTS];
  __u32 messages;
  __u32 bytes;
  __u32 expected_seq; /* TCP: where the next message begins if all of the last one was taken */
};

struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __uint(max_entries, 64);
  __type(key, __u64);
  __type(value, __u64);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u64); /* both ports */
  __type(value, struct state);
} states SEC(".maps");

static void walk(struct state* state, __u32 at, __u8 byte) {
  if (state->phase == PHASE_START) {
    state->has_body = byte == 'P';
    state->phase = byte == 'G' || byte == 'P' ? PHASE_LINE : PHASE_OTHER;
    return;
  }
  if (state->phase == PHASE_LINE && byte == '\n') {
    const __u32 count = state->count;
    if (count < INSERTS) {
      state->places[count] = at + 1;
      state->count = count + 1;
    }
    state->phase = PHASE_HEAD;
    state->line = 0;
    return;
  }
  if (state->phase == PHASE_HEAD) {
    if (byte == '\n') {
      if (state->line == 1) {
        state->phase = state->has_body ? PHASE_OTHER : PHASE_START;
      }
      state->line = 0;
    } else {
      state->line += 1;
    }
  }
}

static void insert(struct sk_msg_md* message, __u32 at) {
  if (bpf_msg_push_data(message, at, LINE_LENGTH, 0) != 0 ||
      bpf_msg_pull_data(message, at, at + LINE_LENGTH, 0) != 0) {
    return;
  }
  void* data = message->data;
  if (data + LINE_LENGTH > message->data_end) {
    return;
  }
  __builtin_memcpy(data, LINE, LINE_LENGTH);
}

SEC("sk_msg")
int inserter(struct sk_msg_md* message) {
  const __u64 key = (__u64)message->remote_port << 32U | message->local_port;
  struct state* state = bpf_map_lookup_elem(&states, &key);
  if (!state) {
    const struct state fresh = {};
    bpf_map_update_elem(&states, &key, &fresh, BPF_ANY);
    state = bpf_map_lookup_elem(&states, &key);
    if (!state) {
      return SK_PASS;
    }
  }
  const __u32 size = message->size;
  state->messages += 1;
  state->bytes += size;
  if (fault == FAULT_CORK && state->messages > 1) {
    bpf_msg_cork_bytes(message, 64U << 20U);
    return SK_PASS;
  }
  if (fault == FAULT_DROP_LATE && state->messages == 5000) {
    return SK_DROP;
  }
  if (fault == FAULT_DROP_LARGE && state->bytes > 2U << 20U) {
    return SK_DROP;
  }
  if (fault == FAULT_REDIRECT_LATE && state->messages == 3) {
    __u64 other = 1;
    return bpf_msg_redirect_hash(message, &sockets, &other, BPF_F_INGRESS);
  }
  struct bpf_sock* socket = message->sk;
  const struct tcp_sock* tcp = socket ? bpf_skc_to_tcp_sock(socket) : NULL;
  if (!tcp) {
    return SK_PASS;
  }
  const __u32 written = tcp->write_seq;
  if (fault != FAULT_BLIND) {
    /* Something was not sent that was seen here, or the other way round. */
    if (state->messages > 1 && state->expected_seq != written) {
      state->phase = PHASE_LOST;
    }
    if (tcp->inet_conn.icsk_inet.sk.sk_sndbuf - tcp->inet_conn.icsk_inet.sk.sk_wmem_queued < 8192) {
      state->phase = PHASE_LOST;
    }
  }
  if (fault == FAULT_FORGET) {
    state->phase = PHASE_START;
  }
  state->count = 0;
  bpf_msg_pull_data(message, 0, size < LOOK ? size : LOOK, 0);
  const __u8* data = message->data;
  const __u8* end = message->data_end;
  for (__u32 i = 0; i < LOOK && data + i + 1 <= end; ++i) {
    walk(state, i, data[i]);
  }
  if (fault == FAULT_ANYTHING && state->phase == PHASE_OTHER) {
    state->count = 1;
    state->places[0] = 0;
  }
  if (fault == FAULT_NOTHING) {
    state->count = 0;
  }
  if (fault == FAULT_FIRST_ONLY && state->count > 1) {
    state->count = 1;
  }
  /* From the last to the first: the places before stay where they are. */
  for (int i = INSERTS - 1; i >= 0; --i) {
    if ((__u32)i < state->count) {
      insert(message, state->places[i]);
      if (fault == FAULT_TWICE) {
        insert(message, state->places[i]);
      }
    }
  }
  if (fault == FAULT_LOSE_A_BYTE && size > 10000) {
    bpf_msg_pop_data(message, size / 2, 1, 0);
  }
  state->expected_seq = written + message->size;
  return SK_PASS;
}

/* Another receive path; what it gets wrong differs from kernel to kernel. */
SEC("sk_skb/stream_verdict")
int verdict(struct __sk_buff* skb) {
  return SK_PASS;
}
