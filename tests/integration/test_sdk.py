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
EXPORT = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


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
    for text in re.findall(r"^\{$.*?^\}$", "\n".join(lines), re.M | re.S):
        raw = json.loads(text)
        kind = {"SpanKind.SERVER": SERVER, "SpanKind.CLIENT": CLIENT}.get(raw["kind"], 1)
        yield Printed(raw["context"]["trace_id"][2:], raw["context"]["span_id"][2:],
                      (raw["parent_id"] or "")[2:], kind, id_of(raw["attributes"]))


def printed_by_node(lines):
    """The console exporter prints JavaScript: a span from a line "{" to the next "}"."""
    for text in re.findall(r"^\{$.*?^\}$", "\n".join(lines), re.M | re.S):
        def one(pattern):
            return (re.search(pattern, text, re.M) or [None, ""])[1]
        kind = {"1": SERVER, "2": CLIENT}.get(one(r"^  kind: (\d)"), 1)
        yield Printed(one(r"^  traceId: '(\w+)'"), one(r"^  id: '(\w+)'"), one(r"^    spanId: '(\w+)'"), kind,
                      one(r"^    '(?:url.path|url.full)': '[^']*/r(\d+)"))


def printed_by_java(lines):
    for line in lines:
        if "OtlpJsonLoggingSpanExporter - {" in line:
            for by_scope in json.loads(line[line.index("{"):])["scopeSpans"]:
                for raw in by_scope["spans"]:
                    attributes = {each["key"]: next(iter(each["value"].values())) for each in raw["attributes"]}
                    yield Printed(raw["traceId"], raw["spanId"], raw.get("parentSpanId", ""), raw["kind"],
                                  id_of(attributes))


class Case(harness.Case):
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
            env={"PYTHONPATH": str(folder / "packages"), **EXPORT, **variables}))

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
        return spans, list(parse(server.program.lines + server.program.errors))

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

    def run_with(self, server, path, parse, ours, twice=False):
        """Each request once for each kind; `twice`: the handler asks a second time, which the SDK does not see."""
        agent = self.agent("--pid", str(server.pid))
        sent = self.load(server.port, path)
        spans, printed = self.end(server, agent, parse)
        self.check_once(sent, spans, printed, ours, more=sent if twice else ())
        self.check_no_invented_parents(sent, spans, printed)
        self.assertEqual((3 if twice else 2) * len(sent) - len(spans), agent.stats()["spans_left_to_sdk"])

    def run_all(self, server, path, parse):
        """--sdk-spans all: both make all."""
        agent = self.agent("--pid", str(server.pid), "--sdk-spans", "all")
        sent = self.load(server.port, path)
        spans, printed = self.end(server, agent, parse)
        for kind in (SERVER, CLIENT):
            for made in (spans, printed):
                self.assertEqual(collections.Counter(list(sent)),
                                 collections.Counter(span.id for span in made if span.kind == kind))
        self.assertEqual(0, agent.stats()["spans_left_to_sdk"])

    def assert_check(self, server, sdk, left):
        """What `check --pid` says."""
        done = subprocess.run([harness.BINARY, "check", "--pid", str(server.pid), "--duration=1"],
                              capture_output=True, text=True, timeout=60)
        self.assertRegex(done.stdout, rf"own SDK +{re.escape(sdk)}")
        self.assertRegex(done.stdout, rf"spans left to it +{left}\n")


