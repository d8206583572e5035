# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Kafka 3.9 with its own client, kafka-python and librdkafka. The oracles: the batches that the broker has stored (its own tool
reads them), and what the clients print of each message."""

import collections
import concurrent.futures
import subprocess
import unittest
import urllib.request

import brokers
import harness
import servers
from harness import CLIENT, SERVER


CONTEXTS = [(f"{0xabc0 + i:032x}", f"{0xdef0 + i:016x}") for i in range(12)]


class Clients(harness.Case):
    def drive(self, command, env=None):
        client = self.start(command, stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 60)
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(120), client)
        self.assertEqual("done", client.lines[-1])
        spans = agent.interrupt()
        told = brokers.printed(client.lines)
        self.assertEqual({}, agent.lost())
        self.assertNotIn("secret", str(spans))
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                self.check([span for span in spans if span.kind == kind], kind, told)
        counters = {name: value for name, value in agent.stats().items() if name.startswith("kafka_") and value}
        print(f"\n{command[1] if env else command[-2]}: {len(spans)} spans, {harness.describe(collections.Counter(counters))}",
              flush=True)
        return counters

    def check(self, spans, kind, told):
        for span in spans:
            self.assertEqual("kafka", span.attributes["messaging.system"])
            self.assertTrue(span.name.startswith(span.attributes["messaging.operation.name"]), span)
        sends = [span for span in spans if span.attributes["messaging.operation.name"] == "Produce"]
        for span in sends:
            self.assertEqual("send", span.attributes["messaging.operation.type"])
        # Each batch of the broker's log was sent once, by a request that may have others for other partitions.
        sent = collections.Counter(line.split()[0] for line in told["sent"].elements())
        for topic, count in sent.items():
            batches = self.broker.batches(topic)
            self.assertEqual(count, sum(batches.values()), topic)
            ours = [span for span in sends if span.attributes.get("messaging.destination.name") == topic and not span.status]
            self.assertEqual(count, sum(span.attributes["messaging.batch.message_count"] for span in ours), topic)
            known = collections.Counter((partition, messages) for (partition, _), messages in batches.items())
            for span in ours:
                self.assertEqual(f"Produce {topic}", span.name)
                self.assertNotIn("zerospan.incomplete", span.attributes)
                if "messaging.destination.partition.id" not in span.attributes:
                    continue
                partition = int(span.attributes["messaging.destination.partition.id"])
                messages = span.attributes["messaging.batch.message_count"]
                self.assertGreater(known[partition, messages], 0, (topic, partition, messages))
                known[partition, messages] -= 1
                if "messaging.kafka.offset" in span.attributes:
                    self.assertIn(f"{topic} {partition} {span.attributes['messaging.kafka.offset']}", told["sent"])
        # As many failed as the client says.
        self.assertEqual(told["failed"], collections.Counter(
            f"{span.attributes['messaging.destination.name']} {span.attributes['error.type']}" for span in sends if span.status))

        # The contexts that messages carry are linked by the request that sent them.
        linked = [link for span in sends if span.attributes.get("messaging.client.id") == "one-by-one" for link in span.links]
        self.assertEqual(sorted(CONTEXTS), sorted(linked))

        fetches = [span for span in spans if span.attributes["messaging.operation.name"] == "Fetch" and
                   span.attributes.get("messaging.client.id") == "reader"]
        got = collections.Counter(line.split()[0] for line in told["got"].elements())
        for topic, count in got.items():
            ours = [span for span in fetches if span.attributes.get("messaging.destination.name") == topic]
            self.assertTrue(ours, (topic, [span.attributes for span in fetches]))
            for span in ours:
                self.assertEqual(("receive", f"Fetch {topic}"), (span.attributes["messaging.operation.type"], span.name))
                if "messaging.kafka.offset" in span.attributes:
                    self.assertIn(f"{topic} {span.attributes['messaging.destination.partition.id']} "
                                  f"{span.attributes['messaging.kafka.offset']}", told["got"])
                self.assertLessEqual(set(span.links), set(CONTEXTS))
            # A broker sends what it has stored without looking at it: sendfile(2).
            if kind == CLIENT:
                known = [span.attributes.get("messaging.batch.message_count") for span in ours]
                if topic == "orders":  # small enough to be captured whole
                    self.assertEqual(count, sum(known), topic)
                    self.assertEqual(sorted(CONTEXTS), sorted(link for span in ours for link in span.links))
                else:
                    # The batches behind a large one are out of reach.
                    whole = sum(messages for messages in known if messages is not None)
                    self.assertTrue(whole < count if None in known else whole == count, (topic, known))
        commits = collections.Counter(span.attributes.get("messaging.destination.name") for span in spans
                                      if span.attributes.get("messaging.operation.type") == "settle")
        self.assertEqual(collections.Counter(told["committed"]), commits)
        groups = {span.attributes["messaging.consumer.group.name"] for span in spans
                  if "messaging.consumer.group.name" in span.attributes}
        self.assertEqual({"readers", "packers"}, groups)

    def setUp(self):
        super().setUp()
        self.broker = brokers.Kafka(self)

    def test_java(self):
        counters = self.drive([*self.broker.java(), "Messages", self.broker.address])
        self.assertGreater(counters["kafka_idle_polls"], 0)

    def topics(self):
        # Makes the topics, and ends when it is told nothing.
        maker = self.start([*self.broker.java(), "Messages", self.broker.address], stdin=subprocess.PIPE)
        maker.wait_line(maker.lines, "^ready", 60)
        maker.stop()

    def test_go(self):
        """Handlers that share a client. Its goroutines are started by the handler that comes first, and send for all."""
        self.topics()
        client = self.start([*servers.prepared("kafka_go"), self.broker.address], stdin=subprocess.PIPE)
        port = int(client.wait_line(client.lines, r"^listening (\d+)")[1])
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")

        def ask(i):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/?id=request{i}", timeout=30) as answer:
                return answer.status
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual({200}, set(pool.map(ask, range(200))))
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(60), client)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        told = brokers.printed(client.lines)
        sent = {tuple(line.split()[1:]): line.split()[0] for line in told["sent"]}  # (topic, partition, offset): id
        self.assertEqual(200, len(sent))
        batches = self.broker.batches("bulk")
        self.assertEqual(200, sum(batches.values()))
        handlers = {span.span_id: span.id for span in spans if span.kind == SERVER and span.method == "GET"}
        self.assertEqual(200, len(handlers))
        parents = collections.Counter()
        for kind in (CLIENT, SERVER):
            ours = [span for span in spans if span.kind == kind and span.name == "Produce bulk"]
            self.assertEqual(collections.Counter(batches.values()),
                             collections.Counter(span.attributes["messaging.batch.message_count"] for span in ours))
            for span in ours if kind == CLIENT else ():
                if not span.parent_id:
                    parents["orphan"] += 1
                    continue
                place = ("bulk", span.attributes["messaging.destination.partition.id"],
                         str(span.attributes.get("messaging.kafka.offset")))
                parents["right" if handlers.get(span.parent_id) == sent.get(place, "several") else "wrong"] += 1
        print(f"\nfranz-go: {len(batches)} batches, parents {harness.describe(parents)}", flush=True)
        self.assertEqual(0, parents["wrong"])
        fetched = [span for span in spans if span.kind == CLIENT and span.name == "Fetch bulk"]
        self.assertTrue(fetched)
        counts = [span.attributes.get("messaging.batch.message_count") for span in fetched]
        self.assertEqual(200, sum(told["got"].values()))
        whole = sum(count for count in counts if count is not None)
        self.assertTrue(whole < 200 if None in counts else whole == 200, counts)

    def test_kafka_python(self):
        self.topics()
        command, env = self.broker.client("kafka-python")
        self.drive(command, env)

    def test_librdkafka(self):
        self.topics()
        command, env = self.broker.client("confluent-kafka")
        self.drive(command, env)


    def test_load(self):
        self.topics()
        command, env = self.broker.client("load")
        client = self.start(command, stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 60)
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(120), client)
        spans = [span for span in agent.interrupt(60) if span.name == "Produce bulk"]
        batches = self.broker.batches("bulk")
        self.assertEqual(200_000, sum(batches.values()))
        self.assertGreater(len(batches), 1000)
        incomplete = sum("zerospan.incomplete" in span.attributes for span in spans)
        print(f"\nlibrdkafka, full speed: {len(batches)} batches, {len(spans)} spans, {incomplete} incomplete, "
              f"lost {agent.lost() or 0}", flush=True)
        self.assertEqual({}, agent.lost())
        # A message in more buffers than are followed may not have its count.
        unknown = agent.stats().get("capture_lost_too_many_buffers", 0)
        for kind in (CLIENT, SERVER):
            counts = collections.Counter(span.attributes.get("messaging.batch.message_count") for span in spans
                                         if span.kind == kind)
            self.assertEqual(len(batches), counts.total())
            self.assertLessEqual(counts.pop(None, 0), unknown)
            self.assertLessEqual((collections.Counter(batches.values()) - counts).total(), unknown)
        self.assertEqual(0, incomplete)


if __name__ == "__main__":
    unittest.main()
