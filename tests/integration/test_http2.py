# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""HTTP/2 without TLS. The oracle is what the servers logged."""

import collections
import subprocess
import unittest

import harness
import oracle
import servers


def told(span):
    return (span.method, span.target, span.code, span.attributes.get("http.response.body.size"))


def logged(line):
    return (line.method, line.target, line.status, line.bytes)


class Nginx(harness.Case):
    def setUp(self):
        super().setUp()
        self.need("curl", "h2load")
        self.server = servers.nginx(self, template="http2.conf.in")

    def url(self, path):
        return f"http://127.0.0.1:{self.server.port}{path}"

    def curl(self, path, *options, check=True):
        subprocess.run(["curl", "-s", "--max-time", "20", "--http2-prior-knowledge", "-o", self.directory / "body",
                        *options, self.url(path)], check=check)

    def urls(self, count):
        """A file of URLs with an id each: small and large answers, with and without a body."""
        names = ["/s/200", "/s/204", "/s/404", "/s/500", "/files/0", "/files/1000", "/files/100000"]
        present = [name for name in names if not name.startswith("/files/")
                   or (self.server.log.parent / "www" / name[1:]).exists()]
        self.assertGreater(len(present), 5, present)
        file = self.directory / "urls"
        file.write_text("".join(self.url(f"{present[i % len(present)]}?id={i:06}") + "\n" for i in range(count)))
        return file

    def errors(self):
        log = self.server.log.parent / "error.log"
        return log.read_text()[-500:] if log.exists() else ""

    def load(self, count, clients, streams, *options):
        output = subprocess.run(["h2load", "-n", str(count), "-c", str(clients), "-m", str(streams), *options],
                                capture_output=True, text=True, check=True).stdout
        self.assertIn(f" {count} done,", output, self.errors())

    def test_single_requests(self):
        agent = self.agent("--pid", str(self.server.pid))
        trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        self.curl("/s/200?id=1", "-H", f"traceparent: 00-{trace}-{parent}-01")
        # nginx answers without having read the body, and ends the stream; curl does not like that.
        self.curl("/s/200?id=2", "--data-binary", "abc=1", check=False)
        self.curl("/s/404?id=3", "-X", "DELETE")
        self.curl("/s/500?id=4", "-H", "x-long: " + "l" * 6000)
        log = self.server.wait_logged(4)
        spans = {span.id: span for span in agent.interrupt()}
        self.assertEqual(collections.Counter(map(logged, log)), collections.Counter(map(told, spans.values())))
        self.assertEqual((trace, parent), (spans["1"].trace_id, spans["1"].parent_id))
        self.assertEqual("500", spans["4"].attributes["error.type"])
        for span in spans.values():
            self.assertEqual("2", span.attributes["network.protocol.version"])
            self.assertEqual(self.server.port, span.attributes["server.port"])
            self.assertNotIn("zerospan.incomplete", span.attributes)

    def test_many_streams(self):
        agent = self.agent("--pid", str(self.server.pid))
        self.load(4000, 8, 100, "-i", self.urls(400))
        log = self.server.wait_logged(4000)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual(collections.Counter(map(logged, log)), collections.Counter(map(told, spans)))
        self.assertEqual([], [span for span in spans if "zerospan.incomplete" in span.attributes][:3])
        kinds = {span.kind for span in spans}
        self.assertEqual({harness.SERVER}, kinds)

    def test_connections_that_were_open_before(self):
        file = self.urls(64)
        # No faster, so that the agent is there in time on a busy machine, too.
        load = self.start(["h2load", "-D", "10", "--rps", "400", "-c", "4", "-m", "8", "-i", file])
        before = len(self.server.wait_logged(2000))
        agent = self.agent("--pid", str(self.server.pid))
        self.server.wait_logged(before + 2000)
        load.wait_exit(30)
        self.curl("/s/200?id=afterwards")
        lines = {line.target: line for line in self.server.wait_logged(len(self.server.logged()))}
        spans = agent.interrupt()
        paths = [span for span in spans if span.attributes.get("url.path")]
        whole = [span for span in spans if "zerospan.incomplete" not in span.attributes]
        print(f"\n  {len(spans)} spans, {len(paths)} with their path, {len(spans) - len(whole)} incomplete")
        # Header fields that refer to what was sent before are not known; what is told is true.
        self.assertGreater(len(spans), 1000)
        for span in paths:
            self.assertIn(span.target, lines)
            if span.code:
                self.assertEqual(lines[span.target].status, span.code, span)
        for span in whole:
            self.assertEqual(logged(lines[span.target]), told(span))
        self.assertIn("afterwards", {span.id for span in whole})