class Go(Case):
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
        self.run_all(self.go_program("both"), "", printed_by_go)

    def test_replay_leaves_the_same_spans(self):
        server = self.go_program("server")
        recording = self.directory / "recording.zsr"
        live = self.directory / "live.jsonl"
        agent = self.agent("--pid", str(server.pid), f"--output={recording}", f"--spans={live}", command="record")
        self.load(server.port)
        agent.end()
        replayed = self.directory / "replayed.jsonl"
        done = subprocess.run([harness.BINARY, "replay", recording, f"--output={replayed}", "--format=json"],
                              capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(sorted(live.read_text().splitlines()), sorted(replayed.read_text().splitlines()))
        self.assertEqual(self.CLIENTS * self.EACH, len(live.read_text().splitlines()))

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


class Python(Case):
    """Flask and requests are instrumented, http.client is not: its calls are ours."""

    def test_python(self):
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

    def test_python_one_only(self):
        """Only the client's or only the server's instrumentation. Falcon's is installed too, and Falcon is not."""
        for off, ours, left in (("requests", (CLIENT,), "HTTP server"), ("flask", (SERVER,), "HTTP client")):
            with self.subTest(off=off):
                server = self.python_program(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=off)
                self.assert_check(server, "opentelemetry-instrument", left)
                self.run_with(server, "/known", printed_by_python, ours)

    def test_python_all_spans(self):
        self.run_all(self.python_program(), "/known", printed_by_python)


class Node(Case):
    """The module http and fetch are instrumented, what writes to a socket itself is not."""

    PACKAGE = "@opentelemetry/auto-instrumentations-node/register"

    def node_program(self, *arguments, **variables):
        self.need("node", "npm")
        backend = servers.go(self)
        folder = pathlib.Path(*servers.prepared("otel_node"))
        return self.listening(self.start(
            ["node", *arguments, "app.js", f"http://127.0.0.1:{backend.port}"], cwd=folder,
            env={**EXPORT, **variables}))

    def test_node_both(self):
        """Loaded by NODE_OPTIONS and by the command line."""
        for arguments, variables in (((), {"NODE_OPTIONS": f"--require {self.PACKAGE}"}),
                                     (("--import", self.PACKAGE), {})):
            with self.subTest(arguments=arguments):
                server = self.node_program(*arguments, **variables)
                self.assert_check(server, "auto-instrumentations-node", "HTTP server, HTTP client, .*")
                self.run_with(server, "/known", printed_by_node, ours=())

    def test_node_fetch(self):
        self.run_with(self.node_program("-r", self.PACKAGE), "/fetch", printed_by_node, ours=())

    def test_node_plain_client(self):
        self.run_with(self.node_program("-r", self.PACKAGE), "/plain", printed_by_node, ours=(CLIENT,))

    def test_node_both_clients(self):
        self.run_with(self.node_program("-r", self.PACKAGE), "/mixed", printed_by_node, ours=(CLIENT,), twice=True)

    def test_node_one_only(self):
        """Only fetch is instrumented, or all but fetch."""
        server = self.node_program("-r", self.PACKAGE, OTEL_NODE_ENABLED_INSTRUMENTATIONS="undici")
        self.assert_check(server, "auto-instrumentations-node", "HTTP client")
        self.run_with(server, "/fetch", printed_by_node, ours=(SERVER,))
        server = self.node_program("-r", self.PACKAGE, OTEL_NODE_DISABLED_INSTRUMENTATIONS="undici")
        self.run_with(server, "/fetch", printed_by_node, ours=(CLIENT,))

    def test_node_set_up_by_a_file(self):
        """A file of the program's own, which leaves fetch out."""
        server = self.node_program("--require", "./tracing.js")
        self.assert_check(server, "set up by ./tracing.js", "HTTP server, HTTP client, .*")
        self.run_with(server, "/known", printed_by_node, ours=())
        server = self.node_program("--require", "./tracing.js")
        self.run_with(server, "/fetch", printed_by_node, ours=(CLIENT,))

    def test_node_switched_off(self):
        server = self.node_program("-r", self.PACKAGE, OTEL_SDK_DISABLED="true")
        self.assert_check(server, "auto-instrumentations-node", "none")
        self.run_with(server, "/known", printed_by_node, ours=(SERVER, CLIENT))

    def test_node_all_spans(self):
        self.run_all(self.node_program("-r", self.PACKAGE), "/known", printed_by_node)


class Java(Case):
    """OpenTelemetry's agent for Java instruments the JDK's HTTP server and its clients, but no plain sockets."""

    def java_program(self, *arguments, by_variable=False, **variables):
        self.need("java", "mvn")
        backend = servers.go(self)
        target = pathlib.Path(*servers.prepared("otel_java")) / "target"
        agent = f"-javaagent:{target}/opentelemetry-javaagent.jar"
        return self.listening(self.start(
            ["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", *(() if by_variable else (agent,)), *arguments,
             "-cp", target / "app-1.jar", "App", f"http://127.0.0.1:{backend.port}"],
            env={**EXPORT, "OTEL_TRACES_EXPORTER": "logging-otlp",
                 **({"JAVA_TOOL_OPTIONS": agent} if by_variable else {}), **variables}))

    def run_java(self, server, path, ours, **how):
        self.run_with(server, path, printed_by_java, ours, **how)

    def test_java_both(self):
        """By the command line and by JAVA_TOOL_OPTIONS."""
        for by_variable in (False, True):
            with self.subTest(by_variable=by_variable):
                server = self.java_program(by_variable=by_variable)
                self.assert_check(server, "opentelemetry-javaagent", "HTTP server, HTTP client, .*")
                self.run_java(server, "/known", ours=())

    def test_java_plain_client(self):
        self.run_java(self.java_program(), "/plain", ours=(CLIENT,))

    def test_java_both_clients(self):
        self.run_java(self.java_program(), "/mixed", ours=(CLIENT,), twice=True)

    def test_java_one_only(self):
        """One client's instrumentation is off; the server's is; all are but one client's."""
        server = self.java_program("-Dotel.instrumentation.http-url-connection.enabled=false")
        self.run_java(server, "/url", ours=(CLIENT,))
        server = self.java_program(OTEL_INSTRUMENTATION_JAVA_HTTP_SERVER_ENABLED="false")
        self.run_java(server, "/known", ours=(SERVER,))
        server = self.java_program("-Dotel.instrumentation.common.default-enabled=false",
                                   "-Dotel.instrumentation.java-http-client.enabled=true")
        self.assert_check(server, "opentelemetry-javaagent", "HTTP client")
        self.run_java(server, "/known", ours=(SERVER,))

    def test_java_switched_off(self):
        server = self.java_program(OTEL_JAVAAGENT_ENABLED="false")
        self.assert_check(server, "opentelemetry-javaagent", "none")
        self.run_java(server, "/known", ours=(SERVER, CLIENT))

    def test_java_all_spans(self):
        self.run_all(self.java_program(), "/known", printed_by_java)


if __name__ == "__main__":
    unittest.main(verbosity=2)
