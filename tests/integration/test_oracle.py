# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The oracle finds what it is there to find: each kind of error, put into right spans, fails."""

import dataclasses
import json
import types
import unittest

import harness
import oracle
import servers
import traffic


def logged(count):
    return [servers.Logged("GET", f"/c?size=10&id={i}", 200, 10, 100.0 + i, 100.1 + i, str(i)) for i in range(count)]


def span_of(line, kind=harness.SERVER, parent=""):
    path, query = line.target.split("?")
    return harness.Span(
        "t" + line.id, f"s{kind}{line.id}", parent, "GET", kind, line.start - 0.0001, line.end + 0.0001, 0, "",
        {"http.request.method": "GET", "url.path": path, "url.query": query, "http.response.status_code": 200,
         "http.response.body.size": 10}, {})


class Oracle(unittest.TestCase):
    def setUp(self):
        self.lines = logged(20)
        self.spans = [span_of(line) for line in self.lines]
        self.sent = [types.SimpleNamespace(id=line.id, body=b"", sent_at=line.start - 1, done_at=line.end + 1)
                     for line in self.lines]

    def check(self, spans):
        oracle.check_servers(self, self.lines, spans, self.sent, 0.0005)

    def wrong(self, **changes):
        return [dataclasses.replace(self.spans[0], **changes), *self.spans[1:]]

    def wrong_attribute(self, name, value):
        return self.wrong(attributes={**self.spans[0].attributes, name: value})

    def test_right(self):
        self.check(self.spans)

    def test_finds_each_error(self):
        for name, spans in {
                "missing": self.spans[1:],
                "twice": self.spans + self.spans[:1],
                "nobody's": self.spans + [dataclasses.replace(
                    self.spans[0], attributes={**self.spans[0].attributes, "url.query": "id=999"})],
                "client's": self.wrong(kind=harness.CLIENT),
                "method": self.wrong_attribute("http.request.method", "PUT"),
                "path": self.wrong_attribute("url.path", "/d"),
                "status": self.wrong_attribute("http.response.status_code", 201),
                "size": self.wrong_attribute("http.response.body.size", 11),
                "incomplete": self.wrong_attribute("zerospan.incomplete", ["gap"]),
                "too late": self.wrong(start=self.spans[0].start + 0.5),
                "too early": self.wrong(start=self.spans[0].start - 5),
                "ends early": self.wrong(end=self.spans[0].end - 0.5),
                "all a little late": [dataclasses.replace(s, start=s.start + 0.01) for s in self.spans]}.items():
            with self.subTest(name), self.assertRaises(AssertionError):
                self.check(spans)

    def test_score(self):
        ids = {line.id for line in self.lines}
        calls = [span_of(line, harness.CLIENT, f"s2{line.id}") for line in self.lines]
        right = oracle.Score(self.spans + calls, ids)
        self.assertEqual((20, 0, 0, 0), (right.right, right.orphan, right.wrong, right.missing))
        calls[0].parent_id = calls[1].parent_id
        calls[2].parent_id = ""
        calls[3].parent_id = "unknown"
        mixed = oracle.Score(self.spans + calls[:-1], ids)
        self.assertEqual((16, 1, 2, 1), (mixed.right, mixed.orphan, mixed.wrong, mixed.missing))

    def test_reads_otlp_json(self):
        text = json.dumps({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"spans": [{
                "traceId": "aa", "spanId": "bb", "name": "GET", "kind": 2, "startTimeUnixNano": "1500000000",
                "endTimeUnixNano": "2500000000", "attributes": [
                    {"key": "url.path", "value": {"stringValue": "/c"}},
                    {"key": "url.query", "value": {"stringValue": "a=1&id=7"}},
                    {"key": "http.response.status_code", "value": {"intValue": "200"}}]}]}]}]})
        (span,) = harness.parse_spans(text)
        self.assertEqual(("7", "/c?a=1&id=7", 200, 1.5, 2.5, "shop"),
                         (span.id, span.target, span.code, span.start, span.end, span.resource["service.name"]))
        self.assertEqual(traffic.Request("GET", "/c?a=1&id=7").id, span.id)


if __name__ == "__main__":
    unittest.main(verbosity=2)
