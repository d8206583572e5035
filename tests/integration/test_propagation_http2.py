# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Injection of traceparent into HTTP/2 and gRPC. The oracle is the bytes that the peer's socket received, and the fields
that nghttp2 decodes from them: the program's own, and exactly one more for each request, whose ids are those of the
exported client span."""

import collections
import json
import re
import subprocess
import unittest

import harness
import http2_bytes as h2
import servers
import test_go_rpc
import test_propagation
from harness import CLIENT, SERVER

FIELD = re.compile(rb"\x10\x0btraceparent\x3700-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])")
OWN = b"00-11111111111111111111111111111111-2222222222222222-01"
PARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$")
START = h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0)


def request(path, *more):
    """A header block without Huffman code: GET, http, the path, an authority that is put into the table."""
    return (b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x41\x01a" + b"".join(more))


def injections(stats):
    return {name: value for name, value in stats.items() if value and "inject" in name}


class Propagation(test_propagation.Propagation):
    def check(self, agent, requests, missing=0):
        """Each request has one traceparent, but for `missing`; each is of an exported client span."""
        sent = [block.values("traceparent") for block in requests]
        counts = collections.Counter(map(len, sent))
        self.assertLessEqual(set(counts), {0, 1}, counts)
        named = [PARENT.match(values[0]).groups() for values in sent if values]
        self.assertEqual(len(named), len({span for _, span, _ in named}))
        spans = {(span.trace_id, span.span_id): span for span in agent.interrupt() if span.kind == CLIENT}
        stats = agent.stats()
        self.assertEqual({}, agent.lost())
        told = injections(stats)
        self.assertEqual(counts[1], stats["injected"], told)
        self.assertEqual(missing, counts[0], told)
        self.assertEqual(0, stats["injections_unmatched"] + stats["injections_contradicted"], told)
        self.assertEqual([], [name for name in named if name[:2] not in spans][:3], told)
        self.assertEqual({"01"}, {flags for _, _, flags in named})
        return stats


class Bytes(Propagation):
    """A client of our own, whose bytes are known."""

    def finish_bytes(self, agent, sent, count):
        """`sent` arrived, with so many fields and the frames' lengths that they make."""
        self.recorder.wait_bytes(len(sent) + 69 * count)
        received = self.recorder.all()
        self.assertEqual(len(sent) + 69 * count, len(received))
        before = list(h2.frames(sent))
        after = list(h2.frames(received))
        self.assertEqual(len(before), len(after))
        for (*head, payload), (*head_now, payload_now) in zip(before, after):
            self.assertEqual((head, payload), (head_now, FIELD.sub(b"", payload_now)))
        blocks = h2.blocks(received)
        for was, now in zip(h2.blocks(sent), blocks):
            fields = [field for field in now.fields if field not in was.fields]
            self.assertEqual(now.fields, was.fields + fields)  # behind all others
            self.assertLessEqual(len(fields), 1 if now.is_request else 0)
        return blocks

    def test_frames_of_all_forms_in_one_send(self):
        client, agent = self.traced()
        ends = h2.END_HEADERS | h2.END_STREAM
        block = request(b"/5", b"\x40\x01k\x01v")
        sent = (START + h2.frame(h2.HEADERS, ends, 1, request(b"/1")) +
                h2.frame(h2.HEADERS, ends | h2.PADDED, 3, b"\x05" + request(b"/3") + bytes(5)) +
                h2.frame(h2.PING, 0, 0, b"pingpong") +
                h2.frame(h2.HEADERS, ends | h2.WITH_PRIORITY | h2.PADDED, 5, b"\x02" + bytes(4) + b"\x0f" + block + bytes(2)) +
                h2.frame(h2.HEADERS, h2.END_STREAM, 7, request(b"/7")[:6]) +
                h2.frame(h2.CONTINUATION, 0, 7, request(b"/7")[6:9]) +
                h2.frame(h2.CONTINUATION, 0, 7, request(b"/7")[9:]) +
                h2.frame(h2.CONTINUATION, h2.END_HEADERS, 7) +
                h2.frame(h2.HEADERS, h2.END_HEADERS, 9, request(b"/9")) +
                h2.frame(h2.DATA, 0, 9, h2.frame(h2.HEADERS, ends, 11, request(b"/no"))) +
                h2.frame(h2.HEADERS, ends, 9, b"\x00\x07trailer\x01t") +
                h2.frame(h2.HEADERS, ends, 13, request(b"/13", b"\x40\x0btraceparent\x37", OWN)) +
                h2.frame(h2.HEADERS, ends, 15, request(b"/15", b"\xbf")) +
                h2.frame(h2.HEADERS, ends, 17, request(b"/17")))
        self.send(client, sent)
        blocks = self.finish_bytes(agent, sent, 6)
        own = [block for block in blocks if OWN.decode() in block.values("traceparent")]
        self.assertEqual([13, 15], [block.stream for block in own])
        requests = [block for block in blocks if block.is_request and block not in own]
        stats = self.check(agent, requests)
        self.assertEqual(2, stats["not_injected_own"])

    def test_many_in_one_send(self):
        client, agent = self.traced()
        sent = START + b"".join(h2.frame(h2.HEADERS, 5, 2 * i + 1, request(b"/%d" % i)) for i in range(100))
        self.send(client, sent)
        self.check(agent, self.finish_bytes(agent, sent, 100))

    def test_cut_at_each_byte(self):
        one = h2.frame(h2.HEADERS, 5 | h2.PADDED, 0, b"\x02" + request(b"/s") + bytes(2))
        client, agent = self.traced()
        self.send(client, START)
        sent, whole = START, 0
        for at in range(len(one) + 1):
            stream = 2 * at + 1
            now = one[:5] + stream.to_bytes(4, "big") + one[9:]
            parts = [part for part in (now[:at], now[at:]) if part]
            self.send(client, *parts)
            sent += now
            # In the send that has the end of the block, its header must be.
            whole += at == 0 or at >= len(one) - 2
        blocks = self.finish_bytes(agent, sent, whole)
        stats = self.check(agent, blocks, missing=len(one) + 1 - whole)
        self.assertEqual(len(one) + 1 - whole, stats["not_injected_split"])

    def test_what_is_not_http2_is_left_alone(self):
        yamux = b"\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00"
        headers = h2.frame(h2.HEADERS, 5, 1, request(b"/1"))
        for name, sent in (("yamux", yamux + START + headers), ("no preface", h2.frame(h2.SETTINGS, 0, 0) + headers),
                           ("no settings", h2.PREFACE + headers), ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + headers),
                           ("odd", START + h2.frame(h2.HEADERS, 5, 2, request(b"/1")) + headers),
                           ("broken", START + h2.frame(h2.HEADERS, 5, 1, b"\x80") + h2.frame(h2.HEADERS, 5, 3, request(b"/1")))):
            with self.subTest(name):
                self.recorder = test_propagation.Recorder(self)
                client, agent = self.traced()
                for part in (sent, headers, headers):
                    self.send(client, part)
                self.recorder.wait_bytes(len(sent) + 2 * len(headers))
                self.assertEqual(sent + 2 * headers, self.recorder.all())
                agent.interrupt()
                self.assertEqual(0, agent.stats()["injected"])


