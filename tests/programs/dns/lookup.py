# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Looks names up by dnspython, over UDP or (tcp) TCP. "serve": an HTTP server with a thread for each connection,
whose handlers look up the name that their query has by the C library's resolver. "silent": a name server that
never answers."""

import http.server
import socket
import sys
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["id"][0]
        for word in ("first", "second"):
            try:
                socket.getaddrinfo(f"{word}-{name}.zerospan.test", 80)
            except socket.gaierror:
                pass
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    how, *names = sys.argv[1:]
    if how == "serve":
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print("port", server.server_port, flush=True)
        server.serve_forever()
    if how == "silent":
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((names[0], 53))
        print("ready", flush=True)
        while True:
            print(len(server.recvfrom(4096)[0]), flush=True)
    import dns.exception
    import dns.resolver
    for name in names:
        try:
            dns.resolver.resolve(name, "A", tcp=how == "tcp")
            print(name, "found")
        except dns.exception.DNSException as error:
            print(name, type(error).__name__)


main()
