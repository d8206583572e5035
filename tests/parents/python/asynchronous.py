# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The service of the parents benchmark (../README.md) on asyncio. By itself it is aiohttp's server; asynchronous:app is
FastAPI's, for uvicorn."""

import asyncio
import os
import sys
import traceback

import aiohttp
import aiohttp.web
import asyncpg
import grpc.aio

GRPC_METHOD = "/parents.Service/Call"
WORKERS = 8


class Service:
    """Made in the event loop that uses it."""

    def __init__(self):
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64))
        target = os.environ.get("GRPC_TARGET")
        self.grpc = grpc.aio.insecure_channel(target).unary_unary(GRPC_METHOD) if target else None
        self.database = None
        self.making_database = asyncio.Lock()
        self.jobs = asyncio.Queue()
        self.workers = [asyncio.ensure_future(self.serve_jobs()) for _ in range(WORKERS)]

    async def serve_jobs(self):
        while True:
            steps, done = await self.jobs.get()
            try:
                done.set_result(await self.run(*steps))
            except Exception as error:
                done.set_exception(error)

    async def call(self, kind, name):
        if kind == "http":
            async with self.session.get(os.environ["HTTP_URL"] + name) as response:
                await response.read()
                response.raise_for_status()
        elif kind == "grpc":
            await self.grpc(b"", metadata=(("x-id", name),))
        elif kind == "sql":
            async with self.making_database:
                if not self.database:
                    self.database = await asyncpg.create_pool(min_size=1, max_size=16, statement_cache_size=0)
            async with self.database.acquire() as connection:
                await connection.fetch(f"SELECT pg_sleep(0.002) AS r{name.replace('.', '_')}")
        else:
            raise ValueError(f"unknown step {kind!r}")

    async def run(self, identity, steps, made=0):
        """Runs the steps; `made` calls were made before."""
        steps = list(steps)
        while steps:
            step = steps.pop(0)
            if step == "timer":
                await asyncio.sleep(0.005)
            elif step == "queue":
                done = asyncio.get_running_loop().create_future()
                self.jobs.put_nowait(((identity, steps, made), done))
                return await done
            elif step.endswith(":parallel"):
                together = [step]
                while steps and steps[0].endswith(":parallel"):
                    together.append(steps.pop(0))
                await asyncio.gather(*(self.call(each.split(":")[0], f"{identity}.{made + i}") for i, each in enumerate(together)))
                made += len(together)
            else:
                await self.call(step, f"{identity}.{made}")
                made += 1

    async def work(self, identity, plan):
        try:
            await self.run(identity, plan.split(","))
            return 200
        except Exception:
            print(identity, plan, traceback.format_exc(), file=sys.stderr, flush=True)
            return 500


service = None


def the_service():
    global service
    service = service or Service()
    return service


async def with_aiohttp():
    async def handle(request):
        return aiohttp.web.Response(status=await the_service().work(request.query["id"], request.query["plan"]), text="ok")

    application = aiohttp.web.Application()
    application.router.add_get("/work", handle)
    runner = aiohttp.web.AppRunner(application, access_log=None)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print("listening", site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop
        uvloop.install()
    asyncio.run(with_aiohttp())
else:
    import fastapi

    app = fastapi.FastAPI()

    @app.get("/work")
    async def answer(id: str, plan: str):
        return fastapi.Response("ok", status_code=await the_service().work(id, plan))
