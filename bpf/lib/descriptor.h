/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/kernel.h"

/* The socket behind a descriptor of a task; NULL if there is none. An address, for BPF_CORE_READ.
 */
static __always_inline const struct socket* task__socket(const struct task_struct* task,
                                                         __u32 descriptor) {
  const struct fdtable* table = task->files->fdt;
  if (descriptor >= table->max_fds) {
    return NULL;
  }
  struct file** slots = table->fd;
  struct file* file = NULL;
  if (bpf_probe_read_kernel(&file, sizeof(file), slots + descriptor) || !file) {
    return NULL;
  }
  if ((BPF_CORE_READ(file, f_inode, i_mode) & ZS_S_IFMT) != ZS_S_IFSOCK) {
    return NULL;
  }
  return BPF_CORE_READ(file, private_data);
}
