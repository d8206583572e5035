# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Injection of traceparent into what real programs send. The oracle is the bytes that the peer's socket received: the
program's own and exactly one header for each request, whose ids are those of the exported client span."""

import collections
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import unittest
import urllib.request

import harness
import servers
from harness import CLIENT, SERVER, wait_for

HEADER = re.compile(rb"traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])\r\n")
# Also where sockets under injection differ from others in these (docs/propagation.md): the programs here do not mind.
FORCED = {"ZEROSPAN_PROPAGATION_INJECT": "on", "ZEROSPAN_PROPAGATION_TOLERATE": "fionread,two_ways"}
OWN = b"traceparent: 00-11111111111111111111111111111111-2222222222222222-01\r\n"
REQUEST_LINE = re.compile(rb"^(GET|POST|PUT) (/\S*) HTTP/1\.1\r\n")


class Recorder:
    """A server on plain sockets. It keeps what each connection received, and answers each request that it can read."""

    def __init__(self, case):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.received = []  # of each connection, a bytearray
        self.requests = []  # (head, body), in the order in which they were complete
        self.lock = threading.Lock()
        case.addCleanup(self.listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        data = bytearray()
        with self.lock:
            self.received.append(data)
        done = 0
        with connection:
            while True:
                try:
                    piece = connection.recv(65536)
                except OSError:
                    return
                if not piece:
                    return
                data += piece
                while (end := self._request_end(data, done)) is not None:
                    head_end = data.index(b"\r\n\r\n", done) + 4
                    with self.lock:
                        self.requests.append((bytes(data[done:head_end]), bytes(data[head_end:end])))
                    done = end
                    try:
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    except OSError:
                        return

    @staticmethod
    def _request_end(data, start):
        if not REQUEST_LINE.match(data[start:start + 8192]):
            return None
        at = data.find(b"\r\n\r\n", start)
        if at < 0:
            return None
        head, at = data[start:at + 4].lower(), at + 4
        length = re.search(rb"\r\ncontent-length:\s*(\d+)", head)
        if length:
            end = at + int(length.group(1))
            return end if len(data) >= end else None
        if b"\r\ntransfer-encoding: chunked" in head:
            while True:
                line = data.find(b"\r\n", at)
                if line < 0:
                    return None
                size = int(data[at:line].split(b";")[0], 16)
                at = line + 2 + size + 2
                if len(data) < at:
                    return None
                if size == 0:
                    return at
        return at

    def all(self):
        with self.lock:
            return b"".join(bytes(data) for data in self.received)

    def wait(self, count, seconds=20):
        wait_for(lambda: len(self.requests) >= count, f"{count} requests; there were {len(self.requests)}", seconds)

    def wait_bytes(self, count):
        wait_for(lambda: len(self.all()) >= count, f"{count} bytes; there were {len(self.all())}: {self.all()[:2000]}")


def without_header(data):
    return HEADER.sub(b"", data)


def contexts(data):
    return [tuple(part.decode() for part in found) for found in HEADER.findall(data)]


def get(path, fields=b""):
    return b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"


class Propagation(harness.Case):
    def setUp(self):
        super().setUp()
        self.recorder = Recorder(self)

    def client(self):
        """A client that is told what to send, and is traced before it connects."""
        client = self.start([harness.PYTHON, harness.PROGRAMS / "raw_client.py"], stdin=subprocess.PIPE)
        client.told = 0
        return client

    def tell(self, client, **command):
        client.process.stdin.write(json.dumps(command) + "\n")
        client.process.stdin.flush()
        client.told += 1
        wait_for(lambda: len(client.lines) >= client.told, f"an answer to {list(command)}")
        return json.loads(client.lines[client.told - 1])["answer"]

    def injecting(self, *selection, env=None):
        return self.agent(*selection, env={**FORCED, **(env or {})})

    def traced(self, *more, **how):
        client = self.client()
        agent = self.injecting("--pid", str(client.pid), *more, **how)
        self.tell(client, connect=self.recorder.port)
        return client, agent

    def send(self, client, *parts, **how):
        """What the calls returned is what the program gave them, whatever else went out."""
        results = self.tell(client, send=[part.hex() for part in parts], **how)
        self.assertEqual([len(b"".join(parts))] if how.get("writev") else [len(part) for part in parts], results)

    def finish(self, agent, sent, heads):
        """`sent` arrived with `heads` headers; each names a client span that was exported."""
        self.recorder.wait_bytes(len(sent) + 70 * heads)
        received = self.recorder.all()
        self.assertEqual(sent, without_header(received))
        self.assertEqual(heads, len(contexts(received)))
        spans = [span for span in agent.interrupt() if span.kind == CLIENT]
        stats = agent.stats()
        self.assertEqual({}, agent.lost())
        self.assertEqual(heads, stats["injected"], stats)
        self.assertEqual(0, stats["injections_unmatched"] + stats["injections_contradicted"], stats)
        named = {(trace, span) for trace, span, flags in contexts(received) if flags == "01"}
        self.assertEqual(named, {(span.trace_id, span.span_id) for span in spans} & named)
        return spans, stats


class Bytes(Propagation):
    """How a program cuts what it sends makes no difference."""

    def test_one_request_in_one_send(self):
        client, agent = self.traced()
        request = get("/a?id=1")
        self.send(client, request)
        self.recorder.wait(1)
        self.assertEqual(b"HTTP/1.1 200 OK", bytes.fromhex(self.tell(client, read=40))[:15])
        spans, stats = self.finish(agent, request, 1)
        self.assertEqual(1, len(spans))
        self.assertEqual("", spans[0].parent_id)
        self.assertEqual((spans[0].trace_id, spans[0].span_id, "01"), contexts(self.recorder.all())[0])
        # In front of the empty line.
        self.assertTrue(HEADER.search(self.recorder.all()).end() == len(self.recorder.all()) - 2)

    def test_pipelined_in_one_send(self):
        client, agent = self.traced()
        requests = b"".join(get(f"/a?id={i}") for i in range(20))
        self.send(client, requests)
        self.recorder.wait(20)
        spans, _ = self.finish(agent, requests, 20)
        self.assertEqual(20, len({span.trace_id for span in spans}))
        by_id = {span.id: span.span_id for span in spans}
        for head, _ in self.recorder.requests:
            self.assertEqual(by_id[harness.id_of(head.split()[1].decode())], contexts(head)[0][1])

    def test_heads_cut_anywhere(self):
        client, agent = self.traced()
        request = get("/cut?id=1", b"Accept: text/plain\r\nX-Long: " + b"y" * 50 + b"\r\n")
        sent = b""
        for cut in range(1, len(request) - 1):
            self.send(client, request[:cut], request[cut:])
            sent += request
            self.recorder.wait(cut)
        self.finish(agent, sent, len(request) - 2)

    def test_a_head_whose_last_byte_comes_alone(self):
        client, agent = self.traced()
        self.send(client, get("/alone")[:-1], b"\n", get("/next"))
        _, stats = self.finish(agent, get("/alone") + get("/next"), 1)
        self.assertEqual(1, stats["not_injected_split"])

    def test_byte_by_byte(self):
        client, agent = self.traced()
        request = get("/bytes")
        self.send(client, *[bytes([byte]) for byte in request])
        self.finish(agent, request, 0)

    def test_a_body_that_looks_like_requests(self):
        client, agent = self.traced()
        inner = get("/inner") * 3
        length = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
        chunked = (b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + b"%x\r\n" % len(inner) + inner + b"\r\n0\r\n\r\n")
        sent = b""
        for whole in (length, chunked):
            head, body = whole.split(b"\r\n\r\n", 1)
            for parts in ([whole], [head + b"\r\n\r\n", body], [whole[:-30], whole[-30:]], [whole + whole],
                          [head + b"\r\n\r\n", body[:10], body[10:60], body[60:] + get("/after")]):
                self.send(client, *parts)
                sent += b"".join(parts)
        self.recorder.wait(14)
        self.finish(agent, sent, 14)

    def test_ways_to_send(self):
        client, agent = self.traced()
        head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"
        body = os.urandom(300000)
        for how in ({}, {"more": True}, {"writev": True}):
            self.send(client, head, body, **how)
        self.send(client, head + body)
        self.send(client, head[:10], head[10:], body, more=True)
        self.recorder.wait(5)
        self.finish(agent, (head + body) * 5, 5)

    def test_sendfile(self):
        """A body goes as it is; a head that is in a file is not seen by the agent, so that no span would have its context."""
        client, agent = self.traced()
        head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"
        body = os.urandom(300000)
        self.send(client, head)
        self.send(client, body, file=True)
        self.send(client, get("/next"))
        self.send(client, head + body, file=True)
        self.send(client, get("/last"))
        self.recorder.wait(4)
        received = self.recorder.all()
        self.assertEqual(head + body + get("/next") + head + body + get("/last"), without_header(received))
        self.assertEqual([1, 1, 0, 1], [len(contexts(head)) for head, _ in self.recorder.requests])
        agent.interrupt()
        self.assertEqual(1, agent.stats()["not_injected_unreadable"])

    def test_calls_that_are_cut_short(self):
        client, agent = self.traced()
        self.tell(client, buffer=20000)
        block = os.urandom(50000)
        sent = b""
        short = 0
        for _ in range(10):
            head = b"PUT /long HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n"
            self.send(client, head)
            short += self.tell(client, push=block.hex(), times=40)
            sent += head + block * 40
        self.recorder.wait(10)
        self.assertGreater(short, 10)
        spans, stats = self.finish(agent, sent, 10)
        self.assertEqual(0, stats["inject_off_unseen"], stats)

    def test_cut_short_in_the_head(self):
        """Whether a header went in or not, no byte of the program's is lost or sent twice."""
        client, agent = self.traced()
        self.tell(client, buffer=2304)
        block = b"".join(get(f"/p?n={i}", b"X-Fill: " + b"z" * (i % 700) + b"\r\n") for i in range(500))
        short = self.tell(client, push=block.hex(), times=20)
        self.recorder.wait(500 * 20, 60)
        self.assertEqual(block * 20, without_header(self.recorder.all()))
        agent.interrupt()
        stats = agent.stats()
        print(f"{short} calls cut short, {stats['injected']} of 10000 injected, "
              f"{stats['not_injected_buffer']} without room", end=" ")
        self.assertEqual(stats["injected"], len(contexts(self.recorder.all())))

    def test_own_context_is_left_alone(self):
        client, agent = self.traced()
        sent = get("/own", OWN) + get("/b3", b"b3: 0\r\n") + get("/low", b"A: b\r\nTRACEPARENT: x\r\n")
        self.send(client, sent)
        self.recorder.wait(3)
        self.assertEqual(sent, self.recorder.all())
        spans = agent.interrupt()
        stats = agent.stats()
        self.assertEqual(3, stats["not_injected_own"])
        self.assertEqual(0, stats["injected"])
        self.assertIn("1" * 32, {span.trace_id for span in spans})

    def test_unsampled(self):
        client, agent = self.traced(env={"OTEL_TRACES_SAMPLER": "always_off"})
        self.send(client, get("/off"))
        self.recorder.wait(1)
        spans, _ = self.finish(agent, get("/off"), 1)
        self.assertEqual([], spans)
        self.assertEqual("00", contexts(self.recorder.all())[0][2])

    def test_sampled_by_ratio(self):
        client, agent = self.traced(env={"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"})
        requests = b"".join(get(f"/r?id={i}") for i in range(400))
        for i in range(0, 400, 10):
            self.send(client, b"".join(get(f"/r?id={j}") for j in range(i, i + 10)))
        self.recorder.wait(400)
        spans, _ = self.finish(agent, requests, 400)
        sampled = {span for _, span, flags in contexts(self.recorder.all()) if flags == "01"}
        self.assertEqual(sampled, {span.span_id for span in spans})
        self.assertTrue(120 < len(sampled) < 280, len(sampled))

    def test_off_is_off(self):
        client = self.client()
        agent = self.agent("--pid", str(client.pid))
        self.tell(client, connect=self.recorder.port)
        self.send(client, get("/off"))
        self.recorder.wait(1)
        self.assertEqual(get("/off"), self.recorder.all())
        agent.interrupt()
        self.assertEqual(0, agent.stats()["inject_connections"])

    def test_others_are_left_alone(self):
        """A process that is not selected, and a connection that was there before."""
        other, old = self.client(), self.client()
        self.tell(old, connect=self.recorder.port)
        agent = self.injecting("--pid", str(old.pid))
        self.tell(other, connect=self.recorder.port)
        self.send(other, get("/other"))
        self.send(old, get("/old"))
        self.recorder.wait(2)
        agent.interrupt()
        self.assertEqual(0, len(contexts(self.recorder.all())))
        self.assertEqual(0, agent.stats()["inject_connections"])

    def test_other_protocols_are_left_alone(self):
        client, agent = self.traced()
        sent = b""
        for first in (b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PING\r\n", b"GET a\n",
                      b"\x00" * 20):
            self.send(client, first, get("/inside"))
            sent += first + get("/inside")
            self.tell(client, connect=self.recorder.port)
        self.recorder.wait_bytes(len(sent))
        self.assertEqual(sent, self.recorder.all())
        agent.interrupt()
        stats = agent.stats()
        self.assertEqual((4, 1), (stats["inject_off_not_http1"], stats["inject_off_http2"]))

    def test_what_follows_an_upgrade_is_left_alone(self):
        client, agent = self.traced()
        first = get("/socket", b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        self.send(client, first, b"\x81\x05hello", get("/inside"))
        self.recorder.wait(1)
        _, stats = self.finish(agent, first + b"\x81\x05hello" + get("/inside"), 1)
        self.assertEqual(1, stats["inject_off_upgrade"])

    def end_in_the_middle(self, end):
        """The connection goes on as if nothing had been there."""
        client, agent = self.traced()
        for i in range(50):
            self.send(client, get(f"/before?id={i}"))
        self.recorder.wait(50)
        end(agent)
        self.assertEqual(50 * 40, len(self.tell(client, read=50 * 40)) // 2)
        after = b"".join(get(f"/after?id={i}") for i in range(50))
        body = b"POST /a HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + os.urandom(1000000)
        # The kernel takes the map away a moment after its last user.
        self.send(client, after)
        self.send(client, body)
        self.recorder.wait(101)
        self.assertEqual(51 * 40, len(self.tell(client, read=51 * 40)) // 2)
        received = self.recorder.all()
        before = b"".join(get(f"/before?id={i}") for i in range(50))
        self.assertEqual(before + after + body, without_header(received))
        self.assertEqual([], contexts(received[-len(body):]))
        self.assertEqual(50, len(contexts(received[:len(before) + 50 * 70])))
        self.tell(client, close=True)
        self.tell(client, connect=self.recorder.port)
        self.send(client, get("/new"))
        self.recorder.wait(102)
        self.assertEqual([], contexts(self.recorder.requests[-1][0]))

    def test_the_agent_is_killed(self):
        def kill(agent):
            os.kill(agent.pid, signal.SIGKILL)
            agent.process.wait()
        self.end_in_the_middle(kill)

    def test_the_agent_ends(self):
        self.end_in_the_middle(lambda agent: agent.interrupt())


def served_and_called(spans):
    """By request id: the server's span, and the spans of the calls that its service made."""
    server = {span.id: span for span in spans if span.kind == SERVER and span.id}
    calls = collections.defaultdict(list)
    for span in spans:
        if span.kind == CLIENT and span.id:
            calls[span.id].append(span)
    return server, calls


class Programs(Propagation):
    """Real programs without an SDK, which ask our server for each request that they serve."""

    def proxied(self, server, count=40, at_once=1, event_loop=False):
        """`event_loop`: what its calls make the agent attach takes a moment; the requests until then are not judged."""
        agent = self.injecting("--pid", str(server.pid))
        before = 0
        while event_loop and before < 1000 and not any("following its turns" in line for line in agent.errors):
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/proxy?id=b{before}", timeout=20 * harness.TIME_FACTOR).read()
            before += 1
        caller = "00-" + "a" * 30 + "%02x-" + "b" * 16 + "-%02x"

        def ask(i):
            # Every fourth with a caller's context, one of them not sampled.
            fields = {} if i % 4 else {"Traceparent": caller % (i % 256, i != 0)}
            request = urllib.request.Request(f"http://127.0.0.1:{server.port}/proxy?id=r{i}", headers=fields)
            with urllib.request.urlopen(request, timeout=20 * harness.TIME_FACTOR) as answer:
                answer.read()

        def some(first):
            for i in range(first, count, at_once):
                ask(i)

        threads = [threading.Thread(target=some, args=(first,)) for first in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.recorder.wait(before + count)
        spans = agent.interrupt()
        stats = agent.stats()
        self.assertEqual({}, agent.lost())
        self.assertEqual(0, stats["injections_contradicted"] + stats["injections_unmatched"], stats)
        served, calls = served_and_called(spans)
        result = collections.Counter()
        for head, _ in self.recorder.requests:
            found = contexts(head)
            self.assertLessEqual(len(found), 1, head)
            i = harness.id_of(head.split()[1].decode())
            if i.startswith("b"):
                continue
            number = int(i[1:])
            if not found:
                # By the program itself: it is the caller's.
                result["forwarded" if b"b" * 16 in head else "none"] += 1
                continue
            trace, span, flags = found[0]
            if flags == "00":
                self.assertEqual(0, number)
                self.assertEqual(("a" * 30 + "00", []), (trace, calls[i]))
                result["right"] += 1
                continue
            self.assertEqual([(trace, span)], [(call.trace_id, call.span_id) for call in calls[i]])
            parent = calls[i][0].parent_id
            if parent and number % 4 == 0:
                self.assertEqual("a" * 30 + "%02x" % (number % 256), trace)
            result["root" if not parent else
                   "right" if (served[i].trace_id, served[i].span_id) == (trace, parent) else "wrong"] += 1
        print(dict(result), {key: value for key, value in stats.items() if "inject" in key and value}, end=" ")
        self.assertEqual(0, result["wrong"])
        return result

    def test_go(self):
        self.assertEqual({"right": 40}, self.proxied(servers.go(self, self.recorder.port)))

    def test_python(self):
        self.assertEqual({"right": 40}, self.proxied(servers.python(self, self.recorder.port)))

    def test_java(self):
        """Its client sends in threads of its own, of which nothing is known for sure."""
        result = self.proxied(servers.java(self, self.recorder.port))
        self.assertEqual(40, result["right"] + result["root"])

    def test_node(self):
        result = self.proxied(servers.node(self, self.recorder.port), event_loop=True)
        self.assertEqual(40, result["right"] + result["root"])

    def test_nginx(self):
        self.assertEqual({"right": 30, "forwarded": 10}, self.proxied(servers.nginx(self, self.recorder.port), event_loop=True))

    def test_go_at_once(self):
        self.assertEqual({"right": 400}, self.proxied(servers.go(self, self.recorder.port), 400, 16))

    def test_python_at_once(self):
        self.assertEqual({"right": 400}, self.proxied(servers.python(self, self.recorder.port), 400, 16))

    def test_nginx_at_once(self):
        result = self.proxied(servers.nginx(self, self.recorder.port), 400, 16, event_loop=True)
        self.assertEqual((300, 100), (result["right"] + result["root"], result["forwarded"]))

    def test_curl(self):
        """Its bytes are those of a run without the agent, and the header."""
        self.need("curl")
        shell = self.start(["/bin/sh", "-c", "read go; exec curl -sS -d @- http://127.0.0.1:$1/curl?id=1 <<E\nbody\nE\n",
                            "sh", str(self.recorder.port)], stdin=subprocess.PIPE)
        agent = self.injecting("--pid", str(shell.pid))
        shell.process.stdin.write("\n")
        shell.process.stdin.flush()
        self.recorder.wait(1)
        subprocess.run(["curl", "-sS", "-d", "body", f"http://127.0.0.1:{self.recorder.port}/curl?id=1"], check=True,
                       capture_output=True)
        self.recorder.wait(2)
        (traced, plain) = ["".join(part.decode() for part in request) for request in self.recorder.requests]
        agent.interrupt()
        self.assertEqual(plain, without_header(traced.encode()).decode())
        print({key: value for key, value in agent.stats().items() if "inject" in key and value}, end=" ")


class Harm(Propagation):
    def test_a_kernel_that_hides_what_waits(self):
        """Either ioctl(FIONREAD) tells what waits in a connection with injection, or nothing is injected and the log says why."""
        agent = self.agent("--pid", str(os.getpid()), "--propagate")
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        with socket.create_connection(listener.getsockname()) as ours, listener.accept()[0] as peer:
            ours.sendall(get("/a"))
            received = peer.recv(1000)
            peer.sendall(b"x" * 1000)
            self.assertEqual(1000, len(ours.recv(2000, socket.MSG_PEEK)))
            self.assertEqual(1000, struct.unpack("i", fcntl.ioctl(ours, termios.FIONREAD, b"\0" * 4))[0])
        agent.interrupt()
        refused = [line for line in agent.errors if "no trace context is injected" in line]
        print("injected" if contexts(received) else refused, end=" ")
        self.assertEqual(1, len(contexts(received)) + len(refused))


class Modes(Propagation):
    """A recv() in blocking mode may be another one under injection (two_ways, docs/propagation.md): where it is, sockets in that
    mode are left alone."""

    def looked_at(self, agent):
        """How many sockets are under the injecting program: the entries of the agent's only sockhash."""
        (entries,) = [subprocess.run(["bpftool", "-j", "map", "dump", "id", found.group(1)], capture_output=True, check=True)
                      for path in pathlib.Path(f"/proc/{agent.pid}/fdinfo").iterdir()
                      if "map_type:\t18\n" in (info := path.read_text()) and (found := re.search(r"map_id:\s*(\d+)", info))]
        return len(json.loads(entries.stdout))

    def test_blocking(self):
        client = self.client()
        agent = self.injecting("--pid", str(client.pid), env={"ZEROSPAN_PROPAGATION_TOLERATE": "fionread"})
        spared = any("blocking mode" in line and "two_ways" in line for line in agent.errors)
        self.tell(client, connect=self.recorder.port)
        self.send(client, get("/blocking"))
        self.recorder.wait(1)
        self.tell(client, connect=self.recorder.port, timeout=100)
        self.send(client, get("/timed"))
        self.recorder.wait(2)
        self.assertEqual(1 if spared else 2, self.looked_at(agent))
        self.tell(client, timeout=None)
        self.send(client, get("/changed"))
        self.recorder.wait(3)
        if spared:
            wait_for(lambda: self.looked_at(agent) == 0, "the changed socket to be taken out")
        self.tell(client, timeout=100)
        self.send(client, get("/again"))
        self.recorder.wait(4)
        agent.interrupt()
        stats = agent.stats()
        self.assertEqual([0, 1, 0, 0] if spared else [1] * 4, [len(contexts(head)) for head, _ in self.recorder.requests])
        self.assertEqual([1, 1, 1] if spared else [0, 2, 0],
                         [stats[name] for name in ("inject_blocking", "inject_connections", "inject_off_blocking")])

    def test_blocks_and_sends_nothing(self):
        client = self.client()
        agent = self.injecting("--pid", str(client.pid), env={"ZEROSPAN_PROPAGATION_TOLERATE": "fionread"})
        if not any("two_ways" in line for line in agent.errors):
            self.skipTest("this kernel's sockets in blocking mode are as others under injection")
        self.tell(client, connect=self.recorder.port, timeout=100)
        self.assertEqual(1, self.looked_at(agent))
        self.tell(client, timeout=None)
        wait_for(lambda: self.looked_at(agent) == 0, "the socket to be taken out")

    def test_what_is_no_http_is_taken_out(self):
        client, agent = self.traced()
        self.send(client, b"\x00\x01 of another protocol")
        wait_for(lambda: self.looked_at(agent) == 0, "the socket to be taken out")
        self.send(client, b"more")
        self.recorder.wait_bytes(22 + 4)
        self.assertEqual(b"\x00\x01 of another protocolmore", self.recorder.all())
        agent.interrupt()
        self.assertEqual(1, agent.stats()["inject_off_not_http1"])


class Chain(Propagation):
    def test_two_services(self):
        """The next service's server span is the child of the call's span, in one trace."""
        back = servers.python(self)
        front = servers.go(self, back.port)
        agent = self.injecting("--pid", f"{front.pid},{back.pid}")
        for i in range(50):
            urllib.request.urlopen(f"http://127.0.0.1:{front.port}/proxy?id=c{i}", timeout=20).read()
        back.wait_logged(50)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual(150, len(spans))
        traces = collections.defaultdict(list)
        for span in spans:
            traces[span.trace_id].append(span)
        self.assertEqual(50, len(traces))
        for trace in traces.values():
            (root,) = [span for span in trace if not span.parent_id]
            (call,) = [span for span in trace if span.parent_id == root.span_id]
            (callee,) = [span for span in trace if span.parent_id == call.span_id]
            self.assertEqual((SERVER, CLIENT, SERVER), (root.kind, call.kind, callee.kind))
            self.assertEqual(1, len({span.id for span in trace}))


if __name__ == "__main__":
    unittest.main()