class UpgradeCase(harness.Case):
    """HTTP/1.1 that becomes HTTP/2: the first request is answered on stream 1."""

    def check(self, agents, server, origin, wanted):
        """Server spans against the server's log, and the client's by what it asked for."""
        # curl 7.88 sometimes gives up the second request of a connection and repeats it on another one. The proxy logs both
        # with the back end's answer, also when it could not pass that on.
        harness.wait_for(lambda: {line.target for line in server.logged()} == set(wanted), f"the log of {len(wanted)} requests")
        of_server, of_client = (agent.interrupt() for agent in agents)
        log = server.logged()
        for kind, spans, lines in (
                (harness.SERVER, of_server, [logged(line) for line in log]),
                (harness.CLIENT, of_client, [(l.method, origin + l.target, l.status, l.bytes) for l in log])):
            spans = [span for span in spans if span.kind == kind and
                     (kind == harness.SERVER or span.target.startswith(origin))]
            # It may also reset stream 1 (STREAM_CLOSED) when the first window of its answer has come, and be content with that.
            given_up = [span for span in spans if not span.code or (
                kind == harness.CLIENT and span.attributes.get("error.type", str(span.code)) != str(span.code))]
            answered = [span for span in spans if span not in given_up]
            want, seen = set(lines), set(map(told, answered))
            self.assertEqual([], sorted(map(str, seen - want))[:5], f"kind {kind}")
            # What was logged and not seen so was given up; not all that was given up is logged.
            without_answer = {told(span)[1] for span in given_up}
            self.assertEqual([], [line for line in want - seen if line[1] not in without_answer], f"kind {kind}")
            begun = {line[1] for line in seen} | {told(span)[1] for span in given_up if span.code}
            self.assertEqual(len(wanted), len(begun), f"kind {kind}")
            self.assertLessEqual(len(answered), len(lines), f"kind {kind}")
            self.assertLessEqual(len(lines), len(spans), f"kind {kind}")
            self.assertLessEqual(len(given_up), len(wanted) // 5, f"kind {kind}")
            self.assertEqual([], [span for span in given_up if "error.type" not in span.attributes], f"kind {kind}")
            for span in spans:
                self.assertEqual("2", span.attributes["network.protocol.version"], span)
                self.assertNotIn("zerospan.incomplete", span.attributes)
        for agent in agents:
            self.assertEqual({}, agent.lost())

    def clients(self, server, executable):
        self.need(executable)
        return (self.agent("--pid", str(server.pid)), self.agent("--exe", f"*/{executable}"))

    def run_curl(self, server, paths):
        agents = self.clients(server, "curl")
        origin = f"http://127.0.0.1:{server.port}"
        targets = [f"{path}{'&' if '?' in path else '?'}id={i:04}" for i, path in enumerate(paths * 5)]
        for first in range(0, len(targets), 5):  # a connection for each
            urls = [word for target in targets[first:first + 5]
                    for word in ("--output", "/dev/null", origin + target)]
            subprocess.run(["curl", "-s", "--max-time", "20", "--http2", *urls], check=True)
        self.check(agents, server, origin, targets)


class Upgrade(UpgradeCase):
    def test_curl(self):
        backend = servers.nginx(self)
        self.run_curl(servers.nghttpx(self, backend.port),
                      ["/s/200", "/files/100000", "/s/404", "/files/0", "/files/5000000", "/s/500"])

    def test_nghttp(self):
        """Requests at once, of which only the first goes over HTTP/1.1."""
        backend = servers.nginx(self)
        server = servers.nghttpx(self, backend.port)
        agents = self.clients(server, "nghttp")
        origin = f"http://127.0.0.1:{server.port}"
        targets = [f"/files/1000?id={i:04}" if i % 2 else f"/s/404?id={i:04}" for i in range(20)]
        subprocess.run(["nghttp", "--upgrade", "--null-out", "--timeout=20", *(origin + t for t in targets)], check=True)
        self.check(agents, server, origin, targets)


class Go(harness.Case):
    COUNT = 2000

    def test_proxy(self):
        """h2load -> proxy -> server, all in HTTP/2, up to 200 streams at once."""
        self.need("h2load")
        backend = servers.go_http2(self)
        proxy = servers.go_http2(self, backend.port)
        agent = self.agent("--pid", f"{proxy.pid},{backend.pid}")
        queries = ("size=0", "size=10", "size=100000", "size=3000&chunked=1", "status=404&size=5", "status=204",
                   "status=500&size=7", "size=20&delay=5")
        file = self.directory / "urls"
        file.write_text("".join(f"http://127.0.0.1:{proxy.port}/proxy?{queries[i % len(queries)]}&id={i:06}\n"
                                for i in range(self.COUNT)))
        output = subprocess.run(["h2load", "-n", str(self.COUNT), "-c", "2", "-m", "100", "-i", file],
                                capture_output=True, text=True, check=True).stdout
        self.assertIn(f" {self.COUNT} done,", output)
        logs = {harness.SERVER: collections.Counter(), harness.CLIENT: collections.Counter()}
        for server in (proxy, backend):
            logs[harness.SERVER].update(map(logged, server.wait_logged(self.COUNT)))
        origin = f"http://127.0.0.1:{backend.port}"
        logs[harness.CLIENT].update((line.method, origin + line.target, line.status, line.bytes)
                                    for line in backend.logged())
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual([], [span for span in spans if "zerospan.incomplete" in span.attributes][:3])
        for kind, log in logs.items():
            seen = collections.Counter(told(span) for span in spans if span.kind == kind)
            self.assertEqual([], list(((log - seen) + (seen - log)).items())[:5], f"kind {kind}")
        # No context is forwarded: a call has its request of the same program as parent, and that has none.
        self.assertEqual([], [span for span in spans if span.kind == harness.SERVER and span.parent_id][:3])
        proxied = [span for span in spans if span.resource["process.pid"] == proxy.pid]
        score = oracle.Score(proxied, {span.id for span in proxied})
        print(f"\nscore Go, HTTP/2 to HTTP/2: {score}", flush=True)
        self.assertEqual(0, score.wrong, score.examples[:5])
        self.assertGreaterEqual(score.right, 0.999 * self.COUNT)
        # Each of h2load's clients sends the same ids: a request has one call, not another's too.
        parents = collections.Counter(span.parent_id for span in proxied if span.parent_id)
        self.assertEqual([], [parent for parent, calls in parents.items() if calls != 1])


if __name__ == "__main__":
    unittest.main()
