# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Programs that do not read and write by the usual system calls: tests/io/io_program.c, as a server and as a client. What
they print of each request is the oracle."""

import collections
import subprocess
import unittest

import harness

PROGRAM = harness.BUILD / "tests" / "io" / "io_program"
CLIENTS, REQUESTS = 3, 40


class Ways(harness.Case):
    """Every request has one span on either side, that says the same as both programs."""

    capture = "tracepoint"

    def run_way(self, way):
        """The server's and the clients' lines, and what the agent has seen: (logged, answered, spans, agent)."""
        if not PROGRAM.exists():
            self.fail(f"{PROGRAM} does not exist: make build")
        server = self.start([PROGRAM, way, "server"])
        port = server.wait_line(server.lines, r"^listening (\d+)").group(1)
        agent = self.agent("--exe", str(PROGRAM), f"--capture={self.capture}")
        clients = [self.start([PROGRAM, way, "client", port, f"c{i}", str(REQUESTS)], stdin=subprocess.PIPE)
                   for i in range(CLIENTS)]
        for client in clients:
            client.wait_line(client.lines, rf"^answer \S+-{REQUESTS - 1} ", 60)
        spans = agent.interrupt()
        self.assertIsNone(server.process.poll(), str(server))
        logged = [line.split() for line in list(server.lines) if not line.startswith("listening")]
        answered = [line.split()[1:] for client in clients for line in client.lines]
        self.assertEqual(CLIENTS * REQUESTS, len(logged))
        self.assertEqual(CLIENTS * REQUESTS, len(answered))
        self.assertEqual({}, agent.lost())
        return logged, answered, spans, agent

    @staticmethod
    def sizes(span):
        return span.attributes.get("http.request.body.size", 0), span.attributes.get("http.response.body.size")

    def whole(self, way):
        logged, answered, spans, agent = self.run_way(way)
        server = collections.Counter((s.method, s.target, s.code, *self.sizes(s)) for s in spans if s.kind == harness.SERVER)
        self.assertEqual(collections.Counter((m, t, int(s), int(i), int(o)) for m, t, s, i, o in logged), server)
        client = collections.Counter((s.id, s.code, *self.sizes(s)) for s in spans if s.kind == harness.CLIENT)
        self.assertEqual(collections.Counter((i, int(s), int(o), int(r)) for i, s, o, r in answered), client)
        self.assertEqual([], [s for s in spans if "zerospan.incomplete" in s.attributes][:3])
        # The programs call nobody while they serve.
        self.assertEqual([], [s for s in spans if s.kind == harness.CLIENT and s.parent_id][:3])
        return agent.stats()

    def readable(self, way):
        self.assertEqual(0, self.whole(way)["capture_lost_syscall_unreadable"])

    def test_plain(self):
        self.readable("plain")

    def test_sendmmsg_recvmmsg(self):
        self.readable("mmsg")

    def test_zero_copy(self):
        self.readable("zerocopy")

    def test_sendfile(self):
        """Bodies: their length is enough, and is told as what it is."""
        self.assertGreater(self.whole("sendfile")["capture_lost_syscall_unreadable"], 0)

    def nothing_wrong(self, way, counter="capture_lost_syscall_unreadable"):
        """Whatever is said of a request is what its programs say; what was not seen is counted, and not made up."""
        logged, answered, spans, agent = self.run_way(way)
        self.assertGreater(agent.stats()[counter], 0)
        self.assertEqual(len(spans), len({(span.kind, span.id) for span in spans}))
        said = {harness.id_of(t): (int(s), int(i), int(o)) for m, t, s, i, o in logged}
        for span in spans:
            status, *sizes = said[span.id]
            self.assertIn(span.code, [status] if "zerospan.incomplete" not in span.attributes else [status, None])
            for name, size in zip(("http.request.body.size", "http.response.body.size"), sizes):
                if "zerospan.incomplete" not in span.attributes:
                    self.assertIn(span.attributes.get(name), [size, None], span)
        return spans, agent.stats()

    def test_splice(self):
        """Out of a socket it is not seen, but for what it leaves out: the next message is found."""
        spans, stats = self.nothing_wrong("splice")
        self.assertEqual(2 * CLIENTS * REQUESTS, len(spans))
        self.assertEqual([], [span for span in spans if span.code is None][:3])


class BySystemCall(Ways):
    """The last-resort hook: of a call for many messages only the first one's bytes are read."""

    capture = "syscall"

    def test_sendmmsg_recvmmsg(self):
        self.nothing_wrong("mmsg", counter="capture_lost_too_many_buffers")

    def test_io_uring(self):
        """Not seen at all, and counted."""
        logged, answered, spans, agent = self.run_way("uring")
        self.assertEqual([], spans)
        self.assertGreater(agent.stats()["capture_lost_io_uring"], len(logged))


class Rings(Ways):
    """io_uring, in each of the ways in which a ring works."""

    test_plain = test_sendmmsg_recvmmsg = test_zero_copy = test_sendfile = test_splice = None

    def test_send_receive(self):
        self.readable("uring")

    def test_read_write(self):
        self.readable("uring-read")

    def test_kernel_thread_submits(self):
        self.readable("uring-sqpoll")

    def test_worker_threads(self):
        self.readable("uring-async")

    def test_deferred_work(self):
        self.readable("uring-defer")

    def test_zero_copy_send(self):
        self.readable("uring-zerocopy")

    def test_arrays_of_buffers(self):
        """Read if the request did not have to wait."""
        self.nothing_wrong("uring-message")
        self.nothing_wrong("uring-vector")

    def test_selected_buffers(self):
        self.nothing_wrong("uring-buffers")

    def test_multishot(self):
        self.nothing_wrong("uring-multishot")


class KernelTls(Ways):
    """The kernel encrypts: what the programs write and read is plain. Needs a kernel with CONFIG_TLS (vmtests)."""

    test_plain = test_sendmmsg_recvmmsg = test_zero_copy = test_sendfile = test_splice = None

    def test_both_directions(self):
        self.readable("ktls")


class KernelTlsBySystemCall(KernelTls):
    capture = "syscall"


if __name__ == "__main__":
    unittest.main(verbosity=2)
