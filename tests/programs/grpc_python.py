# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""gRPC over grpcio, without generated code.

    grpc_python.py serve                 prints "listening PORT"
    grpc_python.py call PORT COUNT WIDE  reads a line from stdin, makes COUNT calls, WIDE at once, on one
                                         channel, and prints a JSON line for each

A call's path is /test.KIND/ID, so that every call has its own; messages are bytes.
"""

import concurrent.futures
import json
import sys

import grpc

STREAMED = 3  # messages of a stream


def answer(kind):
    """The handler of one kind of call."""
    if kind == "Unary":
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    if kind == "Large":
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request * 2)
    if kind == "ServerStream":
        return grpc.unary_stream_rpc_method_handler(lambda request, _: iter([request] * STREAMED))
    if kind == "ClientStream":
        return grpc.stream_unary_rpc_method_handler(lambda requests, _: b"".join(requests))
    if kind == "Both":
        return grpc.stream_stream_rpc_method_handler(lambda requests, _: requests)
    if kind == "Missing":
        return grpc.unary_unary_rpc_method_handler(
            lambda _, context: context.abort(grpc.StatusCode.NOT_FOUND, "no such thing"))
    if kind == "Broken":
        return grpc.unary_unary_rpc_method_handler(
            lambda _, context: context.abort(grpc.StatusCode.INTERNAL, "it broke"))
    return None


KINDS = ("Unary", "Large", "ServerStream", "ClientStream", "Both", "Missing", "Broken", "Unknown")


class Handlers(grpc.GenericRpcHandler):
    def service(self, details):
        return answer(details.method.split("/")[1].removeprefix("test."))


def serve():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(64))
    server.add_generic_rpc_handlers((Handlers(),))
    print("listening", server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def call(channel, identity, kind):
    path, message = f"/test.{kind}/{identity}", b"m" * 100
    sent = received = 1
    try:
        if kind == "ServerStream":
            received = len(list(channel.unary_stream(path)(message)))
        elif kind == "ClientStream":
            sent = STREAMED
            channel.stream_unary(path)(iter([message] * sent))
        elif kind == "Both":
            sent = STREAMED
            received = len(list(channel.stream_stream(path)(iter([message] * sent))))
        else:
            channel.unary_unary(path)(b"m" * 50_000 if kind == "Large" else message)
        status = "OK"
    except grpc.RpcError as error:
        status, received = error.code().name, 0
    return {"id": identity, "kind": kind, "status": status, "sent": sent, "received": received}


def main():
    if sys.argv[1] == "serve":
        serve()
        return
    port, count, wide = (int(argument) for argument in sys.argv[2:5])
    print("ready", flush=True)
    sys.stdin.readline()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, \
            concurrent.futures.ThreadPoolExecutor(wide) as pool:
        calls = [pool.submit(call, channel, f"{i:06}", KINDS[i % len(KINDS)]) for i in range(count)]
        for done in calls:
            print(json.dumps(done.result()), flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main()
