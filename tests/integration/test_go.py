# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Parents in Go programs: a call belongs to the request that its goroutine serves, or was started for.

The oracle is what the program logs: every request's id, and how many calls it made for it. Every call
carries that id, so a parent is right if it has the same one."""

import collections
import concurrent.futures
import os
import pathlib
import platform
import shutil
import threading
import unittest

import harness
import oracle
import servers
import traffic
from harness import BUILD, CLIENT, PROGRAMS, SERVER

INSTRUCTION_BYTES = 4 if platform.machine() == "aarch64" else 1  # at least
PROBES = 3  # of a program with net/http: in its client, in its server for HTTP/2, and in its router


def build_fan(case, name, toolchain="local", environment=None, flags=()):
    """Compiles tests/programs/go_fan; the first time in a build folder that takes up to a minute."""
    case.need("go")
    folder = BUILD / "test-programs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"fan-{name}"
    harness.compiled(
        ["go", "build", *flags, "-o", path, "."], cwd=PROGRAMS / "go_fan",
        env={**os.environ, "GOTOOLCHAIN": toolchain, "GOFLAGS": "-buildvcs=false", "GOCACHE": str(folder / "go-cache"),
             "CGO_ENABLED": "0", **(environment or {})})
    return path


class Fan(harness.Case):
    """Scores of one build of the program."""

    def serve(self, path):
        self.backends = [servers.go(self) for _ in range(2)]
        self.log = self.directory / f"{path.name}.log"
        program = self.start([path, self.log, *(f"http://127.0.0.1:{server.port}" for server in self.backends)])
        return program, int(program.wait_line(program.lines, r"^listening (\d+)").group(1))

    def logged(self, count):
        """{id: calls made}, once there are `count`."""
        harness.wait_for(lambda: self.log.read_bytes().count(b"\n") >= count, f"{count} lines in {self.log}")
        return {identity: int(calls) for identity, calls in map(str.split, self.log.read_text().splitlines())}

    def score(self, name, program, port, paths, count=1000, workers=200, query="", send=traffic.concurrent_gets):
        agent = self.agent("--pid", str(program.pid))
        before = self.log.read_bytes().count(b"\n")
        targets = [traffic.with_id(f"{paths[i % len(paths)]}?delay={5 + 7 * i % 40}{query}") for i in range(count)]
        send(port, targets, workers)
        ids = {harness.id_of(target) for target in targets}
        made = {identity: calls for identity, calls in self.logged(before + count).items() if identity in ids}
        self.assertEqual(ids, set(made))
        harness.wait_for(lambda: collections.Counter(line.id for server in self.backends for line in server.logged()
                                                     if line.id in ids) == made, "the last calls")
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual(collections.Counter(ids), collections.Counter(s.id for s in spans if s.kind == SERVER))
        score = oracle.Score(spans, ids)
        calls = sum(made.values())
        stats = agent.stats()
        print(f"\nscore {name}: {score} of {calls} calls; probes hit {stats['go_calls']}, goroutines sought "
              f"{stats['go_ancestors_sought']}, uncertain {stats['go_uncertain']}", flush=True)
        self.assertEqual(0, score.wrong, score.examples[:5])
        self.assertEqual(made, collections.Counter(s.id for s in spans if s.kind == CLIENT))
        self.assertLessEqual(stats["go_calls"], calls)
        self.assertEqual(0, stats["go_checks_failed"])
        return score, calls, stats

    def score_build(self, name, path, descendants=True):
        """The handler's own calls, those of goroutines, and those that nobody can tell."""
        program, port = self.serve(path)
        score, calls, _ = self.score(f"{name}, handler", program, port, ["/direct", "/twice"], count=600)
        self.assertGreaterEqual(score.right, 0.999 * calls)
        score, calls, _ = self.score(f"{name}, goroutines", program, port, ["/fan0", "/fan1", "/fan2"], count=1200)
        if descendants:
            self.assertGreaterEqual(score.right, 0.999 * calls)
        else:
            self.assertEqual(0, score.right)


