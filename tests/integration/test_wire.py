# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""HTTP/1.x as it can be, if seldom is: on plain sockets, from both ends."""

import socket
import unittest

import harness
import servers
import traffic


class Wire(harness.Case):
    def setUp(self):
        super().setUp()
        program = self.start([harness.PYTHON, harness.PROGRAMS / "raw_server.py"])
        port = int(program.wait_line(program.lines, r"^listening (\d+)").group(1))
        self.server = servers.Server(program, port, self.directory / "none")
        self.watcher = self.agent("--pid", str(program.pid))

    def connect(self):
        connection = traffic.Connection(self.server.port)
        self.addCleanup(connection.close)
        return connection

    def ask(self, path, **how):
        request = traffic.Request("GET", traffic.with_id(path), **how)
        with traffic.Connection(self.server.port) as connection:
            connection.send(request)
        return request

    def one(self, identity):
        spans = [span for span in self.watcher.interrupt() if span.id == identity]
        self.assertEqual(1, len(spans), spans)
        self.assertEqual(harness.SERVER, spans[0].kind)
        return spans[0]

    def whole(self, request, status=200, size=None):
        span = self.one(request.id)
        self.assertEqual(status, span.code)
        self.assertEqual(request.bytes if size is None else size, span.attributes["http.response.body.size"])
        self.assertNotIn("zerospan.incomplete", span.attributes)
        self.assertNotIn("error.type", span.attributes)
        return span

    def test_body_until_close(self):
        self.whole(self.ask("/close"), size=3000)

    def test_http_1_0(self):
        self.whole(self.ask("/old"), size=10)

    def test_early_hints(self):
        self.whole(self.ask("/hints"), size=5)

    def test_trailers(self):
        request = self.ask("/trailers")
        self.assertEqual(200, self.one(request.id).code)

    def test_no_reason_phrase(self):
        self.whole(self.ask("/reason"))

    def test_byte_by_byte(self):
        request = traffic.Request("GET", traffic.with_id("/bytes"))
        connection = self.connect()
        for byte in request.head(self.server.port):
            connection.socket.sendall(bytes([byte]))
        connection.receive(request)
        self.whole(request, size=2)

    def test_head_longer_than_the_capture(self):
        """What the span lacks is said, and the next request on the connection is whole."""
        long = traffic.Request("GET", traffic.with_id("/plain"), headers={"Cookie": "c" * 20_000})
        after = traffic.Request("GET", traffic.with_id("/plain"))
        connection = self.connect()
        connection.send(long)
        connection.send(after)
        spans = {span.id: span for span in self.watcher.interrupt()}
        self.assertEqual({long.id, after.id}, set(spans))
        self.assertIn("zerospan.incomplete", spans[long.id].attributes)
        self.assertEqual(200, spans[long.id].code)
        self.assertNotIn("zerospan.incomplete", spans[after.id].attributes)

    def test_absolute_target(self):
        request = traffic.Request("GET", traffic.with_id("http://shop.example/plain"))
        connection = self.connect()
        connection.send(request)
        span = self.whole(request, size=2)
        self.assertEqual("/plain", span.attributes["url.path"])
        self.assertEqual("shop.example", span.attributes["server.address"])

    def opaque(self, head):
        connection = self.connect()
        connection.socket.sendall(head)
        connection._head()
        for _ in range(20):
            # It looks like HTTP, but is not: it must not become spans.
            connection.socket.sendall(b"GET /inside HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(b"GET /inside HTTP/1.1\r\n", connection.input.readline())
            connection.input.readline(), connection.input.readline()
        spans = self.watcher.interrupt()
        self.assertEqual(1, len(spans), spans)
        return spans[0]

    def test_upgrade(self):
        request = traffic.Request("GET", traffic.with_id("/upgrade"),
                                  headers={"Connection": "Upgrade", "Upgrade": "echo"})
        self.assertEqual(101, self.opaque(request.head(self.server.port)).code)

    def test_connect(self):
        span = self.opaque(b"CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n")
        self.assertEqual(("CONNECT", 200), (span.method, span.code))

    def test_server_resets(self):
        request = traffic.Request("GET", traffic.with_id("/reset"))
        connection = self.connect()
        connection.socket.sendall(request.head(self.server.port))
        connection._head()
        connection.socket.sendall(b"\r\n")
        with self.assertRaises(ConnectionResetError):
            while connection.socket.recv(4096):
                pass
        span = self.one(request.id)
        self.assertEqual(200, span.code)
        self.assertIn("error.type", span.attributes)

    def test_client_aborts(self):
        request = traffic.Request("GET", traffic.with_id("/reset"))
        connection = self.connect()
        connection.socket.sendall(request.head(self.server.port))
        connection._head()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.input.close()
        connection.socket.close()
        span = self.one(request.id)
        self.assertEqual(200, span.code)
        self.assertIn("error.type", span.attributes)

    def test_no_response(self):
        request = traffic.Request("GET", traffic.with_id("/hangup"))
        connection = self.connect()
        connection.socket.sendall(request.head(self.server.port))
        self.assertEqual(b"", connection.input.read())
        span = self.one(request.id)
        self.assertIsNone(span.code)
        self.assertIn("error.type", span.attributes)

    def test_half_close(self):
        request = traffic.Request("GET", traffic.with_id("/close"))
        connection = self.connect()
        connection.socket.sendall(request.head(self.server.port))
        connection.socket.shutdown(socket.SHUT_WR)
        connection.receive(request)
        self.whole(request, size=3000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
