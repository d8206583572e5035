# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0
"""What the exporter's end-to-end tests share: running the probe and servers, and reading OTLP/JSON lines."""

import collections
import json
import pathlib
import select
import socket
import subprocess
import time

TIMEOUT = 60  # seconds; nothing waits so long unless it fails


def wait_for(condition, what, timeout=TIMEOUT):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {what}")


def read_line(process, timeout=TIMEOUT):
    ready, _, _ = select.select([process.stdout], [], [], timeout)
    assert ready, f"no line from {process.args[0]} within {timeout} s"
    return process.stdout.readline()


def free_ports(count):
    """Ports that were free a moment ago; a server that finds one taken is started again with others."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Probe:
    """One run of exporter_probe."""

    def __init__(self, path, *arguments):
        self.process = subprocess.Popen([path, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)

    def wait_for_report(self, start):
        """Reads the probe's reports up to one that begins so."""
        for line in self.process.stderr:
            if line.startswith(start):
                return
        raise AssertionError(f"the probe ended without '{start}'")

    def counters(self):
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, (self.process.returncode, err)
        counters = json.loads(out)
        counters["log"] = err
        assert counters["offered"] == counters["exported"] + counters["dropped_total"], counters
        return counters


def spans_of(path):
    """Every span of a file of OTLP/JSON lines; a last line without its line feed is still being written."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    spans = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                spans.extend(scope["spans"])
    return spans


def numbers_of(spans):
    """How often each probe span arrived, by its number."""
    return collections.Counter(int(span["spanId"], 16) - 1 for span in spans)


def check_span(span):
    """One probe span, as any correct receiver must show it."""
    number = int(span["spanId"], 16) - 1
    assert span["traceId"] == f"{number % 255 + 1:02x}" * 16, span
    assert span["name"] == "GET /probe" and span["kind"] == 2, span
    assert span["startTimeUnixNano"] == str(1_700_000_000_000_000_000 + number), span
    assert span["flags"] == 0x101, span
    values = {attribute["key"]: attribute["value"] for attribute in span["attributes"]}
    assert values["probe.number"].get("intValue", "0") == str(number), span
    assert values["url.path"] == {"stringValue": "/probe/\u00e9\ufffd\""}, span


def run(tests):
    """Runs the functions in order, printing each with its time; the exit status."""
    failed = 0
    for test in tests:
        start = time.monotonic()
        try:
            test()
            verdict = "ok"
        except Exception as error:  # a failing test must not hide the others
            import traceback
            traceback.print_exc()
            verdict = f"FAILED: {error}"
            failed += 1
        print(f"{test.__name__}: {verdict} ({time.monotonic() - start:.1f} s)", flush=True)
    return 1 if failed else 0
