# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The gRPC test program (../README.md) on grpcio. calls_pb2 is made from calls.proto by build.sh."""

import concurrent.futures
import json
import sys
import threading

import grpc

import calls_pb2
import calls_pb2_grpc

KINDS = ("unary", "large", "gzip", "server_stream", "client_stream", "both", "not_found", "broken", "unimplemented",
         "deadline", "cancel")
STREAMED = 3
SMALL = b"m" * 100
CODES = {code.value[0]: code for code in grpc.StatusCode}

printing = threading.Lock()


def show(text):
    with printing:
        print(text, flush=True)


def log(context, method, received, sent, status="OK"):
    identity = dict(context.invocation_metadata()).get("x-id", "")
    show(json.dumps({"id": identity, "method": method, "status": status, "received": received, "sent": sent}))


class Service(calls_pb2_grpc.CallsServicer):
    def Unary(self, request, context):
        if request.status:
            code = CODES[request.status]
            log(context, "Unary", 1, 0, code.name)
            context.abort(code, "as asked for")
        log(context, "Unary", 1, 1)
        return calls_pb2.Item(payload=request.payload)

    def ServerStream(self, request, context):
        over = threading.Event()
        context.add_callback(over.set)
        for _ in range(request.answers):
            yield calls_pb2.Item(payload=request.payload)
        if request.wait:
            over.wait()
            log(context, "ServerStream", 1, request.answers, "CANCELLED")
        elif request.status:
            code = CODES[request.status]
            log(context, "ServerStream", 1, request.answers, code.name)
            context.abort(code, "as asked for")
        else:
            log(context, "ServerStream", 1, request.answers)

    def ClientStream(self, requests, context):
        items = list(requests)
        log(context, "ClientStream", len(items), 1)
        return calls_pb2.Item(payload=items[-1].payload)

    def Both(self, requests, context):
        count = 0
        try:
            for item in requests:
                yield calls_pb2.Item(payload=item.payload)
                count += 1
        except grpc.RpcError:
            pass
        log(context, "Both", count, count, "OK" if context.is_active() else "CANCELLED")


def serve(age):
    options = [("grpc.max_connection_age_ms", int(age))] if age else []
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), options=options)
    service = Service()
    handlers = {
        name: make(getattr(service, name), calls_pb2.Item.FromString, calls_pb2.Item.SerializeToString)
        for name, make in (("Unary", grpc.unary_unary_rpc_method_handler),
                           ("ServerStream", grpc.unary_stream_rpc_method_handler),
                           ("ClientStream", grpc.stream_unary_rpc_method_handler),
                           ("Both", grpc.stream_stream_rpc_method_handler))}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("zerospan.test.Calls", handlers),))
    show(f"listening {server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    server.wait_for_termination()


def call(stub, number):
    kind = KINDS[number % len(KINDS)]
    line = {"id": f"{number:06}", "kind": kind, "method": "Unary", "status": "OK", "sent": 1, "received": 0}
    metadata = (("x-id", line["id"]),)

    def read(item, timeout=None):
        line["method"] = "ServerStream"
        for _ in stub.ServerStream(item, metadata=metadata, timeout=timeout):
            line["received"] += 1

    def unary(item, **options):
        stub.Unary(item, metadata=metadata, **options)
        line["received"] = 1

    def stream(count):
        line["sent"] = 0
        for _ in range(count):
            line["sent"] += 1
            yield calls_pb2.Item(payload=SMALL)

    try:
        if kind == "unary":
            unary(calls_pb2.Item(payload=SMALL))
        elif kind == "large":
            unary(calls_pb2.Item(payload=b"m" * 50_000))
        elif kind == "gzip":
            unary(calls_pb2.Item(payload=b"m" * 5_000), compression=grpc.Compression.Gzip)
        elif kind == "not_found":
            unary(calls_pb2.Item(status=5))
        elif kind == "unimplemented":
            line["method"] = "Missing"
            stub.Missing(calls_pb2.Item(payload=SMALL), metadata=metadata)
        elif kind == "server_stream":
            read(calls_pb2.Item(payload=SMALL, answers=STREAMED))
        elif kind == "broken":
            read(calls_pb2.Item(payload=SMALL, answers=2, status=13))
        elif kind == "deadline":
            read(calls_pb2.Item(payload=SMALL, answers=1, wait=True), timeout=2)
        elif kind == "client_stream":
            line["method"] = "ClientStream"
            stub.ClientStream(stream(STREAMED), metadata=metadata)
            line["received"] = 1
        elif kind == "both":
            line["method"] = "Both"
            line["received"] = len(list(stub.Both(stream(STREAMED), metadata=metadata)))
        else:
            line["method"] = "Both"
            answered = threading.Event()

            def one():
                yield from stream(1)
                answered.wait()  # the stream stays open

            answers = stub.Both(one(), metadata=metadata)
            next(answers)
            line["received"] = 1
            answers.cancel()
            answered.set()
            next(answers)
    except grpc.RpcError as error:
        line["status"] = error.code().name
    return line


def main():
    if sys.argv[1] == "serve":
        serve(sys.argv[2] if len(sys.argv) > 2 else "")
        return
    port, count, wide = (int(argument) for argument in sys.argv[2:5])
    show("ready")
    sys.stdin.readline()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, \
            concurrent.futures.ThreadPoolExecutor(wide) as pool:
        stub = calls_pb2_grpc.CallsStub(channel)
        for done in [pool.submit(call, stub, number) for number in range(count)]:
            show(json.dumps(done.result()))
        show(json.dumps(call(stub, count)))
    show("done")


if __name__ == "__main__":
    main()
