# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The parents benchmark (bench/parents.py): its scoring, two of its rows with few requests, and the chain of five services in
five languages."""

import argparse
import subprocess
import sys
import unittest

import harness
from harness import CLIENT, SERVER

sys.path.insert(0, str(harness.ROOT / "bench"))
import parents  # noqa: E402


def span(kind, trace, span_id, parent="", query="", **attributes):
    return harness.Span(trace, span_id, parent, "", kind, 0, 0, 0, "", {"url.query": query, **attributes}, {})


class Scores(unittest.TestCase):
    def test_each_kind_of_parent(self):
        spans = [span(SERVER, "t1", "s1", query="plan=x&id=1"), span(SERVER, "t2", "s2", query="id=2"),
                 span(CLIENT, "t1", "c1", "s1", **{"url.full": "http://x/?id=1.0"}),
                 span(CLIENT, "t3", "c2", **{"db.query.text": "SELECT pg_sleep(?) AS r1_1"}),
                 span(CLIENT, "t2", "c3", "s2", **{"rpc.request.metadata.x-id": ["1.2"]}),
                 span(CLIENT, "t9", "c4", "s2", query="id=2.0"),  # the right request, in another trace
                 span(CLIENT, "t2", "c5", "c3", query="id=2.1"),  # below what is no request
                 span(CLIENT, "t2", "c6", "s2", query="id=2.2"), span(CLIENT, "t2", "c7", "", query="id=2.2")]
        expected = dict.fromkeys(("1.0", "1.1", "1.2", "1.3", "2.0", "2.1", "2.2"), ("http", "first"))
        found, problems = parents.scores(expected, ["1", "2"], spans)
        self.assertEqual([], problems)
        of = {name: next(field for field in ("wrong", "right", "orphan", "missing") if getattr(score, field)) for name, score in found.items()}
        self.assertEqual({"1.0": "right", "1.1": "orphan", "1.2": "wrong", "1.3": "missing", "2.0": "wrong", "2.1": "wrong", "2.2": "orphan"}, of)
        self.assertEqual(1, found["2.2"].twice)
        self.assertEqual(1, len(parents.scores(expected, ["1", "2", "3"], spans)[1]))

    def test_joined_traces(self):
        back = {"process.pid": 7}
        spans = [span(SERVER, "t1", "s1", query="id=1"), span(CLIENT, "t1", "c1", "s1", query="id=1.0"),
                 span(CLIENT, "t1", "c2", "s1", query="id=1.1"), span(SERVER, "t1", "b1", "c1", query="id=1.0"),
                 span(SERVER, "t5", "b2", query="id=1.1")]
        for each in spans[3:]:
            each.resource = back
        found, _ = parents.scores(dict.fromkeys(("1.0", "1.1"), ("http", "first")), ["1"], spans, 7)
        self.assertEqual([(1, 1), (1, 0)], [(score.joinable, score.joined) for score in found.values()])

    def test_the_plans_of_each_row(self):
        for row in parents.ROWS:
            for plan in row.plans():
                with self.subTest(row=row.name, plan=plan):
                    calls = row.calls("1", plan)
                    self.assertTrue(1 <= len(calls) <= 5)
                    self.assertLessEqual({kind for kind, _ in calls.values()}, set(row.kinds))
                    self.assertLessEqual({way for _, way in calls.values()}, set(row.ways))
        full = parents.ROWS[0]
        self.assertEqual({(kind, way) for kind in parents.KINDS for way in parents.WAYS},
                         {call for plan in full.plans() for call in full.calls("1", plan).values()})

    def test_chains(self):
        chain = parents.Chain.__new__(parents.Chain)
        chain.identities, chain.examples = ["1"], []

        def line():
            spans = []
            for i in range(len(parents.CHAIN)):
                for depth, kind in ((i, SERVER), (i + 1, CLIENT)):
                    spans.append(span(kind, "t", f"{len(spans)}", f"{len(spans) - 1}" if spans else "", query="id=1" + ".0" * depth))
            return spans
        self.assertEqual({"whole": 1}, chain.judge(line()))
        apart, wrong, other_trace, short = line(), line(), line(), line()
        apart[4].parent_id = ""
        wrong[5].parent_id = "3"
        other_trace[6].trace_id = "u"
        self.assertEqual([{"apart": 1}, {"wrong": 1}, {"wrong": 1}, {"incomplete": 1}, {"incomplete": 1}],
                         [chain.judge(spans) for spans in (apart, wrong, other_trace, short[:-1], short + short[:1])])


class Bench(harness.Case):
    def setUp(self):
        super().setUp()
        self.stand = parents.Stand()
        self.addCleanup(self.stand.close)
        self.backend = parents.Backend(self.stand)


class Short(Bench):
    """What a thread or a goroutine does itself is always right; what it hands over is right or a root."""

    def score(self, name, sure):
        row = next(row for row in parents.ROWS if row.name == name)
        options = argparse.Namespace(concurrency=[1, 16], requests=56, propagate=False)
        result = parents.measure(row, self.backend, options)
        self.assertIn("calls", result, result)
        parents.print_results([result], options.concurrency, False)
        self.assertEqual(([], 0, 0, 0), (result["problems"], result["wrong"], result["missing"], result["twice"]))
        self.assertEqual(2 * 4 * sum(len(row.calls("1", plan)) for plan in row.plans()), result["calls"])
        for way in sure:
            self.assertEqual(0, result["by_way"][way]["orphan"], way)

    def test_go(self):
        self.score("Go net/http", [f"{kind} {way}" for kind in parents.KINDS for way in ("first", "later", "parallel", "timer")])

    def test_python_threads(self):
        self.score("Python http.server threads, requests", [f"{kind} {way}" for kind in ("http", "sql") for way in ("first", "later", "timer")])


class Rows(Bench):
    """Every row that can be had here; what it cannot have is told."""

    def test_nothing_is_wrong(self):
        options = argparse.Namespace(concurrency=[64], requests=280, propagate=False)
        results = [parents.measure(row, self.backend, options) for row in parents.ROWS]
        parents.print_results(results, options.concurrency, False)
        self.assertEqual([], [result for result in results if parents.bad(result)])
        self.assertGreater(sum("calls" in result for result in results), len(results) // 2)


class Chain(Bench):
    """Go, Java, Node.js, Python, Ruby, each asking the next."""

    def run_chain(self, count, wide, *how):
        chain = parents.Chain(self.stand, self.backend)
        agent = self.agent("--pid", ",".join(map(str, chain.pids)), *how)
        for _ in range(20):  # what the agent attaches at an event loop's first calls takes a moment
            chain.send(1, 1)
        chain.send(count, wide)
        spans = agent.interrupt(120)
        self.assertEqual({}, agent.lost())
        verdicts = chain.judge(spans)
        print(f"\nchain of {len(parents.CHAIN)} services{' '.join(['', *how])}: {dict(verdicts)} of {count}", flush=True)
        self.assertEqual((0, 0), (verdicts["wrong"], verdicts["incomplete"]), chain.examples[:3])
        return verdicts

    def test_nothing_is_wrong(self):
        self.run_chain(1000, 50)

    def test_one_trace_each(self):
        told = subprocess.run([harness.BINARY, "trace", "--help"], capture_output=True, text=True, check=True).stdout
        if "--propagate" not in told:
            self.skipTest("this zerospan has no --propagate")
        self.assertEqual({"whole": 10_000}, self.run_chain(10_000, 200, "--propagate"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
