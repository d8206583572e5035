# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Elasticsearch and OpenSearch: one node of each, with its own clients for Python and Node.js. The oracle is what the client was asked
for and what it was answered: each request has exactly one span of the client, and one of the server, with the same endpoint, parts of
the path and status."""

import collections
import json
import pathlib
import subprocess
import unittest

import harness
import servers
from harness import CLIENT, SERVER

PARAMETER = "db.operation.parameter."


def named(parts):
    """An index, if the parts of a path name one, or several, and not a pattern."""
    index = parts.get("index", "")
    return index if index != "_all" and "*" not in index else ""


def of_call(call):
    return (call["call"], tuple(sorted(call["path"].items())), named(call["path"]), call["method"], str(call["status"]))


def of_span(span):
    said = span.attributes
    parts = {key.removeprefix(PARAMETER): value for key, value in said.items() if key.startswith(PARAMETER)}
    return (said.get("db.operation.name"), tuple(sorted(parts.items())), said.get("db.collection.name", ""), span.method,
            said.get("db.response.status_code"))


class Search(harness.Case):
    def run_product(self, product):
        folder = pathlib.Path(*servers.prepared("search"))
        port, other = harness.free_port(), harness.free_port()
        server = self.start(["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp",
                             f"{folder}/{product}/target/dependency/*", "Server", self.directory, str(port), str(other)],
                            stdin=subprocess.PIPE)
        server.wait_line(server.lines, "^ready", 120)
        harness.wait_for(lambda: harness.accepts(port), f"{product} to listen", 60)
        for command, env in (([harness.PYTHON, "-B", folder / "client.py"], {"PYTHONPATH": str(folder / "packages")}),
                             (["node", folder / "client.js"], {})):
            with self.subTest(client=command[-1].name):
                self.run_client(product, server, [*command, product, str(port)], env)
                # What one client left behind is not the next one's.
                subprocess.run(["curl", "--fail", "--silent", "-X", "DELETE", f"http://127.0.0.1:{port}/books,other*"],
                               check=True, stdout=subprocess.DEVNULL)

    def run_client(self, product, server, command, env):
        client = self.start(command, stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 60)
        agent = self.agent("--pid", f"{server.pid},{client.pid}")
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(240), client)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual("done", client.lines[-1], client)
        calls = [json.loads(line) for line in client.lines if line.startswith("{")]
        self.assertGreater(len(calls), 130)
        wanted = collections.Counter(map(of_call, calls))
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                ours = [span for span in spans if span.kind == kind]
                seen = collections.Counter(map(of_span, ours))
                self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
                for span in ours:
                    said = span.attributes
                    self.assertEqual(product, said["db.system.name"])
                    target = said.get("db.collection.name", "")
                    self.assertEqual(f"{said['db.operation.name']} {target}".strip(), span.name)
                    self.assertEqual(str(span.code), said["db.response.status_code"])
                    self.assertNotIn("zerospan.incomplete", said)
        print(f"\n{product}, {command[-3].name}: {len(calls)} calls, {len(spans)} spans", flush=True)

    def test_elasticsearch(self):
        self.run_product("elasticsearch")

    def test_opensearch(self):
        self.run_product("opensearch")


if __name__ == "__main__":
    unittest.main()
