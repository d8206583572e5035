# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""DNS over UDP and TCP: the resolvers of glibc, musl, Go, Node.js, Java and Python, and dig, against BIND and dnsmasq,
in a network of their own. The oracle is the server's log of queries."""

import collections
import os
import pathlib
import re
import signal
import unittest

import harness
import servers
from harness import CLIENT, SERVER

LOAD = 5000  # names, two questions each
ZONE = """$TTL 60
@ SOA ns hostmaster 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
* A 10.1.2.3
* AAAA 2001:db8::7
* TXT short
alias CNAME target
target A 10.9.9.9
big TXT {}
""".format(" ".join(f'"{letter * 200}"' for letter in "abcdefghijklmnop"))


class Network:
    """A network and file system view whose programs find the name server of their resolv.conf on port 53."""

    def __init__(self, case, resolv="nameserver 127.0.0.1\n"):
        resolv_conf = case.directory / "resolv.conf"
        resolv_conf.write_text(resolv)
        script = f"ip link set lo up && mount --bind {resolv_conf} /etc/resolv.conf && echo ready && exec sleep 3600"
        self.case = case
        self.holder = case.start(["unshare", "--net", "--mount", "sh", "-c", script])
        self.holder.wait_line(self.holder.lines, "^ready")

    def start(self, command, **how):
        return self.case.start(["nsenter", f"--target={self.holder.pid}", "--net", "--mount", *map(str, command)], **how)

    def run(self, command, seconds=60):
        program = self.start(command)
        self.case.assertEqual(0, program.wait_exit(seconds), program)
        return program.lines


class Bind:
    """Answers for zerospan.test whatever is asked, for plain.test that there is no such name; broken.test fails, all else
    is refused."""

    def __init__(self, network):
        folder = network.case.directory
        (folder / "zone").write_text(ZONE)
        (folder / "plain").write_text(ZONE[:ZONE.index("* A")])
        (folder / "named.conf").write_text(f"""
            options {{ directory "{folder}"; pid-file none; listen-on {{ 127.0.0.1; }}; listen-on-v6 {{ ::1; }}; recursion no;
                session-keyfile none; dnssec-validation no; notify no; }};
            controls {{ }};
            logging {{ channel all {{ stderr; severity info; }}; category queries {{ all; }}; category default {{ all; }}; }};
            zone "zerospan.test" {{ type primary; file "zone"; }};
            zone "plain.test" {{ type primary; file "plain"; }};
            zone "broken.test" {{ type primary; file "missing"; }};""")
        folder.chmod(0o755)
        self.program = network.start(["named", "-g", "-n", "2", "-c", folder / "named.conf"])
        self.program.wait_line(self.program.errors, "running$")
        self.pid = self.program.pid

    def queries(self):
        """(name, type, transport, client's port) of each."""
        found = re.findall(r"client @\S+ \S+#(\d+) \(\S+\): query: (\S+) IN (\S+) (\S+)", "\n".join(self.program.errors))
        return collections.Counter((name, kind, "tcp" if "T" in flags else "udp", int(port))
                                   for port, name, kind, flags in found)


class Dnsmasq:
    def __init__(self, network, address="127.0.0.1", *arguments):
        command = ["dnsmasq", "--keep-in-foreground", "--log-queries=extra", "--log-facility=-", "--no-resolv", "--no-hosts",
                   "--user=root", "--pid-file=", "--conf-file=/dev/null", f"--listen-address={address}", "--bind-interfaces",
                   *arguments]
        self.program = network.start(command)
        self.program.wait_line(self.program.errors, "started, version")
        self.pid = self.program.pid

    def queries(self):
        found = re.findall(r" (\d+) 127\.0\.0\.1/(\d+) query\[(\S+)\] (\S+) from", "\n".join(self.program.errors))
        return collections.Counter((name, kind, "udp", int(port)) for _, port, kind, name in found)


