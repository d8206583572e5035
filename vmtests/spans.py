# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""One fixed piece of traffic, and the spans that it gave without what differs from run to run: a line of JSON. `test_spans.py` compares
what it says on this machine with what it says in guests."""

import collections
import json
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import databases  # noqa: E402
import harness  # noqa: E402
import servers  # noqa: E402
import traffic  # noqa: E402

REQUESTS = 10
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class Spans(harness.Case):
    def test_traffic(self):
        """curl asks nginx, and Go, which asks threads in Python, which ask nginx; clients in Python work with Redis and Memcached. One
        after the other: what is made at once may have its parents in doubt, more often where it is slow."""
        nginx = servers.nginx(self)
        python = servers.python(self, nginx.port)
        go = servers.go(self, python.port)
        redis, memcached = databases.Redis(self), databases.Memcached(self)
        clients = {"redis client": self.start([harness.PYTHON, harness.PROGRAMS / "redis_client.py", str(redis.port)], stdin=subprocess.PIPE),
                   "memcached client": self.start([harness.PYTHON, harness.PROGRAMS / "memcached_client.py", "pymemcache", memcached.where],
                                                  stdin=subprocess.PIPE)}
        roles = {go.pid: "go", python.pid: "python", redis.pid: "redis", memcached.pid: "memcached"}
        for role, client in clients.items():
            client.wait_line(client.lines, "^ready")
            roles[client.pid] = role
        agent = self.agent("--pid", ",".join(map(str, roles)), "--exe", "*/nginx", "--exe", "*/curl")
        for _ in range(REQUESTS):
            for server, path in ((nginx, "/s/200"), (nginx, "/s/404"), (go, "/s/200")):
                url = f"http://127.0.0.1:{server.port}{traffic.with_id(path)}"
                subprocess.run(["curl", "-s", "-o", "/dev/null", url], check=True, timeout=60 * harness.TIME_FACTOR)
        for client in clients.values():
            client.process.stdin.write("go\n")
            client.process.stdin.close()
            self.assertEqual(0, client.wait_exit(60))
        spans = agent.interrupt()
        # New programs are captured before they are judged: what a client of the test's own did then is dropped.
        self.assertEqual({}, {name: count for name, count in agent.lost().items() if name != "spans_dropped_not_selected"})
        by_id = {span.span_id: span for span in spans}

        def shape(span):
            role = roles.get(span.resource["process.pid"], pathlib.Path(span.resource["process.executable.path"]).name)
            words = [role, KINDS[span.kind], span.name, str(span.code or ""), ["", "", "error"][span.status],
                     ",".join(span.attributes.get("zerospan.incomplete", []))]
            parent = by_id.get(span.parent_id)
            return " ".join(filter(None, words)) + (" < " + (shape(parent) if parent else "remote") if span.parent_id else "")

        # The client of Redis asks INFO until another of its threads is blocked: as often as that takes.
        shapes = collections.Counter(shape(span) for span in spans if span.name != "INFO")
        # Each server says itself how many there were.
        self.assertEqual({"go": REQUESTS, "python": REQUESTS, "nginx": 3 * REQUESTS},
                         {role: sum(count for name, count in shapes.items() if name.startswith(f"{role} server "))
                          for role in ("go", "python", "nginx")})
        self.assertEqual([REQUESTS, REQUESTS, 3 * REQUESTS], [len(each.wait_logged(count)) for each, count in
                                                              ((go, REQUESTS), (python, REQUESTS), (nginx, 3 * REQUESTS))])
        print("\nspans " + json.dumps(dict(sorted(shapes.items()))), flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
