# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""HTTP/1.1, a blocking thread for each connection. It takes requests' bodies by splice(2) into a pipe, so that no system call of it has
them in a buffer, and logs what it has served: method, target, bytes of the body."""

import os
import re
import socket
import threading


def splice_all(connection, count):
    """Through a pipe into nothing, in pieces of at most 4096 bytes."""
    reader, writer = os.pipe()
    with open("/dev/null", "wb", buffering=0) as nothing:
        left = count
        while left:
            moved = os.splice(connection.fileno(), writer, min(left, 4096))
            if not moved:
                raise ConnectionError("the body's end is missing")
            left -= moved
            while moved:
                moved -= os.splice(reader, nothing.fileno(), moved)
    os.close(reader)
    os.close(writer)


def serve(connection):
    with connection:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                # What is behind the head's end is the body's.
                ahead = connection.recv(65536, socket.MSG_PEEK)
                if not ahead:
                    return
                end = ahead.find(b"\r\n\r\n")
                head += connection.recv(end + 4 if end >= 0 else len(ahead))
            method, target = head.split(None, 2)[:2]
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            count = int(length.group(1)) if length else 0
            splice_all(connection, count)
            print(method.decode(), target.decode(), count, flush=True)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


listener = socket.create_server(("127.0.0.1", 0))
print("listening", listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
