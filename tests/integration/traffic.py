# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""An HTTP/1.1 client on plain sockets, for what libraries do not let one say: pipelining, split
heads, chunked requests, Expect, unknown methods."""

import concurrent.futures
import dataclasses
import itertools
import random
import socket
import subprocess
import time

from harness import TIME_FACTOR

_ids = itertools.count(1)


@dataclasses.dataclass
class Request:
    method: str
    target: str
    body: bytes = b""
    chunked: bool = False
    expect: bool = False
    close: bool = False
    headers: dict = dataclasses.field(default_factory=dict)
    # Filled by send().
    status: int = 0
    bytes: int = 0
    sent_at: float = 0
    done_at: float = 0
    closed: bool = False

    @property
    def id(self):
        return self.target.rsplit("id=", 1)[-1]

    def head(self, port):
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"X-Id: {self.id}"]
        if "User-Agent" not in self.headers:
            lines.append("User-Agent: zerospan-test/1")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.body or self.method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(self.body)}")
        if self.expect:
            lines.append("Expect: 100-continue")
        if self.close:
            lines.append("Connection: close")
        return "\r\n".join(lines + ["", ""]).encode()

    def payload(self):
        if not self.chunked:
            return self.body
        parts = [self.body[i:i + 300] for i in range(0, len(self.body), 300)]
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def new_id():
    return f"{next(_ids):06d}"


def with_id(path):
    return f"{path}{'&' if '?' in path else '?'}id={new_id()}"


class Connection:
    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), 20 * TIME_FACTOR)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb")

    def close(self):
        self.input.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, request):
        """One request and its response."""
        request.sent_at = time.time()
        head = request.head(self.port)
        if request.expect:
            self.socket.sendall(head)
            if self._head()[0] != 100:
                raise AssertionError("no 100 Continue")
            self.socket.sendall(request.payload())
        elif len(head) % 2:
            # The head in two segments, cut anywhere: servers must not care, and neither must we.
            self.socket.sendall(head[:len(head) // 2])
            self.socket.sendall(head[len(head) // 2:] + request.payload())
        else:
            self.socket.sendall(head + request.payload())
        self.receive(request)

    def send_pipelined(self, requests):
        now = time.time()
        self.socket.sendall(b"".join(r.head(self.port) + r.payload() for r in requests))
        for request in requests:
            request.sent_at = now
            self.receive(request)

    def _head(self):
        line = self.input.readline()
        if not line:
            raise AssertionError("connection closed before a response")
        status = int(line.split()[1])
        headers = {}
        while True:
            line = self.input.readline().rstrip(b"\r\n")
            if not line:
                return status, headers
            name, value = line.decode("latin-1").split(":", 1)
            headers[name.lower()] = value.strip()

    def receive(self, request):
        status, headers = self._head()
        while status < 200:
            status, headers = self._head()
        request.status = status
        if request.method == "HEAD" or status in (204, 304):
            pass
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            while True:
                size = int(self.input.readline().split(b";")[0], 16)
                request.bytes += len(self.input.read(size))
                self.input.readline()
                if size == 0:
                    break
        elif "content-length" in headers:
            request.bytes = len(self.input.read(int(headers["content-length"])))
        else:
            request.bytes = len(self.input.read())
        request.done_at = time.time()
        request.closed = headers.get("connection", "").lower() == "close"


def mixed(server, count, seed=1):
    """`count` requests of varied methods, sizes and statuses that this server understands."""
    pick = random.Random(seed)
    requests = []
    for index in range(count):
        method = pick.choice(["GET"] * 6 + ["HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS",
                                            server.unknown_method])
        status = pick.choice([200] * 5 + [204, 301, 304, 404, 500])
        size = pick.choice([0, 10, 10, 1000, 100_000])
        if index == count // 2:
            method, status, size = "GET", 200, 5_000_000
        if server.by_query:
            target = f"/items/{index}?status={status}&size={size}"
            if server.chunked and size in (10, 1000) and pick.random() < 0.3:
                target += "&chunked=1"
        elif method in ("GET", "HEAD") and pick.random() < 0.5:
            target = f"/files/{size if size != 1000 else 10}"
        else:
            target = f"/s/{status}"
        request = Request(method, with_id(target))
        if method in ("POST", "PUT"):
            request.body = b"b" * pick.choice([0, 5, 3000, 70_000])
            request.chunked = bool(request.body) and pick.random() < 0.4
            # A file server answers without reading the body, and then sends no 100.
            request.expect = server.by_query and bool(request.body) and not request.chunked \
                and pick.random() < 0.2
        requests.append(request)
    return requests


def run_mixed(server, requests):
    """Sends them in order: some on kept connections, some pipelined, some with Connection: close."""
    pick = random.Random(2)
    waiting = list(requests)
    while waiting:
        kind = pick.choice(["keep", "keep", "close", "pipeline"])
        with Connection(server.port) as connection:
            if kind == "pipeline" and server.pipelining:
                # Requests without a body, as clients that pipeline send.
                batch = []
                while waiting and len(batch) < 8 and waiting[0].method in ("GET", "HEAD"):
                    batch.append(waiting.pop(0))
                if batch:
                    connection.send_pipelined(batch)
            elif kind == "close":
                request = waiting.pop(0)
                request.close = True
                connection.send(request)
            else:
                for _ in range(min(len(waiting), pick.randint(1, 30))):
                    request = waiting.pop(0)
                    connection.send(request)
                    if request.closed:
                        break


def concurrent_gets(port, targets, workers):
    """Every target once, `workers` at a time, each worker on one connection, kept while the server keeps it."""
    targets = list(targets)
    failed = []

    def run(mine):
        waiting = list(mine)
        while waiting:
            with Connection(port) as connection:
                request = Request("GET", "")
                while waiting and not request.closed:
                    request = Request("GET", waiting.pop(0))
                    connection.send(request)
                    if request.status != 200:
                        failed.append((request.target, request.status))

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(run, targets[i::workers]) for i in range(workers)]:
            done.result()
    if failed:
        raise AssertionError(f"{len(failed)} requests failed, the first: {failed[0]}")


def wrk(url, seconds, connections=64, threads=1, close=False, cores=None):
    """Runs wrk; returns its own count of completed requests and requests per second."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", url]
    if close:
        command += ["-H", "Connection: close"]
    if cores is not None:
        command = ["taskset", "-c", cores, *command]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    count = int(next(line for line in text.splitlines() if "requests in" in line).split()[0])
    rate = float(next(line for line in text.splitlines() if line.startswith("Requests/sec")).split()[1])
    return count, rate
