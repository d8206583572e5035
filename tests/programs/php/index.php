<?php
// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Behind nginx: the oracle is nginx's own log.
http_response_code((int)($_GET['status'] ?? 200));
$size = (int)($_GET['size'] ?? 0);
header("Content-Length: $size");
echo str_repeat('x', $size);
