#!/usr/bin/python3
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0
"""The exporter against otlp_receiver: an independent decoder of its bytes, and the faults that a collector rarely shows."""

import argparse
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--probe", required=True)
parser.add_argument("--receiver", required=True)
args = parser.parse_args()
scratch = tempfile.TemporaryDirectory(prefix="zerospan-receiver-test.")


class Receiver:
    def __init__(self, *arguments):
        self.output = pathlib.Path(tempfile.mkstemp(dir=scratch.name, suffix=".jsonl")[1])
        self.process = subprocess.Popen([args.receiver, "--output", self.output, *map(str, arguments)],
                                        stdout=subprocess.PIPE, text=True)
        word, port = harness.read_line(self.process).split()
        assert word == "listening"
        self.endpoint = f"http://127.0.0.1:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=harness.TIMEOUT)
        self.totals = out.strip()

    def spans(self):
        return harness.spans_of(self.output)


def probe(receiver, *arguments):
    return harness.Probe(args.probe, "--endpoint", receiver.endpoint, *arguments).counters()


def independent_decoder_reads_every_span():
    for extra in ([], ["--gzip"]):
        with Receiver() as receiver:
            counters = probe(receiver, "--spans", 5000, *extra)
        assert counters["exported"] == 5000, counters
        spans = receiver.spans()
        assert harness.numbers_of(spans) == {number: 1 for number in range(5000)}
        for span in spans:
            harness.check_span(span)
        assert receiver.totals.startswith("received 5000 spans in "), receiver.totals


def retryable_failures_are_repeated():
    with Receiver("--fail-first", 3) as receiver:
        counters = probe(receiver, "--spans", 100, "--retry-initial-ms", 10, "--retry-max-interval-ms", 20)
    assert counters["exported"] == 100 and counters["retries"] == 3, counters
    assert harness.numbers_of(receiver.spans()) == {number: 1 for number in range(100)}
    assert "failing: OTLP/gRPC export to 127.0.0.1:" in counters["log"], counters
    assert "healthy" in counters["log"], counters


def refusals_are_not_repeated():
    for code in (3, 7, 8, 12, 16):  # RESOURCE_EXHAUSTED (8) without RetryInfo among them
        with Receiver("--fail-first", 1, "--fail-code", code) as receiver:
            counters = probe(receiver, "--spans", 50)
        assert counters["dropped"]["export_refused"] == 50 and counters["retries"] == 0, (code, counters)
        assert receiver.spans() == []


def retry_info_is_honoured():
    with Receiver("--fail-first", 1, "--fail-code", 8, "--retry-info-ms", 400) as receiver:
        start = time.monotonic()
        counters = probe(receiver, "--spans", 50, "--retry-initial-ms", 1, "--retry-max-interval-ms", 1)
        took = time.monotonic() - start
    assert counters["exported"] == 50 and counters["retries"] == 1, counters
    assert took >= 0.4, took


def partial_success_is_counted():
    with Receiver("--reject-spans", 7) as receiver:
        counters = probe(receiver, "--spans", 50)
    assert counters["dropped"]["rejected_by_peer"] == 7 * counters["requests"], counters
    assert "rejected by the test" in counters["log"], counters


def a_hanging_receiver_does_not_hold_up_shutdown():
    with Receiver("--delay-ms", 60000) as receiver:
        counters = probe(receiver, "--spans", 50, "--flush-ms", 0, "--shutdown-ms", 300)
    assert counters["dropped"]["shutdown_deadline"] == 50, counters
    assert counters["shutdown_seconds"] < 1, counters


def a_full_queue_drops_and_counts():
    with Receiver("--fail-first", 1000000) as receiver:
        counters = probe(receiver, "--spans", 20000, "--queue", 1000, "--flush-ms", 0)
    assert counters["exported"] == 0, counters
    assert counters["dropped"]["queue_full"] >= 20000 - 1000 - 512 - 50, counters
    assert counters["shutdown_seconds"] < 1, counters


def files_and_standard_output_have_whole_lines():
    path = pathlib.Path(scratch.name) / "spans.jsonl"
    for expected in (1, 2):  # the second run appends
        counters = harness.Probe(args.probe, "--protocol", "file", "--file", path, "--spans", 1200).counters()
        assert counters["exported"] == 1200, counters
        assert harness.numbers_of(harness.spans_of(path)) == {number: expected for number in range(1200)}
    out = pathlib.Path(scratch.name) / "stdout.jsonl"
    with out.open("w") as stream:
        subprocess.run([args.probe, "--protocol", "stdout", "--spans", "1200"], stdout=stream,
                       stderr=subprocess.DEVNULL, check=True, timeout=harness.TIMEOUT)
    spans = harness.spans_of(out)
    assert harness.numbers_of(spans) == {number: 1 for number in range(1200)}
    for span in spans:
        harness.check_span(span)


def a_full_disk_is_counted():
    done = subprocess.run([args.probe, "--protocol", "file", "--file", "/dev/full", "--spans", "100"],
                          capture_output=True, text=True, timeout=harness.TIMEOUT, check=True)
    assert '"export_refused":100' in done.stdout, done
    assert "No space left on device" in done.stderr, done


if __name__ == "__main__":
    sys.exit(harness.run([
        independent_decoder_reads_every_span,
        retryable_failures_are_repeated,
        refusals_are_not_repeated,
        retry_info_is_honoured,
        partial_success_is_counted,
        a_hanging_receiver_does_not_hold_up_shutdown,
        a_full_queue_drops_and_counts,
        files_and_standard_output_have_whole_lines,
        a_full_disk_is_counted,
    ]))
