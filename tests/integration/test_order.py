# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Records that are not in the order in which things happened: the hooks fire at the end of a system call, and whom that call has
woken may come first. Forced by threads of real time on one processor (tests/io/io_program.c), seen in the recording. The spans must
be right everywhere; the order is forced only where the kernel preempts a thread inside of a system call."""

import struct
import subprocess
import unittest

import harness
import oracle

PROGRAM = harness.BUILD / "tests" / "io" / "io_program"
REQUESTS = 200
CONNECTION, DATA = 1, 2  # enum zs_record_type
RECEIVE, SEND = 0, 1  # enum zs_direction
SERVER, CLIENT = 1, 2  # enum zs_role


def records(recording):
    """The data records of each role's connections: {role: [direction, ...]}. Layout: bpf/abi/abi.h."""
    data = recording.read_bytes()
    position = data.index(b"\n") + 1 + 8
    roles, found = {}, {SERVER: [], CLIENT: []}
    while position + 8 <= len(data):
        entry, _, _, length = struct.unpack_from("<BBHI", data, position)
        body = position + 8
        position = body + length
        if entry != 1 or length < 16:
            continue
        _, kind, _, connection = struct.unpack_from("<IHHQ", data, body)
        if kind == CONNECTION:
            roles[connection] = data[body + 30]
        elif kind == DATA and roles.get(connection) in found:
            found[roles[connection]].append(data[body + 72])
    return found


class Overtaken(harness.Case):
    def serve(self, *arguments):
        if not PROGRAM.exists():
            self.fail(f"{PROGRAM} does not exist: make build")
        server = self.start([PROGRAM, *arguments])
        return server, server.wait_line(server.lines, r"^listening (\d+)").group(1)

    def run_way(self, way, role, requests=REQUESTS):
        _, port = self.serve(way, "server")
        recording, live = self.directory / "recording.zsr", self.directory / "live.jsonl"
        agent = self.agent("--exe", str(PROGRAM), "--output", str(recording), "--spans", str(live), command="record")
        client = self.start([PROGRAM, way, "client", port, "x", str(requests)], stdin=subprocess.PIPE)
        client.wait_line(client.lines, rf"^answer x-{requests - 1} 200", 60)
        agent.end()
        replayed = subprocess.run([harness.BINARY, "replay", recording, "--format=otlp-json"], capture_output=True, text=True,
                                  timeout=60 * harness.TIME_FACTOR)
        self.assertEqual(0, replayed.returncode, replayed.stderr)
        spans = harness.parse_spans(replayed.stdout)
        wanted = [(f"x-{i}", 200) for i in range(requests)]
        for kind in (harness.SERVER, harness.CLIENT):
            mine = [span for span in spans if span.kind == kind]
            self.assertEqual([], sorted(set(wanted) ^ {(span.id, span.code) for span in mine}, key=str), f"kind {kind}")
            self.assertEqual(len(wanted), len(mine))
            self.assertEqual([], [span for span in mine if "zerospan.incomplete" in span.attributes][:3])
            # One request after the other: none begins before the one before it has ended, but for what a server's
            # call lasts longer than its answer takes.
            self.assertEqual(requests, len({span.start for span in mine}))
        self.assertEqual(0, agent.stats()["http1_responses_without_request"])
        return self.overtakes(records(recording)[role], role)

    @staticmethod
    def overtakes(directions, role):
        """How often a record comes before the one that it follows from: a client's answer before its request, a server's
        next request before its answer."""
        first, second = (SEND, RECEIVE) if role == CLIENT else (RECEIVE, SEND)
        count = {first: 0, second: 0}
        reversed_ = 0
        for direction in directions:
            count[direction] += 1
            ahead = count[RECEIVE] > count[SEND] if role == CLIENT else count[RECEIVE] > count[SEND] + 1
            reversed_ += direction == RECEIVE and ahead
        return reversed_

    def was_forced(self, overtaken, requests=REQUESTS):
        if overtaken < requests // 2:
            self.skipTest(f"{overtaken} of {requests} overtaken, and their spans right: this kernel does not preempt a system "
                          "call (vmtests has some that do)")

    def test_answer_before_request(self):
        self.was_forced(self.run_way("overtaken-client", CLIENT))

    def test_answer_long_before_request(self):
        """TCP has acknowledged the answer meanwhile, which it stamps like data that was sent."""
        self.was_forced(self.run_way("overtaken-client-long", CLIENT, 60), 60)

    def test_parents(self):
        """The next request is read, and a call made for it, before the answer to the one before is recorded."""
        _, backend = self.serve("plain", "server")
        server, port = self.serve("overtaken-server", "server", backend)
        agent = self.agent("--pid", str(server.pid))
        client = self.start([PROGRAM, "overtaken-server", "client", port, "x", str(REQUESTS)], stdin=subprocess.PIPE)
        client.wait_line(client.lines, rf"^answer x-{REQUESTS - 1} 200", 60)
        score = oracle.Score(agent.interrupt(), {f"x-{i}" for i in range(REQUESTS)})
        print(f"\nscore overtaken: {score}", flush=True)
        self.assertEqual((0, 0, 0), (score.wrong, score.missing, score.duplicate), score.examples[:5])

    def test_next_request_before_answer(self):
        self.was_forced(self.run_way("overtaken-server", SERVER))


if __name__ == "__main__":
    unittest.main(verbosity=2)
