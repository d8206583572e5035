# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""MongoDB's protocol: FerretDB with the drivers of Go, Python and Node.js. The oracle is what a driver reports of its commands
(command monitoring): each has exactly one span of the client, and one of the server, with the same name, database, collection,
number of statements and rows, and error."""

import collections
import json
import re
import subprocess
import unittest

import databases
import harness
from harness import CLIENT, SERVER

# What Go's driver tells by name.
CODES = {"CommandNotFound": "59", "NamespaceExists": "48", "TypeMismatch": "14"}
# Whose first value is a collection's name.
FOR_COLLECTIONS = {"aggregate", "count", "create", "createIndexes", "delete", "distinct", "drop", "find", "findAndModify",
                   "getMore", "insert", "killCursors", "update"}


class Drivers(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = databases.Mongodb(self)

    def begin(self, language, *words):
        command, env = self.server.command(language, *words)
        client = self.start(command, stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 60)
        return client

    def go_on(self, client):
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(120), client)
        self.assertIn("done", client.lines)

    def drive(self, language):
        client = self.begin(language, "work", self.server.uri)
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        self.go_on(client)
        spans = agent.interrupt()
        told = [json.loads(line) for line in client.lines if line.startswith("{")]
        if language == "node":  # it does not wait for that one's answer, and closes
            told = [it for it in told if it["name"] != "endSessions"]
            spans = [span for span in spans if span.name != "endSessions admin"]
        self.assertGreater(len(told), 40)
        self.assertEqual({}, agent.lost())
        self.assertNotIn("secret", json.dumps([(span.name, span.attributes) for span in spans]))
        wanted = collections.Counter()
        for it in told:
            collection = it["collection"] if it["name"] in FOR_COLLECTIONS else ""
            wanted[it["name"], it["database"], collection, CODES.get(it["error"], it["error"])] += 1
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                self.check([span for span in spans if span.kind == kind], told, wanted)
        stats = {name: value for name, value in agent.stats().items() if name.startswith("mongodb_") and value}
        print(f"\n{language}: {len(told)} commands, {len(spans)} spans, {harness.describe(collections.Counter(stats))}", flush=True)
        self.assertGreater(stats["mongodb_idle_polls"], 0)

    def check(self, spans, told, wanted):
        seen = collections.Counter()
        for span in spans:
            attributes = span.attributes
            self.assertEqual("mongodb", attributes["db.system.name"])
            collection = attributes.get("db.collection.name", "")
            error = attributes.get("db.response.status_code", "")
            self.assertEqual(error, attributes.get("error.type", ""))
            self.assertEqual(2 if error else 0, span.status)
            seen[attributes["db.operation.name"], attributes["db.namespace"], collection, error] += 1
            self.assertEqual(f"{attributes['db.operation.name']} {collection or attributes['db.namespace']}", span.name)
            self.assertNotIn("zerospan.incomplete", attributes)
            text = attributes["db.query.text"]
            self.assertTrue(text.startswith('{"' + attributes["db.operation.name"] + '": '), text)
            # Nothing but names: of commands, of fields, and of the collection.
            self.assertLessEqual(set(re.findall(r': "([^"]*)"', text)), {"?", collection})
        self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
        batches = collections.Counter((it["name"], it["batch"]) for it in told if it["batch"] > 1)
        self.assertEqual(batches, collections.Counter(
            (span.attributes["db.operation.name"], span.attributes["db.operation.batch.size"]) for span in spans
            if "db.operation.batch.size" in span.attributes))
        # Rows are counted where all of the answer was captured, which those of more than a few are not.
        rows = collections.Counter((it["name"], it["rows"]) for it in told if it["rows"] >= 0)
        counted = collections.Counter((span.attributes["db.operation.name"], span.attributes["db.response.returned_rows"])
                                      for span in spans if "db.response.returned_rows" in span.attributes)
        self.assertEqual({}, dict(counted - rows))
        self.assertEqual([], [pair for pair in (rows - counted).elements() if pair[1] < 20])

    def test_go(self):
        self.drive("go")

    def test_python(self):
        self.drive("python")

    def test_node(self):
        self.need("node")
        self.drive("node")

    def test_passwords(self):
        recording = self.directory / "recording"
        client = self.begin("python", "login", self.server.uri)
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}", "--output", recording,
                           command="record")
        self.go_on(client)
        agent.end()
        output = subprocess.run([harness.BINARY, "replay", recording, "--format=otlp-json"], check=True, capture_output=True,
                                text=True, timeout=60).stdout
        logins = [span for span in harness.parse_spans(output) if span.name.startswith("saslStart")]
        self.assertEqual({CLIENT, SERVER}, {span.kind for span in logins})
        for span in logins:
            self.assertNotIn("db.query.text", span.attributes)
        # Nor did the kernel copy it.
        bytes_ = recording.read_bytes()
        self.assertIn(b"saslSta", bytes_)
        self.assertEqual(0, bytes_.count(b"a long password"))


if __name__ == "__main__":
    unittest.main()
