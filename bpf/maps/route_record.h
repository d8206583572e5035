/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/* Room to build a route record, which is large for the BPF stack. Used without a wait in between,
 * in process context only. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct zs_route_record);
} route_record SEC(".maps");
