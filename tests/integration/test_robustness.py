# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The agent's own life: start, stop, death, what it leaves behind, and that its counts add up."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import unittest

import harness
import servers
import traffic


def kernel_objects():
    """The ids of all BPF programs, maps and links of this machine."""
    found = set()
    for kind in ("prog", "map", "link"):
        text = subprocess.run(["bpftool", "-j", kind, "list"], capture_output=True, text=True, check=True).stdout
        found |= {(kind, entry["id"], entry.get("name", "")) for entry in json.loads(text or "[]")}
    return found


class Robustness(harness.Case):
    def ask(self, server, count=20):
        requests = [traffic.Request("GET", traffic.with_id("/c?size=10")) for _ in range(count)]
        with traffic.Connection(server.port) as connection:
            for request in requests:
                connection.send(request)
                self.assertEqual(200, request.status)
        return {request.id for request in requests}

    def test_kill_leaves_nothing(self):
        self.need("bpftool")
        server = servers.go(self)
        before = kernel_objects()
        agent = self.agent("--pid", str(server.pid))
        own = kernel_objects() - before
        self.assertTrue(own, "the agent loaded nothing?")
        with traffic.Connection(server.port) as connection:
            request = traffic.Request("GET", traffic.with_id("/c"))
            connection.send(request)
            os.kill(agent.pid, signal.SIGKILL)
            agent.wait_exit()
            # The connection that was traced goes on as if nothing had been.
            for _ in range(50):
                connection.send(traffic.Request("GET", traffic.with_id("/c?size=10")))
        self.ask(server)
        harness.wait_for(lambda: not own & kernel_objects(), "the kernel to free what the agent had loaded")
        self.assertIsNone(server.program.process.poll())

    def test_start_and_stop(self):
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid))
        self.ask(server)
        agent.end()
        print(f"\nstart to attached {agent.seconds_to_ready * 1000:.0f} ms, "
              f"shutdown {agent.seconds_to_stop * 1000:.0f} ms", flush=True)
        # Far above the goal of 1 s: another program may have the processor.
        self.assertLess(agent.seconds_to_ready, 10)
        self.assertLess(agent.seconds_to_stop, 5)

    def test_duration_ends_it(self):
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid), "--duration=1")
        ids = self.ask(server)
        self.assertEqual(0, agent.wait_exit())
        self.assertEqual(ids, {span.id for span in agent.spans()})

    def test_sigterm_flushes(self):
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid))
        ids = self.ask(server)
        os.kill(agent.pid, signal.SIGTERM)
        self.assertEqual(0, agent.wait_exit())
        self.assertEqual(ids, {span.id for span in agent.spans()})

    def test_traced_program_dies(self):
        """Killed in the middle of a response: the span is there, and says that it was cut."""
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid))
        ids = self.ask(server)
        connection = traffic.Connection(server.port)
        self.addCleanup(connection.close)
        cut = traffic.Request("GET", traffic.with_id("/c?delay=60000"))
        connection.socket.sendall(cut.head(server.port))
        # Nothing shows from outside that the server has read it; a later request's answer does.
        ids |= self.ask(server)
        os.kill(server.pid, signal.SIGKILL)
        server.program.wait_exit()
        spans = agent.interrupt()
        self.assertEqual(sorted(ids | {cut.id}), sorted(span.id for span in spans))
        (span,) = [span for span in spans if span.id == cut.id]
        self.assertIsNone(span.code)
        self.assertEqual(2, span.status)

    def test_answers_to_clients_that_are_gone(self):
        """Over loopback the reset comes while the server is still inside of its send. What remains of such
        a connection must not be taken for another that is at the same address in memory."""
        server = servers.python(self)
        agent = self.agent("--pid", str(server.pid))
        gone = [traffic.Request("GET", traffic.with_id("/gone?size=10&delay=300")) for _ in range(200)]
        for request in gone:
            with traffic.Connection(server.port) as connection:
                connection.socket.sendall(request.head(server.port))
        server.wait_logged(len(gone))
        ports = {}
        for _ in range(500):
            request = traffic.Request("GET", traffic.with_id("/later?size=10"))
            connection = traffic.Connection(server.port)
            self.addCleanup(connection.close)  # not sooner, or it would be at the last one's address again
            connection.send(request)
            ports[request.id] = connection.socket.getsockname()[1]
        spans = agent.interrupt()
        self.assertEqual(sorted([request.id for request in gone] + list(ports)), sorted(span.id for span in spans))
        self.assertEqual(ports, {span.id: span.attributes["network.peer.port"] for span in spans if span.id in ports})
        self.assertEqual(len(gone) + len(ports), agent.stats()["connections_known"])
        self.assertEqual({}, agent.lost())

    def test_visible_soon(self):
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid))
        seconds = []
        for _ in range(10):
            size = agent.output.stat().st_size if agent.output.exists() else 0
            self.ask(server, 1)
            done = harness.time.monotonic()
            harness.wait_for(lambda: agent.output.exists() and agent.output.stat().st_size > size, "the span", 5, 0.002)
            seconds.append(harness.time.monotonic() - done)
        print(f"\nspan visible after {sorted(seconds)[5] * 1000:.0f} ms (median), {max(seconds) * 1000:.0f} ms (most)",
              flush=True)

    def test_output_that_cannot_be_written(self):
        agent = self.start([harness.BINARY, "trace", "--all", "--format=otlp-json", "--output=/nonexistent/spans"])
        self.assertNotEqual(0, agent.wait_exit())
        self.assertIn("/nonexistent/spans", "\n".join(agent.errors))

    def test_config_error_names_the_place(self):
        config = self.directory / "wrong.yaml"
        config.write_text("http:\n  request_heders: [x-id]\n")
        agent = self.start([harness.BINARY, "run", "--config", config, "--all"])
        self.assertNotEqual(0, agent.wait_exit())
        self.assertRegex("\n".join(agent.errors), r"wrong\.yaml:2.*request_heders|request_heders.*wrong\.yaml:2")

    def test_without_root_says_so(self):
        self.need("setpriv")
        binary = self.directory / "zerospan"
        binary.write_bytes(harness.BINARY.read_bytes())
        binary.chmod(0o755)
        agent = self.start(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary, "trace", "--all"])
        self.assertNotEqual(0, agent.wait_exit())
        self.assertRegex("\n".join(agent.errors), r"root|sudo|CAP_")

    def test_check(self):
        server = servers.go(self)
        for arguments in ([], ["--pid", str(server.pid)]):
            done = subprocess.run([harness.BINARY, "check", *arguments], capture_output=True, text=True, timeout=30)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertGreater(len(done.stdout.splitlines()), 3)
        self.assertIn("httpprog", done.stdout)


