#!/usr/bin/python3
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What zerospan costs on this machine, as one table: server CPU per request with and without it, its
memory, and how long it takes to start, to show a span and to stop.

CPU is compared side by side: rounds with and without the agent alternate in the same run, against
the same server process, on the same core, and the middle round of each counts. The server has the
first core to itself, the load generator the second. Nothing is asserted: the goals are printed
beside what was measured, and a noisy machine shows as a wide spread.

Run as root, after `make build`: python3 bench/bench.py [--rounds N] [--seconds S] [--only WORD]
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import harness  # noqa: E402
import servers  # noqa: E402
import traffic  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


class Bench:
    """Stands in for a test case: starts programs in a folder of its own, and ends them."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zerospan-bench-"))
        self.directory.chmod(0o755)
        self.programs = []

    def need(self, *commands):
        for command in commands:
            if not shutil.which(command):
                raise SystemExit(f"{command} is not installed (scripts/install-test-deps.sh)")

    def start(self, command, **how):
        program = harness.Program(command, **how)
        self.programs.append(program)
        return program

    def agent(self, *selection, **how):
        agent = harness.Agent(self.directory, *selection, **how)
        self.programs.append(agent)
        return agent

    def close(self):
        for program in reversed(self.programs):
            program.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def family(pid):
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(pid):
    """User and system time of a process and its descendants, in the scheduler's nanoseconds."""
    total = 0
    for member in family(pid):
        for task in pathlib.Path(f"/proc/{member}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def cpu_with_fallback(pid):
    try:
        return cpu_seconds(pid)
    except (FileNotFoundError, ValueError):
        fields = [pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split() for p in family(pid)]
        return sum(int(f[11]) + int(f[12]) for f in fields) / TICKS


def pin(pid, core):
    for member in family(pid):
        for task in pathlib.Path(f"/proc/{member}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})


def measure(server, path, seconds, core):
    before = cpu_with_fallback(server.pid)
    count, rate = traffic.wrk(f"http://127.0.0.1:{server.port}{path}", seconds, connections=8, cores=str(core))
    return (cpu_with_fallback(server.pid) - before) / count * 1e6, rate


def cost_per_request(bench, make, path, selected, rounds, seconds):
    """Medians in microseconds of server CPU per request: (without, with, spread of the ratio, rates)."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, load_core = cores[0], cores[-1]
    server = make(bench)
    pin(server.pid, server_core)
    other = None if selected else servers.go_echo(bench)
    measure(server, path, 1, load_core)
    plain, traced, rates = [], [], ([], [])
    for _ in range(rounds):
        micros, rate = measure(server, path, seconds, load_core)
        plain.append(micros)
        rates[0].append(rate)
        agent = bench.agent("--pid", str(server.pid if selected else other.pid))
        # The agent shares the load generator's core, as it would share any core but the server's.
        pin(agent.pid, load_core)
        micros, rate = measure(server, path, seconds, load_core)
        agent.interrupt()
        agent.output.unlink(missing_ok=True)
        traced.append(micros)
        rates[1].append(rate)
    for program in (server, other):
        if program:
            program.program.stop()
    ratios = [with_agent / without for with_agent, without in zip(traced, plain)]
    return (statistics.median(plain), statistics.median(traced), statistics.median(ratios), min(ratios),
            max(ratios), statistics.median(rates[0]), statistics.median(rates[1]))


def locked_bytes(pid):
    """What the kernel charges for the maps that a process holds open."""
    seen, total = set(), 0
    for entry in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            fields = dict(line.split(":", 1) for line in entry.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if "map_id" in fields and fields["map_id"] not in seen:
            seen.add(fields["map_id"])
            total += int(fields.get("memlock", "0"))
    return total


def resident_mb(pid, key="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


class Table:
    def __init__(self):
        self.rows = []

    def add(self, name, measured, goal, value, limit):
        """`goal` is how the limit is written; PASS when value <= limit."""
        self.rows.append((name, measured, goal, "PASS" if value <= limit else "MISS"))
        print("  " + " | ".join(self.rows[-1]), flush=True)

    def print(self):
        head = ("what", "measured", "goal", "")
        widths = [max(len(row[i]) for row in [head, *self.rows]) for i in range(4)]
        print()
        for row in [head, tuple("-" * width for width in widths), *self.rows]:
            print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


def idle_memory(bench, table):
    sleepers = [bench.start(["sleep", "1000"]) for _ in range(100)]
    agent = bench.agent("--exe", "*/sleep")
    # What is left after start-up, when the allocator has had its say.
    time.sleep(2)
    rss = resident_mb(agent.pid)
    table.add("resident memory, idle, 100 processes watched", f"{rss:.1f} MB", "<= 40 MB", rss, 40)
    locked = locked_bytes(agent.pid) / 2**20
    table.add("locked memory of BPF maps", f"{locked:.1f} MiB", "<= 16 MiB", locked, 16)
    agent.interrupt()
    for sleeper in sleepers:
        sleeper.stop()


def load_memory(bench, table):
    server = servers.nginx(bench)
    agent = bench.agent("--pid", str(server.pid))
    total = 0
    while total < 100_000:
        total += traffic.wrk(f"http://127.0.0.1:{server.port}/fast", 3, connections=64)[0]
    rss = resident_mb(agent.pid, "VmHWM")
    agent.interrupt()
    table.add(f"resident memory, most, under {total} requests", f"{rss:.1f} MB", "<= 80 MB", rss, 80)
    lost = sum(agent.lost().values())
    table.add(f"records and spans lost of {total} requests", str(lost), "0", lost, 0)
    server.program.stop()


def life(bench, table):
    server = servers.go_echo(bench)
    starts, stops, shown = [], [], []
    for _ in range(5):
        agent = bench.agent("--pid", str(server.pid))
        starts.append(agent.seconds_to_ready)
        for _ in range(10):
            size = agent.output.stat().st_size if agent.output.exists() else 0
            with traffic.Connection(server.port) as connection:
                connection.send(traffic.Request("GET", "/c"))
                done = time.monotonic()
                harness.wait_for(lambda: agent.output.exists() and agent.output.stat().st_size > size,
                                 "the span", 5, 0.001)
                shown.append(time.monotonic() - done)
        agent.interrupt()
        stops.append(agent.seconds_to_stop)
    for name, values, limit in (("start to attached, slowest of 5", starts, 1.0),
                                ("span visible after its end, slowest of 50", shown, 0.2),
                                ("shutdown, slowest of 5", stops, 1.0)):
        table.add(name, f"{max(values) * 1000:.0f} ms", f"<= {limit * 1000:.0f} ms", max(values), limit)
    server.program.stop()


def replay_rate(table):
    """The Google Benchmark of replay, when it was built."""
    binary = harness.BUILD / "bench" / "replay_bench"
    if not binary.exists():
        found = list(harness.BUILD.rglob("*replay_bench"))
        if not found:
            print("  replay_bench is not built: the row is left out")
            return
        binary = found[0]
    text = subprocess.run([binary, "--benchmark_format=json"], capture_output=True, text=True, check=True,
                          cwd=ROOT).stdout
    for entry in json.loads(text)["benchmarks"]:
        if "items_per_second" in entry:
            rate = entry["items_per_second"]
            table.add(f"replay, {entry['name']}", f"{rate:,.0f}/s", ">= 500,000/s", -rate, -500_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", default="", help="cpu, memory, life or replay")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench.py loads BPF programs: run it as root (sudo make bench)")
    if not harness.BINARY.exists():
        raise SystemExit(f"{harness.BINARY} does not exist: make build")
    table, bench = Table(), Bench()
    try:
        if options.only in ("", "cpu"):
            for name, make, path, selected, limit in (
                    ("Go net/http, selected", servers.go_echo, "/", True, 1.10),
                    ("Go net/http, not selected", servers.go_echo, "/", False, 1.02),
                    ("nginx, selected", servers.nginx, "/fast", True, 1.20),
                    ("nginx, not selected", servers.nginx, "/fast", False, 1.02)):
                plain, traced, ratio, least, most, rate, traced_rate = cost_per_request(
                    bench, make, path, selected, options.rounds, options.seconds)
                table.add(f"server CPU per request, {name}",
                          f"{ratio:.3f}x ({least:.2f} to {most:.2f}): {plain:.1f} -> {traced:.1f} us, "
                          f"{rate:,.0f} -> {traced_rate:,.0f} req/s", f"<= {limit:.2f}x", ratio, limit)
        if options.only in ("", "memory"):
            idle_memory(bench, table)
            load_memory(bench, table)
        if options.only in ("", "life"):
            life(bench, table)
        if options.only in ("", "replay"):
            replay_rate(table)
    finally:
        bench.close()
    table.print()


if __name__ == "__main__":
    main()
