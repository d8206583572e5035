# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""A client that does with sockets what each line of its input says, as JSON, and answers each with a line.

{"connect": PORT} makes the connection that the following lines use, in blocking mode unless with "timeout"; {"timeout": S}
changes that (null: in blocking mode). {"send": [HEX, ...]} makes one send of each, and
tells what each returned; with "more" they have MSG_MORE, with "file" the first is sent by sendfile(2), with "writev"
all go in one call. {"push": HEX, "times": N} sends N times the bytes without blocking, as often as it takes, and tells
how many calls were cut short. {"read": N} reads N bytes and tells them in hex. {"fork": HEX} makes a child send it.
"""

import json
import os
import select
import socket
import sys
import tempfile

connection = None


def by_sendfile(data):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        sent = 0
        while sent < len(data):
            sent += os.sendfile(connection.fileno(), file.fileno(), sent, len(data) - sent)
        return sent


def send(command):
    parts = [bytes.fromhex(part) for part in command["send"]]
    if command.get("writev"):
        return [os.writev(connection.fileno(), parts)]
    results = [by_sendfile(parts.pop(0))] if command.get("file") else []
    for part in parts:
        results.append(connection.send(part, socket.MSG_MORE if command.get("more") else 0))
    return results


def push(data):
    """The oracle of what a call took is what it returned: it goes on from there."""
    connection.setblocking(False)
    short = 0
    left = memoryview(data)
    while left:
        try:
            sent = connection.send(left)
        except BlockingIOError:
            sent = 0
        short += sent < len(left)
        left = left[sent:]
        if left:
            select.select([], [connection], [])
    connection.setblocking(True)
    return short


def read(count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data.hex()


def fork(data):
    child = os.fork()
    if child == 0:
        connection.sendall(bytes.fromhex(data))
        os._exit(0)
    return os.waitpid(child, 0)[1]


for line in sys.stdin:
    command = json.loads(line)
    answer = None
    if "connect" in command:
        connection = socket.create_connection(("127.0.0.1", command["connect"]), command.get("timeout"))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    elif "timeout" in command:
        connection.settimeout(command["timeout"])
    elif "buffer" in command:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, command["buffer"])
    elif "send" in command:
        answer = send(command)
    elif "push" in command:
        answer = push(bytes.fromhex(command["push"]) * command["times"])
    elif "read" in command:
        answer = read(command["read"])
    elif "fork" in command:
        answer = fork(command["fork"])
    elif "close" in command:
        connection.close()
    print(json.dumps({"answer": answer}), flush=True)
