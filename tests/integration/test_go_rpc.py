# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Parents in Go programs that are called over HTTP/2 and gRPC: each stream has a goroutine of its own, and
grpc-go's calls are written by another one than asks for them.

The oracle is what the programs log: the server every request's id and how many calls it made for it, the
backend the ids of the calls that it got. Every call carries that id, so a parent is right if it has the
same one."""

import collections
import os
import shutil
import subprocess
import unittest

import harness
import oracle
import servers
from harness import BUILD, CLIENT, PROGRAMS, SERVER

FIELDS = "http:\n  request_headers: [x-id]\n"


def build_rpc(case, name, toolchain="local", flags=(), versions=()):
    """Compiles tests/programs/go_grpc; with `versions` of modules (path@version) in place of its own."""
    case.need("go")
    folder = BUILD / "test-programs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rpc-{name}"
    environment = {**os.environ, "GOTOOLCHAIN": toolchain, "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0",
                   "GOCACHE": str(folder / "go-cache")}

    def run(folder, *command):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise AssertionError(f"{name}: {' '.join(map(str, command))}: {done.stderr}")

    source = PROGRAMS / "go_grpc"
    if versions:
        source = case.directory / name
        shutil.copytree(PROGRAMS / "go_grpc", source)
        (source / "go.sum").unlink()
        (source / "go.mod").write_text("module zerospan.test/rpc\n\ngo 1.20\n")
        run(source, "go", "get", *versions)
        run(source, "go", "mod", "tidy")
    run(source, "go", "build", *flags, "-o", path, ".")
    return path


def identify(span):
    """The id of a span of either protocol, where harness.Span looks for it."""
    if not span.id:
        span.attributes["url.query"] = "id=" + (span.attributes.get("rpc.request.metadata.x-id") or [""])[0]
    return span


class Rpc(harness.Case):
    def serve(self, path, kind):
        self.web = servers.go(self)
        self.backend = self.start([path, "backend"])
        port = self.backend.wait_line(self.backend.lines, r"^listening (\d+)").group(1)
        self.log = self.directory / f"{path.name}.log"
        program = self.start([path, "serve", kind, self.log, f"http://127.0.0.1:{self.web.port}", f"127.0.0.1:{port}"])
        return program, program.wait_line(program.lines, r"^listening (\d+)").group(1)

    def logged(self):
        return {identity: int(calls) for identity, calls in map(str.split, self.log.read_text().splitlines())}

    def calls_seen(self, ids):
        """What both backends say they got."""
        web = [line.id for line in self.web.logged() if line.id in ids]
        return collections.Counter(web + [line for line in list(self.backend.lines) if line in ids])

    def score(self, name, path, kind, methods, count=1000, wide=200, send=None, all_arrive=True):
        program, port = self.serve(path, kind)
        config = self.directory / "zerospan.yaml"
        config.write_text(FIELDS)
        agent = self.agent("--pid", str(program.pid), "--config", str(config))
        if send:
            send(port)
        else:
            client = self.start([path, "call", kind, port, str(count), str(wide), *methods])
            client.wait_line(client.lines, "^done", 120)
            client.wait_exit()
        harness.wait_for(lambda: len(self.logged()) == count, f"{count} lines in {self.log}")
        made = collections.Counter(self.logged())
        ids = set(made)
        if all_arrive:
            harness.wait_for(lambda: self.calls_seen(ids) == made, "the last calls")
        spans = [identify(span) for span in agent.interrupt()]
        self.assertEqual({}, agent.lost())
        self.assertEqual(collections.Counter(ids), collections.Counter(s.id for s in spans if s.kind == SERVER))
        score = oracle.Score(spans, ids)
        calls, stats = sum(made.values()), agent.stats()
        hits = stats["go_calls"] + stats["go_streams"]
        print(f"\nscore {name}: {score} of {calls} calls; {hits / count:.2f} probes hit per request, unreadable "
              f"{stats['go_calls_unreadable'] + stats['go_streams_unreadable']}, uncertain {stats['go_uncertain']}, "
              f"sought {stats['go_ancestors_sought']}", flush=True)
        self.assertEqual(0, score.wrong, score.examples[:5])
        if all_arrive:
            self.assertEqual(made, collections.Counter(s.id for s in spans if s.kind == CLIENT))
        self.assertEqual(0, stats["go_checks_failed"])
        self.assertLessEqual(stats["go_streams"], count * (2 if kind == "mounted" else 1))
        return score, calls, stats

    def all_right(self, *how, **more):
        score, calls, _ = self.score(*how, **more)
        self.assertGreaterEqual(score.right, 0.999 * calls)


class Parents(Rpc):
    @classmethod
    def setUpClass(cls):
        cls.path = build_rpc(harness.Case(), "plain")

    def test_grpc_handlers(self):
        self.all_right("gRPC, handler", self.path, "grpc", ["Grpc", "Http", "Both"])

    def test_grpc_goroutines(self):
        self.all_right("gRPC, goroutines", self.path, "grpc", ["Fan0", "Fan1", "Fan2"], count=2000)

    def test_grpc_workers(self):
        self.all_right("gRPC, a pool of goroutines", self.path, "workers", ["Both", "Fan1"], count=2000, wide=50)

    def test_one_hit_for_each(self):
        """As long as no call has to wait for the peer's limit of streams."""
        score, calls, stats = self.score("gRPC, few at a time", self.path, "grpc", ["Both", "Fan1"], wide=16)
        self.assertGreaterEqual(score.right, 0.999 * calls)
        self.assertEqual((calls, 1000), (stats["go_calls"], stats["go_streams"]))

    def test_calls_that_are_given_up(self):
        """The number that one of them was about to get is another call's. The headers of some leave when their
        request was answered, but they were asked for before."""
        score, calls, _ = self.score("gRPC, given up", self.path, "grpc", ["Hasty"], all_arrive=False)
        self.assertLess(score.right + score.orphan, calls)  # some never left
        self.assertGreater(score.right, 0)
        self.assertGreaterEqual(score.right, 0.999 * (score.right + score.orphan))

    def test_streams_without_a_message(self):
        self.all_right("gRPC, streams", self.path, "grpc", ["Stream"])

    def test_grpc_on_net_http(self):
        self.all_right("gRPC on net/http", self.path, "mounted", ["Both", "Fan1", "Fan2"])

    def test_h2c(self):
        self.all_right("HTTP/2 of golang.org/x/net", self.path, "h2c", ["Both", "Fan0", "Fan1", "Fan2"])

    def test_upgrade(self):
        """Stream 1 is the request that asked for HTTP/2; the goroutine that has read it starts all handlers."""
        self.need("curl")

        def send(port):
            for group in range(20):
                targets = [f"http://127.0.0.1:{port}/{'Fan2' if i % 2 else 'Both'}?id=u{group:02}-{i:06}"
                           for i in range(10)]
                subprocess.run(["curl", "--silent", "--fail", "--http2", "--parallel", *targets], check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)

        self.all_right("HTTP/2 by upgrade", self.path, "h2c", [], count=200, send=send)

    def test_unencrypted(self):
        self.all_right("HTTP/2 of net/http", self.path, "unencrypted", ["Both", "Fan0", "Fan1", "Fan2"])

    def test_calls_after_the_answer(self):
        """Their connection serves other requests by then: roots, never those requests' children."""
        for kind in ("grpc", "workers", "unencrypted"):
            self.score(f"{kind}, after the answer", self.path, kind, ["Late"], wide=32)