class Programs(Propagation):
    def test_h2load(self):
        self.need("h2load")
        server = servers.nginx(self, template="http2.conf.in")
        relay = h2.Relay(self, server.port)
        agent = self.injecting("--exe", "*h2load")
        output = subprocess.run(["h2load", "-n", "4000", "-c", "4", "-m", "100", f"http://127.0.0.1:{relay.port}/s/200"],
                                capture_output=True, text=True, check=True).stdout
        self.assertIn("4000 succeeded", output)
        server.wait_logged(4000)
        requests = relay.requests()
        self.assertEqual(4000, len(requests))
        missing = len([1 for block in requests if not block.values("traceparent")])
        stats = self.check(agent, requests, missing)
        print(f"\n  {injections(stats)}")
        self.assertEqual(missing, stats["not_injected_process"] + stats["not_injected_split"] + stats["not_injected_buffer"])

    def test_nghttp_with_its_own(self):
        self.need("nghttp")
        server = servers.nginx(self, template="http2.conf.in")
        relay = h2.Relay(self, server.port)
        agent = self.injecting("--exe", "*/nghttp")
        subprocess.run(["nghttp", "-n", "-H", "traceparent: " + OWN.decode(),
                        *[f"http://127.0.0.1:{relay.port}/s/{code}" for code in (200, 204, 404)]], check=True, timeout=60)
        server.wait_logged(3)
        self.assertEqual([[OWN.decode()]] * 3, [block.values("traceparent") for block in relay.requests()])
        agent.interrupt()
        stats = agent.stats()
        self.assertEqual((0, 3), (stats["injected"], stats["not_injected_own"]))


