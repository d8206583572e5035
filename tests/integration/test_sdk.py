# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Programs that carry an OpenTelemetry SDK: the spans that it prints and zerospan's together show each request
exactly once for each kind, and no span is put below one that does not exist."""

import collections
import concurrent.futures
import dataclasses
import json
import pathlib
import re
import subprocess
import unittest

import harness
import servers
import traffic
from harness import CLIENT, SERVER

CALLER = "00f067aa0ba902b7"


@dataclasses.dataclass
class Printed:
    """A span that the program's own SDK made."""
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    id: str


def id_of(attributes):
    text = " ".join(str(value) for name, value in attributes.items() if name in
                    ("url.path", "url.full", "http.target", "http.url", "http.route"))
    return (re.search(r"/r(\d+)", text) or [None, ""])[1]


def printed_by_go(lines):
    for line in lines:
        if line.startswith("{"):
            raw = json.loads(line)
            attributes = {each["Key"]: each["Value"]["Value"] for each in raw["Attributes"]}
            parent = raw["Parent"]["SpanID"]
            yield Printed(raw["SpanContext"]["TraceID"], raw["SpanContext"]["SpanID"],
                          "" if parent == "0" * 16 else parent, raw["SpanKind"], id_of(attributes))


def printed_by_python(lines):
    text = "\n".join(line for line in lines if not line.startswith("listening"))
    while text := text.lstrip():
        raw, end = json.JSONDecoder().raw_decode(text)
        text = text[end:]
        kind = {"SpanKind.SERVER": SERVER, "SpanKind.CLIENT": CLIENT}.get(raw["kind"], 1)
        yield Printed(raw["context"]["trace_id"][2:], raw["context"]["span_id"][2:],
                      (raw["parent_id"] or "")[2:], kind, id_of(raw["attributes"]))


