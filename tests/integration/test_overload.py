# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""A ring that is too small, and an agent that stands still: what is lost is counted and told, what is
told is right, and afterwards everything is as before."""

import collections
import os
import pathlib
import signal
import socket
import unittest

import harness
import servers
import traffic

# Both the smallest that the configuration allows; one ring, so that all connections meet in it.
RING_BYTES = 64 << 10
MIXED_LOAD = """
local prefix, count = "", 0
function init(args) prefix = args[1] end
function request()
  count = count + 1
  local path = ({"200", "404", "503"})[count % 3 + 1]
  if count % 23 == 0 then path = "files/100000" end
  return wrk.format("GET", string.format("/named/%s?fill=%s&id=%s-%d", path,
    string.rep("x", count * 7 % 50), prefix, count))
end
"""


class Overload(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = servers.nginx(self)
        config = self.directory / "zerospan.yaml"
        self.received = self.directory / "spans.jsonl"
        config.write_text(f"capture:\n  ring_bytes: {RING_BYTES}\n  workers: 1\n"
                          "http:\n  response_headers: [x-id]\n"
                          f"exporter:\n  kind: file\n  file: {self.received}\n")
        self.watcher = self.agent("--pid", str(self.server.pid), "--config", str(config),
                                  "--metrics-listen", "127.0.0.1:0", command="run")
        self.metrics_port = int(self.watcher.wait_line(self.watcher.errors, r"metrics at port (\d+)").group(1))
        self.stopped = False
        self.addCleanup(self.go_on)

    def stand_still(self):
        os.kill(self.watcher.pid, signal.SIGSTOP)
        status = pathlib.Path(f"/proc/{self.watcher.pid}/status")
        harness.wait_for(lambda: "\nState:\tT" in status.read_text(), "the agent to stand still")
        self.stopped = True

    def go_on(self):
        if self.stopped and self.watcher.process.poll() is None:
            os.kill(self.watcher.pid, signal.SIGCONT)
        self.stopped = False

    def metrics(self):
        return harness.sums(harness.scrape(self.metrics_port))

    def settled(self):
        """The counters, once nothing is on its way: every record and every span is accounted for."""
        last = {}

        def quiet():
            totals = {name.removeprefix("zerospan_").removesuffix("_total"): value
                      for name, value in self.metrics().items()}
            done = totals["records_reserved"] == totals["records_decoded"] + totals["records_lost_ring_full"] \
                and totals["exchanges"] == totals["spans_made"] + totals["spans_not_sampled"] \
                and totals["spans_made"] == totals["spans_exported"] + totals["spans_dropped"]
            accounts = {name: totals[name] for name in ("records_reserved", "spans_made")}
            known, last["accounts"] = last.get("accounts"), accounts
            return totals if done and known == accounts else None

        return harness.wait_for(quiet, "the accounts to balance", 30, interval=0.1)

    def wait_logged_bytes(self, count):
        start = self.server.log.stat().st_size
        harness.wait_for(lambda: self.server.log.stat().st_size > start + count, "the server to go on logging")

    def judge(self, logged, spans, cut=0, killed=float("inf")):
        """Every span against the server's log. `cut` is how many requests the client may have left
        behind when it was killed. Returns how many requests have a whole span, one that says it is not,
        and none."""
        lines = {line.id: line for line in logged}
        self.assertEqual(len(logged), len(lines), "ids in the log")
        seen, problems, score = set(), [], collections.Counter(whole=0, flagged=0, cut=0)
        for span in spans:
            if span.kind != harness.SERVER or span.id in seen:
                problems.append(f"twice, or not a server's: {span}")
            seen.add(span.id)
            line = lines.get(span.id)
            # 499 is nginx's word for a client that was gone. It need not notice; but then the reset may
            # be seen before the answer that it was sent for. nginx's clock stands still while it works
            # through a batch of events: it does not tell which requests ended after the client.
            if line is None or line.status == 499 or \
                    span.code is None and "error.type" in span.attributes and span.end > killed:
                score["cut"] += 1
                continue
            size = span.attributes.get("http.response.body.size")
            named = span.attributes.get("http.response.header.x-id")
            told = (span.method, span.target, span.code, size, named)
            truth = (line.method, line.target, line.status, line.bytes, [line.id])
            if not span.attributes.get("zerospan.incomplete"):
                score["whole"] += 1
                if told != truth:
                    problems.append(f"says nothing of being incomplete: {told}, logged: {truth}")
            else:
                score["flagged"] += 1
                # It may know less, but nothing else; and that we did not see all is no error.
                if told[:2] != truth[:2] or span.code not in (None, line.status) or \
                        named not in (None, [line.id]) or (size or 0) > line.bytes or \
                        ("error.type" in span.attributes) != ((span.code or 0) >= 500):
                    problems.append(f"{span.attributes}, logged: {truth}")
        self.assertEqual([], problems[:5], f"{len(problems)} problems in {len(spans)} spans")
        self.assertLessEqual(score["cut"], cut)
        score["none"] = len(set(lines) - seen)
        return score

    def spans(self):
        return harness.parse_spans(self.received.read_text())

    def expect_right_again(self, rounds=4, each=60):
        """New connections after the overload: a whole span for every request, and nothing is lost."""
        before = self.settled()
        known = {line.id for line in self.server.logged()}
        for _ in range(rounds):
            # No more than the ring holds, whenever the agent may get the processor.
            targets = [traffic.with_id(f"/named/200?fill={'y' * (index % 50)}") for index in range(each)]
            traffic.concurrent_gets(self.server.port, targets, 4)
            after = self.settled()
        requests = rounds * each
        new = [line for line in self.server.wait_logged(len(known) + requests) if line.id not in known]
        spans = [span for span in self.spans() if span.id not in known]
        lost = after["records_lost_ring_full"] - before["records_lost_ring_full"]
        self.assertEqual(0, lost)
        score = self.judge(new, spans)
        self.assertEqual((requests, 0, 0), (score["whole"], score["flagged"], score["none"]), score)

    def finish(self):
        """Ends the agent; returns its final counters, which must be those of the spans that it wrote."""
        self.watcher.end()
        stats = self.watcher.stats()
        self.assertEqual(stats["records_reserved"], stats["records_decoded"] + stats["records_lost_ring_full"])
        dropped = sum(value for name, value in stats.items() if name.startswith("spans_dropped_"))
        self.assertEqual(stats["exchanges"], stats["spans_made"] + stats["spans_not_sampled"])
        self.assertEqual(stats["spans_made"], stats["spans_exported"] + dropped)
        self.assertEqual(stats["spans_exported"], len(self.spans()))
        return stats

    def report(self, what, score, lost):
        total = score["whole"] + score["flagged"] + score["none"]
        print(f"\n{what}: {total} requests, {score['whole']} whole spans, {score['flagged']} that say they are "
              f"incomplete, {score['none']} requests without, {lost:.0f} records lost", flush=True)

    def stops_under_load(self, *arguments):
        """wrk, while the agent stops again and again for longer than its ring lasts."""
        self.need("wrk")
        script = self.directory / "mixed.lua"
        script.write_text(MIXED_LOAD)
        connections = 32
        load = self.start(["wrk", "-t1", f"-c{connections}", "-d60s", "-s", script, *arguments,
                           f"http://127.0.0.1:{self.server.port}", "--", "w"])
        harness.wait_for(lambda: self.server.log.exists(), "the first requests")
        for _ in range(5):
            self.wait_logged_bytes(RING_BYTES)
            self.stand_still()
            self.wait_logged_bytes(2 * RING_BYTES)
            self.go_on()
        self.wait_logged_bytes(RING_BYTES)
        killed = harness.time.time()
        load.stop()
        lost = self.settled()["records_lost_ring_full"]
        self.assertRegex(harness.scrape(self.metrics_port), r"(?m)^zerospan_records_lost_ring_full_total [1-9]")
        self.expect_right_again()
        self.finish()
        score = self.judge(self.server.logged(), self.spans(), cut=connections, killed=killed)
        self.report(f"stopped under load {' '.join(arguments)}", score, lost)
        self.assertGreater(score["whole"], 0)
        self.assertGreater(score["none"], 0)
        # A request without a span has lost its own record at least, or that of its connection.
        self.assertLessEqual(score["none"], lost)
        return score

    def test_stops_under_load(self):
        self.assertGreater(self.stops_under_load()["flagged"], 0)

    def test_stops_under_load_of_short_connections(self):
        self.stops_under_load("-H", "Connection: close")

    def test_connections_that_live_on(self):
        """Kept connections across one stop. Requests and answers are one operation each, so the losses
        can be told to within what a connection's end loses."""
        # Before and after no more than the ring holds, between them many times that.
        count, before, during, after = 15, 5, 50, 5
        connections = [traffic.Connection(self.server.port) for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.close)

        def ask(times):
            ids = []
            for turn in range(times):
                for index, connection in enumerate(connections):
                    path = f"/named/{(200, 404, 503)[(turn + index) % 3]}?fill={'z' * (turn + index)}"
                    request = traffic.Request("GET", traffic.with_id(path))
                    connection.socket.sendall(request.head(self.server.port))
                    connection.receive(request)
                    ids.append(request.id)
            return ids

        ask(before)
        self.settled()
        self.stand_still()
        ask(during)
        self.go_on()
        lost = self.settled()["records_lost_ring_full"]
        last = ask(after)
        totals = self.settled()
        self.assertEqual(lost, totals["records_lost_ring_full"])
        logged = self.server.wait_logged(count * (before + during + after))
        spans = self.spans()
        # The first request behind the gap may say that it is next to it; then all is right again.
        behind = [span for span in spans if span.id in set(last[count:])]
        self.assertEqual(sorted(last[count:]), sorted(span.id for span in behind))
        self.assertEqual([], [span.attributes for span in behind if span.attributes.get("zerospan.incomplete")])
        self.assertLessEqual(set(last[:count]), {span.id for span in spans})
        score = self.judge(logged, spans)
        self.report("connections that live on", score, lost)
        self.assertGreater(score["none"], 0)
        # Each request without a span has lost its own record; each record that is lost is the request
        # or the answer of one that has no span, or has one that says so.
        self.assertLessEqual(score["none"], lost)
        self.assertLessEqual(lost, 2 * score["none"] + 2 * score["flagged"])
        self.expect_right_again()
        self.finish()

    def test_connection_that_begins_in_the_gap(self):
        """Its first record is lost, and the agent meets it in the middle of a request: what follows is seen."""
        self.stand_still()
        with traffic.Connection(self.server.port) as filler:
            for _ in range(RING_BYTES // 256):
                filler.send(traffic.Request("GET", traffic.with_id("/named/200")))
        connection = traffic.Connection(self.server.port)
        self.addCleanup(connection.close)
        first = traffic.Request("GET", traffic.with_id("/named/200"))
        head = first.head(self.server.port)
        connection.socket.sendall(head[:20])
        self.wait_read(connection)
        self.go_on()
        lost = self.settled()["records_lost_ring_full"]
        self.assertGreater(lost, 0)
        connection.socket.sendall(head[20:])
        connection.receive(first)
        later = [traffic.Request("GET", traffic.with_id("/named/200")) for _ in range(5)]
        for request in later:
            connection.send(request)
        totals = self.settled()
        self.assertEqual(lost, totals["records_lost_ring_full"])
        wanted = {request.id for request in later}
        found = [span for span in self.spans() if span.id in wanted]
        self.assertEqual(sorted(wanted), sorted(span.id for span in found), totals)
        self.judge(self.server.logged(), self.spans())
        self.assertEqual([], [span for span in found[1:] if span.attributes.get("zerospan.incomplete")])
        self.finish()

    def wait_read(self, connection):
        """Until the server has read all that was sent on this connection."""
        ends = [f"0100007F:{port:04X}" for port in (self.server.port, connection.socket.getsockname()[1])]

        def read():
            rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
            # ESTABLISHED, accepted, and nothing in its receive queue.
            return any(row[1:3] == ends and row[3] == "01" and row[9] != "0" and row[4].endswith(":00000000")
                       for row in rows)

        harness.wait_for(read, "the server to read")


if __name__ == "__main__":
    unittest.main(verbosity=2)