class Chains(test_go_rpc.Rpc):
    """Go programs that are called over HTTP/2 and call on: the trace that came in goes on, with the caller's id."""

    @classmethod
    def setUpClass(cls):
        cls.path = test_go_rpc.build_rpc(harness.Case(), "plain")

    def serve_relayed(self, kind):
        self.web = servers.go(self)
        self.backend = self.start([self.path, "backend"])
        port = int(self.backend.wait_line(self.backend.lines, r"^listening (\d+)").group(1))
        self.relay = h2.Relay(self, port)
        self.log = self.directory / "served.log"
        program = self.start([self.path, "serve", kind, self.log, f"http://127.0.0.1:{self.web.port}",
                              f"127.0.0.1:{self.relay.port}"])
        port = program.wait_line(program.lines, r"^listening (\d+)").group(1)

        def is_injected():
            subprocess.run([self.path, "call", kind, port, "1", "1", "Grpc"], check=True, stdout=subprocess.DEVNULL)
            return self.relay.requests()[-1].values("traceparent")

        harness.wait_for(is_injected, "the agent to decide about the program")
        self.first = len(self.relay.requests())
        self.served = len(self.logged())
        return port

    def judge(self, agent, trace=None):
        """Each gRPC call as the backend got it, against the span of the request that it was made for."""
        spans = [test_go_rpc.identify(span) for span in agent.interrupt()]
        stats = agent.stats()
        # Programs are looked at from when they are executed until they are found not to be chosen.
        self.assertEqual(set(), set(agent.lost()) - {"spans_dropped_not_selected"})
        served = {span.span_id: span for span in spans if span.kind == SERVER}
        clients = {(span.trace_id, span.span_id): span for span in spans if span.kind == CLIENT}
        score = collections.Counter()
        examples = []
        for call in self.relay.requests()[self.first:]:
            i, values = call.values("x-id")[0], call.values("traceparent")
            self.assertLessEqual(len(values), 1)
            if not values:
                score["not injected"] += 1
                continue
            span = clients[PARENT.match(values[0]).groups()[:2]]
            self.assertEqual(i, span.id)
            if not span.parent_id:
                score["root"] += 1
                continue
            parent = served.get(span.parent_id)
            if parent and (i, span.trace_id) == (parent.id, parent.trace_id) and trace in (None, span.trace_id):
                score["right"] += 1
            else:
                examples.append((values, span, parent))
        print(f"\n  {dict(score)} {injections(stats)}", flush=True)
        self.assertEqual([], examples[:2])
        self.assertEqual(0, stats["injections_contradicted"])
        return score

    def test_from_a_header_in_all_forms(self):
        """nghttp2 sends the first one in Huffman code, and then by its index in the table."""
        self.need("h2load")
        for kind in ("unencrypted", "h2c"):
            with self.subTest(kind):
                trace = "4bf92f3577b34da6a3ce929d0e0e4736"
                # Before its connection to the backend.
                agent = self.agent("--exe", "*/rpc-plain", "--config", self.fields(), env=test_propagation.FORCED)
                port = self.serve_relayed(kind)
                urls = self.directory / "urls"
                urls.write_text("".join(f"http://127.0.0.1:{port}/Both?id=h{i:06}\n" for i in range(400)))
                subprocess.run(["h2load", "-n", "400", "-c", "1", "-m", "10", "-i", urls, "-H",
                                f"traceparent: 00-{trace}-00f067aa0ba902b7-01"], check=True, capture_output=True)
                harness.wait_for(lambda: len(self.logged()) == self.served + 400, "400 requests")
                score = self.judge(agent, trace)
                self.assertGreaterEqual(score["right"], 0.99 * score.total())

    def fields(self):
        config = self.directory / "zerospan.yaml"
        config.write_text(test_go_rpc.FIELDS)
        return str(config)

    def test_from_an_injected_one(self):
        """gRPC, three programs in a row."""
        agent = self.agent("--exe", "*/rpc-plain", "--config", self.fields(), env=test_propagation.FORCED)
        port = self.serve_relayed("grpc")
        client = self.start([self.path, "call", "grpc", port, "1000", "50", "Grpc", "Both", "Fan1"])
        client.wait_line(client.lines, "^done", 120)
        client.wait_exit()
        harness.wait_for(lambda: len(self.logged()) == self.served + 1000, "1000 requests")
        score = self.judge(agent)
        self.assertGreaterEqual(score["right"], 0.99 * score.total())


class Grpc(Propagation):
    """gRPC's implementations as clients."""

    def check_language(self, language, count=200):
        server = self.start([*servers.prepared("grpc/cpp"), "serve"])
        port = int(server.wait_line(server.lines, r"^listening (\d+)").group(1))
        relay = h2.Relay(self, port)
        # It connects when it is told to go.
        client = self.start([*servers.prepared(f"grpc/{language}"), "call", str(relay.port), str(count), "16"],
                            stdin=subprocess.PIPE)
        client.wait_line(client.lines, r"^ready", 30)
        agent = self.injecting("--pid", str(client.pid))
        client.process.stdin.write("go\n")
        client.process.stdin.flush()
        client.wait_line(client.lines, r"^done", 120)
        client.wait_exit()
        calls = [json.loads(line) for line in client.lines if line.startswith("{")]
        self.assertEqual(count + 1, len(calls))
        requests = relay.requests()
        missing = len([1 for block in requests if not block.values("traceparent")])
        stats = self.check(agent, requests, missing)
        print(f"\n  {language}: {len(requests)} requests, {injections(stats)}")
        self.assertEqual(missing, stats["not_injected_split"] + stats["not_injected_buffer"])
        # Header blocks behind a long message in the same send are left alone (decision 18).
        self.assertLessEqual(missing, len(requests) // 4)

    def test_cpp(self):
        self.check_language("cpp")

    def test_python(self):
        self.check_language("python")

    def test_go(self):
        self.check_language("go")


if __name__ == "__main__":
    unittest.main()
