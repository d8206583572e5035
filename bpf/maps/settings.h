/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/*
 * Settings, written by the agent between open and load. The verifier then knows them as constants.
 */
const volatile __u32 zs_abi_version = ZS_ABI_VERSION;
const volatile __u32 zs_head_bytes = 4096; /* per message, at most ZS_HEAD_BYTES_MAX */
const volatile __u32 zs_tail_bytes = 128;  /* per operation, at most ZS_TAIL_BYTES_MAX */
const volatile __u32 zs_ring_wake_bytes =
    0;                                   /* a ring's consumer is woken when more than this waits */
const volatile __u32 zs_protocols = ~0U; /* bit n: the protocol of enum zs_protocol is followed */
/* Of servers, as they are written; 0: none. Behind a frozen map the loops over them are constant.
 */
const volatile __u16 zs_dns_ports[ZS_DNS_PORTS_MAX] = {53};
const volatile __u64 zs_id_seed = 0;    /* random; makes the ids of requests unpredictable */
const volatile __u8 zs_propagate = 0;   /* trace context is injected */
const volatile __u32 zs_agent_tgid = 0; /* never traced, whatever the map of processes says */
