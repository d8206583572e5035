# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""100,000 requests at full speed: a span for each, none lost, and what the agent counts adds up."""

import os
import unittest

import harness
import servers
import traffic

REQUESTS = int(os.environ.get("ZEROSPAN_LOAD_REQUESTS", "100000"))


class Load(harness.Case):
    def load(self, close, connections=64):
        server = servers.nginx(self)
        log = server.log
        before = log.read_bytes().count(b"\n") if log.exists() else 0
        agent = self.agent("--pid", str(server.pid))
        # wrk stops by time, not by count: go on until there were enough.
        rates = []
        while log.exists() is False or log.read_bytes().count(b"\n") - before < REQUESTS:
            _, rate = traffic.wrk(f"http://127.0.0.1:{server.port}/logged", 3, connections, close=close)
            rates.append(rate)
        # nginx itself ends every connection that it still holds, so its log is whole after that.
        server.program.stop()
        requests = log.read_bytes().count(b"\n") - before
        self.wait_written(agent)
        rss = agent.resident_peak_kb()
        agent.end()
        spans, complete = 0, 0
        with open(agent.output) as lines:
            for line in lines:
                spans += line.count('"spanId"')
                complete += line.count('"http.response.status_code"')
        stats, lost = agent.stats(), agent.lost()
        print(f"\nload{' close' if close else ''}: {requests} requests, {max(rates):.0f}/s, {spans} spans, "
              f"lost {lost or 0}, resident {rss // 1024} MB", flush=True)
        # wrk cuts its last requests short: those have a line in the log (status 499) or a span
        # without a status, never neither. So the sum is exact.
        self.assertEqual(requests, spans + sum(lost.values()), stats)
        self.assertEqual({}, lost)
        self.assertGreater(complete, requests - connections * len(rates) - 1)
        self.assertEqual(stats["spans_made"], stats["spans_exported"])
        self.assertEqual(stats["records_reserved"], stats["records_decoded"])

    def wait_written(self, agent):
        """Until the output has not grown for a second: then nothing is on its way."""
        last = [agent.output.stat().st_size, harness.time.monotonic()]

        def quiet():
            size, now = agent.output.stat().st_size, harness.time.monotonic()
            if size != last[0]:
                last[:] = size, now
            return now - last[1] > 1

        harness.wait_for(quiet, "the last spans to be written", 60, interval=0.05)

    def test_keep_alive(self):
        self.load(close=False)

    def test_connection_close(self):
        self.load(close=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
