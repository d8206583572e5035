# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""RabbitMQ 3.10 with pika and its client for Go. The oracles: the messages that the broker has counted, and what the clients print
of each."""

import collections
import concurrent.futures
import subprocess
import unittest
import urllib.request

import brokers
import harness
import servers
from harness import CLIENT, SERVER

CONTEXTS = [(f"{0xabc0 + i:032x}", f"{0xdef0 + i:016x}") for i in range(20)]


def operation(span):
    return span.attributes["messaging.operation.name"]


def described(span):
    """As the clients print it."""
    a = span.attributes
    parts = [a.get("messaging.destination.name"), a.get("messaging.message.body.size"), a.get("messaging.batch.message_count"),
             a.get("error.type")]
    return " ".join(str(part) for part in parts if part is not None)


class Rabbitmq(harness.Case):
    def setUp(self):
        super().setUp()
        self.need_module("pika")
        self.broker = brokers.Rabbitmq(self)

    def pika(self, what):
        client = self.start([harness.PYTHON, harness.PROGRAMS / "amqp_client.py", what], stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        return client

    def finish(self, client, seconds):
        client.process.stdin.write(f"{self.broker.address}\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(seconds), client)
        self.assertEqual("done", client.lines[-1])

    def run_client(self, what, seconds=60):
        client = self.pika(what)
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")
        before = self.broker.counts()
        self.finish(client, seconds)
        counts = self.broker.counts()
        counts.subtract(before)
        # The counts are scraped over HTTP.
        spans = [span for span in agent.interrupt(60) if "http.request.method" not in span.attributes]
        self.assertEqual({}, agent.lost())
        stats = {name: value for name, value in agent.stats().items() if name.startswith("amqp_") and value}
        incomplete = sum("zerospan.incomplete" in span.attributes for span in spans)
        print(f"\n{what}: {len(spans)} spans, {incomplete} incomplete; "
              f"{harness.describe(collections.Counter(stats))}; broker: "
              f"{harness.describe(collections.Counter({k: v for k, v in counts.items() if v}))}", flush=True)
        return client, spans, stats, counts

    def test_pika(self):
        client, spans, stats, counts = self.run_client("work")
        told = brokers.printed(client.lines)
        self.assertNotIn("secret", str(spans))
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                self.check([span for span in spans if span.kind == kind], told, counts)
        self.assertEqual(2 * told["empty"].total(), stats["amqp_idle_polls"])
        self.assertEqual(0, stats.get("amqp_unparsed_bytes", 0))

    def check(self, spans, told, counts):
        by_name = collections.defaultdict(list)
        for span in spans:
            self.assertEqual("rabbitmq", span.attributes["messaging.system"])
            self.assertNotIn("zerospan.incomplete", span.attributes)
            self.assertEqual(self.broker.port, span.attributes["server.port"])
            by_name[operation(span)].append(span)
        self.assertEqual(told["sent"], collections.Counter(map(described, by_name["publish"])))
        self.assertEqual(counts["received"], len(by_name["publish"]))
        self.assertEqual(told["returned"], collections.Counter(map(described, by_name["return"])))
        received = by_name["deliver"] + by_name["get"]
        self.assertEqual(told["got"], collections.Counter(f"{operation(span)} {described(span)}" for span in received))
        self.assertEqual(counts["delivered"], len(received))
        settled = by_name["ack"] + by_name["nack"] + by_name["reject"]
        self.assertEqual(told["settled"], collections.Counter(f"{operation(span)} {described(span)}" for span in settled))
        called = collections.Counter(f"{operation(span)} {described(span)}" for span in spans)
        for line in told["call"]:
            self.assertEqual(1, called[line], line)
        acknowledged = sum(span.attributes.get("messaging.batch.message_count", 1) for span in by_name["ack"])
        self.assertEqual(counts["acknowledged"], acknowledged)
        for name, kind in (("publish", "send"), ("deliver", "receive"), ("get", "receive"), ("ack", "settle")):
            self.assertEqual({kind}, {span.attributes["messaging.operation.type"] for span in by_name[name]})
        for name in ("publish", "deliver"):
            ours = [span for span in by_name[name] if span.attributes["messaging.destination.name"] == "jobs"]
            self.assertEqual({f"{name} jobs"}, {span.name for span in ours})
            self.assertEqual({"jobs"}, {span.attributes["messaging.rabbitmq.destination.routing_key"] for span in ours})
            links = sorted(link for span in ours for link in span.links)
            self.assertEqual(CONTEXTS if name == "publish" else CONTEXTS[1:], links)
            for span in ours:
                self.assertEqual(f"m{int(span.links[0][0], 16) - 0xabc0}", span.attributes["messaging.message.id"])

    def test_passwords_are_not_copied(self):
        client = self.pika("work")
        recording = self.directory / "recording"
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}", "--output", recording, command="record")
        self.finish(client, 60)
        agent.end()
        recorded = recording.read_bytes()
        self.assertIn(b"nowhere", recorded)
        self.assertNotIn(self.broker.PASSWORD.encode(), recorded)

    def test_load(self):
        _, spans, stats, counts = self.run_client("load", 120)
        self.assertEqual(20_000, counts["received"])
        for kind in (CLIENT, SERVER):
            ours = collections.Counter(operation(span) for span in spans if span.kind == kind)
            self.assertEqual((20_000, 20_000, 200), (ours["publish"], ours["deliver"], ours["ack"]), kind)
        self.assertEqual(0, stats.get("amqp_messages_missed", 0))

    def drive_go(self, channels):
        """Handlers that share a connection: one may flush what another has written on another channel."""
        client = self.start([*servers.prepared("amqp_go"), self.broker.address, str(channels)], stdin=subprocess.PIPE)
        port = int(client.wait_line(client.lines, r"^listening (\d+)")[1])
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")
        before = self.broker.counts()

        def ask(i):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/?id=request{i}", timeout=30) as answer:
                return answer.status
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual({200}, set(pool.map(ask, range(600))))
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(60), client)
        counts = self.broker.counts()
        counts.subtract(before)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        told = brokers.printed(client.lines)
        self.assertEqual(600, counts["received"])
        handlers = {span.span_id: span.id for span in spans if span.kind == SERVER and span.id}
        self.assertEqual(600, len(handlers))
        parents = collections.Counter()
        for kind in (CLIENT, SERVER):
            ours = [span for span in spans if span.kind == kind and "messaging.system" in span.attributes]
            for name, word in (("publish", "sent"), ("deliver", "got")):
                self.assertEqual(told[word], collections.Counter(span.attributes["messaging.message.id"] for span in ours
                                                                 if operation(span) == name), (kind, name))
            self.assertEqual(600, sum(operation(span) == "ack" for span in ours))
            self.assertEqual(0, sum("zerospan.incomplete" in span.attributes for span in ours))
            for span in ours if kind == CLIENT else ():
                if operation(span) == "publish":
                    parents["orphan" if not span.parent_id else
                            "right" if handlers.get(span.parent_id) == span.attributes["messaging.message.id"] else "wrong"] += 1
                elif operation(span) in ("deliver", "ack"):
                    self.assertEqual("", span.parent_id)
        print(f"\namqp091-go, {channels} channels: parents {harness.describe(parents)}", flush=True)
        self.assertEqual(0, parents["wrong"])
        return parents

    def test_go_one_channel(self):
        self.assertGreater(self.drive_go(1)["right"], 500)

    def test_go_several_channels(self):
        self.drive_go(4)


if __name__ == "__main__":
    unittest.main()
