/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/kernel.h"

/*
 * The socket behind a descriptor of a task; NULL if there is none. An address, for BPF_CORE_READ. A
 * struct socket names its file; what other files have in that place is no file's address.
 */
static __always_inline const struct sock* task__socket(const struct task_struct* task,
                                                       __u32 descriptor) {
  const struct files_struct* files = zs_task_read(task, files);
  const struct fdtable* table = zs_task_read(files, fdt);
  if (descriptor >= zs_task_read(table, max_fds)) {
    return NULL;
  }
  struct file* file = NULL;
  if (bpf_probe_read_kernel(&file, sizeof(file), zs_task_read(table, fd) + descriptor) || !file) {
    return NULL;
  }
#ifndef ZS_WITHOUT_KERNEL_FUNCTIONS
  if (LINUX_KERNEL_VERSION >= KERNEL_VERSION(6, 3, 0)) {
    const struct socket* socket =
        zs_kernel_cast(zs_kernel_cast(file, struct file)->private_data, struct socket);
    return socket->file == file ? socket->sk : NULL;
  }
#endif
  const struct socket* socket = BPF_CORE_READ(file, private_data);
  return BPF_CORE_READ(socket, file) == file ? BPF_CORE_READ(socket, sk) : NULL;
}
