# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""handler.py flask|aiohttp|fastapi PORT CONNECTIONS: an HTTP server whose handlers send two statements to PostgreSQL, with
the request's id in them, over connections of one pool: SQLAlchemy's over psycopg 2, or asyncpg's."""

import socket
import sys

kind, database_port, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def listening():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(200)
    print("listening", listener.getsockname()[1], flush=True)
    return listener


def with_flask():
    import flask
    import sqlalchemy
    import werkzeug.serving

    engine = sqlalchemy.create_engine(f"postgresql+psycopg2://app@127.0.0.1:{database_port}/postgres",
                                      pool_size=connections, max_overflow=0, pool_recycle=1)
    app = flask.Flask(__name__)

    @app.get("/two")
    def two():
        identity, delay = flask.request.args["id"], int(flask.request.args.get("delay", 0))
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"SELECT pg_sleep(:s) AS t_{identity}"), {"s": delay / 1000})
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"SELECT :one AS u_{identity}"), {"one": 1})
        return ""

    werkzeug.serving.WSGIRequestHandler.protocol_version = "HTTP/1.1"
    werkzeug.serving.WSGIRequestHandler.log_request = lambda *_: None
    listener = listening()
    werkzeug.serving.make_server(*listener.getsockname(), app, threaded=True, fd=listener.fileno()).serve_forever()


async def pooled(pool, identity, delay):
    await pool.fetch(f"SELECT pg_sleep($1) AS t_{identity}", delay / 1000)
    async with pool.acquire() as connection:
        await connection.fetchval(f"SELECT $1::int AS u_{identity}", 1)


async def open_pool():
    import asyncpg
    return await asyncpg.create_pool(host="127.0.0.1", port=database_port, user="app", database="postgres", min_size=1,
                                     max_size=connections)


def with_aiohttp():
    from aiohttp import web

    async def two(request):
        await pooled(request.app["pool"], request.query["id"], int(request.query.get("delay", 0)))
        return web.Response()

    async def start(app):
        app["pool"] = await open_pool()

    app = web.Application()
    app.on_startup.append(start)
    app.router.add_get("/two", two)
    web.run_app(app, sock=listening(), print=None)


def with_fastapi():
    import fastapi
    import uvicorn

    app = fastapi.FastAPI()
    state = {}

    @app.on_event("startup")
    async def start():
        state["pool"] = await open_pool()

    @app.get("/two")
    async def two(id: str, delay: int = 0):
        await pooled(state["pool"], id, delay)
        return ""

    listener = listening()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


{"flask": with_flask, "aiohttp": with_aiohttp, "fastapi": with_fastapi}[kind]()
