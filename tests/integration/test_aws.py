# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""AWS's APIs: boto3 against moto's server. The oracle is what boto3 reports of its calls: each has exactly one HTTP span of the
client, and one of the server, with the same service, operation (where the request's head has it), region, request id and status."""

import collections
import json
import pathlib
import subprocess
import unittest

import harness
import servers
from harness import CLIENT, SERVER

NAMED = {"DynamoDB", "SQS"}  # whose requests name the operation in a field


class Aws(harness.Case):
    def test_boto3(self):
        folder = pathlib.Path(*servers.prepared("aws"))
        env = {"PYTHONPATH": str(folder / "packages"), "PYTHONUNBUFFERED": "1"}
        port = harness.free_port()
        server = self.start([harness.PYTHON, "-B", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], env=env)
        harness.wait_for(lambda: harness.accepts(port), "moto to start", 60)
        client = self.start([harness.PYTHON, "-B", folder / "calls.py", str(port)], stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 60)
        agent = self.agent("--pid", f"{server.pid},{client.pid}")
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(120), client)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual("done", client.lines[-1])
        told = [json.loads(line) for line in client.lines if line.startswith("{")]
        self.assertGreater(len(told), 50)
        wanted = collections.Counter(
            (it["service"], it["operation"] if it["service"] in NAMED else "", it["region"], it["request_id"], it["status"])
            for it in told)
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                ours = [span for span in spans if span.kind == kind and span.attributes["url.full" if kind == CLIENT else "url.path"]]
                seen = collections.Counter(
                    (span.attributes.get("rpc.service"), span.attributes.get("rpc.method", ""),
                     span.attributes.get("cloud.region"), span.attributes.get("aws.request_id", ""), span.code) for span in ours)
                self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
                for span in ours:
                    self.assertEqual("aws-api", span.attributes["rpc.system.name"])
                    dynamodb = span.attributes["rpc.service"] == "DynamoDB"
                    self.assertEqual("aws.dynamodb" if dynamodb else None, span.attributes.get("db.system.name"))
                    self.assertNotIn("AKIDEXAMPLE", str(span.attributes))
        print(f"\nboto3: {len(told)} calls, {len(spans)} spans", flush=True)


if __name__ == "__main__":
    unittest.main()
