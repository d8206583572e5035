# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""`zerospan check --pid`: what it says of a live server, against what the test knows of it."""

import os
import pathlib
import re
import ssl
import subprocess
import unittest
from unittest import mock

import harness
import servers
import traffic

# "  name    value": names may have single spaces, and a long one is followed by just one.
ROW = re.compile(r"  (\S+(?: \S+)*?)(?: {2,}| (?=\d+$))(.+)$")

# Answers what begins with a method and a path as HTTP, and sends anything else back.
ODD_SERVER = """
import socket, threading
def serve(connection):
    with connection:
        while data := connection.recv(65536):
            http = data.startswith(b"GET /")
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok" if http else data[::-1])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],)).start()
"""

TLS_SERVER = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
"""


class Check(harness.Case):
    def look(self, server, traffic_meanwhile, *options):
        """Runs the check, makes the traffic once it looks; returns its rows, title and verdict."""
        check = self.start([harness.BINARY, "check", "--pid", str(server.pid), f"--duration={2 * harness.TIME_FACTOR:.0f}",
                            *options])
        check.wait_line(check.lines, r"^Looking at its sockets")
        traffic_meanwhile()
        self.assertEqual(0, check.wait_exit())
        self.output = "\n".join(check.lines)
        rows = {found.group(1): found.group(2) for found in map(ROW.match, check.lines) if found}
        return rows, check.lines[0], check.lines[-1]

    def odd_server(self):
        return servers._printing(self, [harness.PYTHON, "-c", ODD_SERVER], self.directory / "none")

    def ask(self, server, count, connections=1):
        for _ in range(connections):
            with traffic.Connection(server.port) as connection:
                for _ in range(count):
                    request = traffic.Request("GET", traffic.with_id("/c?size=10"))
                    connection.socket.sendall(request.head(server.port))
                    connection.receive(request)

    def babble(self, server, data, half_close=False):
        """Bytes that are not HTTP, and the server's, which are as many."""
        with traffic.Connection(server.port) as connection:
            if half_close:
                # One segment has both, so that the server's first read passes the end of the stream.
                connection.socket.sendall(data, traffic.socket.MSG_MORE)
                connection.socket.shutdown(traffic.socket.SHUT_WR)
            else:
                connection.socket.sendall(data)
            self.assertEqual(len(data), len(connection.input.read(len(data))))

    def expect_facts(self, server, rows, title, runtime):
        pid = server.pid
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
        self.assertEqual(f"Process {pid}: {command}", title)
        self.assertEqual(os.readlink(f"/proc/{pid}/exe"), rows["executable"])
        self.assertEqual(runtime, rows["runtime"])
        self.assertEqual("root", rows["user"])
        self.assertEqual(str(server.port), rows["listens on"])
        epoll = any("eventpoll" in os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir())
        self.assertEqual("yes (epoll)" if epoll else "no", rows["event loop"])
        self.assertTrue(rows["selection"].startswith("can be selected"), rows["selection"])

    def expect_counts(self, rows, **counts):
        self.assertEqual(counts, {name: int(rows[name]) for name in counts}, rows)
        self.assertEqual([], [name for name in rows if "lost" in name or "dropped" in name])

    def runtime(self, server, runtime):
        rows, title, verdict = self.look(server, lambda: self.ask(server, 5, connections=3))
        self.expect_facts(server, rows, title, runtime)
        self.expect_counts(rows, connections_known=3, connections_muted=0, connections_unrecognised=0,
                           exchanges=15, exchanges_incomplete=0, spans_made=15)
        self.assertGreaterEqual(int(rows["operations_seen"]), 30)
        self.assertEqual("It is traced.", verdict)

    def test_go(self):
        self.runtime(servers.go(self), "Go")

    def test_go_proxy(self):
        """What is said of its goroutines, and how often its probes were hit."""
        proxy = servers.go(self, backend=servers.go(self).port)
        rows, _, _ = self.look(proxy, lambda: self.ask(proxy, 5, connections=3))
        self.assertEqual("DWARF", rows["offsets"])
        self.assertEqual("verified in its memory, 0 looks failed", rows["goroutines"])
        self.assertEqual("net/http.(*http2serverConn).runHandler", rows["probe"])  # the last one
        self.expect_counts(rows, parents_by_goroutine=15, go_calls=15, go_calls_unreadable=0, go_streams=0,
                           go_streams_unreadable=0, go_uncertain=0)

    def test_go_router(self):
        server = servers.web(self, "servemux")
        function = "net/http.(*ServeMux).ServeHTTP"
        for options, told, rest in (((), 5, ""), (("--no-go-routes",), 0, ": not asked, http.go_routes is false")):
            with self.subTest(options):
                rows, _, _ = self.look(server, lambda: self.ask(server, 5), *options)
                self.assertRegex(self.output, rf"(?m)^  router +{re.escape(function + rest)}$")
                self.expect_counts(rows, go_routes=told, go_routes_unknown=told, routes_refused=0)  # /c has none

    def test_python(self):
        self.runtime(servers.python(self), "Python")

    def test_node(self):
        self.runtime(servers.node(self), "Node.js")

    def test_java(self):
        self.runtime(servers.java(self), "Java")

    def test_muted_and_unrecognised(self):
        """Of five connections two speak HTTP, two are turned away in the kernel, one by the parsers."""
        server = self.odd_server()

        def mixed():
            self.ask(server, 4, connections=2)
            for _ in range(2):
                self.babble(server, bytes(range(128, 256)) * 20)
            self.babble(server, b"GET \1\2\3 nothing\r\n\r\n")

        rows, _, verdict = self.look(server, mixed)
        self.expect_counts(rows, connections_known=3, connections_muted=2, connections_unrecognised=1, exchanges=8,
                           spans_made=8)
        self.assertEqual("It is traced.", verdict)
        self.assertRegex(self.output, r"connection with 127\.0\.0\.1:\d+ begins like no known protocol: 47 45 54 20 01 02\n")
        # Whichever hooks the capture kind has.
        runs = {name: int(count) for name, count in rows.items() if re.match("sock_(length|fexit|kprobe)__|syscall_exit__", name)}
        self.assertGreaterEqual(sum(runs.values()), 8, runs)

    def test_no_traffic(self):
        rows, _, verdict = self.look(servers.go(self), lambda: None)
        self.expect_counts(rows, operations_seen=0, connections_known=0, exchanges=0, spans_made=0)
        self.assertRegex(verdict, r"^No stream socket was used")

    def test_only_what_is_not_known(self):
        server = self.odd_server()
        rows, _, verdict = self.look(server, lambda: self.babble(server, bytes(range(128, 256)) * 20))
        self.expect_counts(rows, connections_known=0, connections_muted=1, exchanges=0, spans_made=0)
        self.assertRegex(verdict, r"do not speak a protocol that zerospan knows")

    def test_client_that_sends_no_more(self):
        """The same, of a client that has closed its side when the server first reads."""
        server = self.odd_server()
        rows, _, _ = self.look(server, lambda: self.babble(server, bytes(range(128, 256)), half_close=True))
        self.expect_counts(rows, connections_known=0, connections_muted=1, exchanges=0, spans_made=0)

    def test_unanswered(self):
        server = servers.go(self)

        def open_request():
            connection = traffic.Connection(server.port)
            self.addCleanup(connection.close)
            connection.socket.sendall(traffic.Request("GET", traffic.with_id("/c?delay=60000")).head(server.port))

        # At its end the agent tells what was open as an exchange that is incomplete.
        rows, _, _ = self.look(server, open_request)
        self.expect_counts(rows, connections_known=1, exchanges=1, exchanges_incomplete=1, spans_made=1)
        self.assertRegex(self.output, r"has an incomplete exchange \(GET /c\): body_end_unknown\n")

    def test_tls(self):
        self.need("openssl")
        pem = self.directory / "server.pem"
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                               "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", pem, "-out",
                               self.directory / "certificate.pem"], capture_output=True, text=True)
        self.assertEqual(0, made.returncode, made.stderr)
        pem.write_text(pem.read_text() + (self.directory / "certificate.pem").read_text())
        server = servers._printing(self, [harness.PYTHON, "-c", TLS_SERVER, pem], self.directory / "none")

        def encrypted():
            context = ssl.create_default_context(cafile=self.directory / "certificate.pem")
            context.check_hostname = False
            with traffic.socket.create_connection(("127.0.0.1", server.port), 20) as plain, \
                    context.wrap_socket(plain) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 200"))

        rows, _, verdict = self.look(server, encrypted)
        mapped = pathlib.Path(f"/proc/{server.pid}/maps").read_text()
        self.assertIn("libssl", rows["TLS library"])
        self.assertIn(rows["TLS library"], mapped)
        self.expect_counts(rows, connections_known=0, connections_muted=1, exchanges=0, spans_made=0)
        self.assertRegex(verdict, r"TLS library loaded")

    def test_process_that_does_not_exist(self):
        gone = self.start(["true"])
        gone.wait_exit()
        done = subprocess.run([harness.BINARY, "check", "--pid", str(gone.pid)], capture_output=True, text=True,
                              timeout=30)
        self.assertNotEqual(0, done.returncode)
        self.assertIn(str(gone.pid), done.stderr)


