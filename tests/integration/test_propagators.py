# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Trace context in the formats that OTEL_PROPAGATORS selects: the client knows what it sent, and the
server's span must say the same trace, the same parent, and be there only if the caller wanted it."""

import dataclasses
import unittest

import harness
import servers
import traffic

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SHORT = "0" * 16 + TRACE[16:]
ROOT = object()


@dataclasses.dataclass
class Sent:
    headers: dict
    trace: object = TRACE  # or ROOT
    parent: str = PARENT
    sampled: object = True  # what the caller decided; None: nothing


def b3(trace=TRACE, rest="-1"):
    return {"b3": f"{trace}-{PARENT}{rest}"}


def b3_multi(trace=TRACE, **more):
    return {"X-B3-TraceId": trace, "X-B3-SpanId": PARENT, **{f"X-B3-{k}": v for k, v in more.items()}}


def jaeger(trace=TRACE, parent=PARENT, rest=":0:1"):
    return {"uber-trace-id": f"{trace}:{parent}{rest}"}


def xray(trace=TRACE, rest=";Sampled=1"):
    return {"X-Amzn-Trace-Id": f"Root=1-{trace[:8]}-{trace[8:]};Parent={PARENT}{rest}"}


GOOD = {
    "b3": [
        Sent(b3()),
        Sent(b3(TRACE.upper())),
        Sent(b3(TRACE[16:]), SHORT),
        Sent(b3(rest="-d")),
        Sent(b3(rest="-1-05e3ac9a4f6e3b90")),
        Sent(b3(rest="-0"), sampled=False),
        Sent(b3(rest=""), sampled=None),
    ],
    "b3multi": [
        Sent(b3_multi(Sampled="1")),
        Sent(b3_multi(TRACE[16:], Sampled="1"), SHORT),
        Sent(b3_multi(Sampled="1", ParentSpanId="05e3ac9a4f6e3b90")),
        Sent(b3_multi(Flags="1")),
        Sent(b3_multi(Sampled="0"), sampled=False),
        Sent(b3_multi(), sampled=None),
    ],
    "jaeger": [
        Sent(jaeger()),
        Sent({"Uber-Trace-Id": f"{TRACE}%3A{PARENT}%3A0%3A1"}),
        Sent(jaeger(TRACE[16:]), SHORT),
        Sent(jaeger("1f", "2e"), f"{'1f':0>32}", f"{'2e':0>16}"),  # leading zeros may be left out
        Sent(jaeger(rest=":05e3ac9a4f6e3b90:3")),
        Sent(jaeger(rest=":0:0"), sampled=False),
    ],
    "xray": [
        Sent(xray()),
        Sent({"x-amzn-trace-id": f"Self=1-67891234-12456789abcdef012345678f; Sampled=1; Parent={PARENT}; "
                                 f"Root=1-{TRACE[:8]}-{TRACE[8:]}; Lineage=a87bd80c:1|68fd508a:5"}),
        Sent(xray(rest=";Sampled=0"), sampled=False),
        Sent(xray(rest=";Sampled=?"), sampled=None),
        Sent(xray(rest=""), sampled=None),
    ],
}

BAD = {
    "b3": ["", "0", "1", "d", "-", TRACE, f"{TRACE}-", f"{TRACE[:-1]}-{PARENT}-1", f"{TRACE}0-{PARENT}-1",
           f"{TRACE}-{PARENT[:-1]}-1", f"{TRACE}-{PARENT}-2", f"{TRACE}-{PARENT}-1-{PARENT}-1",
           f"{'0' * 32}-{PARENT}-1", f"{TRACE}-{'0' * 16}-1", f"{'g' * 32}-{PARENT}-1", "\u00ff" * 20, "a" * 3000],
    "uber-trace-id": ["", ":::", "1:2:3", f"{TRACE}:{PARENT}:0", f"{TRACE}:{PARENT}:0:1:1", f"{TRACE}0:{PARENT}:0:1",
                      f"{TRACE}:{PARENT}0:0:1", f"{TRACE}:{PARENT}:0:", f"{TRACE}:{PARENT}:0:100", f"0:{PARENT}:0:1",
                      f"{TRACE}:0:0:1", f"{'g' * 32}:{PARENT}:0:1", f"{TRACE}%3B{PARENT}%3B0%3B1", "%3A" * 3,
                      f"{TRACE}:{PARENT}:0:1\r\nUber-Trace-Id: {TRACE}:{PARENT}:0:0", "a" * 3000],
    "X-Amzn-Trace-Id": ["", ";;;", "Root=", f"Root=1-{TRACE[:8]}-{TRACE[8:]}", f"Parent={PARENT};Sampled=1",
                        f"Root=2-{TRACE[:8]}-{TRACE[8:]};Parent={PARENT};Sampled=1",
                        f"Root=1-{TRACE[:7]}-{TRACE[7:]};Parent={PARENT};Sampled=1",
                        f"Root=1-{TRACE};Parent={PARENT};Sampled=1",
                        f"Root=1-{'0' * 8}-{'0' * 24};Parent={PARENT};Sampled=1",
                        f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={'0' * 16};Sampled=1",
                        f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={PARENT};Parent={PARENT[::-1]};Sampled=1",
                        f"Root=1-{TRACE[:8]}-{'g' * 24};Parent={PARENT}", ";" * 3000],
}


