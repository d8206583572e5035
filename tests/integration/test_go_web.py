# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Servers made with Go's web frameworks, calls of fasthttp's client, Connect and gRPC-Web. The oracle is what they
log, and what the calling program got."""

import collections
import concurrent.futures
import json
import subprocess
import unittest

import harness
import servers
import test_go
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

    def check(self, mode, paths, unless=(), connections=CONNECTIONS, each=EACH, command=None, streams=0):
        """`paths`: the requests' paths, and whether the route that is logged can be known, or another one that is.
        It cannot for the methods and paths of `unless`. `streams`: so many at once on each connection, over HTTP/2."""
        server = servers.web(self, mode, command)
        agent = self.agent("--pid", str(server.pid))

        def send(number):
            with traffic.Connection(server.port) as client:
                for i in range(each):
                    path = list(paths)[(number + i) % len(paths)]
                    client.send(traffic.Request("POST" if i % 5 == 0 else "GET",
                                                traffic.with_id(f"{path}?size={i * 400}"),
                                                body=b"b" * (i * 3000) if i % 5 == 0 else b""))

        def send_streams(number):
            targets = [traffic.with_id(f"{list(paths)[(number + i) % len(paths)]}?size={i * 400}") for i in range(each)]
            file = self.directory / f"{mode}-{number}.urls"
            file.write_text("".join(f"http://127.0.0.1:{server.port}{target}\n" for target in targets))
            done = subprocess.run(["h2load", "-n", str(each), "-c", "1", "-m", str(streams), "-i", file],
                                  capture_output=True, text=True, check=True)
            self.assertIn(f" {each} done,", done.stdout)

        with concurrent.futures.ThreadPoolExecutor(connections) as pool:
            list(pool.map(send_streams if streams else send, range(connections)))
        server.wait_logged(connections * each)
        spans = {span.id: span for span in agent.interrupt()}
        self.assertEqual({}, agent.lost())
        seen, wrong = collections.Counter(), []
        for raw in map(json.loads, server.log.read_text().splitlines()):
            span = spans.pop(raw["id"])
            path = raw["target"].partition("?")[0]
            known = (raw["method"], path) not in unless and paths[path]
            if isinstance(known, str):
                route = known
            else:
                self.assertEqual(known, bool(known and raw["route"]), raw)
                route = raw["route"][raw["route"].find("/"):] if known else None
            if route != span.attributes.get("http.route"):
                wrong.append((route, span.attributes.get("http.route"), span.id, span.start))
                continue
            self.assertEqual(f"{span.method} {route}" if route else span.method, span.name)
            seen[route] += 1
        self.assertEqual({}, spans)
        stats = agent.stats()
        print(f"\n  {mode}: {dict(seen)}; told {stats['go_routes']}, unknown {stats['go_routes_unknown']}, "
              f"refused {stats['routes_refused']}")
        self.assertEqual([], wrong[:5], len(wrong))
        self.assertGreater(len(seen), 1)
        self.assertEqual(0, stats["routes_refused"])
        return stats

    # What all of the frameworks below are asked for: routes that overlap, one in a group of a group, one that takes
    # what is left, none, and a method that a route does not have.
    PATHS = {"/items/17": True, "/items/special": True, "/items/18/parts/4": True, "/files/a/b%20c": True,
             "/api/v1/users/7": True, "/only-get": True, "/none": False}
    UNLESS = {("POST", "/only-get")}

    # Of the last one the path is of another router, below the one that took it.
    SERVEMUX = {"/items/17": True, "/files/a/b": True, "/below/x": True, "/none": False, "/nested/deep/x": False}
    CHI = {"/items/17": True, "/none": False}
    BELOW = {"/items/17": True, "/items/special": True, "/nested/items/17": False, "/none": "/"}

    def test_servemux(self):
        self.check("servemux", self.SERVEMUX)

    def test_chi(self):
        self.check("chi", self.CHI)

    def test_gin(self):
        self.check("gin", self.PATHS, self.UNLESS)

    def test_echo(self):
        self.check("echo", self.PATHS, self.UNLESS)

    def test_gorilla_mux(self):
        self.check("mux", self.PATHS, self.UNLESS)

    def test_fiber(self):
        self.check("fiber", {**self.PATHS, "/nested/deep/x": True, "/api/v1/users": True}, self.UNLESS)

    def test_gin_below_a_servemux(self):
        # The one below has the last word if it finds a route, but not of a part of a path.
        self.check("ginbelow", self.BELOW)

    def test_http2(self):
        """Several streams of a connection, whose answers one goroutine writes for all."""
        self.need("h2load")
        for mode, paths in (("servemux", self.SERVEMUX), ("chi", self.CHI), ("ginbelow", self.BELOW),
                            ("gin", self.PATHS), ("echo", self.PATHS), ("mux", self.PATHS)):
            for streams in (1, 50):
                with self.subTest(mode, streams=streams):
                    self.check(mode, paths, self.UNLESS, each=150, streams=streams)

    def test_200_at_once(self):
        """Contexts go from one request to the next all the time."""
        for mode in ("gin", "echo", "mux", "fiber"):
            with self.subTest(mode):
                self.check(mode, {"/items/17": True, "/items/special": True, "/items/19": True, "/none": False},
                           connections=200, each=30)

    def test_without_dwarf(self):
        """The layouts are the table's, and the code says the same."""
        self.need("strip")
        (program,) = servers.prepared("web")
        stripped = self.directory / "web"
        subprocess.run(["strip", "-o", stripped, program], check=True)
        said = {}
        for path in (program, stripped):
            done = subprocess.run([harness.BINARY, "check", "--exe", path], capture_output=True, text=True)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            said[path] = done.stdout.partition("\nrouters ")[2].splitlines()[1:]
            self.assertEqual(6, len(said[path]), done.stdout)
        self.assertEqual(said[program], said[stripped])
        self.assertEqual([], [line for line in said[stripped] if not line.endswith(": its routes are read")])
        self.assertIn("\noffsets       table\n", done.stdout)
        for mode in ("gin", "echo", "mux", "fiber"):
            with self.subTest(mode):
                self.check(mode, self.PATHS, self.UNLESS, command=[stripped])

    def test_none_are_asked(self):
        server = servers.web(self, "gin")
        agent = self.agent("--pid", str(server.pid), "--no-go-routes")
        with traffic.Connection(server.port) as client:
            client.send(traffic.Request("GET", traffic.with_id("/items/17?size=5")))
        (span,) = agent.interrupt()
        self.assertNotIn("http.route", span.attributes)
        self.assertEqual(0, agent.stats()["go_routes"])


class FastHttp(test_go.Fan):
    """Parents of calls that fasthttp's client makes, for requests that its server serves."""

    def test_score(self):
        self.need("go")
        self.backends = [servers.go(self) for _ in range(2)]
        self.log = self.directory / "fan.log"
        program = self.start([*servers.prepared("web"), "fan", self.log,
                              *(f"http://127.0.0.1:{server.port}" for server in self.backends)])
        port = int(program.wait_line(program.lines, r"^listening (\d+)", 30).group(1))
        for paths in (["/direct"], ["/fan"], ["/direct", "/fan", "/timeout"]):
            score, calls, _ = self.score("fasthttp " + " ".join(paths), program, port, paths)
            self.assertGreaterEqual(score.right, 0.999 * calls)


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
