# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The service of the parents benchmark (../README.md) on Python's threads. By itself it is an http.server with a thread for
each connection; blocking:app is Flask's, for gunicorn."""

import concurrent.futures
import functools
import http.server
import os
import queue
import sys
import threading
import time
import traceback
import urllib.parse

import grpc
import psycopg2.pool
import requests
import requests.adapters

GRPC_METHOD = "/parents.Service/Call"


# What a worker of gunicorn uses is made after the fork.
@functools.cache
def session():
    made = requests.Session()
    made.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))
    return made


@functools.cache
def grpc_call():
    return grpc.insecure_channel(os.environ["GRPC_TARGET"]).unary_unary(GRPC_METHOD)


@functools.cache
def database():
    return psycopg2.pool.ThreadedConnectionPool(1, 16, ""), threading.Semaphore(16)


@functools.cache
def pool():
    return concurrent.futures.ThreadPoolExecutor(16)


@functools.cache
def jobs():
    waiting = queue.Queue()

    def serve():
        while True:
            waiting.get()()

    for _ in range(8):
        threading.Thread(target=serve, daemon=True).start()
    return waiting


lock = threading.Lock()


def once(make):
    with lock:
        return make()


def call(kind, name):
    if kind == "http":
        once(session).get(os.environ["HTTP_URL"] + name, timeout=60).raise_for_status()
    elif kind == "grpc":
        once(grpc_call)(b"", metadata=(("x-id", name),), timeout=60)
    elif kind == "sql":
        connections, free = once(database)
        with free:
            connection = connections.getconn()
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_sleep(0.002) AS r{name.replace('.', '_')}")
            connections.putconn(connection)
    else:
        raise ValueError(f"unknown step {kind!r}")


def run(identity, steps, made=0):
    """Runs the steps; `made` calls were made before."""
    steps = list(steps)
    while steps:
        step = steps.pop(0)
        if step == "timer":
            time.sleep(0.005)
        elif step == "queue":
            done = concurrent.futures.Future()

            def go_on(rest=tuple(steps), made=made):
                try:
                    done.set_result(run(identity, rest, made))
                except Exception as error:
                    done.set_exception(error)

            once(jobs).put(go_on)
            return done.result()
        elif step.endswith(":parallel"):
            together = [step]
            while steps and steps[0].endswith(":parallel"):
                together.append(steps.pop(0))
            waiting = [once(pool).submit(call, each.split(":")[0], f"{identity}.{made + i}") for i, each in enumerate(together)]
            made += len(together)
            for each in waiting:
                each.result()
        else:
            call(step, f"{identity}.{made}")
            made += 1


def work(identity, plan):
    try:
        run(identity, plan.split(","))
        return 200
    except Exception:
        print(identity, plan, traceback.format_exc(), file=sys.stderr, flush=True)
        return 500


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        status = work(query["id"], query["plan"])
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print("listening", server.server_port, flush=True)
    server.serve_forever()
else:
    import flask

    app = flask.Flask(__name__)

    @app.route("/work")
    def answer():
        return "ok", work(flask.request.args["id"], flask.request.args["plan"])