class Export(harness.Case):
    """`zerospan run` to a receiver that decodes with classes which the agent's encoder does not share."""

    def receiver(self, *arguments):
        output = self.directory / "received.jsonl"
        receiver = self.start([harness.BUILD / "tests/receiver/otlp_receiver", "--output", output, *arguments])
        port = receiver.wait_line(receiver.lines, r"^listening (\d+)").group(1)
        return receiver, port, output

    def run_against(self, *arguments):
        server = servers.nginx(self)
        receiver, port, output = self.receiver(*arguments)
        metrics_port = harness.free_port()
        agent = self.agent("--pid", str(server.pid), "--metrics-listen", f"127.0.0.1:{metrics_port}", command="run",
                           env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
        self.assertIn("ok", harness.scrape(metrics_port, "/healthz").lower())
        requests = [traffic.Request("GET", traffic.with_id("/s/200")) for _ in range(2000)]
        with traffic.Connection(server.port) as connection:
            for request in requests:
                connection.send(request)

        def settled():
            totals = harness.sums(harness.scrape(metrics_port))
            done = sum(value for name, value in totals.items() if name in (
                "zerospan_spans_exported_total", "zerospan_spans_dropped_total"))
            return totals if done >= len(requests) else None

        totals = harness.wait_for(settled, "all spans to be exported or counted", 30, interval=0.1)
        text = harness.scrape(metrics_port)
        for stage in ("ring", "pipeline"):
            looks = re.search(rf'^zerospan_stage_seconds_count{{stage="{stage}"}} (\d+)', text, re.M)
            self.assertTrue(looks and int(looks.group(1)) > 0, f"no latency of stage {stage}")
        self.assertGreater(totals["zerospan_export_requests_total"], 0)
        self.assertGreater(totals["zerospan_ring_peak_bytes"], 0)
        agent.end()
        os.kill(receiver.pid, signal.SIGTERM)
        receiver.wait_exit()
        spans = harness.parse_spans(output.read_text()) if output.exists() else []
        lost = sum(value for name, value in totals.items() if name.startswith("zerospan_records_lost_"))
        self.assertEqual(totals["zerospan_records_reserved_total"], totals["zerospan_records_decoded_total"] + lost)
        self.assertEqual(totals["zerospan_spans_made_total"],
                         totals["zerospan_spans_exported_total"] + totals.get("zerospan_spans_dropped_total", 0))
        return requests, spans, totals

    def test_grpc(self):
        requests, spans, totals = self.run_against()
        self.assertEqual(sorted(request.id for request in requests), sorted(span.id for span in spans))
        self.assertEqual(0, totals.get("zerospan_spans_dropped_total", 0))

    def test_grpc_receiver_that_fails_at_first(self):
        requests, spans, _ = self.run_against("--fail-first", "2")
        self.assertEqual(sorted(request.id for request in requests), sorted(span.id for span in spans))

    def test_sigterm_with_a_receiver(self):
        """What a service manager does: all spans arrive within the deadline of the default configuration."""
        server = servers.nginx(self)
        receiver, port, output = self.receiver()
        agent = self.agent("--pid", str(server.pid), command="run",
                           env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_BSP_SCHEDULE_DELAY": "60000"})
        requests = [traffic.Request("GET", traffic.with_id("/s/200")) for _ in range(300)]
        with traffic.Connection(server.port) as connection:
            for request in requests:
                connection.send(request)
        self.assertEqual(0, self.terminate(agent))
        os.kill(receiver.pid, signal.SIGTERM)
        receiver.wait_exit()
        self.assertEqual(sorted(request.id for request in requests),
                         sorted(span.id for span in harness.parse_spans(output.read_text())))
        self.assertEqual({}, agent.lost())

    def test_sigterm_with_a_receiver_that_does_not_answer(self):
        """It accepts connections and says nothing: the agent ends all the same, and counts."""
        server = servers.nginx(self)
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        agent = self.agent("--pid", str(server.pid), command="run", env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        with traffic.Connection(server.port) as connection:
            for _ in range(300):
                connection.send(traffic.Request("GET", traffic.with_id("/s/200")))
        self.assertEqual(0, self.terminate(agent))
        self.assertEqual(300, agent.stats()["spans_made"])
        self.assertEqual({"spans_dropped_shutdown_deadline": 300}, agent.lost())

    def terminate(self, agent):
        started = harness.time.monotonic()
        os.kill(agent.pid, signal.SIGTERM)
        code = agent.wait_exit()
        seconds = harness.time.monotonic() - started
        print(f"\nended {seconds * 1000:.0f} ms after SIGTERM", flush=True)
        self.assertLess(seconds, 5)  # shutdown_deadline is 0.8 s; another program may have the processor
        return code

    def test_no_receiver(self):
        """Nobody listens: the agent lives, and at its end every span is counted as dropped."""
        server = servers.nginx(self)
        agent = self.agent("--pid", str(server.pid), command="run", env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{harness.free_port()}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
        with traffic.Connection(server.port) as connection:
            for _ in range(300):
                connection.send(traffic.Request("GET", traffic.with_id("/s/200")))
        agent.end()
        stats = agent.stats()
        self.assertEqual(300, stats["spans_made"])
        self.assertEqual(300, sum(v for k, v in agent.lost().items() if k.startswith("spans_dropped_")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
