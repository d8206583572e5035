# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Memcached with pymemcache, pylibmc (libmemcached) and a socket. The oracle is the server's own log with -vv: each command
there has exactly one span with the same text without values, and the errors that it answered."""

import collections
import subprocess
import unittest

import databases
import harness
from harness import CLIENT, SERVER


class Memcached(harness.Case):
    def check(self, server, spans, agent, kind, least, flagged=0):
        logged, errors = server.logged()
        self.assertGreaterEqual(len(logged), least)
        ours = [span for span in spans if span.kind == kind]
        self.assertEqual({}, agent.lost())
        for span in ours:
            self.assertEqual("memcached", span.attributes["db.system.name"])
            self.assertEqual(span.name, span.attributes["db.operation.name"])
            self.assertNotIn("secret", str(span.attributes))
        self.assertEqual(flagged, sum("zerospan.incomplete" in span.attributes for span in ours))
        seen = collections.Counter(span.attributes["db.query.text"] for span in ours)
        wanted = collections.Counter(logged)
        self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
        self.assertEqual(errors, collections.Counter(
            span.attributes["db.response.status_code"] for span in ours if span.status == 2))

    def drive(self, driver, least):
        self.need_module(driver)
        for unix in (False, True):
            with self.subTest(unix=unix):
                server = databases.Memcached(self, unix)
                client = self.start([harness.PYTHON, harness.PROGRAMS / "memcached_client.py", driver, server.where],
                                    stdin=subprocess.PIPE)
                client.wait_line(client.lines, "^ready")
                server.mark()
                agent = self.agent("--pid", f"{server.pid},{client.pid}")
                client.process.stdin.write("go\n")
                client.process.stdin.flush()
                self.assertEqual(0, client.wait_exit(60), client)
                spans = agent.interrupt()
                for kind in (SERVER, CLIENT):
                    # The server writes 20 values from more buffers than are followed: their end is not seen.
                    self.check(server, spans, agent, kind, least, flagged=1 if kind == SERVER else 0)

    def test_pymemcache(self):
        self.drive("pymemcache", 55)

    def test_pylibmc(self):
        self.drive("pylibmc", 43)

    def test_meta(self):
        server = databases.Memcached(self)
        agent = self.agent("--pid", str(server.pid))
        with server.connect() as client:
            answers = client.makefile("rb")
            for request, lines in (("ms a 6 T60\r\nsecret\r\n", 1), ("mg a v t\r\n", 2), ("mg none v\r\n", 1), ("md none\r\n", 1),
                                   ("ms n 1\r\n7\r\nma n v\r\nbogus\r\nmg a v\r\n", 6),
                                   ("mg none v q\r\nmg a v q\r\nms b 1 q\r\n1\r\nmn\r\n", 3), ("get a n\r\n", 5)):
                client.sendall(request.encode())
                last = [answers.readline() for _ in range(lines)][-1]
            self.assertEqual(b"END\r\n", last)
        spans = agent.interrupt()
        self.check(server, spans, agent, SERVER, 13)

    def test_large_pipelines(self):
        server = databases.Memcached(self)
        agent = self.agent("--pid", str(server.pid))
        sent = 0
        with server.connect() as client:
            answers = client.makefile("rb")
            for _ in range(200):
                client.sendall(b"".join(b"set key%d 0 0 6\r\nsecret\r\nget key%d\r\n" % (i, i) for i in range(50)))
                sent += 100
                for _ in range(50):
                    self.assertEqual(b"STORED\r\n", answers.readline())
                    self.assertEqual(b"END\r\n", [answers.readline() for _ in range(3)][-1])
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual(sent, len(spans) + agent.stats()["memcached_responses_without_request"])
        self.check(server, spans, agent, SERVER, sent)


if __name__ == "__main__":
    unittest.main()
