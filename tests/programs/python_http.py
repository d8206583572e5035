# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""python_http.py serve LOG | proxy LOG BACKEND: http.server with a thread per connection.

The same contract as go/main.go. `proxy` calls BACKEND with urllib on the request's own thread, or
on a thread that the request's thread creates when the path starts with /thread. /twice calls it
twice, one after the other.
"""

import json
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MODE = sys.argv[1]
LOG = open(sys.argv[2], "a", buffering=1)
BACKEND = sys.argv[3] if len(sys.argv) > 3 else ""
LOG_LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write for head and small body, as most servers do; big bodies go out on their own.
    wbufsize = 65536
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle_expect_100(self):
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def call_backend(self, forward):
        headers = {"X-Id": self.headers.get("X-Id", "")}
        if self.headers.get("Traceparent") and forward:
            headers["Traceparent"] = self.headers["Traceparent"]
        request = urllib.request.Request(BACKEND + self.path, headers=headers)
        with urllib.request.urlopen(request) as response:
            return response.read()

    def handle_any(self):
        start = time.time()
        self.read_body()
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        status = int(query.get("status", 200))
        size = int(query.get("size", 0))
        time.sleep(int(query.get("delay", 0)) / 1000)  # the service time that was asked for
        if MODE == "proxy":
            for _ in range(2 if self.path.startswith("/twice") else 1):
                if self.path.startswith("/thread"):
                    helper = threading.Thread(target=self.call_backend, args=(False,))
                    helper.start()
                    helper.join()
                else:
                    self.call_backend(False)
        self.send_response(status)
        sent = 0
        if status in (204, 304):
            self.end_headers()
        else:
            if status == 301:
                self.send_header("Location", "/moved")
            if query.get("chunked") == "1" and self.request_version == "HTTP/1.1":
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                if self.command != "HEAD":
                    sent = size
                    left = size
                    while left > 0:
                        part = min(left, 1000)
                        self.wfile.write(b"%x\r\n%s\r\n" % (part, b"x" * part))
                        self.wfile.flush()
                        left -= part
                    self.wfile.write(b"0\r\n\r\n")
            else:
                self.send_header("Content-Length", str(size))
                self.end_headers()
                if self.command != "HEAD":
                    sent = size
                    self.wfile.write(b"x" * size)
        # The time before the flush: what the server had done when the last byte could leave.
        end = time.time()
        self.wfile.flush()
        text = json.dumps({"id": self.headers.get("X-Id", ""), "method": self.command, "target": self.path,
                           "status": status, "bytes": sent, "start": start, "end": end})
        with LOG_LOCK:
            LOG.write(text + "\n")

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.handle_any
        raise AttributeError(name)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


server = Server(("127.0.0.1", 0), Handler)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
