# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The parent of a client span is the server span that made the call, or nothing: never another's.

Each proxy passes the unique id of a request on to its back end, so the id in the URL of both spans
says which belong together. Every test prints its score."""

import mmap
import pathlib
import re
import unittest

import harness
import oracle
import servers
import traffic
from harness import CLIENT, SERVER


def libuv_has_symbols(pid):
    """Whether the probe that follows a busy loop exactly can be placed."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    library = re.search(r"/\S*/libuv\.so\S*", maps)
    with open(library.group() if library else f"/proc/{pid}/exe", "rb") as file, \
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        return content.find(b"\0uv__run_check\0") >= 0


class Parents(harness.Case):
    def score(self, name, proxy, path, count=200, workers=200, least=0.0, twice=False, event_loop=False):
        """`event_loop`: what its calls make the agent attach takes a moment, so requests go one by one until it is;
        `least` is of the others."""
        agent = self.agent("--pid", str(proxy.pid))
        targets = [traffic.with_id(f"{path}?delay={10 + 37 * i % 90}") for i in range(count)]
        first = 0
        while event_loop and first < count // 2 and not any("following its turns" in line for line in agent.errors):
            traffic.concurrent_gets(proxy.port, targets[first:first + 1], 1)
            first += 1
        traffic.concurrent_gets(proxy.port, targets[first:], workers)
        spans = agent.interrupt()
        ids = {harness.id_of(target) for target in targets}
        score = oracle.Score(spans, ids)
        print(f"\nscore {name}: {score} of {count}, {first} of them before the rest", flush=True)
        self.assertEqual({}, agent.lost())
        self.assertEqual(ids, {s.id for s in spans if s.kind == SERVER})
        self.assertEqual(0, score.wrong, score.examples[:5])
        self.assertEqual(0, score.missing)
        self.assertEqual(count if twice else 0, score.duplicate)
        self.assertGreaterEqual(score.right, least * (count - first))

    def backend(self):
        return servers.go(self).port

    def test_python_threads(self):
        self.score("Python threads", servers.python(self, backend=self.backend()), "/p", least=1.0)

    def test_python_threads_kept_connections(self):
        self.score("Python threads, 8 kept connections", servers.python(self, backend=self.backend()), "/p",
                   count=400, workers=8, least=1.0)

    def test_python_two_calls(self):
        self.score("Python threads, two calls each", servers.python(self, backend=self.backend()), "/twice",
                   count=100, workers=50, least=2.0, twice=True)

    def test_python_created_thread(self):
        """A thread that a pool makes for one request goes on to serve others, so its creator proves a parent only while
        no other request is open; with many at once such calls stay roots."""
        python = servers.python(self, backend=self.backend())
        self.score("Python, a thread made by the handler, one at a time", python, "/thread", count=50, workers=1, least=1.0)
        self.score("Python, a thread made by the handler, many at once", python, "/thread")

    def test_nginx_pooled(self):
        self.score("nginx, pooled upstream", servers.nginx(self, backend=self.backend()), "/proxy", least=0.98,
                   event_loop=True)

    def test_nginx_connection_per_call(self):
        self.score("nginx, a connection per call", servers.nginx(self, backend=self.backend()), "/forward",
                   least=0.98, event_loop=True)

    def test_nginx_two_workers(self):
        self.score("nginx, two workers", servers.nginx(self, backend=self.backend(), workers=2), "/proxy",
                   count=400, least=0.98, event_loop=True)

    def test_nginx_paced(self):
        """Requests that a limit holds back go on from timers."""
        self.score("nginx, held back by limit_req", servers.nginx(self, backend=self.backend()), "/paced", event_loop=True)

    def test_node_later(self):
        """Calls from timers, immediates and the thread pool: roots, unless nothing else can have run."""
        node = servers.node(self, backend=self.backend())
        for path in ("/timer", "/immediate", "/pool", "/mixed"):
            self.score(f"Node, called from {path[1:]}", node, path, count=600, workers=100, event_loop=True)

    def test_node(self):
        """The last call-back of a busy turn cannot be told from the timers and immediates after it."""
        node = servers.node(self, backend=self.backend())
        symbols = libuv_has_symbols(node.pid)
        print(f"\nlibuv has {'its' if symbols else 'no'} symbols", flush=True)
        for name, path in (("http agent", "/http"), ("fetch", "/fetch")):
            for how, workers, count, least in (("one at a time", 1, 50, 0.5), ("ten at a time", 10, 200, 0.5),
                                               ("all at once", 200, 220, 0.1)):
                self.score(f"Node {name}, {how}", node, path, count=count, workers=workers, least=least * symbols,
                           event_loop=True)

    def test_aiohttp(self):
        """asyncio runs a task in a later turn than the one that read the request: no turn proves a parent."""
        self.score("Python aiohttp", servers.aiohttp(self, backend=self.backend()), "/p")

    def test_java_pool(self):
        """HttpClient sends on threads of its own: what cannot be proven stays a root."""
        self.score("Java HttpClient", servers.java(self, backend=self.backend()), "/p")

    def test_go(self):
        """Goroutines change threads; test_go.py has more of them."""
        self.score("Go", servers.go(self, backend=self.backend()), "/p", least=1.0)

    def test_go_to_http2(self):
        """Many streams of one connection, each begun by a goroutine of its own."""
        self.score("Go to HTTP/2", servers.go_to_http2(self, servers.go_http2(self).port), "/p", count=600,
                   least=0.999)

    def test_one_trace_through_nginx_and_python(self):
        """A forwarded traceparent ties both servers' spans to the caller's trace, and nginx's own
        call to the server span it was made for."""
        python = servers.python(self)
        nginx = servers.nginx(self, backend=python.port)
        agent = self.agent("--pid", f"{nginx.pid},{python.pid}")
        trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
        with traffic.Connection(nginx.port) as connection:
            connection.send(traffic.Request("GET", traffic.with_id("/proxy?size=10"),
                                            headers={"traceparent": f"00-{trace}-{caller}-01"}))
        spans = agent.interrupt()
        self.assertEqual(3, len(spans), spans)
        self.assertEqual({trace}, {span.trace_id for span in spans})
        front = next(s for s in spans if s.kind == SERVER and s.resource["process.pid"] != python.pid)
        call = next(s for s in spans if s.kind == CLIENT)
        back = next(s for s in spans if s.kind == SERVER and s.resource["process.pid"] == python.pid)
        self.assertEqual(caller, front.parent_id)
        self.assertEqual(front.span_id, call.parent_id)
        # nginx forwards the header as it came: the wire says that the caller is the parent.
        self.assertEqual(caller, back.parent_id)


if __name__ == "__main__":
    unittest.main(verbosity=2)
