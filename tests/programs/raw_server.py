# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""An HTTP/1.1 server on plain sockets that answers as the path says, for what servers seldom do."""

import socket
import struct
import threading

FIXED = {
    "/close": (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 3000, True),
    "/old": (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 10, True),
    "/hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False),
    "/trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n"
                  b"5;ext=1\r\nhello\r\n0\r\nSum: 1\r\n\r\n", False),
    "/reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", False),
    "/plain": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
}


def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as lines:
        while True:
            first = lines.readline()
            if not first:
                return
            while lines.readline().rstrip(b"\r\n"):
                pass
            method, target = first.decode("latin-1").split()[:2]
            path = target.split("?")[0].removeprefix("http://shop.example")
            if path in FIXED:
                answer, close = FIXED[path]
                connection.sendall(answer)
                if close:
                    return
            elif path == "/bytes":
                for byte in FIXED["/plain"][0]:
                    connection.sendall(bytes([byte]))
            elif path == "/upgrade":
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
                while data := lines.read1(4096):
                    connection.sendall(data)
                return
            elif method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                while data := lines.read1(4096):
                    connection.sendall(data)
                return
            elif path == "/reset":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 10)
                lines.readline()  # until the client has seen it
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            elif path == "/hangup":
                return


listener = socket.create_server(("127.0.0.1", 0), backlog=128)
print("listening", listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
