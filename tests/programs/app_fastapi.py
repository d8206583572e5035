# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The test server as a FastAPI application for uvicorn; ACCESS_LOG names its log."""

import asyncio
import json
import os
import time

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

app = FastAPI()
log = open(os.environ["ACCESS_LOG"], "a", buffering=1)
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"]


async def answer(request: Request):
    start = time.time()
    await request.body()
    query = request.query_params
    status = int(query.get("status", 200))
    size = int(query.get("size", 0))
    await asyncio.sleep(int(query.get("delay", 0)) / 1000)
    body = b"" if status in (204, 304) else b"x" * size
    if query.get("chunked") == "1":
        async def parts():
            for i in range(0, len(body), 1000):
                yield body[i:i + 1000]
        response = StreamingResponse(parts(), status_code=status)
    else:
        response = Response(body, status_code=status)
    if status == 301:
        response.headers["Location"] = "/moved"
    target = request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode()
    log.write(json.dumps({"id": request.headers.get("x-id", ""), "method": request.method,
                          "target": target, "status": status,
                          "bytes": 0 if request.method == "HEAD" else len(body),
                          "start": start, "end": time.time()}) + "\n")
    return response


app.add_route("/{path:path}", answer, methods=METHODS)
