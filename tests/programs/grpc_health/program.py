# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""gRPC's health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) beside another one, and a
client of both: `serve`, and `call PORT`. The messages are written by hand: 08 01 is SERVING,
and 0a 00 asks for all of the server."""

import concurrent.futures
import sys

import grpc

SERVING, ALL = b"\x08\x01", b"\x0a\x00"


def serve():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
            "Check": grpc.unary_unary_rpc_method_handler(lambda request, context: SERVING),
            "Watch": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([SERVING]))}),
        grpc.method_handlers_generic_handler("shop.Orders", {
            "Check": grpc.unary_unary_rpc_method_handler(lambda request, context: request)})))
    print("listening", server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def call(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(3):
            assert channel.unary_unary("/grpc.health.v1.Health/Check")(ALL) == SERVING
            assert list(channel.unary_stream("/grpc.health.v1.Health/Watch")(ALL)) == [SERVING]
            assert channel.unary_unary("/shop.Orders/Check")(b"one") == b"one"
    print("done", flush=True)


if sys.argv[1] == "serve":
    serve()
else:
    call(int(sys.argv[2]))
