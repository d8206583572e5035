# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Spans against what the programs themselves logged."""

import collections
import statistics

from harness import SERVER, TIME_FACTOR

# How far two clocks readings of one moment may lie apart when the machine is busy: a thread can be
# off the CPU between its system call and its look at the clock. Held by every request; nine in ten
# must agree to the resolution of the log.
HARD, MOST = 0.25 * TIME_FACTOR, 0.002 * TIME_FACTOR


def check_servers(case, logged, spans, sent, clock):
    """Every logged request has exactly one server span, and no span is without a logged request. For
    servers that make no calls of their own."""
    by_id = collections.defaultdict(list)
    for span in spans:
        by_id[span.id].append(span)
    sent = {request.id: request for request in sent}
    problems, starts, ends, early = [], [], [], 0
    problems += [f"not a server span: {span}" for span in spans if span.kind != SERVER]
    for line in logged:
        found = by_id.pop(line.id, [])
        if len(found) != 1:
            problems.append(f"{len(found)} spans for {line}")
            continue
        span, request = found[0], sent[line.id]
        if (span.method, span.target, span.code) != (line.method, line.target, line.status):
            problems.append(f"logged {line}, span {span.method} {span.target} {span.code}")
        size = span.attributes.get("http.response.body.size")
        # A chunked body's framing is counted in where its bytes were not captured: 7 bytes for each
        # 1,000 as the test programs cut it.
        most = line.bytes + (line.bytes // 500 + 2) * 16 if "chunked=1" in line.target else line.bytes
        if size is None or not line.bytes <= size <= most:
            problems.append(f"body size {size} for {line}")
        # A server that closes of its own accord, or after an error, need not have read the body.
        closed = getattr(request, "closed", False) and (not request.close or line.status >= 400)
        body = 0 if closed else len(request.body)
        # Answered before the end of a chunked body was seen: its size is not told.
        unread = (span.attributes.get("zerospan.incomplete") == ["body_end_unknown"] and
                  len(request.payload()) > body and "http.request.body.size" not in span.attributes)
        early += unread
        if not unread and body and not body <= span.attributes.get("http.request.body.size", 0) <= body + \
                (len(request.payload()) - body):
            problems.append(f"request body size {span.attributes.get('http.request.body.size')} for {request.head(0)}")
        if span.attributes.get("zerospan.incomplete") and not unread:
            problems.append(f"incomplete {span.attributes['zerospan.incomplete']} for {line}")
        # The span contains the server's own time, and lies within the client's.
        starts.append(span.start - line.start - clock)
        ends.append(line.end - span.end - clock)
        if starts[-1] > HARD or ends[-1] > HARD:
            problems.append(f"span {span.start:.6f} to {span.end:.6f} does not contain {line}")
        if span.start < request.sent_at - MOST or span.end > request.done_at + HARD:
            problems.append(f"span {span.start:.6f} to {span.end:.6f} outside of the client's "
                            f"{request.sent_at:.6f} to {request.done_at:.6f}")
    for left in by_id.values():
        problems.append(f"span without a logged request: {left[0]}")
    if early > 3 + len(logged) // 50:
        problems.append(f"{early} request bodies without their end")
    case.assertEqual([], problems[:5], f"{len(problems)} problems in {len(logged)} requests")
    for name, excess in (("start", starts), ("end", ends)):
        ninth = statistics.quantiles(excess, n=10)[-1]
        case.assertLess(ninth, MOST, f"nine in ten spans' {name} must lie outside the server's own time")


class Score:
    """Of N requests with unique ids: how many client spans have the right parent, none, a wrong one."""

    def __init__(self, spans, ids):
        servers = {span.span_id: span for span in spans if span.kind == SERVER}
        self.right = self.orphan = self.wrong = self.duplicate = 0
        self.examples = []
        seen = collections.Counter()
        for span in spans:
            if span.kind == SERVER or span.id not in ids:
                continue
            seen[span.id] += 1
            parent = servers.get(span.parent_id)
            if not span.parent_id:
                self.orphan += 1
            elif parent and parent.id == span.id and parent.trace_id == span.trace_id:
                self.right += 1
            else:
                self.wrong += 1
                self.examples.append((span.id, parent.id if parent else span.parent_id))
        self.missing = len(set(ids) - set(seen))
        self.duplicate = sum(count - 1 for count in seen.values())

    def __str__(self):
        return (f"right {self.right}, orphan {self.orphan}, wrong {self.wrong}, missing {self.missing}, "
                f"twice {self.duplicate}")
