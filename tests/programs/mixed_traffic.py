# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Traffic of many kinds, and what each end knows of it: hashes of what the client's program handed to its sockets, and of
what the server's sockets gave, less the trace headers in the heads of requests.

    mixed_traffic.py server CERTIFICATE   prints the ports, then a line of JSON for each connection that has ended
    mixed_traffic.py client PORTS MEGABYTES   waits for a line, then prints one for each of its connections
    mixed_traffic.py latency PORT COUNT       waits for a line, then prints how long each exchange took, in seconds
"""

import base64
import hashlib
import http.client
import json
import os
import random
import re
import socket
import ssl
import struct
import sys
import threading
import time

HEADER = re.compile(rb"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]\r\n", re.I)
PIECE = random.Random(1).randbytes(1 << 20)
printing = threading.Lock()


def tell(**what):
    with printing:
        print(json.dumps(what), flush=True)


def answer_body(size):
    for at in range(0, size, len(PIECE)):
        yield PIECE[:min(len(PIECE), size - at)]


class Odd(Exception):
    pass


class Reader:
    """Reads a connection and hashes it; `head` takes trace headers out."""

    def __init__(self, connection):
        self.connection, self.buffer = connection, b""
        self.sha, self.bytes, self.headers, self.requests = hashlib.sha256(), 0, 0, 0

    def _more(self):
        piece = self.connection.recv(1 << 18)
        self.buffer += piece
        return bool(piece)

    def _take(self, data):
        self.sha.update(data)
        self.bytes += len(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                if self.buffer:
                    raise Odd(f"the end in {self.buffer[:80]!r}")
                return None
        end = self.buffer.index(mark) + len(mark)
        found, self.buffer = self.buffer[:end], self.buffer[end:]
        return found

    def head(self):
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        if not re.match(rb"(GET|PUT|POST) \S+ HTTP/1\.1\r\n", head):
            raise Odd(f"no request: {head[:80]!r}")
        own = HEADER.sub(b"", head)
        self.requests += 1
        self.headers += len(HEADER.findall(head))
        self._take(own)
        return own

    def body(self, size):
        while size:
            if not self.buffer and not self._more():
                raise Odd(f"the end, {size} bytes of a body too early")
            piece, self.buffer = self.buffer[:size], self.buffer[size:]
            self._take(piece)
            size -= len(piece)

    def line(self):
        line = self.until(b"\r\n")
        if line is None:
            raise Odd("the end in a body")
        self._take(line)
        return line

    def rest(self):
        while self.buffer or self._more():
            piece, self.buffer = self.buffer, b""
            self._take(piece)
            yield piece

    def told(self):
        return dict(sha=self.sha.hexdigest(), bytes=self.bytes, headers=self.headers, requests=self.requests)


def serve_http(connection, reader):
    while (head := reader.head()) is not None:
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I):
            while size := int(reader.line().split(b";")[0], 16):
                reader.body(size)
                reader.line()
            reader.line()
        elif length:
            reader.body(int(length.group(1)))
        if re.search(rb"\r\nupgrade: *websocket", head, re.I):
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            serve_echo(connection, reader)
            return
        size = int((re.search(rb"[?&]size=(\d+)", head) or [0, b"2"])[1])
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for piece in answer_body(size):
            connection.sendall(piece)


def serve_echo(connection, reader):
    for piece in reader.rest():
        connection.sendall(piece)


def serve(listener, how, context):
    def one(connection, port):
        reader, odd = None, ""
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            reader = Reader(connection)
            how(connection, reader)
        except (Odd, OSError, ValueError) as error:
            odd = repr(error)
        connection.close()
        tell(port=port, odd=odd, **(reader.told() if reader else {}))

    while True:
        connection, (_, port) = listener.accept()
        threading.Thread(target=one, args=(connection, port), daemon=True).start()


def server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    ports, threads = {}, []
    for name, how, secure in (("http", serve_http, None), ("echo", serve_echo, None), ("tls", serve_http, context)):
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        ports[name] = listener.getsockname()[1]
        threads.append(threading.Thread(target=serve, args=(listener, how, secure), daemon=True))
    for thread in threads:
        thread.start()
    tell(ports=ports)
    sys.stdin.read()


class Hashing:
    """A socket that hashes what its program hands over."""

    def __init__(self, inner):
        self.inner, self.sha, self.bytes = inner, hashlib.sha256(), 0
        self.port = inner.getsockname()[1]

    def sendall(self, data, *flags):
        self.sha.update(data)
        self.bytes += memoryview(data).nbytes
        self.inner.sendall(data, *flags)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def connected(port, context=None):
    # With a time limit Python's sockets are in non-blocking mode; others are left alone (docs/propagation.md).
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Hashing(context.wrap_socket(plain, server_hostname="localhost") if context else plain)


def http_requests(kind, port, budget, chance, context=None):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.sock = connected(port, context)
    sock, requests, good = connection.sock, 0, True
    while budget > 0:
        size = chance.choice((0, 10, 5000, 70000, 1 << 20, 3 << 20))
        way = chance.choice(("get", "put", "chunked", "chunked file"))
        target = f"/{kind}/{requests}?size={size if way == 'get' else 2}"
        if way == "get":
            connection.request("GET", target)
        elif way == "put":
            connection.request("PUT", target, body=bytes(PIECE[:1 << 20]) * (size >> 20) + PIECE[:size & 0xfffff])
        else:
            pieces = [PIECE[at:at + 30000] for at in range(0, min(size, 1 << 20), 30000)]
            connection.request("POST", target, body=iter(pieces), encode_chunked=True,
                               headers={"Transfer-Encoding": "chunked"})
        response = connection.getresponse()
        body = response.read()
        good = good and body == b"".join(answer_body(size if way == "get" else 2))
        requests += 1
        budget -= size + 200
    sock.close()
    connection.close()
    tell(kind=kind, port=sock.port, sha=sock.sha.hexdigest(), bytes=sock.bytes, requests=requests, good=good)


def echoed(kind, port, pieces, first=None):
    """Sends the pieces and expects them back; both at a time, as a stream of its own."""
    sock = connected(port)
    requests = 0
    if first:
        sock.sendall(first)
        requests = 1
        received = b""
        while b"\r\n\r\n" not in received:
            received += sock.recv(1)
    sent, back, total, wrong = hashlib.sha256(), hashlib.sha256(), 0, []

    def read():
        while piece := sock.recv(1 << 18):
            back.update(piece)

    reader = threading.Thread(target=read)
    reader.start()
    for piece in pieces:
        sent.update(piece)
        total += len(piece)
        sock.sendall(piece)
    sock.shutdown(socket.SHUT_WR)
    reader.join()
    sock.close()
    tell(kind=kind, port=sock.port, sha=sock.sha.hexdigest(), bytes=sock.bytes, requests=requests,
         good=sent.digest() == back.digest() and not wrong)


def pieces_of(budget, chance, frame):
    while budget > 0:
        size = chance.choice((1, 50, 1400, 20000, 65535))
        at = chance.randrange(len(PIECE) - size)
        data = frame(PIECE[at:at + size], chance)
        budget -= len(data)
        yield data


def websocket_frame(data, chance):  # RFC 6455 section 5.2, masked
    length = struct.pack("!B", 128 | len(data)) if len(data) < 126 else struct.pack("!BH", 128 | 126, len(data))
    return b"\x82" + length + chance.randbytes(4) + data


def yamux_frame(data, chance):  # version, type, flags, stream, length
    return struct.pack("!BBHII", 0, 0, 0, chance.randrange(9) * 2 + 1, len(data)) + data


def http2_frame(data, chance):  # RFC 9113: DATA, and what would be a request in a frame that is none, of an unknown type (section 4.1)
    data = data[:16384]
    if chance.random() < 0.3:
        data = b"\x82\x84\x86\x41\x09localhost"
        return struct.pack("!I", len(data))[1:] + b"\x20\x05" + struct.pack("!I", chance.randrange(99) * 2 + 1) + data
    return struct.pack("!I", len(data))[1:] + b"\x00\x00" + struct.pack("!I", chance.randrange(99) * 2 + 1) + data


def prefaced(pieces):
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    yield from pieces


def plain(data, chance):
    return data


def client(ports, megabytes):
    sys.stdin.readline()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    upgrade = (b"GET /websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(PIECE[:16]) + b"\r\n\r\n")
    share = (megabytes << 20) // 8
    work = []
    for number in range(2):
        work.append((http_requests, ("http", ports["http"], share, random.Random(number))))
    work.append((http_requests, ("tls", ports["tls"], share, random.Random(3), context)))
    for kind, first, make in (("websocket", upgrade, websocket_frame), ("yamux", None, yamux_frame),
                              ("http2", None, http2_frame), ("binary", None, plain), ("like-http", None, plain)):
        pieces = pieces_of(share, random.Random(kind), make)
        if kind == "http2":
            pieces = prefaced(pieces)
        elif kind == "like-http":  # begins like a request, and is none
            pieces = (piece for pieces in ((b"GET /is not a request\x00\x01\r\n\r\n",), pieces) for piece in pieces)
        work.append((echoed, (kind, ports["http" if first else "echo"], pieces, first)))
    threads = [threading.Thread(target=how, args=arguments) for how, arguments in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell(connections=len(threads))


def latency(port, count):
    sys.stdin.readline()
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times = []
    for number in range(count):
        size = (2, 2, 2, 50000)[number % 4]
        start = time.monotonic()
        sock.sendall(b"POST /latency?size=%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (size, size)
                     + PIECE[:size])
        left, received = None, b""
        while left is None or left > 0:
            piece = sock.recv(1 << 18)
            if not piece:
                raise Odd("no answer")
            received += piece
            if left is None and b"\r\n\r\n" in received:
                left = size + received.index(b"\r\n\r\n") + 4 - len(received)
            elif left is not None:
                left -= len(piece)
        times.append(time.monotonic() - start)
    tell(times=times)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        server(sys.argv[2])
    elif sys.argv[1] == "client":
        client(json.loads(sys.argv[2]), int(sys.argv[3]))
    else:
        latency(int(sys.argv[2]), int(sys.argv[3]))