class HiddenTypes(harness.Case):
    """/sys/kernel/btf/vmlinux cannot be seen by zerospan, and by nobody else: in a mount namespace of its own. More of it is in
    vmtests/conditions.py."""

    OWN = pathlib.Path("/sys/kernel/btf/vmlinux")

    def setUp(self):
        super().setUp()
        empty = self.directory / "empty"
        empty.mkdir()
        script = self.directory / "zerospan"
        script.write_text(f"#!/bin/sh\nexec unshare --mount sh -c 'mount --bind {empty} {self.OWN.parent} && exec {harness.BINARY} \"$@\"' sh"
                          ' "$@"\n')
        script.chmod(0o755)
        patch = mock.patch.object(harness, "BINARY", script)
        patch.start()
        self.addCleanup(patch.stop)

    def refused(self, *options):
        check = subprocess.run([harness.BINARY, "check", *options], capture_output=True, text=True)
        self.assertEqual(1, check.returncode, check.stdout)
        trace = self.agent("--all", *options, wait_ready=False)
        self.assertEqual(1, trace.wait_exit())
        return check.stdout, "\n".join(trace.errors)

    def test_no_file(self):
        for said in self.refused():
            for word in ("/sys/kernel/btf/vmlinux", "--btf FILE (capture.btf)", "CONFIG_DEBUG_INFO_BTF"):
                self.assertIn(word, said)

    def test_wrong_files(self):
        other = bytearray(self.OWN.read_bytes())
        other[other.rindex(b"\0tcp_sendmsg\0") + 1] ^= 1
        for name, content, why in (("text", b"no types", "is neither BTF nor"), ("other", bytes(other), "is of another kernel")):
            file = self.directory / name
            file.write_bytes(content)
            for said in self.refused(f"--btf={file}"):
                self.assertIn(f"capture.btf: {file} {why}", said)

    def test_its_own_file(self):
        file = self.directory / "vmlinux"
        file.write_bytes(self.OWN.read_bytes())
        server = servers.python(self)
        agent = self.agent("--pid", str(server.pid), f"--btf={file}")
        sent = [traffic.Request("GET", traffic.with_id("/c")) for _ in range(20)]
        for request in sent:
            with traffic.Connection(server.port) as connection:
                connection.send(request)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual(sorted((line.id, line.status) for line in server.wait_logged(20)), sorted((span.id, span.code) for span in spans))


class GoProgram(harness.Case):
    def check(self, path):
        return subprocess.run([harness.BINARY, "check", "--exe", path], capture_output=True, text=True, timeout=30,
                              user="nobody")

    def test_what_is_known_of_it(self):
        program = servers.built("go")[0]
        done = self.check(program)
        self.assertEqual(("", 0), (done.stderr, done.returncode))
        version = subprocess.run(["go", "version", program], capture_output=True, text=True, check=True).stdout
        self.assertIn(version.split()[-1] + ",", done.stdout)
        symbols = subprocess.run(["go", "tool", "nm", program], capture_output=True, text=True, check=True).stdout
        self.assertIn(" T net/http.(*persistConn).roundTrip", symbols)
        self.assertRegex(done.stdout, r"emulated at `push %rbp`: net/http\.\(\*persistConn\)\.roundTrip")
        self.assertRegex(done.stdout, r"(?m)^ +\d+ +runtime\.g\.goid$")

    def test_what_is_none(self):
        for path in ("/bin/true", "/etc/passwd", "/nowhere"):
            done = self.check(path)
            self.assertEqual(1, done.returncode)
            self.assertIn(path, done.stderr)
            self.assertEqual("", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