class Builds(Rpc):
    def test_stripped(self):
        path = build_rpc(self, "stripped", flags=("-ldflags=-s -w",))
        for kind in ("grpc", "h2c", "unencrypted"):
            self.all_right(f"stripped, {kind}", path, kind, ["Both", "Fan1", "Fan2"])


class Versions(Rpc):
    """Fetches toolchains and modules; several minutes the first time."""

    def score_version(self, grpc, toolchain, *others):
        versions = (f"google.golang.org/grpc@v{grpc}", *others)
        for name, flags in ((grpc, ()), (f"{grpc}-s", ("-ldflags=-s -w",))):
            path = build_rpc(self, name, f"go{toolchain}", flags, versions)
            for kind in ("grpc", "h2c"):
                self.all_right(f"{kind}, grpc-go {name}, Go {toolchain}", path, kind, ["Both", "Fan1", "Fan2"], 600)

    def test_1_50(self):
        """With Go 1.20, in which a goroutine does not know who has started it: handlers only."""
        path = build_rpc(self, "1.50", "go1.20.14", (), ("google.golang.org/grpc@v1.50.0",
                                                         "golang.org/x/net@v0.17.0", "golang.org/x/sync@v0.3.0"))
        for kind in ("grpc", "workers", "h2c"):
            self.all_right(f"{kind}, grpc-go 1.50, Go 1.20", path, kind, ["Both"], 600)
        score, _, _ = self.score("goroutines, grpc-go 1.50, Go 1.20", path, "grpc", ["Fan1"], 600)
        self.assertEqual(0, score.right)

    def test_1_58(self):
        self.score_version("1.58.3", "1.21.13", "golang.org/x/net@v0.17.0", "golang.org/x/sync@v0.3.0")

    def test_1_65(self):
        """Two years old."""
        self.score_version("1.65.1", "1.22.12", "golang.org/x/net@v0.26.0", "golang.org/x/sync@v0.7.0")

    def test_1_70(self):
        self.score_version("1.70.0", "1.24.13", "golang.org/x/net@v0.34.0", "golang.org/x/sync@v0.10.0")

    def test_1_77(self):
        self.score_version("1.77.0", "1.25.14", "golang.org/x/net@v0.47.0")

    def test_1_85(self):
        self.score_version("1.85.0", "1.26.11")


if __name__ == "__main__":
    unittest.main(verbosity=2)
