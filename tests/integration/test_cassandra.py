# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""A node of Cassandra with the drivers for Python and Go. The oracle is the node's audit log: each statement that it ran has exactly one
span of the client, and one of the server, with the same text. The error codes and numbers of rows are those that the driver was told."""

import collections
import json
import subprocess
import unittest

import databases
import harness
from harness import CLIENT, SERVER

KEPT = 4096  # bytes of a request's body that are captured


def cql(text):
    return databases.sanitized(text, databases.CQL_TOKEN)


class Cassandra(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = databases.Cassandra(self)

    def begin(self, language, *words):
        command, env = self.server.command(language, *words)
        client = self.start(command, stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 90)
        return client

    def go_on(self, client):
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(180), client)
        self.assertIn("done", client.lines)

    def drive(self, language, version, what="work", compression="none"):
        client = self.begin(language, what, version, compression)
        already = len(self.server.logged())
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        self.go_on(client)
        spans = agent.interrupt(60)
        self.assertEqual({}, agent.lost())
        self.assertNotIn("secret", json.dumps([(span.name, span.attributes) for span in spans]))
        logged = self.server.logged()[already:]
        told = [json.loads(line) for line in client.lines if line.startswith("{")]
        stats = {name: value for name, value in agent.stats().items() if value and (name.startswith("cassandra_") or "lost" in name)}
        print(f"\n{language}, version {version}, {compression}: the node ran {len(logged)}, {len(spans)} spans; "
              f"{harness.describe(collections.Counter(stats))}", flush=True)
        return spans, logged, told, stats

    def check(self, spans, logged, told, prepared_before=0):
        incomplete = [span for span in spans if "zerospan.incomplete" in span.attributes]
        self.assertEqual([("EXECUTE", ["statement_unknown"])] * prepared_before,
                         [(span.name, span.attributes["zerospan.incomplete"]) for span in incomplete])
        wanted = collections.Counter()
        for kind, text, failed in logged:
            if kind == "BATCH":
                texts = [cql(each) for each in text]
                wanted[texts[0] if len(set(text)) == 1 else "; ".join(texts), len(texts), False] += 1
            else:
                # A failure is logged with its message.
                text = next((it["text"] for it in told if "code" in it and text.startswith(it["text"] + ";")), text)
                wanted[self.shown(text), 0, failed] += 1
        seen = collections.Counter()
        for span in spans:
            attributes = span.attributes
            self.assertEqual("cassandra", attributes["db.system.name"])
            self.assertEqual(self.server.port, attributes["server.port"])
            failed = "error.type" in attributes
            self.assertEqual(2 if failed else 0, span.status)
            if span not in incomplete:
                seen[attributes["db.query.text"], attributes.get("db.operation.batch.size", 0), failed] += 1
        for _ in range(prepared_before):
            wanted["SELECT host_id FROM system.local WHERE key = ?", 0, False] -= 1
        self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
        refused = collections.Counter((cql(it["text"]), it["code"]) for it in told if "code" in it)
        self.assertEqual(refused, collections.Counter(
            (span.attributes["db.query.text"], span.attributes["db.response.status_code"]) for span in spans
            if "db.response.status_code" in span.attributes))
        rows = collections.Counter((cql(it["text"]), it["rows"]) for it in told if "rows" in it)
        counted = collections.Counter((span.attributes.get("db.query.text"), span.attributes["db.response.returned_rows"])
                                      for span in spans if "db.response.returned_rows" in span.attributes)
        self.assertEqual({}, dict(rows - counted))

    @staticmethod
    def shown(text):
        """Of a statement that is longer than what is captured, what is in front of the last token."""
        return cql(text if len(text) < KEPT - 4 else text[:text.rindex("'", 0, KEPT)])

    def both(self, language, version, **how):
        before = how.pop("prepared_before", 0)
        spans, logged, told, stats = self.drive(language, version, **how)
        self.assertGreater(len(logged), 800)
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                self.check([span for span in spans if span.kind == kind], logged, told, before)
        self.assertEqual(0, stats.get("cassandra_unparsed_bytes", 0) if not before else 0)
        return spans

    def check_attributes(self, spans, keyspace):
        batches = [span for span in spans if "db.operation.batch.size" in span.attributes]
        self.assertEqual({20: "BATCH INSERT orders", 3: "BATCH"},
                         {span.attributes["db.operation.batch.size"]: span.name for span in batches})
        for span in spans:
            attributes = span.attributes
            # Of a statement whose end was not captured nobody knows whether it is one.
            if span.name == "INSERT orders" and span not in batches and attributes["db.query.text"].endswith(")"):
                self.assertEqual(("INSERT", "orders", keyspace), tuple(
                    attributes.get(f"db.{name}") for name in ("operation.name", "collection.name", "namespace")))
        levels = collections.Counter(span.attributes.get("cassandra.consistency.level") for span in spans)
        self.assertGreaterEqual(levels["local_quorum"], 2 * 403)
        self.assertIn(150, {span.attributes.get("cassandra.page.size") for span in spans})

    def test_python_5(self):
        self.check_attributes(self.both("python", "5"), "shop5")

    def test_python_4(self):
        self.check_attributes(self.both("python", "4"), "shop4")

    def test_python_3(self):
        self.check_attributes(self.both("python", "3"), "shop3")

    def test_python_open_before(self):
        for version in ("4", "5"):
            with self.subTest(version=version):
                self.both("python", version, what="joined", prepared_before=10)

    def test_go(self):
        for version in ("3", "4", "5"):
            with self.subTest(version=version):
                self.both("go", version)

    def test_compressed_frames(self):
        spans, logged, _, _ = self.drive("python", "4", compression="lz4")
        self.assertGreater(len(logged), 800)
        for kind in (CLIENT, SERVER):
            ours = [span for span in spans if span.kind == kind]
            self.assertEqual(collections.Counter(failed for _, _, failed in logged),
                             collections.Counter(span.status == 2 for span in ours))
            for span in ours:
                self.assertEqual(["statement_unknown"], span.attributes["zerospan.incomplete"])
                self.assertIn(span.name, ("QUERY", "EXECUTE", "BATCH", "PREPARE"))
                self.assertNotIn("db.query.text", span.attributes)

    def test_compressed_segments(self):
        spans, logged, _, stats = self.drive("python", "5", compression="lz4")
        self.assertGreater(len(logged), 800)
        self.assertEqual([], spans)

    def test_passwords(self):
        for version in ("4", "5"):
            recording = self.directory / f"recording{version}"
            client = self.begin("python", "login", version, "none")
            agent = self.agent("--pid", f"{self.server.pid},{client.pid}", "--output", recording, command="record")
            self.go_on(client)
            agent.end()
            output = subprocess.run([harness.BINARY, "replay", recording, "--format=otlp-json"], check=True, capture_output=True,
                                    text=True, timeout=60).stdout
            spans = harness.parse_spans(output)
            self.assertEqual({CLIENT, SERVER}, {span.kind for span in spans})
            for span in spans:
                self.assertEqual(("AUTH_RESPONSE", "256"), (span.name, span.attributes["db.response.status_code"]))
            # Nor did the kernel copy it.
            bytes_ = recording.read_bytes()
            self.assertIn(b"CQL_VERSION", bytes_)
            self.assertEqual(0, bytes_.count(b"a wrong password"))


if __name__ == "__main__":
    unittest.main()
