// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0
