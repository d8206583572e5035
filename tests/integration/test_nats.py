# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""NATS's server with its client for Go. The oracles: what the client prints of each message, and how many the server counts."""

import collections
import subprocess
import unittest

import brokers
import harness
from harness import CLIENT, SERVER

CONTEXTS = [(f"{0xabc0 + i:032x}", f"{0xdef0 + i:016x}") for i in range(20)]


def operation(span):
    return span.attributes["messaging.operation.name"]


def described(span):
    """As the client prints it."""
    subject = span.attributes["messaging.destination.name"]
    return f"{'_INBOX' if subject.startswith('_INBOX.') else subject} {span.attributes['messaging.message.body.size']}"


class Nats(harness.Case):
    def setUp(self):
        super().setUp()
        self.broker = brokers.Nats(self)

    def begin(self, what):
        client = self.start([self.broker.client, what], stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        return client

    def tell(self, client, line):
        client.process.stdin.write(f"{line}\n")
        client.process.stdin.flush()

    def end(self, client, agent, seconds):
        """The spans of the protocol, by kind and operation."""
        self.assertEqual(0, client.wait_exit(seconds), client)
        self.assertEqual("done", client.lines[-1])
        self.counts = self.broker.counts()
        # The counts are scraped over HTTP.
        spans = [span for span in agent.interrupt(60) if "http.request.method" not in span.attributes]
        stats = {name: value for name, value in agent.stats().items()
                 if value and (name.startswith("nats_") or "lost" in name)}
        incomplete = sum("zerospan.incomplete" in span.attributes for span in spans)
        print(f"\n{client.command[-1]}: {len(spans)} spans, {incomplete} incomplete; the server counts {self.counts}; "
              f"{harness.describe(collections.Counter(stats))}", flush=True)
        self.assertEqual({}, agent.lost())
        self.assertEqual(0, incomplete)
        self.assertEqual(0, stats.get("nats_unparsed_bytes", 0))
        ours = collections.defaultdict(list)
        for span in spans:
            self.assertEqual("nats", span.attributes["messaging.system"])
            self.assertEqual(self.broker.port, span.attributes["server.port"])
            self.assertEqual("", span.parent_id)
            ours[span.kind, operation(span)].append(span)
        return ours

    def test_messages(self):
        client = self.begin("work")
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")
        self.tell(client, self.broker.address)
        ours = self.end(client, agent, 60)
        told = brokers.printed(client.lines)
        self.assertEqual(self.counts, (told["sent"].total(), told["got"].total()))
        self.assertNotIn("secret", str(ours))
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                self.check({name: spans for (of, name), spans in ours.items() if of == kind}, told)

    def check(self, ours, told):
        self.assertEqual({"connect", "publish", "deliver", "error"}, set(ours))
        for name, word, kind_of in (("publish", "sent", "send"), ("deliver", "got", "receive")):
            self.assertEqual(told[word], collections.Counter(map(described, ours[name])))
            self.assertEqual({kind_of}, {span.attributes["messaging.operation.type"] for span in ours[name]})
            self.assertEqual(CONTEXTS, sorted(link for span in ours[name] for link in span.links))
            for span in ours[name]:
                subject = span.attributes["messaging.destination.name"]
                temporary = subject.startswith("_INBOX.")
                self.assertEqual(name if temporary else f"{name} {subject}", span.name)
                for attribute in ("temporary", "anonymous"):
                    self.assertEqual(temporary, span.attributes.get(f"messaging.destination.{attribute}", False))
            # The answer names the conversation that the question began.
            asked, answered = (sorted(span.attributes["messaging.message.conversation_id"] for span in ours[name]
                                      if described(span).split()[0] == subject) for subject in ("service", "_INBOX"))
            self.assertEqual(20, len(set(asked)))
            self.assertEqual(asked, answered)
        self.assertEqual([("error closed.door", "permissions_violation")],
                         [(span.name, span.attributes["error.type"]) for span in ours["error"]])
        *connected, refused = sorted((span.attributes.get("error.type") for span in ours["connect"]), key=str)
        self.assertEqual([None] * 3, connected)
        # The server closes at once, which may reset the connection before the client has read the answer.
        resets = ("connection_reset",) if ours["connect"][0].kind == CLIENT else ()
        self.assertIn(refused, ("authorization_violation", *resets))
        self.assertEqual(1, told["refused"]["closed.door"] * told["refused"]["connect"])

    def test_open_before(self):
        client = self.begin("joined")
        self.tell(client, self.broker.address)
        client.wait_line(client.lines, "^connected")
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}")
        self.tell(client, "")
        ours = self.end(client, agent, 60)
        told = brokers.printed(client.lines)
        for kind in (CLIENT, SERVER):
            for name, word in (("publish", "sent"), ("deliver", "got")):
                self.assertEqual(told[word], collections.Counter(map(described, ours[kind, name])), (kind, name))

    def test_passwords_are_not_copied(self):
        client = self.begin("work")
        recording = self.directory / "recording"
        agent = self.agent("--pid", f"{self.broker.pid},{client.pid}", "--output", recording, command="record")
        self.tell(client, self.broker.address)
        self.assertEqual(0, client.wait_exit(60), client)
        agent.interrupt()
        recorded = recording.read_bytes()
        self.assertIn(b"orders.text", recorded)
        self.assertNotIn(self.broker.PASSWORD.encode(), recorded)
        for hidden in (b"\"lang\"", b"\"server_id\""):
            self.assertNotIn(hidden, recorded)

    def load(self, select, **how):
        client = self.begin("load")
        agent = self.agent("--pid", str(select(client)), **how)
        self.tell(client, self.broker.address)
        return client, agent

    @staticmethod
    def wait_written(agent, count):
        seen = 0
        with agent.output.open("rb") as output:
            def written():
                nonlocal seen
                seen += sum(line.count(b'"startTimeUnixNano"') for line in output)
                return seen >= count
            harness.wait_for(written, f"{count} spans to be written", 240, 0.5)

    def check_load(self, select, kind):
        # Spans come faster than they are written: what remains when the client has ended is waited for.
        client, agent = self.load(select, env={"ZEROSPAN_EXPORTER_QUEUE_SIZE": "400000", "ZEROSPAN_SHUTDOWN_DEADLINE": "1m"})
        self.wait_written(agent, 200_000)
        ours = self.end(client, agent, 120)
        self.assertEqual((100_000, 100_000), self.counts)
        expected = collections.Counter({f"load {digits}": 9 * 10 ** (digits - 1) + (digits == 1) for digits in range(1, 6)})
        for name in ("publish", "deliver"):
            self.assertEqual(expected, collections.Counter(map(described, ours[kind, name])), name)
        self.assertEqual({(kind, name) for name in ("connect", "publish", "deliver")}, set(ours))
        self.assertEqual(0, agent.stats()["capture_lost_frames"])

    def test_load_of_the_client(self):
        self.check_load(lambda client: client.pid, CLIENT)

    def test_load_of_the_server(self):
        self.check_load(lambda client: self.broker.pid, SERVER)

    def test_what_is_lost_is_counted(self):
        client, agent = self.load(lambda client: client.pid, env={"ZEROSPAN_EXPORTER_QUEUE_SIZE": "1000"})
        self.assertEqual(0, client.wait_exit(120), client)
        spans = agent.interrupt(60)
        lost = agent.lost()
        self.assertEqual({"spans_dropped_queue_full"}, set(lost))
        # With the two connects.
        self.assertEqual(sum(self.broker.counts()) + 2, len(spans) + lost["spans_dropped_queue_full"])


if __name__ == "__main__":
    unittest.main()
