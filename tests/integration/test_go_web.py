# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Servers made with Go's web frameworks over HTTP/1, and Connect and gRPC-Web. The oracle is what they log, and
what the calling program got."""

import collections
import concurrent.futures
import json
import unittest

import harness
import servers
import test_http2
import traffic


def told(span):
    return (span.method, span.target, span.code, span.attributes.get("http.response.body.size"))


def logged(line):
    return (line.method, line.target, line.status, line.bytes)


class Frameworks(harness.Case):
    CONNECTIONS, EACH = 16, 60

    def requests(self, connection):
        """Every third one is concurrent work of some milliseconds; some that no route matches."""
        queries = ("size=0", "size=10", "size=5000", "status=404&size=5", "status=500&size=7", "delay=3&size=20",
                   "size=100000")
        for i in range(self.EACH):
            query = queries[(connection + i) % len(queries)]
            path = "/none" if i % 10 == 9 else f"/items/{i}"
            method = "POST" if i % 4 == 3 else "GET"
            yield traffic.Request(method, traffic.with_id(f"{path}?{query}"),
                                  body=b"b" * (i * 37) if method == "POST" else b"", chunked=i % 8 == 7)

    def send(self, port, connection):
        done = []
        with traffic.Connection(port) as client:
            for request in self.requests(connection):
                client.send(request)
                done.append(request)
        return done

    def check(self, mode):
        server = servers.web(self, mode)
        agent = self.agent("--pid", str(server.pid))
        with concurrent.futures.ThreadPoolExecutor(self.CONNECTIONS) as pool:
            futures = [pool.submit(self.send, server.port, i) for i in range(self.CONNECTIONS)]
            sent = [request for future in futures for request in future.result()]
        log = server.wait_logged(len(sent))
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual(len(sent), len(log))
        want, seen = collections.Counter(map(logged, log)), collections.Counter(map(told, spans))
        self.assertEqual([], list(((want - seen) + (seen - want)).items())[:5])
        bodies = {request.id: len(request.body) for request in sent}
        for span in spans:
            self.assertEqual(harness.SERVER, span.kind)
            self.assertNotIn("zerospan.incomplete", span.attributes)
            if span.method == "POST":
                self.assertEqual(bodies[span.id] or None, span.attributes.get("http.request.body.size"), span)

    def test_chi(self):
        self.check("chi")

    def test_gin(self):
        self.check("gin")

    def test_gorilla_mux(self):
        self.check("mux")

    def test_echo(self):
        self.check("echo")

    def test_fiber(self):
        self.check("fiber")


class Routes(harness.Case):
    """What the program's own router says, in its log and in the spans."""
    CONNECTIONS, EACH = 8, 60

    def check(self, mode, paths):
        """`paths`: the requests' paths, and whether the route can be known."""
        server = servers.web(self, mode)
        agent = self.agent("--pid", str(server.pid))

        def send(number):
            with traffic.Connection(server.port) as client:
                for i in range(self.EACH):
                    path = list(paths)[(number + i) % len(paths)]
                    client.send(traffic.Request("POST" if i % 5 == 0 else "GET",
                                                traffic.with_id(f"{path}?size={i * 400}"),
                                                body=b"b" * (i * 3000) if i % 5 == 0 else b""))

        with concurrent.futures.ThreadPoolExecutor(self.CONNECTIONS) as pool:
            list(pool.map(send, range(self.CONNECTIONS)))
        server.wait_logged(self.CONNECTIONS * self.EACH)
        spans = {span.id: span for span in agent.interrupt()}
        self.assertEqual({}, agent.lost())
        seen = collections.Counter()
        for raw in map(json.loads, server.log.read_text().splitlines()):
            span = spans.pop(raw["id"])
            known = paths[raw["target"].partition("?")[0]]
            route = raw["route"][raw["route"].find("/"):] if known and raw["route"] else None
            self.assertEqual(route, span.attributes.get("http.route"), span)
            self.assertEqual(f"{span.method} {route}" if route else span.method, span.name)
            seen[route] += 1
        self.assertEqual({}, spans)
        stats = agent.stats()
        print(f"\n  {dict(seen)}; told {stats['go_routes']}, unknown {stats['go_routes_unknown']}, "
              f"refused {stats['routes_refused']}")
        self.assertGreater(len(seen), 1)
        return stats

    def test_servemux(self):
        self.check("servemux", {"/items/17": True, "/files/a/b": True, "/below/x": True, "/none": False,
                                # Its path is of another router, below the one that took it.
                                "/nested/deep/x": False})

    def test_chi(self):
        self.check("chi", {"/items/17": True, "/none": False})

    def test_gin_has_none(self):
        server = servers.web(self, "gin")
        agent = self.agent("--pid", str(server.pid))
        with traffic.Connection(server.port) as client:
            client.send(traffic.Request("GET", traffic.with_id("/items/17?size=5")))
        (span,) = agent.interrupt()
        self.assertNotIn("http.route", span.attributes)


class Connect(harness.Case):
    ROUNDS = 20

    def test_calls(self):
        server = servers.web(self, "connect")
        agent = self.agent("--pid", str(server.pid))
        caller = self.start([*servers.prepared("web"), "call", f"http://127.0.0.1:{server.port}", str(self.ROUNDS)])
        self.assertEqual(0, caller.wait_exit(60), caller)
        calls = [json.loads(line) for line in caller.lines]
        self.assertEqual(self.ROUNDS * 9, len(calls))
        log = server.wait_logged(len(calls))
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual(collections.Counter((l.method, l.target, l.status, l.bytes) for l in log),
                         collections.Counter(map(told, spans)))
        want = collections.Counter()
        for call in calls:
            system = "grpc" if call["protocol"] == "grpc-web" else "connectrpc"
            method = call["path"][1:]
            unknown = method.endswith("/Missing")
            want[system, "_OTHER" if unknown else method, method if unknown else None] += 1
        seen = collections.Counter((s.attributes.get("rpc.system.name"), s.attributes.get("rpc.method"),
                                    s.attributes.get("rpc.method_original")) for s in spans)
        self.assertEqual(want, seen)
        for span in spans:
            a = span.attributes
            if a["rpc.system.name"] == "connectrpc":
                self.assertNotIn("rpc.response.status_code", a)
        # Each failed unary call of gRPC-Web has no message, and its status is told by a field.
        failed = collections.Counter(
            call["path"][1:] for call in calls if call["protocol"] == "grpc-web" and call["code"] == "not_found")
        statuses = collections.Counter(
            method for span in spans for method in [span.attributes["rpc.method"]]
            if span.attributes.get("rpc.response.status_code") == "NOT_FOUND")
        self.assertGreater(failed.total(), 0)
        self.assertEqual(failed, statuses)


class Upgrade(test_http2.UpgradeCase):
    """HTTP/2 by upgrade in golang.org/x/net, where nothing but the first bytes of it are the library's own."""

    def test_curl(self):
        self.run_curl(servers.web(self, "h2c"), ["/?size=0", "/?size=100", "/?size=70000", "/?status=404&size=5",
                                                 "/?status=500&size=8", "/?delay=5&size=2000000"])


if __name__ == "__main__":
    unittest.main()
