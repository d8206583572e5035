/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What inserter.bpf.c does wrong. */
#pragma once

enum fault {
  FAULT_NONE,
  FAULT_NOTHING,       /* no header */
  FAULT_TWICE,         /* each header twice */
  FAULT_FORGET,        /* what it knew of the connection, from one send to the next */
  FAULT_FIRST_ONLY,    /* of several requests in one send */
  FAULT_ANYTHING,      /* inserts where there is no HTTP */
  FAULT_LOSE_A_BYTE,   /* in the midst of what is long */
  FAULT_CORK,          /* holds back what is sent, but the first */
  FAULT_DROP_LATE,     /* the 5000th send fails */
  FAULT_DROP_LARGE,    /* a send fails after two megabytes */
  FAULT_BLIND,         /* inserts whether there is room or not, and takes what it saw for sent */
  FAULT_REDIRECT_LATE, /* the third send goes back to its sender */
};
