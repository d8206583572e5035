# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""app_aiohttp.py proxy LOG BACKEND: an asyncio event loop that answers by asking BACKEND for the same URI."""

import asyncio
import json
import sys
import time

import aiohttp
from aiohttp import web

log = open(sys.argv[2], "a", buffering=1)
backend = sys.argv[3]


async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        async def proxy(request):
            start = time.time()
            identity = request.headers.get("X-Id", "")
            async with session.get(backend + request.raw_path, headers={"X-Id": identity}) as upstream:
                body = await upstream.read()
            log.write(json.dumps({"id": identity, "method": request.method, "target": request.raw_path,
                                  "status": upstream.status, "bytes": len(body), "start": start,
                                  "end": time.time()}) + "\n")
            return web.Response(status=upstream.status, body=body)

        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", proxy)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print("listening", site._server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
