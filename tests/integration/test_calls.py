# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""GraphQL and JSON-RPC over HTTP/1: graphql-yoga and jayson as servers, with clients for Node.js and Python. The oracle is what the
servers say they ran: each operation and call has exactly one span of the client and one of the server that says the same, and no
other span says anything of the kind."""

import collections
import json
import pathlib
import subprocess
import unittest

import harness
import servers
from harness import CLIENT, SERVER

UNKNOWN_METHOD = "-32601"
LONG_DOCUMENT = "Long"  # nothing in front of it names the operation
LONG_PARAMETERS = "behind what is long"  # jayson writes an id last
BATCH = {"batch 1", "batch 2"}


def of_log(entry, kind):
    """What a span should say of one line of the server's log."""
    if "graphql" in entry:
        return ("graphql", entry["graphql"], entry["name"], "")
    method = "_OTHER " + entry["rpc"] if kind == SERVER and entry["error"] == UNKNOWN_METHOD else entry["rpc"]
    return ("jsonrpc", method, entry["id"] if entry["id"] != LONG_PARAMETERS else "", entry["error"])


def of_span(span):
    said = span.attributes
    if "graphql.operation.type" in said:
        return ("graphql", said["graphql.operation.type"], said.get("graphql.operation.name", ""), "")
    method = said["rpc.method"] + (" " + said["rpc.method_original"] if "rpc.method_original" in said else "")
    return (said["rpc.system.name"], method, said.get("jsonrpc.request.id", ""), said.get("rpc.response.status_code", ""))


class Calls(harness.Case):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(*servers.prepared("calls"))
        self.server = self.start(["node", self.folder / "server.mjs"])
        self.port = int(self.server.wait_line(self.server.lines, r"^port (\d+)", 60).group(1))

    def run_client(self, *command, env=None):
        """The spans of a run; what the server has logged of it is in the output lines."""
        client = self.start([*command, str(self.port)], stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 60)
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        client.wait_line(client.lines, "^done", 120)
        self.assertEqual(0, client.wait_exit(60), client)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        return spans

    def logged(self):
        return [json.loads(line) for line in self.server.lines if line.startswith("{")]

    def check(self, spans, logged):
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                ours = [span for span in spans if span.kind == kind]
                said = [span for span in ours if "graphql.operation.type" in span.attributes or "rpc.method" in span.attributes]
                wanted = collections.Counter(of_log(entry, kind) for entry in logged)
                seen = collections.Counter(map(of_span, said))
                self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
                for span in ours:
                    code = span.attributes.get("rpc.response.status_code")
                    self.assertEqual(code, span.attributes.get("error.type"))
                    self.assertEqual(2 if code else 0, span.status)
                    self.assertEqual(200 if span.attributes.get("rpc.method") != "notify" else span.code, span.code)
                    self.assertNotIn("zerospan.incomplete", span.attributes)
                    rpc = "rpc.method" in span.attributes
                    self.assertEqual("2.0" if rpc else None, span.attributes.get("jsonrpc.protocol.version"))
        print(f"\n{len(logged)} operations and calls, {len(spans)} spans", flush=True)

    def test_node(self):
        spans = self.run_client("node", self.folder / "client.mjs")
        logged = self.logged()
        alone = [entry for entry in logged if entry.get("id") not in BATCH]
        told = [entry for entry in alone if entry.get("name") != LONG_DOCUMENT]
        self.assertEqual((2, 1), (len(logged) - len(alone), len(alone) - len(told)))
        self.check(spans, told)
        self.assertEqual(2 * (len(alone) + 1), len(spans))

    def test_python(self):
        spans = self.run_client(harness.PYTHON, "-B", self.folder / "client.py",
                                env={"PYTHONPATH": str(self.folder / "packages"), "PYTHONUNBUFFERED": "1"})
        logged = self.logged()
        self.check(spans, logged)
        self.assertEqual(2 * len(logged), len(spans))


if __name__ == "__main__":
    unittest.main()
