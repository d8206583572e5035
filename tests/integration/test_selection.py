# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Which programs are seen, and from when on."""

import os
import pathlib
import secrets
import shutil
import unittest

import harness
import servers
import traffic


class Asking(harness.Case):
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


class Selection(Asking):
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


class Rules(Asking):
    """Each rule against two servers of the same kind that differ in nothing else; exclusion wins."""

    NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def server(self, name="server", before=()):
        """A Python server with `name` on its command line, started by the command `before`."""
        self.need("setpriv")
        # Another user has to be able to read it, and to write its log.
        script = self.directory / "python_http.py"
        if not script.exists():
            shutil.copy(harness.PROGRAMS / "python_http.py", script)
            script.chmod(0o644)
        log = self.directory / f"{name}-{len(list(self.directory.iterdir()))}.log"
        log.touch()
        log.chmod(0o666)
        return servers._printing(self, [*before, harness.PYTHON, script, "serve", log], log)

    def container(self, prefix="docker-"):
        """The id and the cgroup of a container as runtimes make them, with nothing in it yet."""
        mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        roots = [mount[1] for mount in mounts if mount[2] == "cgroup2"]
        if not roots:
            self.fail("no cgroup2 file system is mounted")
        identity = secrets.token_hex(32)
        cgroup = pathlib.Path(roots[0]) / f"{prefix}{identity}.scope"
        cgroup.mkdir()
        self.addCleanup(self.remove, cgroup)
        return identity, cgroup

    def remove(self, cgroup):
        def removed():
            try:
                cgroup.rmdir()
                return True
            except OSError:  # a process that ended a moment ago may still be in it
                return False

        harness.wait_for(removed, f"{cgroup} to be empty")

    def contained(self, cgroup, name="server"):
        """A server in that cgroup, moved there before its first instruction."""
        return self.server(name, ["sh", "-c", f"echo $$ >'{cgroup}/cgroup.procs' && exec \"$@\"", "sh"])

    def only(self, chosen, others, *selection, **how):
        agent = self.agent(*selection, **how)
        ids = self.ask(chosen)
        for other in others:
            self.ask(other)
        self.expect(agent, ids)

    def test_user(self):
        chosen, other = self.server(before=self.NOBODY), self.server()
        for user in ("nobody", "65534"):
            self.only(chosen, [other], "--user", user)
        self.only(chosen, [other], env={"ZEROSPAN_SELECTION_USERS": "nobody"})

    def test_user_started_later(self):
        agent = self.agent("--user", "nobody")
        chosen, other = self.server(before=self.NOBODY), self.server()
        ids = self.ask(chosen)
        self.ask(other)
        self.expect(agent, ids)

    def test_excluded_user(self):
        chosen, other = self.server(), self.server(before=self.NOBODY)
        self.only(chosen, [other], "--cmdline", "*python_http.py serve*", "--exclude-user", "nobody")

    def test_command_line(self):
        chosen, other = self.server("cart"), self.server("shop")
        self.only(chosen, [other], "--cmdline", "*python_http.py serve */cart-*.log")
        # The whole line has to match.
        self.only(chosen, [other], "--cmdline", "*/cart-*.log", "--cmdline", "shop-*")

    def test_excluded_command_line(self):
        chosen, other = self.server("cart"), self.server("shop")
        self.only(chosen, [other], "--cmdline", "*python_http.py*", "--exclude-cmdline", "*/shop-[0-9]*")

    def test_container(self):
        """By the whole id and by its first digits, in what Docker and containerd make of it."""
        for prefix in ("docker-", "cri-containerd-"):
            with self.subTest(prefix):
                (identity, cgroup), (_, elsewhere) = self.container(prefix), self.container(prefix)
                chosen, other, outside = self.contained(cgroup), self.contained(elsewhere), self.server()
                self.only(chosen, [other, outside], "--container", identity)
                agent = self.agent("--container", identity[:12])
                ids = self.ask(chosen)
                self.ask(other)
                spans = agent.interrupt()
                self.assertEqual(sorted(ids), sorted(span.id for span in spans))
                self.assertEqual({identity}, {span.resource.get("container.id") for span in spans})

    def test_container_started_later(self):
        identity, cgroup = self.container()
        agent = self.agent("--container", identity)
        chosen, other = self.contained(cgroup), self.server()
        ids = self.ask(chosen)
        self.ask(other)
        self.expect(agent, ids)

    def test_excluded_container(self):
        identity, cgroup = self.container()
        chosen, other = self.server(), self.contained(cgroup)
        self.only(chosen, [other], "--cmdline", "*python_http.py*", "--exclude-container", identity[:12])

    def test_excluded_port(self):
        chosen, other = self.server(), self.server()
        self.only(chosen, [other], "--port", f"{chosen.port},{other.port}", "--exclude-port", str(other.port))

    def test_excluded_executable(self):
        chosen, other = self.server(), servers.go(self)
        self.only(chosen, [other], "--port", f"{chosen.port},{other.port}", "--exclude-exe", "httpprog")

    def test_excluded_parent(self):
        """What an excluded process has started is excluded too."""
        chosen = self.server()
        other = self.server(before=["sh", "-c", '"$@"; exit', "sh"])
        self.only(chosen, [other], "--cmdline", "*python_http.py*", "--exclude-pid", str(other.pid))

    def test_pid_with_children(self):
        """Its children that ran before are selected with it, unless one of them is excluded."""
        chosen, other = self.server(before=["sh", "-c", '"$@"; exit', "sh"]), self.server()
        self.only(chosen, [other], "--pid", str(chosen.pid))
        child = pathlib.Path(f"/proc/{chosen.pid}/task/{chosen.pid}/children").read_text().strip()
        self.only(other, [chosen], "--pid", f"{chosen.pid},{other.pid}", "--exclude-pid", child)

    def test_pid_without_children(self):
        chosen, other = self.server(), self.server(before=["sh", "-c", '"$@"; exit', "sh"])
        self.only(chosen, [other], "--pid", f"{chosen.pid},{other.pid}", "--no-children")

    def test_user_of_workers(self):
        """nginx's workers have given up root; its master, of the same command line, has not."""
        server = servers.nginx(self)
        children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children")

        def given_up_root():
            workers = children.read_text().split()
            return workers and all("\nUid:\t65534" in pathlib.Path(f"/proc/{pid}/status").read_text()
                                   for pid in workers)

        harness.wait_for(given_up_root, "nginx's workers to give up root")
        for user, seen in (("nobody", True), ("root", False)):
            agent = self.agent("--user", user, "--exclude-exe", "*/python3*")
            requests = [traffic.Request("GET", traffic.with_id("/s/200")) for _ in range(5)]
            with traffic.Connection(server.port) as connection:
                for request in requests:
                    connection.send(request)
            found = {span.id for span in agent.interrupt()}
            self.assertEqual({request.id for request in requests} if seen else set(),
                             found & {request.id for request in requests})


if __name__ == "__main__":
    unittest.main(verbosity=2)
