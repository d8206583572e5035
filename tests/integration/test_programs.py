# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The oracle itself: every test server logs exactly what a client saw. Needs no agent."""

import unittest

import harness
import servers
import traffic


class Programs(harness.Case):
    def check(self, server):
        requests = traffic.mixed(server, 120)
        before = len(server.logged())
        traffic.run_mixed(server, requests)
        logged = {line.id: line for line in server.wait_logged(before + len(requests)) if line.id}
        self.assertEqual(len(requests), len(logged))
        for request in requests:
            line = logged[request.id]
            self.assertEqual((request.method, request.target, request.status, request.bytes, request.id),
                             (line.method, line.target, line.status, line.bytes, line.header_id))

    def test_nginx(self):
        self.check(servers.nginx(self))

    def test_go(self):
        self.check(servers.go(self))

    def test_node(self):
        self.check(servers.node(self))

    def test_python(self):
        self.check(servers.python(self))

    def test_java(self):
        self.check(servers.java(self))

    def test_proxies(self):
        backend = servers.go(self)
        for start, path in ((servers.go, "/p"), (servers.node, "/http"), (servers.node, "/fetch"),
                            (servers.python, "/p"), (servers.python, "/thread"), (servers.aiohttp, "/p"),
                            (servers.java, "/p"), (servers.nginx, "/proxy"), (servers.nginx, "/forward")):
            with self.subTest(start.__name__ + path):
                proxy = start(self, backend=backend.port)
                before = len(backend.logged())
                targets = [traffic.with_id(path + "?delay=5") for _ in range(40)]
                traffic.concurrent_gets(proxy.port, targets, 20)
                logged = backend.wait_logged(before + 40)[before:]
                self.assertEqual(sorted(targets), sorted(line.target for line in logged))


class SlowPrograms(Programs):
    test_nginx = test_go = test_node = test_python = test_java = test_proxies = None

    def test_apache(self):
        self.check(servers.apache(self))

    def test_gunicorn(self):
        self.check(servers.gunicorn(self))

    def test_gunicorn_sync(self):
        self.check(servers.gunicorn(self, threads=0))

    def test_uvicorn(self):
        self.check(servers.uvicorn(self))

    def test_puma(self):
        self.check(servers.puma(self))


if __name__ == "__main__":
    unittest.main(verbosity=2)