class Propagators(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = servers.go(self)

    def spans(self, propagators, sent, sampler="always_on"):
        """Sends all of it on one connection; returns the span of each in order, None where there is none."""
        agent = self.agent("--pid", str(self.server.pid),
                           env={"OTEL_PROPAGATORS": propagators, "OTEL_TRACES_SAMPLER": sampler})
        requests = [traffic.Request("GET", traffic.with_id("/p?size=5"), headers=one.headers) for one in sent]
        with traffic.Connection(self.server.port) as connection:
            for request in requests:
                connection.send(request)
                self.assertEqual((200, 5), (request.status, request.bytes))
        spans = agent.interrupt()
        stats = agent.stats()
        self.assertEqual({}, agent.lost())
        self.assertEqual(len(requests), len(spans) + stats["spans_not_sampled"])
        by_id = {span.id: span for span in spans}
        self.assertEqual(len(spans), len(by_id))
        return [by_id.get(request.id) for request in requests]

    def expect(self, propagators, sent, sampler="always_on"):
        keeps = {"always_on": (True, False, None), "parentbased_always_on": (True, None),
                 "parentbased_always_off": (True,)}[sampler]
        roots = set()
        for one, span in zip(sent, self.spans(propagators, sent, sampler)):
            with self.subTest(propagators=propagators, headers=one.headers):
                self.assertEqual(one.sampled in keeps, span is not None, "sampled")
                if span is None:
                    continue
                self.assertEqual(harness.SERVER, span.kind)
                self.assertNotIn("zerospan.incomplete", span.attributes)
                if one.trace is ROOT:
                    self.assertEqual("", span.parent_id)
                    self.assertNotIn(span.trace_id, roots | {TRACE, SHORT, "0" * 32})
                    self.assertNotIn(span.span_id, (PARENT, "0" * 16))
                    roots.add(span.trace_id)
                else:
                    self.assertEqual((one.trace, one.parent), (span.trace_id, span.parent_id))
                    self.assertNotEqual(one.parent, span.span_id)

    def check(self, name):
        for sampler in ("always_on", "parentbased_always_on", "parentbased_always_off"):
            self.expect(name, GOOD[name], sampler)
        # Formats that were not asked for are not looked at.
        other = "jaeger" if name == "xray" else "xray"
        self.expect(f"{other},tracecontext", [Sent(one.headers, ROOT) for one in GOOD[name]])

    def test_b3_single(self):
        self.check("b3")

    def test_b3_multi(self):
        self.check("b3multi")

    def test_jaeger(self):
        self.check("jaeger")

    def test_xray(self):
        self.check("xray")

    def test_order_decides(self):
        digits = {"tracecontext": "1", "b3": "2", "jaeger": "3", "xray": "4"}
        traces = {name: digit * 32 for name, digit in digits.items()}
        headers = {"traceparent": f"00-{traces['tracecontext']}-{PARENT}-01", **b3(traces["b3"]),
                   **jaeger(traces["jaeger"]), **xray(traces["xray"])}
        names = list(digits)
        for order in (names, names[::-1], ["xray", "tracecontext"], ["jaeger", "b3", "baggage"]):
            self.expect(",".join(order), [Sent(headers, traces[order[0]])])
            # One that is not valid does not count.
            spoilt = dict(headers)
            key = {"tracecontext": "traceparent", "b3": "b3", "jaeger": "uber-trace-id",
                   "xray": "X-Amzn-Trace-Id"}[order[0]]
            spoilt[key] = "nonsense"
            self.expect(",".join(order), [Sent(spoilt, traces[order[1]])])
        self.expect("none", [Sent(headers, ROOT)])

    def test_malformed_is_a_root(self):
        """Each in turn, and a good one of the same format behind it on the same connection."""
        sent = []
        good = {"b3": b3(), "uber-trace-id": jaeger(), "X-Amzn-Trace-Id": xray()}
        for header, values in BAD.items():
            for value in values:
                sent += [Sent({header: value}, ROOT, sampled=None), Sent(good[header])]
        for multi in (b3_multi("1"), b3_multi("0" * 32), b3_multi(Sampled="2"), {"X-B3-Sampled": "1"},
                      {"X-B3-TraceId": TRACE}, {"X-B3-SpanId": PARENT, "X-B3-Flags": "1"}):
            sent += [Sent(multi, ROOT, sampled=None), Sent(b3_multi(Sampled="1"))]
        for sampler in ("always_on", "parentbased_always_off"):
            self.expect("b3,jaeger,xray", sent, sampler)

    def test_unknown_name_is_an_error(self):
        agent = self.start([harness.BINARY, "trace", "--pid", str(self.server.pid)],
                           env={"OTEL_PROPAGATORS": "tracecontext,ottrace"})
        self.assertNotEqual(0, agent.wait_exit())
        self.assertRegex("\n".join(agent.errors), r"OTEL_PROPAGATORS.*ottrace|ottrace.*OTEL_PROPAGATORS")


if __name__ == "__main__":
    unittest.main(verbosity=2)