class Sdk(harness.Case):
    CLIENTS, EACH = 8, 25

    def go_program(self, name, switch="on", **how):
        """A proxy in front of a server that is not traced. The second is its command alone."""
        self.need("go")
        backend = servers.go(self)
        command = [pathlib.Path(*servers.prepared("otel_go")) / name, switch, f"http://127.0.0.1:{backend.port}"]
        return self.listening(self.start(command, **how))

    def python_program(self, **variables):
        backend = servers.go(self)
        folder = pathlib.Path(*servers.prepared("otel_python"))
        return self.listening(self.start(
            [harness.PYTHON, folder / "packages" / "bin" / "opentelemetry-instrument", harness.PYTHON, "-B",
             folder / "app.py", f"http://127.0.0.1:{backend.port}"],
            env={"PYTHONPATH": str(folder / "packages"), "OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
                 **variables}))

    def listening(self, program):
        port = int(program.wait_line(program.lines, r"^listening (\d+)", 60)[1])
        return servers.Server(program, port, self.directory / "none")

    def load(self, port, path=""):
        """Concurrent requests, every second one with a caller's context; {id: trace or ""}."""
        def some(number_of_client):
            sent = {}
            for i in range(self.EACH):
                number = f"{number_of_client:02}{i:04}"
                trace = f"{number_of_client + 1:016x}{i + 1:016x}" if i % 2 else ""
                with traffic.Connection(port) as client:
                    client.send(traffic.Request("GET", f"{path}/r{number}?size=10&id={number}", close=True, headers={
                        "traceparent": f"00-{trace}-{CALLER}-01"} if trace else {}))
                sent[number] = trace
            return sent
        with concurrent.futures.ThreadPoolExecutor(self.CLIENTS) as pool:
            return {number: trace for each in pool.map(some, range(self.CLIENTS))
                    for number, trace in each.items()}

    def end(self, server, agent, parse):
        """What both have made, once the program has ended."""
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        server.program.process.terminate()
        self.assertEqual(0, server.program.wait_exit(), server.program)
        return spans, list(parse(server.program.lines))

    def check_once(self, sent, spans, printed, ours, more=()):
        """Each request once for each kind; `ours`: the kinds that zerospan makes."""
        for kind in (SERVER, CLIENT):
            want = collections.Counter(list(sent) + (list(more) if kind == CLIENT else []))
            by_sdk = collections.Counter(span.id for span in printed if span.kind == kind)
            by_us = collections.Counter(span.id for span in spans if span.kind == kind)
            self.assertEqual(want, by_sdk + by_us, f"kind {kind}: SDK {len(by_sdk)}, zerospan {len(by_us)}")
            self.assertEqual(bool(by_us), kind in ours, f"kind {kind}")

    def check_no_invented_parents(self, sent, spans, printed):
        """A span's parent is one that zerospan or the SDK made, or the caller's, in that span's trace."""
        known = {(span.trace_id, span.span_id) for span in [*spans, *printed]}
        known.update((trace, CALLER) for trace in sent.values() if trace)
        for span in [*spans, *printed]:
            if span.parent_id:
                self.assertIn((span.trace_id, span.parent_id), known, span)

    def run_go(self, name, ours, switch="on", options=(), late=False, **how):
        if late:
            agent = self.agent("--exe", "*/program-otel_go-*/" + name, *options)
            server = self.go_program(name, switch, **how)
        else:
            server = self.go_program(name, switch, **how)
            agent = self.agent("--pid", str(server.pid), *options)
        sent = self.load(server.port)
        spans, printed = self.end(server, agent, printed_by_go)
        self.check_once(sent, spans, printed, ours)
        self.check_no_invented_parents(sent, spans, printed)
        self.assertEqual(2 * len(sent) - len(spans), agent.stats()["spans_left_to_sdk"])
        return sent, spans, printed, agent

    def test_go_both(self):
        _, spans, _, _ = self.run_go("both", ours=())
        self.assertEqual([], spans)

    def test_go_server_only(self):
        """The calls are ours. What the SDK's span is called is not known: they are roots, linked to the caller."""
        sent, spans, _, agent = self.run_go("server", ours=(CLIENT,))
        for span in spans:
            self.assertEqual("", span.parent_id)
            self.assertNotIn(span.trace_id, sent.values())
        self.assertEqual(len(sent), agent.stats()["parents_left_to_sdk"])
        text = agent.output.read_text()
        self.assertEqual(sum(bool(trace) for trace in sent.values()), text.count(f'"spanId":"{CALLER}"'))

    def test_go_client_only(self):
        """And without a propagator: no call carries a context, yet the SDK makes all their spans."""
        sent, spans, _, _ = self.run_go("client", ours=(SERVER,))
        for span in spans:
            self.assertEqual(CALLER if sent[span.id] else "", span.parent_id)

    def test_go_simple_processor(self):
        self.run_go("simple", ours=(CLIENT,))

    def test_go_started_later(self):
        self.run_go("both", ours=(), late=True)

    def test_go_linked_but_off(self):
        """What is not set up makes nothing: all spans are ours, with their parents."""
        sent, spans, printed, _ = self.run_go("both", ours=(SERVER, CLIENT), switch="off")
        self.assertEqual([], printed)
        self.assertEqual(len(sent), sum(bool(span.parent_id) for span in spans if span.kind == CLIENT))

    def test_go_switched_off_by_its_environment(self):
        """OpenTelemetry's SDK for Go leaves it to the program to look at the variable."""
        sent, spans, printed, _ = self.run_go("both", ours=(SERVER, CLIENT), switch="off",
                                              env={"OTEL_SDK_DISABLED": "true"})
        self.assertEqual((2 * len(sent), 0), (len(spans), len(printed)))

    def test_go_all_spans(self):
        """--sdk-spans all: both make all."""
        server = self.go_program("both")
        agent = self.agent("--pid", str(server.pid), "--sdk-spans", "all")
        sent = self.load(server.port)
        spans, printed = self.end(server, agent, printed_by_go)
        for kind in (SERVER, CLIENT):
            for made in (spans, printed):
                self.assertEqual(collections.Counter(list(sent)),
                                 collections.Counter(span.id for span in made if span.kind == kind))
        self.assertEqual(0, agent.stats()["spans_left_to_sdk"])

    def test_replay_leaves_the_same_spans(self):
        server = self.go_program("server")
        recording = self.directory / "recording.zsr"
        live = self.directory / "live.jsonl"
        agent = self.agent("--pid", str(server.pid), f"--output={recording}", f"--spans={live}", command="record")
        self.load(server.port)
        agent.interrupt()
        replayed = self.directory / "replayed.jsonl"
        done = subprocess.run([harness.BINARY, "replay", recording, f"--output={replayed}", "--format=json"],
                              capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(sorted(live.read_text().splitlines()), sorted(replayed.read_text().splitlines()))
        self.assertEqual(self.CLIENTS * self.EACH, len(live.read_text().splitlines()))

    def test_python(self):
        """Flask and requests are instrumented, http.client is not: its calls are ours."""
        server = self.python_program()
        agent = self.agent("--pid", str(server.pid))
        known = self.load(server.port, "/known")
        spans, printed = self.end(server, agent, printed_by_python)
        self.check_once(known, spans, printed, ours=())

    def test_python_plain_client(self):
        server = self.python_program()
        agent = self.agent("--pid", str(server.pid))
        sent = self.load(server.port, "/plain")
        spans, printed = self.end(server, agent, printed_by_python)
        self.check_once(sent, spans, printed, ours=(CLIENT,))
        self.check_no_invented_parents(sent, spans, printed)

    def test_python_both_clients(self):
        """Once the instrumented call has shown that the program continues its caller's trace, so does the other."""
        server = self.python_program()
        agent = self.agent("--pid", str(server.pid))
        sent = self.load(server.port, "/mixed")
        spans, printed = self.end(server, agent, printed_by_python)
        self.check_once(sent, spans, printed, ours=(CLIENT,), more=sent)
        self.check_no_invented_parents(sent, spans, printed)
        for span in spans:
            trace = sent[span.id]
            self.assertEqual(CALLER if trace else "", span.parent_id)
            if trace:
                self.assertEqual(trace, span.trace_id)

    def test_python_switched_off(self):
        server = self.python_program(OTEL_SDK_DISABLED="true")
        agent = self.agent("--pid", str(server.pid))
        sent = self.load(server.port, "/known")
        spans, printed = self.end(server, agent, printed_by_python)
        self.check_once(sent, spans, printed, ours=(SERVER, CLIENT))
        self.assertEqual(2 * len(sent), len(spans))

    def test_check_tells(self):
        """`check --pid` and `check --exe` say what is left to the SDK."""
        server = self.go_program("both")
        done = subprocess.run([harness.BINARY, "check", "--pid", str(server.pid), "--duration=1"],
                              capture_output=True, text=True, timeout=60)
        self.assertRegex(done.stdout, r"own SDK +.*otelhttp v")
        self.assertRegex(done.stdout, r"it is +in use")
        self.assertRegex(done.stdout, r"spans left to it +HTTP server, HTTP client\n")
        idle = self.go_program("both", "off")
        done = subprocess.run([harness.BINARY, "check", "--pid", str(idle.pid), "--duration=1"],
                              capture_output=True, text=True, timeout=60)
        self.assertRegex(done.stdout, r"it is +not in use")
        self.assertRegex(done.stdout, r"spans left to it +none\n")
        done = subprocess.run([harness.BINARY, "check", "--exe", f"/proc/{server.pid}/exe"], capture_output=True,
                              text=True, timeout=60)
        self.assertRegex(done.stdout, r"makes these spans: HTTP server, HTTP client\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
