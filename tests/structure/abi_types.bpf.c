/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * BTF has the types that maps, globals and functions name, not those of local variables only. This
 * object names every struct of the ABI that the probes keep in local variables, compiled as they
 * are.
 */
#include "bpf/abi/abi.h"

struct zs_connection_record connection_record;
struct zs_close_record close_record;
struct zs_route_record route_record;
struct zs_process_record process_record;
struct zs_stream_record stream_record;
struct zs_injected_record injected_record;
