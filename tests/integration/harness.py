# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What every integration test stands on: programs by pid, the agent, its spans. Standard library only.

The environment gives ZEROSPAN_BUILD (the build folder, else build/release); ZEROSPAN_TIME_FACTOR (else 1): by how much
longer every deadline is where the processor is emulated (vmtests); and ZEROSPAN_BUILT=1 where there is no compiler, and
test programs were compiled before. Nothing here waits for a fixed time: every wait
polls a condition, with a deadline that fails the test.
"""

import atexit
import collections
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
import weakref

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "programs"
BUILD = pathlib.Path(os.environ.get("ZEROSPAN_BUILD", ROOT / "build" / "release")).resolve()
BINARY = BUILD / "zerospan"
PYTHON = "/usr/bin/python3"
TIME_FACTOR = float(os.environ.get("ZEROSPAN_TIME_FACTOR", "1"))
BUILT = os.environ.get("ZEROSPAN_BUILT") == "1"

COMPILERS = ("go", "javac")

SERVER, CLIENT = 2, 3  # SpanKind in OTLP


def compiled(command, **how):
    """Runs a compiler, unless that was done before. It fails with what the compiler says."""
    if BUILT:
        return
    done = subprocess.run(command, capture_output=True, text=True, **how)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.stderr}")


def wait_for(condition, what, seconds=20.0, interval=0.01):
    """Polls until condition() is true and returns its value; raises with `what` at the deadline."""
    seconds *= TIME_FACTOR
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(interval)


def end_by_signal(number, frame):
    raise KeyboardInterrupt


class Program:
    """A child in a process group of its own, with its output collected. None outlives a test that is ended from
    outside: ctest and timeout send SIGTERM."""

    running = weakref.WeakSet()

    def __init__(self, command, env=None, cwd=None, stdin=None):
        self.command = [str(part) for part in command]
        self.lines, self.errors = [], []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            self.command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True, env={**os.environ, **(env or {})}, cwd=cwd)
        self.readers = [threading.Thread(target=self._collect, args=pair, daemon=True) for pair in
                        ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()
        Program.running.add(self)

    def _collect(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def __str__(self):
        return f"{' '.join(self.command)}\n" + "\n".join((self.lines + self.errors)[-20:])

    def wait_line(self, lines, pattern, seconds=20.0):
        """The first match of pattern in lines (self.lines or self.errors)."""
        seconds *= TIME_FACTOR
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                for line in lines:
                    found = re.search(pattern, line)
                    if found:
                        return found
                left = deadline - time.monotonic()
                if self.process.poll() is not None and not any(r.is_alive() for r in self.readers):
                    raise AssertionError(f"ended with {self.process.returncode} before {pattern!r}: {self}")
                if left <= 0:
                    raise AssertionError(f"no {pattern!r} in {seconds:.0f} s: {self}")
                self.changed.wait(min(left, 0.1))

    def wait_exit(self, seconds=20.0):
        seconds *= TIME_FACTOR
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:.0f} s: {self}") from None
        for reader in self.readers:
            reader.join(5)
        return code

    def stop(self):
        """Ends the whole group that this program leads; harmless when it has ended."""
        if self.process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self.process.wait(5 * TIME_FACTOR)
            except subprocess.TimeoutExpired:
                pass
        self._signal(signal.SIGKILL)
        self.process.wait(10 * TIME_FACTOR)
        for reader in self.readers:
            reader.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


@atexit.register
def stop_all():
    for program in list(Program.running):
        program.stop()


signal.signal(signal.SIGTERM, end_by_signal)


@dataclasses.dataclass
class Span:
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start: float  # seconds, Unix time
    end: float
    status: int
    trace_state: str
    attributes: dict
    resource: dict
    links: list = dataclasses.field(default_factory=list)  # (trace id, span id)

    @property
    def method(self):
        return self.attributes.get("http.request.method_original", self.attributes.get("http.request.method"))

    @property
    def code(self):
        return self.attributes.get("http.response.status_code")

    @property
    def target(self):
        """Path and query of a server span as the request line had them, or the URL of a client span."""
        if "url.full" in self.attributes:
            return self.attributes["url.full"]
        query = self.attributes.get("url.query", "")
        return self.attributes.get("url.path", "") + ("?" + query if query else "")

    @property
    def id(self):
        return id_of(self.target)


def id_of(target):
    """Every test request carries a unique id in its query."""
    found = re.search(r"[?&]id=([^&#]+)", target)
    return found.group(1) if found else ""


def _value(value):
    ((kind, inner),) = value.items()
    if kind == "intValue":
        return int(inner)
    if kind == "arrayValue":
        return [_value(v) for v in inner.get("values", [])]
    return inner


def _attributes(pairs):
    return {pair["key"]: _value(pair["value"]) for pair in pairs or []}


def parse_spans(text):
    """Spans of a file in the otlp-json form: one ExportTraceServiceRequest a line."""
    spans = []
    for line in text.splitlines():
        for by_resource in json.loads(line).get("resourceSpans", []):
            resource = _attributes(by_resource.get("resource", {}).get("attributes"))
            for by_scope in by_resource.get("scopeSpans", []):
                for raw in by_scope.get("spans", []):
                    spans.append(Span(
                        raw["traceId"], raw["spanId"], raw.get("parentSpanId", ""), raw["name"], raw["kind"],
                        int(raw["startTimeUnixNano"]) / 1e9, int(raw["endTimeUnixNano"]) / 1e9,
                        raw.get("status", {}).get("code", 0), raw.get("traceState", ""),
                        _attributes(raw.get("attributes")), resource,
                        [(link["traceId"], link["spanId"]) for link in raw.get("links", [])]))
    return spans


class Agent(Program):
    """One run of `zerospan trace` (or another sub-command that attaches), ready when constructed."""

    def __init__(self, directory, *selection, command="trace", env=None, wait_ready=True):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="agent-", dir=directory))
        self.output = self.directory / "spans.jsonl"
        self.stats_file = self.directory / "stats.json"
        arguments = [BINARY, command, *selection, f"--stats={self.stats_file}"]
        if command == "trace":
            arguments += ["--format=otlp-json", f"--output={self.output}"]
        started = time.monotonic()
        # Tests of several trees may use one machine at a time.
        super().__init__(arguments, env={"OTEL_TRACES_SAMPLER": "", "ZEROSPAN_ONE_PER_HOST": "false", **(env or {})})
        if wait_ready:
            try:
                self.wait_line(self.errors, r"^zerospan: ready", 30)
            except AssertionError:
                self.stop()
                raise
        self.seconds_to_ready = time.monotonic() - started

    def end(self, seconds=15.0):
        """SIGINT, the flush, exit code 0."""
        started = time.monotonic()
        os.kill(self.pid, signal.SIGINT)
        code = self.wait_exit(seconds)
        self.seconds_to_stop = time.monotonic() - started
        if code != 0:
            raise AssertionError(f"exit code {code} after SIGINT: {self}")

    def interrupt(self, seconds=15.0):
        """end(), and the spans of a `trace`."""
        self.end(seconds)
        return self.spans()

    def resident_peak_kb(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))

    def spans(self):
        return parse_spans(self.output.read_text()) if self.output.exists() else []

    def stats(self):
        return json.loads(self.stats_file.read_text())

    def lost(self):
        """Everything that the agent says it lost: {counter: value}, only those above zero."""
        return {name: value for name, value in self.stats().items() if value and
                name.startswith(("records_lost_", "spans_dropped_"))}


class Case(unittest.TestCase):
    """Base of all integration tests."""

    maxDiff = 4000

    def setUp(self):
        if os.geteuid() != 0:
            self.fail("these tests load BPF programs: run them as root (sudo make test)")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zerospan-test-"))
        # Servers that drop their privileges still have to read what is in here.
        self.directory.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    @staticmethod
    def need(*commands):
        """Fails, and says so, when a program that `make test` (or `make test-all`) installs is missing."""
        for command in commands:
            if not shutil.which(command) and not (BUILT and command in COMPILERS):
                raise AssertionError(f"{command} is not installed (scripts/install-test-deps.sh --all)")

    def need_module(self, module):
        if subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode != 0:
            self.fail(f"Python module {module} is not installed (scripts/install-test-deps.sh --all)")

    def start(self, command, **how):
        program = Program(command, **how)
        self.addCleanup(program.stop)
        return program

    def agent(self, *selection, **how):
        if not BINARY.exists():
            self.fail(f"{BINARY} does not exist: make build")
        agent = Agent(self.directory, *selection, **how)
        self.addCleanup(agent.stop)
        return agent


def free_port():
    """A port that was free a moment ago, for programs that cannot bind port 0; callers retry on conflict."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def scrape(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10 * TIME_FACTOR) as response:
        return response.read().decode()


def sums(text):
    """Counters of a /metrics page, added up over their labels: {name: value}."""
    totals = {}
    for name, value in re.findall(r"^(zerospan_\w+?)(?:\{[^}]*\})? ([-+.\deE]+)$", text, re.M):
        totals[name] = totals.get(name, 0) + float(value)
    return totals


def describe(counter: collections.Counter):
    return ", ".join(f"{name} {value}" for name, value in sorted(counter.items()))