def described(span, port=True):
    attributes = span.attributes
    what = (attributes["dns.question.name"], attributes["zerospan.dns.question.type"], attributes["network.transport"])
    return (*what, attributes["network.peer.port"]) if port else what


def without_ports(queries):
    total = collections.Counter()
    for query, count in queries.items():
        total[query[:-1]] += count
    return total


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.need("unshare", "nsenter", "ip", "named", "dnsmasq", "dig", "musl-gcc", "cc", "go", "node", "java", "getent")
        self.need_module("dns.resolver")
        self.programs = pathlib.Path(servers.prepared("dns")[0])

    def select(self, *names):
        return self.agent(*(argument for name in names for argument in ("--exe", f"*/{name}")))

    def end(self, agent, incomplete=0):
        """The spans of the protocol, by kind."""
        spans = [span for span in agent.interrupt(60) if "dns.question.name" in span.attributes]
        stats = {name: value for name, value in agent.stats().items()
                 if value and (name.startswith("dns_") or "lost" in name or "unknown" in name)}
        flagged = [span for span in spans if "zerospan.incomplete" in span.attributes]
        print(f"\n{self.id()}: {len(spans)} spans, {len(flagged)} incomplete; {harness.describe(collections.Counter(stats))}",
              flush=True)
        # Any other program of the machine that begins to ask meanwhile is captured before it is judged.
        self.assertEqual({}, {name: value for name, value in agent.lost().items() if name != "spans_dropped_not_selected"})
        self.assertEqual(incomplete, len(flagged), flagged)
        ours = collections.defaultdict(list)
        for span in spans:
            ours[span.kind].append(span)
        return ours

    def check(self, ours, queries, kinds=(CLIENT, SERVER), exact=True):
        """Each query of the log is one span of either side."""
        if SERVER in kinds:
            self.assertEqual(queries, collections.Counter(map(described, ours[SERVER])))
        if CLIENT in kinds:
            self.assertEqual(without_ports(queries), collections.Counter(described(span, False) for span in ours[CLIENT]))
        if exact:
            self.assertEqual(set(kinds), {kind for kind, spans in ours.items() if spans})
        for span in ours[CLIENT]:
            self.assertEqual(53, span.attributes["server.port"])


