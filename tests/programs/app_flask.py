# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The test server as a Flask application for gunicorn; ACCESS_LOG names its log."""

import json
import os
import time

from flask import Flask, Response, request

app = Flask(__name__)
log = open(os.environ["ACCESS_LOG"], "a", buffering=1)
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"]


@app.route("/<path:path>", methods=METHODS, provide_automatic_options=False)
def answer(path):
    start = time.time()
    request.get_data()
    status = int(request.args.get("status", 200))
    size = int(request.args.get("size", 0))
    time.sleep(int(request.args.get("delay", 0)) / 1000)
    body = b"" if status in (204, 304) else b"x" * size
    if request.args.get("chunked") == "1" and request.method != "HEAD":
        response = Response((body[i:i + 1000] for i in range(0, len(body), 1000)), status=status)
    else:
        response = Response(body, status=status)
    if status == 301:
        response.headers["Location"] = "/moved"
    log.write(json.dumps({"id": request.headers.get("X-Id", ""), "method": request.method,
                          "target": request.environ["RAW_URI"], "status": status,
                          "bytes": 0 if request.method == "HEAD" else len(body),
                          "start": start, "end": time.time()}) + "\n")
    return response
