# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Trace context that arrives with a request, and headers that the operator asked for."""

import unittest

import harness
import servers
import traffic

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Context(harness.Case):
    def one(self, headers, env=None):
        """The one server span of a request with these headers."""
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid), env=env)
        with traffic.Connection(server.port) as connection:
            connection.send(traffic.Request("GET", traffic.with_id("/c"), headers=headers))
        spans = agent.interrupt()
        self.assertEqual(1, len(spans))
        return spans[0]

    def assertContinues(self, span):
        self.assertEqual((TRACE, PARENT), (span.trace_id, span.parent_id))

    def assertRoot(self, span):
        self.assertNotEqual(TRACE, span.trace_id)
        self.assertEqual("", span.parent_id)

    def test_w3c(self):
        span = self.one({"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=a:b,other=1"})
        self.assertContinues(span)
        self.assertEqual("vendor=a:b,other=1", span.trace_state)

    def test_w3c_invalid_makes_a_root(self):
        self.assertRoot(self.one({"traceparent": f"00-{TRACE.upper()}-{PARENT}-01"}))

    def test_nothing_makes_a_root(self):
        self.assertRoot(self.one({}))

    def test_b3_only_when_asked(self):
        b3 = {"b3": f"{TRACE}-{PARENT}-1"}
        self.assertRoot(self.one(b3))
        self.assertContinues(self.one(b3, env={"OTEL_PROPAGATORS": "b3"}))

    def test_b3_multi(self):
        headers = {"X-B3-TraceId": TRACE, "X-B3-SpanId": PARENT, "X-B3-Sampled": "1"}
        self.assertContinues(self.one(headers, env={"OTEL_PROPAGATORS": "b3multi"}))

    def test_remote_decision_not_to_sample(self):
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid), env={"OTEL_TRACES_SAMPLER": "parentbased_always_on"})
        with traffic.Connection(server.port) as connection:
            for flags in ("00", "01"):
                connection.send(traffic.Request("GET", traffic.with_id("/c"), headers={
                    "traceparent": f"00-{TRACE}-{PARENT}-{flags}"}))
        self.assertEqual(1, len(agent.interrupt()))
        self.assertEqual(1, agent.stats()["spans_not_sampled"])

    def test_captured_header(self):
        server = servers.go(self)
        config = self.directory / "zerospan.yaml"
        config.write_text("http:\n  request_headers: [x-id]\n")
        agent = self.agent("--pid", str(server.pid), "--config", str(config))
        request = traffic.Request("GET", traffic.with_id("/c"))
        with traffic.Connection(server.port) as connection:
            connection.send(request)
        (span,) = agent.interrupt()
        self.assertEqual([request.id], span.attributes["http.request.header.x-id"])

    def test_service_name(self):
        """OTEL_SERVICE_NAME of the traced program, else a guess by its script."""
        log = self.directory / "access.log"
        command = [harness.PYTHON, harness.PROGRAMS / "python_http.py", "serve", log]
        for env, name in (({"OTEL_SERVICE_NAME": "shop"}, "shop"), ({}, "python_http")):
            with self.subTest(name):
                program = self.start(command, env=env)
                port = int(program.wait_line(program.lines, r"^listening (\d+)").group(1))
                agent = self.agent("--pid", str(program.pid))
                with traffic.Connection(port) as connection:
                    connection.send(traffic.Request("GET", traffic.with_id("/c")))
                (span,) = agent.interrupt()
                self.assertEqual(name, span.resource["service.name"])
                self.assertEqual(program.pid, span.resource["process.pid"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
