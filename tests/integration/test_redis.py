# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Redis with its own client, its benchmark and redis-py. The oracle is MONITOR: each command there has exactly one span with
the same text without values, in the same database; and INFO: as many commands of each kind, and errors of each code."""

import collections
import socket
import subprocess
import unittest

import databases
import harness
import servers
from harness import CLIENT, SERVER

# What MONITOR leaves out, or tells without its arguments.
UNSEEN = {"AUTH", "CONFIG", "HELLO"}


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = databases.Redis(self)

    def check(self, spans, agent, kind, logged, errors, flagged=()):
        """`flagged`: the commands whose span may say that it is incomplete, once each."""
        ours = [span for span in spans if span.kind == kind]
        self.assertEqual({}, agent.lost())
        for span in ours:
            self.assertEqual("redis", span.attributes["db.system.name"])
            self.assertEqual(span.name, span.attributes["db.operation.name"])
            self.assertNotIn("secret", str(span.attributes))
        self.assertEqual(sorted(flagged), sorted(span.name for span in ours if "zerospan.incomplete" in span.attributes))
        logged = [pair for pair in logged if pair[1].split()[0].upper() not in UNSEEN]
        wanted = collections.Counter(text for _, text in logged)
        seen = collections.Counter()
        for span in ours:
            text = span.attributes["db.query.text"]
            if span.attributes.get("zerospan.incomplete") == ["head_truncated"]:
                text = next((whole for whole in wanted if whole.startswith(text)), text)
            if span.name.upper() not in UNSEEN:
                seen[text] += 1
        self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
        # MONITOR names the database that SELECT has chosen (in a transaction before EXEC), the span the one that it was sent
        # to. What the database of
        # a connection is that was never seen to choose is left open.
        right = collections.Counter(pair for pair in logged if not pair[1].upper().startswith("SELECT"))
        for span in ours:
            if span.name.upper() not in UNSEEN | {"SELECT", "EXEC"} and "db.namespace" in span.attributes:
                pair = (span.attributes["db.namespace"], span.attributes["db.query.text"])
                self.assertGreater(right[pair], 0, pair)
                right[pair] -= 1
        self.assertEqual(errors, collections.Counter(
            span.attributes["db.response.status_code"] for span in ours if span.status == 2))
        return ours

    def logged(self):
        _, errors = self.server.statistics()
        return self.server.logged()[:-2], errors  # without the INFO before


class Commands(Case):
    def test_cli(self):
        for unix in (False, True):
            with self.subTest(unix=unix):
                self.server.cli("FLUSHALL")
                self.server.mark()
                agent = self.agent("--pid", str(self.server.pid))
                self.server.cli(unix=unix, commands="\n".join((
                    "SET a secret", "get a", "LPUSH a secret", "NOSUCH secret", "GET", 'SET "b c" "secret \\x00"',
                    "MULTI", "INCR n", "LPUSH a secret", "SELECT 3", "SET x secret EX 60", "EXEC", "GET x",
                    "MULTI", "SET a", "SET a secret", "EXEC", "MULTI", "GET a", "DISCARD",
                    "SELECT 99", "EVAL \"return redis.call('SET', 'y', 'secret')\" 0", "EVAL \"return {err='OOPS secret'}\" 0",
                    "HSET h f secret g secret", "OBJECT ENCODING h", "LRANGE none 0 -1", "ZADD z 1 secret")) + "\n")
                self.server.cli("HGETALL", "h", unix=unix, options=["-3", "-n", "3"])
                spans = agent.interrupt()
                logged, errors = self.logged()
                # What is discarded, or refused before it runs, has a span and is not run.
                for text in ("GET", "SET a", "SET a ?", "NOSUCH ?"):
                    logged.append(("3" if text.startswith("SET") else "0", text))
                logged.append(("3", "GET a"))
                errors["EXECABORT"] += 1  # the command that was queued, too
                ours = self.check(spans, agent, SERVER, logged, errors)
                (batch,) = [span for span in ours if "db.operation.batch.size" in span.attributes]
                self.assertEqual(("EXEC", 4), (batch.name, batch.attributes["db.operation.batch.size"]))

    def test_inline(self):
        agent = self.agent("--pid", str(self.server.pid))
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            answers = client.makefile("rb")
            for line in ("PING", "SET a 'secret value'", "", "get a", "INCR a"):
                client.sendall(line.encode() + b"\r\n")
                if line:
                    answer = answers.readline()
                    if answer.startswith(b"$"):
                        answers.readline()
            self.assertIn(b"-ERR", answer)
        spans = agent.interrupt()
        logged, errors = self.logged()
        self.assertEqual(4, len(logged))
        self.check(spans, agent, SERVER, logged, errors)

    def test_passwords(self):
        recording = self.directory / "recording"
        agent = self.agent("--pid", str(self.server.pid), "--output", recording, command="record")
        self.server.cli("ACL", "SETUSER", "app", "on", ">topsecret", "allcommands", "allkeys")
        self.server.cli("GET", "a", options=["--user", "app", "--pass", "topsecret", "--no-auth-warning"])
        self.server.cli("GET", "a", options=["-3", "--user", "app", "--pass", "topsecret", "--no-auth-warning"])
        self.server.cli("GET", "a", options=["--user", "app", "--pass", "wrongsecret", "--no-auth-warning"], check=False)
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(b"*5\r\n$5\r\nhello\r\n$1\r\n3\r\n$4\r\nauth\r\n$3\r\napp\r\n$9\r\ntopsecret\r\n")
            self.assertTrue(client.recv(4096).startswith(b"%7"))
            client.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n")
            self.assertEqual(b"_\r\n", client.recv(4096))
        agent.end()
        output = subprocess.run([harness.BINARY, "replay", recording, "--format=otlp-json"], check=True, capture_output=True,
                                text=True, timeout=60).stdout
        spans = harness.parse_spans(output)
        names = collections.Counter(span.name.upper() for span in spans)
        self.assertEqual({"ACL": 1, "AUTH": 3, "HELLO": 2, "GET": 4}, dict(names))
        self.assertNotIn("secret", output)
        self.assertNotIn("zerospan.incomplete", output)
        self.assertEqual(["WRONGPASS"], [span.attributes["error.type"] for span in spans if span.status == 2])
        # Nor did the kernel copy one, but for ACL, whose first bytes do not tell.
        self.assertEqual(1, recording.read_bytes().count(b"topsecret"))


class Drivers(Case):
    def drive(self, where):
        self.need_module("redis")
        client = self.start([harness.PYTHON, harness.PROGRAMS / "redis_client.py", where], stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        self.server.mark()
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        client.process.stdin.write("go\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(60), client)
        spans = agent.interrupt()
        logged, errors = self.logged()
        refused = ("2", "NOSUCH ?")
        self.assertGreater(len(logged), 170)
        for kind in (SERVER, CLIENT):
            with self.subTest(kind=kind):
                # Large lists are only seen in part: what they answer, and the command after, is taken for likely.
                ours = self.check(spans, agent, kind, [*logged, refused], errors, flagged=("RPUSH", "LRANGE"))
                blocked = [span for span in ours if span.name == "BLPOP"]
                self.assertEqual(1, len(blocked))
                (script,) = [span for span in ours if span.name == "EVALSHA"]
                self.assertRegex(script.attributes["db.stored_procedure.name"], "^[0-9a-f]{40}$")

    def test_redis_py_tcp(self):
        self.drive(str(self.server.port))

    def test_redis_py_unix(self):
        self.drive(self.server.socket)


class Slow(Case):
    """Drivers that are not in Debian: fetched into the build folder, and the cache of test programs."""

    def drive(self, *command):
        client = self.start([*command, str(self.server.port)], stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        self.server.mark()
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        client.process.stdin.write("go\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(60), client)
        spans = agent.interrupt()
        logged, errors = self.logged()
        for kind in (SERVER, CLIENT):
            with self.subTest(kind=kind):
                # QUIT ends the connection before MONITOR is told.
                self.check([span for span in spans if span.name.upper() != "QUIT"], agent, kind,
                           [pair for pair in logged if pair[1].upper() != "QUIT"], errors)
        return logged

    def test_ioredis(self):
        self.need("node", "npm")
        folder = harness.BUILD / "ioredis"
        if not (folder / "node_modules" / "ioredis").exists():
            folder.mkdir(exist_ok=True)
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder,
                            "ioredis@5.4.1"], check=True, timeout=240)
        self.assertGreater(len(self.drive("node", harness.PROGRAMS / "redis_client.js", folder)), 125)

    def test_go_redis(self):
        self.assertGreater(len(self.drive(*servers.prepared("redis"))), 65)


class Load(Case):
    def test_benchmark(self):
        for pipelined, count in ((1, 5_000), (16, 25_000), (200, 25_000)):
            with self.subTest(pipelined=pipelined):
                self.server.mark()
                agent = self.agent("--pid", str(self.server.pid))
                subprocess.run(["redis-benchmark", "-p", str(self.server.port), "-n", str(count), "-c", "8", "-P",
                                str(pipelined), "-t", "set,get,incr,lpush", "-q"], check=True, capture_output=True,
                               timeout=120)
                agent.interrupt(60)
                calls, errors = self.server.statistics()
                commands = sum(calls.values()) - calls["info"] - calls["echo"] - 1  # RESETSTAT
                self.assertGreaterEqual(commands, 4 * count)
                spans = incomplete = failed = 0
                with open(agent.output) as lines:
                    for line in lines:
                        spans += line.count('"spanId"')
                        incomplete += line.count('"zerospan.incomplete"')
                        failed += line.count('"error.type"')
                stats = agent.stats()
                missed = stats["redis_responses_without_request"]
                print(f"\nredis-benchmark -P {pipelined}: {commands} commands, {spans} spans, {incomplete} incomplete, "
                      f"{missed} answers without command, lost {agent.lost() or 0}", flush=True)
                # In pipelines the server is faster than spans can be written down, so the queue of them may overflow.
                lost = agent.lost()
                dropped = lost.pop("spans_dropped_queue_full", 0) if pipelined > 1 else 0
                self.assertEqual({}, lost)
                self.assertEqual(commands, spans + missed + dropped)
                if not dropped:
                    self.assertEqual(sum(errors.values()), failed)
                if pipelined <= 16:
                    self.assertEqual((0, 0), (missed, incomplete))


if __name__ == "__main__":
    unittest.main()
