# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Every request that a client made has exactly one client span. Only the client is selected."""

import subprocess
import unittest

import harness
import servers
import traffic

CASES = [("GET", 200, 10, 0), ("GET", 404, 1000, 0), ("POST", 200, 10, 5000), ("PUT", 204, 0, 10),
         ("GET", 500, 0, 0), ("DELETE", 200, 10, 0), ("GET", 200, 100_000, 0), ("GET", 304, 0, 0),
         ("HEAD", 200, 10, 0), ("GET", 301, 10, 0)]


class Clients(harness.Case):
    def plan(self, port, rounds=10):
        """(method, URL, size of the request's body, expected status, expected bytes)"""
        plan = []
        for _ in range(rounds):
            for method, status, size, body in CASES:
                url = f"http://127.0.0.1:{port}" + traffic.with_id(f"/c/item?status={status}&size={size}")
                plan.append((method, url, body, status, 0 if method == "HEAD" or status in (204, 304) else size))
        return plan

    def verify(self, spans, plan, answers):
        self.assertEqual([f"{status} {size}" for *_, status, size in plan], answers)
        wanted = sorted((method, url, status) for method, url, _, status, _ in plan)
        self.assertEqual(wanted, sorted((s.method, s.attributes["url.full"], s.code) for s in spans))
        for span in spans:
            self.assertEqual(harness.CLIENT, span.kind)
            self.assertGreater(span.end, span.start)
            self.assertEqual("127.0.0.1", span.attributes["server.address"])
            # A client's span is an error from 400 on.
            self.assertEqual(2 if span.code >= 400 else 0, span.status, span)

    def check(self, command):
        server = servers.go(self)
        plan = self.plan(server.port)
        client = self.start(command, stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^listening", 60)
        agent = self.agent("--pid", str(client.pid))
        client.process.stdin.write("".join(f"{method} {url} {body}\n" for method, url, body, *_ in plan))
        client.process.stdin.close()
        client.process.stdin = None
        self.assertEqual(0, client.wait_exit(60), client)
        self.verify(agent.interrupt(), plan, client.lines[1:])
        self.assertEqual({}, agent.lost())

    def test_go(self):
        self.need("go")
        self.check([*servers.built("go"), "client"])

    def test_node_fetch(self):
        self.need("node")
        self.check(["node", harness.PROGRAMS / "node_http.js", "client"])

    def test_python_urllib(self):
        self.check([harness.PYTHON, harness.PROGRAMS / "python_client.py", "urllib"])

    def test_python_requests(self):
        self.need_module("requests")
        self.check([harness.PYTHON, harness.PROGRAMS / "python_client.py", "requests"])

    def test_python_aiohttp(self):
        self.need_module("aiohttp")
        self.check([harness.PYTHON, harness.PROGRAMS / "python_client.py", "aiohttp"])

    def test_java(self):
        self.need("java", "javac")
        self.check([*servers.built("java"), "client"])

    def test_curl(self):
        """curl starts after the agent does, and is selected by its executable."""
        self.need("curl")
        server = servers.go(self)
        agent = self.agent("--exe", "*/curl")
        plan = self.plan(server.port)
        config = self.directory / "curl.conf"
        blocks = []
        for method, url, body, *_ in plan:
            block = [f'url = "{url}"', 'output = "/dev/null"', 'write-out = "%{http_code} %{size_download}\\n"',
                     "silent", "head" if method == "HEAD" else f'request = "{method}"']
            if body:
                block.append(f'data = "{"b" * body}"')
            blocks.append("\n".join(block))
        config.write_text("\nnext\n".join(blocks))
        client = self.start(["curl", "-K", config])
        self.assertEqual(0, client.wait_exit(60), client)
        answers = [line for line in client.lines]
        self.verify(agent.interrupt(), plan, answers)
        self.assertEqual({}, agent.lost())


if __name__ == "__main__":
    unittest.main(verbosity=2)
