# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What capture kinds differ in. ZEROSPAN_CAPTURE_KIND says which one; vmtests runs this by each that a kernel allows."""

import os
import unittest

import harness
import traffic

KIND = os.environ.get("ZEROSPAN_CAPTURE_KIND", "auto")
THREADS = 48


class Base(harness.Case):
    def setUp(self):
        super().setUp()
        self.program = self.start([harness.PYTHON, harness.PROGRAMS / "splice_server.py"])
        self.port = int(self.program.wait_line(self.program.lines, r"^listening (\d+)").group(1))
        self.watcher = self.agent("--pid", str(self.program.pid))

    def connect(self):
        connection = traffic.Connection(self.port)
        self.addCleanup(connection.close)
        return connection

    def served(self):
        """[(method, target, bytes)] by the server's own log."""
        return [(method, target, int(count)) for method, target, count in
                (line.split() for line in self.program.lines if line[:4] in ("GET ", "POST"))]

    def each_once(self, sent):
        """The spans by the requests' ids: one of each, whole and right."""
        harness.wait_for(lambda: len(self.served()) == len(sent), "the server's log")
        spans = self.watcher.interrupt()
        self.assertEqual(sorted(request.target for request in sent), sorted(target for _, target, _ in self.served()))
        by_id = {}
        for span in spans:
            self.assertEqual(harness.SERVER, span.kind)
            by_id.setdefault(span.id, []).append(span)
        self.assertEqual(sorted(request.id for request in sent), sorted(by_id))
        for request in sent:
            (span,) = by_id[request.id]
            self.assertEqual((200, request.method), (span.code, span.attributes["http.request.method"]))
            self.assertNotIn("zerospan.incomplete", span.attributes)
        self.assertEqual({}, self.watcher.lost())
        return by_id


class Waiting(Base):
    def test_many_threads(self):
        """Each thread waits in a receive while all others are served: the end of none of these calls is missed. They are more than
        a return probe has room for unless it is asked for more."""
        connections = [self.connect() for _ in range(THREADS)]
        sent = []
        for _ in range(3):
            for connection in connections:
                request = traffic.Request("GET", traffic.with_id("/waiting"))
                connection.send(request)
                sent.append(request)
        self.each_once(sent)
        stats = self.watcher.stats()
        self.assertEqual(0, stats["capture_lost_probes"])
        if KIND != "fentry":  # whose programs are left out where the kernel preempts one
            self.assertEqual(0, stats["capture_lost_skipped"])
        # Read, seldom in parts, and answered; that each is peeked at before is nothing.
        self.assertLess(stats["operations_seen"], 3 * len(sent))


class Spliced(Base):
    def test_body(self):
        """Bodies that go by splice() are seen by their length, so that the next request on the connection is found."""
        connection = self.connect()
        sent = []
        for number in range(10):
            request = traffic.Request("POST", traffic.with_id("/spliced"), body=b"b" * (1000 + 3000 * number))
            connection.send(request)
            sent.append(request)
        by_id = self.each_once(sent)
        for request in sent:
            self.assertEqual(len(request.body), by_id[request.id][0].attributes["http.request.body.size"])
        self.assertGreaterEqual(self.watcher.stats()["capture_lost_syscall_unreadable"], len(sent))


if __name__ == "__main__":
    unittest.main()
