#!/usr/bin/python3
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Makes the golden recordings anew: real traffic of real programs, and the spans that it gives.

Run as root, after `make build`, when the ABI version or the spans have changed on purpose, and read
the difference before it is committed: sudo tests/golden/record.py [NAME ...]

What says where it was recorded (host, machine id, paths) is replaced. The traffic is the tests' own.
"""

import json
import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "integration"))
import harness  # noqa: E402
import servers  # noqa: E402
import traffic  # noqa: E402

PROCESS = 2  # EntryType::kProcess, agent/kernel/recording.h
PLACELESS = {"host.name": "golden", "host.id": "0" * 32, "os.version": "6.18.0", "container.id": None}


class Recorder(harness.Case):
    def runTest(self):
        """Only a home for the programs that a recording needs."""

    def record(self, name, pids, run):
        raw = self.directory / "raw.zsr"
        agent = self.agent("--pid", ",".join(map(str, pids)), "--output", str(raw), command="record")
        run()
        agent.interrupt()
        self.assertEqual({}, agent.lost())
        recording = HERE / f"{name}.zsr"
        recording.write_bytes(self.placeless(raw.read_bytes()))
        spans = subprocess.run([harness.BINARY, "replay", recording, "--format=otlp-json"], check=True,
                               capture_output=True).stdout
        (HERE / f"{name}.jsonl").write_bytes(spans)
        print(f"{name}: {recording.stat().st_size} bytes, {len(harness.parse_spans(spans.decode()))} spans")

    def placeless(self, data):
        at = data.index(b"\n") + 1 + 8
        result = [data[:at]]
        while at < len(data):
            kind, ring, length = struct.unpack_from("<BBxxI", data, at)
            body = data[at + 8:at + 8 + length]
            at += 8 + length
            if kind == PROCESS:
                body = self.placeless_process(body)
            result.append(struct.pack("<BBxxI", kind, ring, len(body)) + body)
        return b"".join(result)

    def placeless_process(self, body):
        process = json.loads(body)
        kept = []
        for key, value in process["attributes"]:
            value = PLACELESS.get(key, value)
            if isinstance(value, str):
                value = value.replace(str(self.directory), "/tmp/golden")
                value = value.replace(str(harness.BUILD), "/opt").replace(str(harness.ROOT), "/opt/zerospan")
            if value is not None:
                kept.append([key, value])
        process["attributes"] = kept
        return json.dumps(process, separators=(",", ":")).encode()


def nginx_proxies_to_go(case, name):
    back = servers.go(case)
    front = servers.nginx(case, backend=back.port)

    def run():
        traffic.run_mixed(front, traffic.mixed(front, 40))
        traffic.concurrent_gets(front.port, [traffic.with_id("/proxy?delay=5") for _ in range(20)], 20)

    case.record(name, [front.pid, back.pid], run)


def node_calls_python(case, name):
    back = servers.python(case)
    front = servers.node(case, backend=back.port)

    def run():
        traffic.concurrent_gets(front.port, [traffic.with_id("/proxy?delay=5") for _ in range(30)], 10)
        traffic.run_mixed(back, traffic.mixed(back, 40))

    case.record(name, [front.pid, back.pid], run)


def python_threads_call_java(case, name):
    back = servers.java(case)
    front = servers.python(case, backend=back.port)

    def run():
        traffic.concurrent_gets(front.port, [traffic.with_id("/proxy?delay=5") for _ in range(30)], 10)

    case.record(name, [front.pid, back.pid], run)


def http_as_it_can_be(case, name):
    program = case.start([harness.PYTHON, harness.PROGRAMS / "raw_server.py"])
    port = int(program.wait_line(program.lines, r"^listening (\d+)").group(1))

    def run():
        for path in ("/close", "/old", "/hints", "/trailers", "/reason", "/bytes", "http://shop.example/plain"):
            with traffic.Connection(port) as connection:
                connection.send(traffic.Request("GET", traffic.with_id(path)))
        with traffic.Connection(port) as connection:
            connection.send(traffic.Request("GET", traffic.with_id("/plain"), headers={"Cookie": "c" * 20_000}))
            connection.send(traffic.Request("GET", traffic.with_id("/plain")))
        with traffic.Connection(port) as connection:
            request = traffic.Request("GET", traffic.with_id("/upgrade"),
                                      headers={"Connection": "Upgrade", "Upgrade": "echo"})
            connection.socket.sendall(request.head(port))
            connection._head()
        for path in ("/reset", "/hangup"):
            with traffic.Connection(port) as connection:
                connection.socket.sendall(traffic.Request("GET", traffic.with_id(path)).head(port))
                connection.input.readline()

    case.record(name, [program.pid], run)


RECORDINGS = {function.__name__: function for function in
              (nginx_proxies_to_go, node_calls_python, python_threads_call_java, http_as_it_can_be)}


def main():
    for name in sys.argv[1:] or RECORDINGS:
        case = Recorder()
        case.setUp()
        try:
            RECORDINGS[name](case, name)
        finally:
            case.doCleanups()


if __name__ == "__main__":
    main()
