# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Which programs are seen, and from when on."""

import os
import shutil
import unittest

import harness
import servers
import traffic


class Selection(harness.Case):
    def ask(self, server, count=5):
        """Asks a server `count` times; returns the ids."""
        requests = [traffic.Request("GET", traffic.with_id("/c?size=10")) for _ in range(count)]
        with traffic.Connection(server.port) as connection:
            for request in requests:
                connection.send(request)
        return {request.id for request in requests}

    def expect(self, agent, ids):
        found = sorted(span.id for span in agent.interrupt())
        self.assertEqual(sorted(ids), found, {k: v for k, v in agent.stats().items() if v})
        self.assertEqual({}, agent.lost())

    def test_by_pid(self):
        chosen, other = servers.go(self), servers.go(self)
        agent = self.agent("--pid", str(chosen.pid))
        ids = self.ask(chosen)
        self.ask(other)
        self.expect(agent, ids)

    def test_two_pids(self):
        first, second, other = servers.go(self), servers.python(self), servers.go(self)
        agent = self.agent("--pid", f"{first.pid},{second.pid}")
        ids = self.ask(first) | self.ask(second)
        self.ask(other)
        self.expect(agent, ids)

    def test_by_port(self):
        chosen, other = servers.go(self), servers.go(self)
        agent = self.agent("--port", str(chosen.port))
        ids = self.ask(chosen)
        self.ask(other)
        self.expect(agent, ids)

    def test_by_executable_with_exclusion(self):
        chosen, excluded = servers.go(self), servers.go(self)
        agent = self.agent("--exe", "*/httpprog", "--exclude-pid", str(excluded.pid))
        ids = self.ask(chosen)
        self.ask(excluded)
        self.expect(agent, ids)

    def test_all(self):
        server = servers.go(self)
        agent = self.agent("--all", "--exclude-exe", "*python3*")
        ids = self.ask(server)
        self.assertLessEqual(ids, {span.id for span in agent.interrupt()})

    def test_started_later(self):
        """By executable, and as a child of a selected process: this shell waits for a word."""
        agent = self.agent("--exe", "*/httpprog")
        ids = self.ask(servers.go(self))
        self.expect(agent, ids)

    def test_child_started_later(self):
        self.need("go")
        fifo = self.directory / "start"
        os.mkfifo(fifo)
        log = self.directory / "child.log"
        program = servers.built("go")[0]
        shell = self.start(["sh", "-c", f"read word <{fifo}; '{program}' serve '{log}'; exit"])
        agent = self.agent("--pid", str(shell.pid))
        fifo.write_text("go\n")
        port = int(shell.wait_line(shell.lines, r"^listening (\d+)").group(1))
        ids = self.ask(servers.Server(shell, port, log))
        self.expect(agent, ids)

    def test_port_opened_later(self):
        """A process is chosen by its port when it starts to listen after the agent did."""
        self.need("nginx")
        port = harness.free_port()
        agent = self.agent("--port", str(port))
        original = servers.free_port
        servers.free_port = lambda: port
        try:
            server = servers.nginx(self)
        finally:
            servers.free_port = original
        requests = [traffic.Request("GET", traffic.with_id("/s/200")) for _ in range(5)]
        with traffic.Connection(server.port) as connection:
            for request in requests:
                connection.send(request)
        self.expect(agent, {request.id for request in requests})

    def test_connection_open_before(self):
        server = servers.go(self)
        before, after = [traffic.Request("GET", traffic.with_id("/c?size=10")) for _ in range(2)]
        with traffic.Connection(server.port) as connection:
            connection.send(before)
            agent = self.agent("--pid", str(server.pid))
            connection.send(after)
        spans = agent.interrupt()
        self.assertEqual([after.id], [span.id for span in spans])
        self.assertEqual(harness.SERVER, spans[0].kind)

    def test_client_connection_open_before(self):
        server = servers.go(self)
        proxy = servers.node(self, backend=server.port)
        self.ask_proxy(proxy)
        agent = self.agent("--pid", str(proxy.pid))
        identity = self.ask_proxy(proxy)
        kinds = sorted(span.kind for span in agent.interrupt() if span.id == identity)
        self.assertEqual([harness.SERVER, harness.CLIENT], kinds)

    def ask_proxy(self, proxy):
        request = traffic.Request("GET", traffic.with_id("/http?size=10"))
        with traffic.Connection(proxy.port) as connection:
            connection.send(request)
        self.assertEqual(200, request.status)
        return request.id

    def test_not_http(self):
        """A connection that does not speak HTTP gives no span and no loss."""
        self.need("go")
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid))
        with traffic.Connection(server.port) as connection:
            connection.socket.sendall(bytes(range(128, 256)) * 20)
            connection.socket.shutdown(traffic.socket.SHUT_WR)
            connection.input.read()
        ids = self.ask(server)
        self.assertLessEqual(ids, {span.id for span in agent.interrupt()})
        self.assertEqual({}, agent.lost())

    def test_nothing_selected_is_an_error_that_says_so(self):
        agent = self.start([harness.BINARY, "trace"])
        self.assertNotEqual(0, agent.wait_exit())
        self.assertRegex("\n".join(agent.errors), r"--pid|--all")

    def test_pid_that_does_not_exist(self):
        gone = self.start([shutil.which("true")])
        gone.wait_exit()
        agent = self.start([harness.BINARY, "trace", "--pid", str(gone.pid), "--duration=1"])
        self.assertNotEqual(0, agent.wait_exit())
        self.assertIn(str(gone.pid), "\n".join(agent.errors))


if __name__ == "__main__":
    unittest.main(verbosity=2)
