# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""A Flask program to be run by opentelemetry-instrument: app.py BACKEND

A request for /HOW/... asks BACKEND for the same target, with a library that is instrumented (HOW known), one that is
not (plain), or both in this order (mixed).
"""

import http.client
import signal
import sys
import urllib.parse

import flask
import requests
from werkzeug.serving import WSGIRequestHandler, make_server

backend = urllib.parse.urlsplit(sys.argv[1])
app = flask.Flask(__name__)


def ask_plainly(target):
    connection = http.client.HTTPConnection(backend.hostname, backend.port, timeout=30)
    try:
        connection.request("GET", target)
        return connection.getresponse().read()
    finally:
        connection.close()


@app.route("/<how>/<path:rest>")
def handle(how, rest):
    target = flask.request.full_path
    body = b""
    if how in ("known", "mixed"):
        body = requests.get(sys.argv[1] + target, timeout=30).content
    if how in ("plain", "mixed"):
        body = ask_plainly(target)
    return body


def end(*_):
    sys.exit(0)  # the SDK flushes at exit


signal.signal(signal.SIGTERM, end)
WSGIRequestHandler.protocol_version = "HTTP/1.1"
server = make_server("127.0.0.1", 0, app, threaded=True)
print("listening", server.server_port, flush=True)
server.serve_forever()