class Goroutines(Fan):
    @classmethod
    def setUpClass(cls):
        cls.path = build_fan(harness.Case(), "plain")

    def test_score(self):
        self.score_build("Go", self.path)

    def test_one_connection_after_the_other(self):
        """New connections, new goroutines: none of them has served before."""
        program, port = self.serve(self.path)

        def send(port, targets, workers):
            for target in targets:
                traffic.concurrent_gets(port, [target], 1)

        score, calls, _ = self.score("Go, a connection for each request", program, port, ["/fan2"], 100, send=send)
        self.assertEqual(calls, score.right)

    def test_kept_connections(self):
        """Each goroutine serves hundreds of requests, one right after the other."""
        program, port = self.serve(self.path)
        score, calls, _ = self.score("Go, 8 kept connections", program, port, ["/fan1", "/direct", "/fan2"], 3000, 8)
        self.assertGreaterEqual(score.right, 0.999 * calls)

    def test_calls_after_the_answer(self):
        """Their connection may serve the next request by then: a root, never that one's child."""
        program, port = self.serve(self.path)
        for late in (0, 3, 20):
            self.score(f"Go, {late} ms after the answer", program, port, ["/late"], 1000, 16, query=f"&late={late}")

    def test_goroutines_that_work_for_all(self):
        program, port = self.serve(self.path)
        score, _, _ = self.score("Go, a queue", program, port, ["/queued"], 300, 50)
        self.assertEqual(0, score.right)

    def test_connections_that_the_program_wraps(self):
        """Where the socket is not found: the writing goroutine works for whoever has the connection."""
        program, port = self.serve(self.path)
        score, calls, stats = self.score("Go, embedded connections", program, port, ["/embed"], 400, 50)
        self.assertEqual(calls, score.right)
        score, calls, stats = self.score("Go, hidden connections", program, port, ["/hide"], 400, 50)
        self.assertEqual(0, score.right)
        self.assertEqual(calls, stats["go_calls_unreadable"])

    def test_bodies_that_are_sent_on(self):
        """net/http's writing goroutine reads the body from the server's connection."""
        program, port = self.serve(self.path)

        def send(port, targets, workers):
            with concurrent.futures.ThreadPoolExecutor(workers) as pool:
                for done in [pool.submit(self.post, port, targets[i::workers]) for i in range(workers)]:
                    done.result()

        score, calls, _ = self.score("Go, forwarded bodies", program, port, ["/forward", "/direct"], 600, 30,
                                     send=send)
        self.assertGreaterEqual(score.right, 0.999 * calls)

    @staticmethod
    def post(port, targets):
        with traffic.Connection(port) as connection:
            for i, target in enumerate(targets):
                connection.send(traffic.Request("POST", target, body=b"b" * (100 if i % 2 else 200_000)))


