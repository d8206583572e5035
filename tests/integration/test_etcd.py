# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The real etcd under its own client, gRPC without TLS. The oracle is etcd's own metrics, and what the client
counted."""

import collections
import json
import re
import subprocess
import unittest

import harness
import servers


class Etcd(harness.Case):
    ROUNDS, WIDE = 500, 50

    def served(self, port):
        """Calls that etcd says it has handled, by method."""
        pattern = r'^grpc_server_started_total\{grpc_method="(\w+)",grpc_service="([\w.]+)",[^}]*\} (\d+)$'
        return collections.Counter({f"{service}/{method}": int(count) for method, service, count
                                    in re.findall(pattern, harness.scrape(port), re.M)})

    def test_calls(self):
        self.need("go")
        data, peer = self.directory / "etcd", harness.free_port()

        port = harness.free_port()
        url, peer_url = (f"http://127.0.0.1:{each}" for each in (port, peer))
        server = self.start([*servers.prepared("etcd"), "--data-dir", data, "--listen-client-urls", url,
                             "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
                             "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}",
                             "--log-level", "error"])
        harness.wait_for(lambda: harness.accepts(port), f"port {port} of {server}", 30)
        client = self.start([*servers.prepared("etcd"), "load", f"http://127.0.0.1:{port}", str(self.ROUNDS),
                             str(self.WIDE)], stdin=subprocess.PIPE)
        client.wait_line(client.lines, r"^ready", 30)
        before = self.served(port)
        agent = self.agent("--pid", f"{server.pid},{client.pid}")
        client.process.stdin.write("go\n")
        client.process.stdin.flush()
        client.wait_line(client.lines, r"^done", 120)
        self.assertEqual(0, client.wait_exit(), client)
        made = collections.Counter(json.loads(client.lines[-2]))
        served = self.served(port) - before
        spans = [span for span in agent.interrupt() if "rpc.method" in span.attributes]
        self.assertEqual({}, agent.lost())
        seen = {kind: collections.Counter(span.attributes["rpc.method"] for span in spans if span.kind == kind)
                for kind in (harness.SERVER, harness.CLIENT)}
        print(f"\n  {sum(made.values())} calls: {dict(made)}")
        self.assertEqual(made, seen[harness.CLIENT])
        self.assertEqual(served, seen[harness.SERVER])
        for span in spans:
            self.assertNotIn("zerospan.incomplete", span.attributes)
            cancelled = span.attributes["rpc.method"] == "etcdserverpb.Watch/Watch"
            self.assertIn(span.attributes.get("rpc.response.status_code"),
                          ("OK", "CANCELLED", "UNAVAILABLE", None) if cancelled else ("OK",), span)


if __name__ == "__main__":
    unittest.main()
