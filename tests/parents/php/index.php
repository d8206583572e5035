<?php
// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The service of the parents benchmark (../README.md) for PHP-FPM: a process serves one request at a time.

function curl(string $name): CurlHandle
{
    $handle = curl_init($_SERVER['HTTP_URL'] . $name);
    curl_setopt_array($handle, [CURLOPT_RETURNTRANSFER => true, CURLOPT_FAILONERROR => true]);
    return $handle;
}

function call(string $kind, string $name): void
{
    if ($kind === 'http') {
        if (curl_exec(curl($name)) === false) {
            throw new Exception("call $name");
        }
    } elseif ($kind === 'sql') {
        $settings = "host={$_SERVER['PGHOST']} port={$_SERVER['PGPORT']} user={$_SERVER['PGUSER']} dbname={$_SERVER['PGDATABASE']}";
        if (!pg_query(pg_pconnect($settings), 'SELECT pg_sleep(0.002) AS r' . strtr($name, '.', '_'))) {
            throw new Exception("query $name");
        }
    } else {
        throw new Exception("unknown step $kind");
    }
}

$id = $_GET['id'];
$steps = explode(',', $_GET['plan']);
$made = 0;
try {
    while ($steps) {
        $step = array_shift($steps);
        if ($step === 'timer') {
            usleep(5000);
        } elseif (str_ends_with($step, ':parallel')) {
            $together = curl_multi_init();
            $handles = [];
            while (true) {
                $handles[] = $handle = curl("$id." . $made++);
                curl_multi_add_handle($together, $handle);
                if (!$steps || $steps[0] !== $step) {
                    break;
                }
                array_shift($steps);
            }
            do {
                curl_multi_exec($together, $running);
                curl_multi_select($together, 1);
            } while ($running > 0);
            foreach ($handles as $handle) {
                if (curl_getinfo($handle, CURLINFO_RESPONSE_CODE) !== 200) {
                    throw new Exception('a call of several');
                }
            }
        } else {
            call($step, "$id." . $made++);
        }
    }
} catch (Throwable $error) {
    error_log("$id {$_GET['plan']} $error");
    http_response_code(500);
}
echo 'ok';