class Resolvers(Case):
    def setUp(self):
        super().setUp()
        self.network = Network(self)
        self.server = Bind(self.network)

    def score(self, command, *names):
        """What the program's lookups give, by the server's log; the client's spans."""
        agent = self.select("named", *names)
        lines = self.network.run(command)
        ours = self.end(agent)
        queries = self.server.queries()
        self.assertTrue(queries)
        self.check(ours, queries)
        return ours, lines

    def by_question(self, spans):
        return {(span.attributes["dns.question.name"], span.attributes["zerospan.dns.question.type"]): span for span in spans}

    def test_glibc(self):
        names = [f"glibc{i}.zerospan.test" for i in range(50)]
        ours, lines = self.score([self.programs / "lookup-glibc", *names, "no.such.test", "x.broken.test"], "lookup-glibc")
        self.assertEqual([f"{name} found" for name in names], lines[:50])
        self.assertEqual({(name, kind) for name in names for kind in ("A", "AAAA")},
                         {key for key in self.by_question(ours[CLIENT]) if "glibc" in key[0]})
        answers = self.by_question(ours[CLIENT])
        self.assertEqual(["10.1.2.3"], answers[names[0], "A"].attributes["dns.answers"])
        self.assertEqual(["2001:db8::7"], answers[names[0], "AAAA"].attributes["dns.answers"])
        self.assertEqual("DNS AAAA", answers[names[0], "AAAA"].name)
        self.assertEqual("127.0.0.1", answers[names[0], "A"].attributes["server.address"])

    def test_getent_and_dig(self):
        agent = self.select("named", "getent", "dig")
        self.network.run(["getent", "ahosts", "one.zerospan.test"])
        self.network.run(["dig", "+tries=1", "two.zerospan.test", "A", "three.zerospan.test", "TXT"])
        self.network.run(["dig", "+tcp", "four.zerospan.test", "AAAA", "big.zerospan.test", "TXT"])
        self.network.run(["dig", "-6", "@::1", "six.zerospan.test", "A", "+tcp"])
        self.network.run(["dig", "-6", "@::1", "seven.zerospan.test", "A"])
        # An answer that does not fit is asked for again over TCP.
        self.network.run(["dig", "+noedns", "big.zerospan.test", "TXT"])
        self.network.run(["dig", "nothing.zerospan.test.invalid", "A", "gone.plain.test", "A"])
        self.network.run(["dig", "a.broken.test", "A", "alias.zerospan.test", "A", "eight.zerospan.test", "TYPE999"])
        ours = self.end(agent)
        self.check(ours, self.server.queries())
        found = {described(span, False): span.attributes for span in ours[CLIENT]}
        self.assertTrue(found["big.zerospan.test", "TXT", "udp"]["zerospan.dns.truncated"])
        self.assertEqual("REFUSED", found["nothing.zerospan.test.invalid", "A", "udp"]["error.type"])
        self.assertEqual("NXDOMAIN", found["gone.plain.test", "A", "udp"]["error.type"])
        self.assertEqual("SERVFAIL", found["a.broken.test", "A", "udp"]["error.type"])
        self.assertEqual(["10.9.9.9"], found["alias.zerospan.test", "A", "udp"]["dns.answers"])
        self.assertEqual("::1", found["seven.zerospan.test", "A", "udp"]["server.address"])
        self.assertEqual({"DNS A", "DNS AAAA", "DNS TXT", "DNS"}, {span.name for span in ours[CLIENT]})
        errors = collections.Counter(span.attributes.get("error.type") for span in ours[SERVER])
        self.assertEqual({None, "SERVFAIL"}, set(errors))

    def test_musl(self):
        ours, _ = self.score([self.programs / "lookup-musl", *(f"musl{i}.zerospan.test" for i in range(50))], "lookup-musl")
        self.assertEqual({"127.0.0.1"}, {span.attributes["server.address"] for span in ours[CLIENT]})
        self.assertEqual(100, len(ours[CLIENT]))

    def test_go(self):
        ours, _ = self.score([self.programs / "lookup-go", *(f"go{i}.zerospan.test." for i in range(50))], "lookup-go")
        self.assertEqual(100, len(ours[CLIENT]))

    def test_node(self):
        for how, types in (("resolve", {"A"}), ("lookup", {"A", "AAAA"})):
            ours, lines = self.score(["node", self.programs / "lookup.js", how, *(f"{how}{i}.zerospan.test" for i in range(50))],
                                     "node")
            self.assertEqual({f"{how}{i}.zerospan.test found" for i in range(50)}, set(lines))
            self.assertEqual(types, {span.attributes["zerospan.dns.question.type"] for span in ours[CLIENT]
                                     if how in span.attributes["dns.question.name"]})
            self.server.program.errors.clear()

    def test_java(self):
        ours, _ = self.score(["java", "-cp", self.programs, "Lookup", *(f"java{i}.zerospan.test" for i in range(20))], "java")
        self.assertEqual(40, len(ours[CLIENT]))

    def test_dnspython(self):
        for how in ("udp", "tcp"):
            ours, _ = self.score([harness.PYTHON, self.programs / "lookup.py", how, *(f"{how}{i}.zerospan.test" for i in range(30))],
                                 "python3*")
            self.assertEqual({how}, {span.attributes["network.transport"] for span in ours[CLIENT]})
            self.server.program.errors.clear()

    def test_by_system_call(self):
        """Where the kernel does not hand the sockets over, only TCP is seen."""
        agent = self.agent("--exe", "*/dig", "--capture", "syscall")
        self.network.run(["dig", "udp.zerospan.test", "A"])
        self.network.run(["dig", "+tcp", "tcp.zerospan.test", "A", "big.zerospan.test", "TXT"])
        ours = self.end(agent)
        self.assertEqual({("tcp.zerospan.test", "A", "tcp"), ("big.zerospan.test", "TXT", "tcp")},
                         {described(span, False) for span in ours[CLIENT]})

    def test_other_port(self):
        agent = self.agent("--exe", "*/dig", env={"ZEROSPAN_CAPTURE_DNS_PORTS": "5300,53"})
        self.network.run(["dig", "one.zerospan.test", "A"])
        self.network.start(["dig", "-p", "5300", "+tries=1", "two.zerospan.test", "A"]).wait_exit()
        self.network.start(["dig", "-p", "5301", "+tries=1", "three.zerospan.test", "A"]).wait_exit()
        self.assertEqual({("one.zerospan.test", 53), ("two.zerospan.test", 5300)},
                         {(span.attributes["dns.question.name"], span.attributes["server.port"])
                          for span in self.end(agent)[CLIENT]})

    def test_not_dns(self):
        """What goes to other ports is not recorded, whatever its socket is."""
        recording = self.directory / "recording"
        agent = self.agent("--exe", "*/lookup-glibc", "--output", recording, command="record")
        self.network.run([self.programs / "lookup-glibc", "udp:5353:100", "udp:9:100", "only.zerospan.test"])
        agent.interrupt()
        self.assertNotIn(b"not a question", recording.read_bytes())
        self.assertIn(b"only", recording.read_bytes())
        self.assertEqual(2, agent.stats()["connections_muted"])


