# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Every request that a server logged has exactly one server span, that says the same."""

import unittest

import harness
import oracle
import servers
import traffic


class Servers(harness.Case):
    requests = 300

    def check(self, server, selection=None):
        agent = self.agent(*(selection or ["--pid", str(server.pid)]))
        requests = traffic.mixed(server, self.requests)
        before = len(server.logged())
        traffic.run_mixed(server, requests)
        logged = server.wait_logged(before + len(requests))[before:]
        spans = agent.interrupt()
        oracle.check_servers(self, logged, spans, requests, server.clock)
        self.assertEqual({}, agent.lost())
        return spans

    def test_nginx(self):
        self.check(servers.nginx(self))

    def test_nginx_two_workers(self):
        self.check(servers.nginx(self, workers=2))

    def test_go(self):
        self.check(servers.go(self))

    def test_node(self):
        self.check(servers.node(self))

    def test_python(self):
        self.check(servers.python(self))

    def test_java(self):
        self.check(servers.java(self))


class BySystemCall(Servers):
    """The same through the last-resort hook, which kernels without the socket tracepoints use."""

    requests = 100
    test_nginx_two_workers = test_java = None

    def agent(self, *selection, **how):
        return super().agent(*selection, "--capture=syscall", **how)


class SlowServers(Servers):
    test_nginx = test_nginx_two_workers = test_go = test_node = test_python = test_java = None

    def test_apache(self):
        self.check(servers.apache(self))

    def test_gunicorn_threads(self):
        self.check(servers.gunicorn(self))

    def test_gunicorn_sync(self):
        self.check(servers.gunicorn(self, threads=0))

    def test_uvicorn(self):
        self.check(servers.uvicorn(self))

    def test_puma(self):
        self.check(servers.puma(self))

    def test_php_behind_nginx(self):
        server = servers.nginx(self)
        servers.php(self, server)
        agent = self.agent("--pid", str(server.pid))
        requests = [traffic.Request("GET", traffic.with_id(f"/index.php?status={status}&size=10"))
                    for status in (200, 200, 404, 500)]
        before = len(server.logged())
        with traffic.Connection(server.port) as connection:
            for request in requests:
                connection.send(request)
        logged = server.wait_logged(before + len(requests))[before:]
        oracle.check_servers(self, logged, agent.interrupt(), requests, server.clock)


if __name__ == "__main__":
    unittest.main(verbosity=2)
