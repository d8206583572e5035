# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""postgresql_handler.py CONNINFO CONNECTIONS: an HTTP server with a thread for each connection, whose handler sends two
statements, with the request's id in them, over connections of one pool."""

import http.server
import queue
import socketserver
import sys
import urllib.parse

import psycopg2

pool = queue.Queue()
for _ in range(int(sys.argv[2])):
    connection = psycopg2.connect(sys.argv[1])
    connection.autocommit = True
    pool.put(connection)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        identity, delay = query["id"][0], int(query.get("delay", ["0"])[0])
        for statement in ("SELECT pg_sleep(%s) AS t_{}", "SELECT %s AS u_{}"):
            taken = pool.get()
            try:
                with taken.cursor() as cursor:
                    cursor.execute(statement.format(identity), (delay / 1000,))
            finally:
                pool.put(taken)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 200


server = Server(("127.0.0.1", 0), Handler)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
