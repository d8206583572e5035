# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Tables of the kernel side that are full: what is not followed is counted and said, what is followed is
right, and what comes after it is followed again."""

import os
import pathlib
import signal
import subprocess
import unittest

import harness
import servers
import traffic

CONNECTIONS = 64  # the smallest that the configuration allows
PROCESSES = 16    # the same
PROCESS_RING_BYTES = 256 << 10
PROCESS_EVENT_BYTES = 32  # or more: zs_process_record and the ring's own header


class Limits(harness.Case):
    def watch(self, *selection, **capture):
        options = "".join(f"  {name}: {value}\n" for name, value in capture.items())
        config = self.directory / "zerospan.yaml"
        config.write_text(f"capture:\n{options}" if options else "{}\n")
        return self.agent(*selection, "--config", str(config))

    def asked(self, connections):
        """One request on each connection; their ids."""
        ids = []
        for connection in connections:
            request = traffic.Request("GET", traffic.with_id("/named/200"))
            connection.send(request)
            ids.append(request.id)
        return ids

    def test_connections(self):
        server = servers.nginx(self)
        agent = self.watch("--pid", str(server.pid), max_connections=CONNECTIONS)
        more = 30
        connections = [traffic.Connection(server.port) for _ in range(CONNECTIONS + more)]
        ids = self.asked(connections)
        for connection in connections:
            connection.close()
        # nginx closes them in its own time; the one that is let in then is a new one.
        last = []

        def followed():
            with traffic.Connection(server.port) as connection:
                last.extend(self.asked([connection]))
            return any(id in agent.output.read_text() for id in last)

        harness.wait_for(followed, "a connection that is followed again", interval=0.1)
        logged = server.wait_logged(len(ids) + len(last))
        agent.end()
        spans = agent.spans()
        by_id = {line.id: line for line in logged}
        self.assertEqual(len(spans), len({span.id for span in spans}))
        for span in spans:
            line = by_id[span.id]
            self.assertEqual((line.method, line.target, line.status), (span.method, span.target, span.code))
            self.assertNotIn("zerospan.incomplete", span.attributes)
        missed = len(set(ids) - {span.id for span in spans})
        lost = agent.stats()["capture_lost_connections_full"]
        print(f"\n{len(ids)} connections at once, {CONNECTIONS} followed at most: {missed} requests without a span, "
              f"{lost} operations lost", flush=True)
        self.assertGreaterEqual(missed, more)
        # Of each request that has no span at least one operation was counted; nginx reads and writes.
        self.assertGreaterEqual(lost, missed)

    def test_processes(self):
        sleepers = [self.start(["/usr/bin/sleep", "1000"]) for _ in range(PROCESSES + 4)]
        agent = self.watch("--pid", ",".join(str(sleeper.pid) for sleeper in sleepers), max_processes=PROCESSES)
        agent.wait_line(agent.errors, r"4 selected processes are not traced: capture\.max_processes")
        agent.end()
        self.assertEqual(4, agent.stats()["processes_over_limit"])

    def test_process_events(self):
        """A program that began while the agent stood still, and whose events did not fit."""
        port = harness.free_port()
        agent = self.watch("--port", str(port))
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            status = pathlib.Path(f"/proc/{agent.pid}/status")
            harness.wait_for(lambda: "\nState:\tT" in status.read_text(), "the agent to stand still")
            events = PROCESS_RING_BYTES // PROCESS_EVENT_BYTES
            subprocess.run(["/bin/sh", "-c", f"i=0; while [ $i -lt {events} ]; do /bin/true; i=$((i+1)); done"],
                           check=True, timeout=120)
            server = self.start(["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)],
                                cwd=self.directory)
            harness.wait_for(lambda: harness.accepts(port), "the server")
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        agent.wait_line(agent.errors, r"process events were lost \(\d+ so far\): reading /proc again")

        def seen():
            subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/seen"], check=False, timeout=20)
            return agent.output.read_text()

        harness.wait_for(seen, "a span of the server", interval=0.1)
        agent.end()
        self.assertGreater(agent.stats()["capture_lost_process_ring_full"], 0)
        self.assertEqual({server.pid}, {span.resource["process.pid"] for span in agent.spans()})


if __name__ == "__main__":
    unittest.main(verbosity=2)