class Attach(Fan):
    """Coming and going."""

    @staticmethod
    def code(pid):
        """[(of the process, of its file)] for each executable stretch of its own file."""
        pairs = []
        exe = os.readlink(f"/proc/{pid}/exe")
        with open(f"/proc/{pid}/mem", "rb") as memory, open(f"/proc/{pid}/exe", "rb") as file:
            for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf8").splitlines():
                place, access, offset, _, _, *path = line.split()
                if "x" in access and path == [exe]:
                    begin, end = (int(part, 16) for part in place.split("-"))
                    memory.seek(begin)
                    file.seek(int(offset, 16))
                    found = memory.read(end - begin)
                    pairs.append((found, file.read(end - begin).ljust(len(found), b"\0")))
        return pairs

    def changed(self, pid):
        """How many instructions of the program are other ones than in its file."""
        return sum(len({i // INSTRUCTION_BYTES for i, (a, b) in enumerate(zip(found, wanted)) if a != b})
                   for found, wanted in self.code(pid) if found != wanted)

    def test_a_hundred_times_under_load(self):
        program, port = self.serve(build_fan(self, "plain"))
        self.assertEqual(0, self.changed(program.pid))
        going, failed = threading.Event(), []

        def load():
            while not going.is_set():
                try:
                    traffic.concurrent_gets(port, [traffic.with_id("/fan1?delay=0") for _ in range(40)], 4)
                except (AssertionError, OSError) as error:
                    failed.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(going.set)
        probed = 0
        for i in range(100):
            agent = self.agent("--pid", str(program.pid))
            probed += self.changed(program.pid) == PROBES
            if i % 4 == 3:
                agent.stop()  # SIGTERM
                agent.process.wait(20)
            elif i % 4 == 2:
                agent.process.kill()
                agent.process.wait(20)
            else:
                agent.end()
        going.set()
        thread.join()
        self.assertEqual([], failed[:3])
        self.assertEqual(100, probed)
        # The kernel takes probes away when the last reference to them is gone.
        harness.wait_for(lambda: self.changed(program.pid) == 0, "the program's own code")
        self.assertIsNone(program.process.poll())

    def test_process_that_starts_later(self):
        """It is seen, read and probed; its first requests are traced, and those made after that have their parents."""
        path = build_fan(self, "plain")
        agent = self.agent("--exe", "*/fan-plain")
        program, port = self.serve(path)
        targets = [traffic.with_id("/direct?delay=0") for _ in range(50)]
        traffic.concurrent_gets(port, targets[:1], 1)
        harness.wait_for(lambda: self.changed(program.pid) == PROBES, "the probes", 5)
        traffic.concurrent_gets(port, targets[1:], 4)
        spans = agent.interrupt()
        ids = {harness.id_of(target) for target in targets}
        self.assertEqual(ids, {span.id for span in spans if span.kind == SERVER})
        score = oracle.Score(spans, ids)
        print(f"\nscore Go, started later: {score}", flush=True)
        self.assertEqual(0, score.wrong)
        self.assertGreaterEqual(score.right, 49)

    def test_many(self):
        """100 processes of 10 files: how long until the agent is ready, with all of them probed, and its memory."""
        original = build_fan(self, "plain")
        files = [self.directory / f"fan-{i}" for i in range(10)]
        programs = []
        for file in files:
            shutil.copy(original, file)
            for _ in range(10):
                programs.append(self.start([file, self.directory / "many.log", "http://127.0.0.1:1"]))
        for program in programs:
            program.wait_line(program.lines, r"^listening (\d+)")
        agent = self.agent("--exe", f"{self.directory}/fan-*")
        probed = sum(self.changed(program.pid) == PROBES for program in programs[::10])
        print(f"\n100 processes of 10 files: ready after {agent.seconds_to_ready:.2f} s, "
              f"{agent.resident_peak_kb() / 1024:.0f} MiB, {probed} of 10 files probed", flush=True)
        self.assertEqual(10, probed)
        self.assertLess(agent.resident_peak_kb(), 60 * 1024)
        agent.end()


# {name: (environment, flags)}
BUILDS = {
    "plain": ({}, ()),
    "stripped": ({}, ("-ldflags=-s -w",)),
    "pie": ({}, ("-buildmode=pie",)),
    "pie-s": ({}, ("-buildmode=pie", "-ldflags=-s -w")),
    "cgo": ({"CGO_ENABLED": "1"}, ("-ldflags=-linkmode=external",)),
    "cgo-pie": ({"CGO_ENABLED": "1"}, ("-buildmode=pie", "-ldflags=-linkmode=external -s -w")),
    "cgo-static": ({"CGO_ENABLED": "1"}, ("-tags=netgo,osusergo", "-ldflags=-linkmode=external -extldflags=-static")),
}


class Builds(Fan):
    """Without symbols and DWARF; at random addresses; with C beside it."""

    def check(self, name):
        environment, flags = BUILDS[name]
        self.score_build(name, build_fan(self, name, environment=environment, flags=flags))

    def test_stripped(self):
        self.check("stripped")

    def test_position_independent(self):
        self.check("pie")

    def test_position_independent_and_stripped(self):
        self.check("pie-s")

    def test_cgo(self):
        self.check("cgo")

    def test_cgo_position_independent_and_stripped(self):
        self.check("cgo-pie")

    def test_cgo_static(self):
        """libc's own thread-local variables are in the program's: g is elsewhere among them."""
        self.check("cgo-static")


class Versions(Fan):
    """Fetches each toolchain; several minutes the first time."""

    def score_version(self, version, descendants=True):
        path = build_fan(self, version, toolchain=f"go{version}")
        self.score_build(f"Go {version}", path, descendants)
        stripped = build_fan(self, f"{version}-s", toolchain=f"go{version}", flags=("-ldflags=-s -w",))
        self.score_build(f"Go {version}, stripped", stripped, descendants)

    # Before 1.21 a goroutine does not know who has started it.
    def test_1_19(self):
        self.score_version("1.19.13", descendants=False)

    def test_1_21(self):
        self.score_version("1.21.13")

    def test_1_22(self):
        self.score_version("1.22.12")

    def test_1_24(self):
        self.score_version("1.24.13")

    def test_1_26(self):
        self.score_version("1.26.11")

    def test_1_27(self):
        self.score_version("1.27.4")


if __name__ == "__main__":
    unittest.main(verbosity=2)
