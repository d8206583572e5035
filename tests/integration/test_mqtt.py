# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Mosquitto 2.0 with paho and Mosquitto's own clients. The oracles: the packets of the broker's log, and what the clients print of
each message."""

import collections
import subprocess
import unittest

import brokers
import harness
from harness import CLIENT, SERVER

CONTEXTS = [(f"{0xabc0 + i:032x}", f"{0xdef0 + i:016x}") for i in range(30)]


def operation(span):
    return span.attributes["messaging.operation.name"]


def described(span, error=True):
    parts = [span.attributes.get("messaging.destination.name"), span.attributes.get("messaging.message.body.size"),
             span.attributes.get("error.type") if error else None]
    return " ".join(str(part) for part in parts if part is not None)


class Mqtt(harness.Case):
    def setUp(self):
        super().setUp()
        self.need_module("paho.mqtt")
        self.broker = brokers.Mosquitto(self)

    def paho(self, what):
        client = self.start([harness.PYTHON, harness.PROGRAMS / "mqtt_client.py", what, self.broker.port],
                            stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        return client

    def finish(self, client, seconds):
        client.process.stdin.write(f"{self.broker.PASSWORD}\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(seconds), client)
        self.assertEqual("done", client.lines[-1])

    def run_client(self, what, seconds=60):
        client = self.paho(what)
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")
        self.finish(client, seconds)
        spans = agent.interrupt(60)
        self.assertEqual({}, agent.lost())
        stats = {name: value for name, value in agent.stats().items() if name.startswith("mqtt_") and value}
        incomplete = sum("zerospan.incomplete" in span.attributes for span in spans)
        print(f"\npaho {what}: {len(spans)} spans, {incomplete} incomplete; "
              f"{harness.describe(collections.Counter(stats))}", flush=True)
        self.assertEqual(0, incomplete)
        self.assertEqual(0, stats.get("mqtt_unparsed_bytes", 0))
        return spans, brokers.printed(client.lines)

    def check(self, version):
        spans, told = self.run_client(version)
        self.assertNotIn("secret", str(spans))
        logged = self.broker.publishes()
        for kind in (CLIENT, SERVER):
            ours = collections.defaultdict(list)
            for span in spans:
                if span.kind == kind:
                    self.assertEqual("mqtt", span.attributes["messaging.system"])
                    self.assertEqual(self.broker.port, span.attributes["server.port"])
                    self.assertEqual("", span.parent_id)
                    ours[operation(span)].append(span)
            self.assertEqual(told["sent"], collections.Counter(map(described, ours["publish"])), kind)
            self.assertEqual(told["got"], collections.Counter(map(described, ours["deliver"])), kind)
            for name in ("publish", "deliver"):
                self.assertEqual(logged[name], collections.Counter(described(span, False) for span in ours[name]), name)
            calls = collections.Counter(f"{operation(span)} {described(span)}".strip()
                                        for name in ("connect", "subscribe", "unsubscribe") for span in ours[name])
            self.assertEqual(told["called"], calls)
            for name, kind_of in (("publish", "send"), ("deliver", "receive")):
                self.assertEqual({kind_of}, {span.attributes["messaging.operation.type"] for span in ours[name]})
                links = sorted(link for span in ours[name] for link in span.links)
                self.assertEqual(CONTEXTS if version == "5" else [], links)

    def test_paho_3_1_1(self):
        self.check("4")

    def test_paho_5(self):
        self.check("5")

    def test_passwords_are_not_copied(self):
        for version in ("4", "5"):
            client = self.paho(version)
            recording = self.directory / f"recording{version}"
            agent = self.agent("--pid", f"{self.broker.pid},{client.pid}", "--output", recording, command="record")
            self.finish(client, 60)
            agent.end()
            recorded = recording.read_bytes()
            self.assertIn(b"open/orders", recorded)
            self.assertNotIn(self.broker.PASSWORD.encode(), recorded)
            self.assertNotIn(b"secret-guess", recorded)

    def test_load(self):
        spans, _ = self.run_client("load", 120)
        logged = self.broker.publishes()
        self.assertEqual((30_000, 30_000), (logged["publish"].total(), logged["deliver"].total()))
        for kind in (CLIENT, SERVER):
            for name in ("publish", "deliver"):
                ours = [span for span in spans if span.kind == kind and operation(span) == name]
                self.assertEqual(logged[name], collections.Counter(described(span) for span in ours), (kind, name))

    def test_mosquittos_own(self):
        self.need("mosquitto_pub", "mosquitto_sub")
        agent = self.agent("--pid", str(self.broker.pid))
        reader = self.start(["mosquitto_sub", "-p", self.broker.port, "-u", "tester", "-P", self.broker.PASSWORD, "-t", "open/#",
                             "-q", "2", "-C", "12", "-F", "%t %l"])
        self.broker.process.wait_line(self.broker.process.errors, "Sending SUBACK")
        sent = collections.Counter()
        for version in ("mqttv311", "mqttv5"):
            for qos in range(3):
                for size in (5, 20_000):
                    message = self.directory / "message"
                    message.write_bytes(b"x" * size)
                    subprocess.run(["mosquitto_pub", "-p", str(self.broker.port), "-u", "tester", "-P", self.broker.PASSWORD,
                                    "-V", version, "-t", f"open/{qos}", "-q", str(qos), "-f", message], check=True, timeout=30)
                    sent[f"open/{qos} {size}"] += 1
        self.assertEqual(0, reader.wait_exit())
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        for name in ("publish", "deliver"):
            ours = [span for span in spans if operation(span) == name]
            self.assertEqual(sent, collections.Counter(map(described, ours)), name)
            self.assertEqual(self.broker.publishes()[name], sent)
            self.assertEqual(0, sum("zerospan.incomplete" in span.attributes for span in ours))


if __name__ == "__main__":
    unittest.main()