class Servers(Case):
    def test_dnsmasq(self):
        """A server that asks another: as a server and as a client."""
        network = Network(self, "nameserver 127.0.0.2\n")
        upstream = Bind(network)
        server = Dnsmasq(network, "127.0.0.2", "--server=127.0.0.1", "--cache-size=0", "--address=/own.test/10.4.4.4")
        agent = self.select("dnsmasq")
        network.run([self.programs / "lookup-go", *(f"far{i}.zerospan.test." for i in range(50)), *(f"near{i}.own.test." for i in range(50))])
        ours = self.end(agent)
        self.check(ours, server.queries(), (SERVER,), exact=False)
        self.check(ours, upstream.queries(), (CLIENT,), exact=False)
        self.assertGreaterEqual(len(ours[SERVER]), 200)
        self.assertGreaterEqual(len(ours[CLIENT]), 100)
        self.assertEqual({("127.0.0.1", 53)}, {(span.attributes["server.address"], span.attributes["server.port"])
                                               for span in ours[CLIENT]})

    def test_no_answer(self):
        network = Network(self, "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
        silent = network.start([harness.PYTHON, "-u", self.programs / "lookup.py", "silent", "127.0.0.1"])
        silent.wait_line(silent.lines, "ready")
        agent = self.select("lookup-glibc")
        network.run([self.programs / "lookup-glibc", "a.zerospan.test"])
        ours = self.end(agent, incomplete=2)[CLIENT]
        # Each question twice: that the first had no answer is certain.
        self.assertEqual(len(silent.lines) - 1, len(ours))
        self.assertEqual(4, len(ours))
        for span in ours:
            if "zerospan.incomplete" in span.attributes:
                self.assertEqual(["body_end_unknown"], span.attributes["zerospan.incomplete"])
                self.assertNotIn("error.type", span.attributes)
            else:
                self.assertEqual("no_response", span.attributes["error.type"])
                self.assertGreater(span.end - span.start, 0.9)

    def test_nobody_listens(self):
        network = Network(self)
        agent = self.select("dig")
        program = network.start(["dig", "+tries=1", "+time=5", "a.zerospan.test"])
        program.wait_exit()
        (span,) = self.end(agent)[CLIENT]
        self.assertEqual("connection_refused", span.attributes["error.type"])

    def load(self, during=lambda agent, server: None, **environment):
        network = Network(self)
        server = Bind(network)
        agent = self.agent("--exe", "*/named", "--exe", "*/lookup-go", env={
            "ZEROSPAN_EXPORTER_QUEUE_SIZE": "400000", "ZEROSPAN_SHUTDOWN_DEADLINE": "1m", **environment})
        client = network.start([self.programs / "lookup-go", "load", LOAD])
        during(agent, server)
        self.assertEqual(0, client.wait_exit(200), client)
        return server.queries(), agent

    def test_load(self):
        queries, agent = self.load()
        self.assertGreaterEqual(queries.total(), 2 * LOAD)
        self.check(self.end(agent), queries)

    def test_what_is_lost_is_counted(self):
        """The agent stands still for a while: what it tells without a flag is true all the same."""
        def during(agent, server):
            for number, count in ((signal.SIGSTOP, LOAD // 4), (signal.SIGCONT, LOAD)):
                harness.wait_for(lambda count=count: len(server.program.errors) > count, f"{count} queries", 60)
                os.kill(agent.pid, number)

        queries, agent = self.load(during, ZEROSPAN_CAPTURE_RING_BYTES="64KiB")
        spans = agent.interrupt(60)
        lost = agent.lost()
        self.assertEqual({"records_lost_ring_full"}, set(lost))
        whole = [span for span in spans if "zerospan.incomplete" not in span.attributes]
        print(f"\n{lost}, {len(spans)} spans of {2 * queries.total()}, {len(whole)} whole", flush=True)
        self.assertLessEqual(collections.Counter(map(described, (s for s in whole if s.kind == SERVER))), queries)
        self.assertLessEqual(collections.Counter(described(s, False) for s in whole if s.kind == CLIENT), without_ports(queries))
        for span in whole:
            self.assertEqual("NOERROR", span.attributes["zerospan.dns.response_code"])


class Parents(Case):
    """Handlers that look up two names each, with the request's id in them."""

    def score(self, command, name, path="/"):
        network = Network(self)
        Bind(network)
        program = network.start(command)
        port = program.wait_line(program.lines, r"^port (\d+)").group(1)
        agent = self.agent("--pid", str(program.pid))
        client = f"""
import concurrent.futures, http.client, threading
local = threading.local()
def ask(number):
    if not hasattr(local, "to"):
        local.to = http.client.HTTPConnection("127.0.0.1", {port}, timeout=60)
    local.to.request("GET", f"{path}?id={{number}}")
    assert local.to.getresponse().read() is not None
with concurrent.futures.ThreadPoolExecutor(20) as pool:
    list(pool.map(ask, range(400)))
"""
        network.run([harness.PYTHON, "-c", client], 120)
        spans = agent.interrupt(60)
        self.assertEqual({}, agent.lost())
        ids = {span.span_id: span.id for span in spans if span.kind == SERVER}
        self.assertEqual(400, len(ids))
        ours = [span for span in spans if span.attributes.get("zerospan.dns.question.type") == "A"]
        total = collections.Counter()
        for span in ours:
            asked = re.match(r"(first|second)-(\d+)\.", span.attributes["dns.question.name"]).group(2)
            parent = ids.get(span.parent_id)
            total["orphan" if not span.parent_id else "right" if parent == asked else "wrong"] += 1
        print(f"\n{name}: {harness.describe(total)}", flush=True)
        self.assertEqual(800, total.total())
        self.assertEqual(0, total["wrong"])
        return total

    def test_python(self):
        total = self.score([harness.PYTHON, "-u", self.programs / "lookup.py", "serve"], "Python, a thread for each connection")
        self.assertEqual(800, total["right"])

    def test_go(self):
        for path in ("/", "/two"):
            total = self.score([self.programs / "lookup-go", "serve"], f"Go, {path}", path)
            self.assertGreaterEqual(total["right"], 780)

    def test_node(self):
        self.score(["node", self.programs / "lookup.js", "serve"], "Node.js, dns.resolve4")



if __name__ == "__main__":
    unittest.main()
