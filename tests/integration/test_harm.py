# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Does injection harm the programs into whose requests it writes? What arrives is the program's own bytes and exactly the
header, by hashes that both ends made; exchanges take as long as without it; and a self-test finds the kernels on which
sockets behave in another way under it. ZEROSPAN_HARM_MEGABYTES: how much the slow test sends (1024)."""

import collections
import ctypes
import json
import os
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import threading
import unittest

import harness
import servers
from harness import wait_for

STALL = 0.2  # seconds
# On kernels of which the self-test says no for this reason alone, the rest is tested all the same: no program of these
# tests asks how much it could read.
DESPITE = ("--propagate", "--propagate-despite=fionread")


class Harm(harness.Case):
    def certificate(self):
        path = self.directory / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-keyout", path, "-out", str(path) + ".crt"], check=True, capture_output=True)
        path.write_text(path.read_text() + (self.directory / "certificate.pem.crt").read_text())
        return path

    def server(self):
        self.need("openssl")
        server = self.start([harness.PYTHON, harness.PROGRAMS / "mixed_traffic.py", "server", self.certificate()],
                            stdin=subprocess.PIPE)
        found = server.wait_line(server.lines, r'^{"ports": (.*)}$')
        return server, json.loads(found.group(1))

    def client(self, *arguments):
        return self.start([harness.PYTHON, harness.PROGRAMS / "mixed_traffic.py", *map(str, arguments)],
                          stdin=subprocess.PIPE)

    @staticmethod
    def go(client):
        client.process.stdin.write("\n")
        client.process.stdin.flush()

    def injecting(self, *selection):
        """The agent, which injects."""
        agent = self.agent(*selection, *DESPITE)
        self.assertFalse([line for line in agent.errors if "trace context is injected" in line], agent.errors)
        return agent

    def mixed(self, megabytes, seconds):
        server, ports = self.server()
        client = self.client("client", json.dumps(ports), megabytes)
        agent = self.injecting("--pid", str(client.pid))
        self.go(client)
        client.wait_exit(seconds)
        agent.end()
        sent = [json.loads(line) for line in client.lines]
        self.assertEqual({"connections": len(sent) - 1}, sent.pop(), client)
        at_end = {}

        def ended():
            for line in server.lines[1:]:
                told = json.loads(line)
                at_end[told["port"]] = told
            return all(one["port"] in at_end for one in sent)

        wait_for(ended, "what the server has seen")
        total, injected = 0, 0
        for one in sent:
            other = at_end[one["port"]]
            about = f"{one}\n{other}\n{client}"
            self.assertEqual("", other["odd"], about)
            self.assertTrue(one["good"], about)
            # What the client's program sent has arrived, with nothing but trace headers more, in the heads of requests.
            self.assertEqual((one["sha"], one["bytes"]), (other["sha"], other["bytes"]), about)
            if one["kind"] == "http":
                self.assertEqual((one["requests"],) * 2, (other["requests"], other["headers"]), about)
            elif one["kind"] != "websocket":  # whose first request is one
                self.assertEqual(0, other["headers"], about)
            total += one["bytes"]
            injected += other["headers"]
        stats = agent.stats()
        self.assertEqual((1, 0, 0), (stats["injection_on"] + stats["injection_stopped"], stats["injection_stopped"],
                                     stats["injection_stalled_connections"]), stats)
        self.assertEqual(injected, stats["injected"], stats)
        print(f"{total >> 20} MiB sent over {len(sent)} connections, {injected} headers injected", flush=True)

    def test_mixed_traffic(self):
        self.mixed(48, 60)

    def test_exchanges_take_as_long(self):
        """Two clients at the same time, of which one is traced: no stall that the other does not have, too."""
        server, ports = self.server()
        clients = {name: self.client("latency", ports["http"], 4000) for name in ("with", "without")}
        agent = self.injecting("--pid", str(clients["with"].pid))
        for client in clients.values():
            self.go(client)
        for client in clients.values():
            client.wait_exit(60)
        agent.end()
        times = {name: sorted(json.loads(client.lines[0])["times"]) for name, client in clients.items()}
        for name, sample in times.items():
            at = lambda share: sample[min(len(sample) - 1, int(len(sample) * share))] * 1e6
            print(f"{name:8} median {at(.5):6.0f} us, 99 % {at(.99):6.0f}, 99.9 % {at(.999):6.0f}, longest "
                  f"{at(1):6.0f}", flush=True)
        stalls = {name: sum(time > STALL for time in sample) for name, sample in times.items()}
        # This machine may itself stand still while only one of them waits.
        self.assertLessEqual(stalls["with"], stalls["without"] + 2)
        self.assertEqual(len(times["with"]), agent.stats()["injected"])


# Told what to do line by line: connects, sends a request, waits for the answer; then what it is asked for.
CLIENT = """
import json, socket, sys
sockets = {}
for line in sys.stdin:
    what, port, *rest = line.split()
    try:
        if what == "connect":
            sockets[rest[0]] = socket.create_connection(("127.0.0.1", int(port)), timeout=100)
            said = ""
        elif what == "pace":
            sockets[rest[0]].setsockopt(socket.SOL_SOCKET, 47, int(rest[1]))  # SO_MAX_PACING_RATE
            said = ""
        else:
            sockets[rest[0]].sendall(b"GET /%s HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n" % rest[1].encode())
            said = sockets[rest[0]].recv(4096).decode() if what == "ask" else ""
    except OSError as error:
        said = repr(error)
    print(json.dumps(said), flush=True)
"""


class Peer:
    """A server that keeps what it received; `answers` says whether it answers or closes."""

    def __init__(self, case, answers=True):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port, self.answers, self.received = self.listener.getsockname()[1], answers, []
        case.addCleanup(self.listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _read(connection):
        try:
            return connection.recv(65536)
        except ConnectionResetError:
            return b""

    def _serve(self, connection):
        with connection:
            data = b""
            while piece := self._read(connection):
                data += piece
                while b"\r\n\r\n" in data:
                    end = data.index(b"\r\n\r\n") + 4
                    self.received.append(data[:end])
                    data = data[end:]
                    if not self.answers:
                        return
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class InUse(harness.Case):
    """Whether injection begins, and when it ends."""

    def setUp(self):
        super().setUp()
        self.client = self.start([harness.PYTHON, "-c", CLIENT], stdin=subprocess.PIPE)
        self.told = 0

    def tell(self, *words, wait=True):
        self.client.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.client.process.stdin.flush()
        self.told += 1
        if wait:
            wait_for(lambda: len(self.client.lines) >= self.told, f"an answer to {words}: {self.client}")
            return json.loads(self.client.lines[self.told - 1])

    def ask(self, port, name="a"):
        self.tell("connect", port, name)
        return self.tell("ask", port, name, "x")

    def traced(self, *options):
        return self.agent("--pid", str(self.client.pid), *options)

    def off(self, agent, why):
        agent.wait_line(agent.errors, "no (more )?trace context is injected: .*" + why, 30)

    def test_the_self_test_decides(self):
        """What `check` says of this kernel is what is done on it."""
        check = subprocess.run([harness.BINARY, "check"], capture_output=True, text=True, timeout=300 * harness.TIME_FACTOR)
        said = re.search(r"^  (yes|NO ) +sockets under injection.*\n((?:       .*\n)*)", check.stdout, re.M)
        self.assertTrue(said, check.stdout)
        works = said.group(1) == "yes"
        agent, peer = self.traced("--propagate"), Peer(self)
        self.assertIn("200 OK", self.ask(peer.port))
        self.assertEqual(works, b"\r\ntraceparent: " in peer.received[0], peer.received)
        if not works:
            self.off(agent, f"({'|'.join(re.findall(r'^ +([a-z_]+): ', said.group(2), re.M))})")
        agent.end()
        stats = agent.stats()
        self.assertEqual((works, 0), (stats["injection_on"], stats["injection_stopped"]), stats)
        self.assertEqual(len(re.findall(r"^ +\w+: ", said.group(2), re.M)), stats["injection_checks_failed"], stats)
        self.assertEqual(int(works), stats["injected"], stats)
        print(said.group(0).strip(), flush=True)

    def test_broken_connections(self):
        """A peer that closes whenever it gets a header, as far as one can tell."""
        agent, good, bad = self.traced(*DESPITE), Peer(self), Peer(self, answers=False)
        for number in range(10):
            self.assertIn("200 OK", self.ask(good.port))
        for number in range(25):
            self.ask(bad.port)
        self.off(agent, r"of \d+ requests with an injected header got no answer")
        before = len(good.received)
        self.assertIn("200 OK", self.ask(good.port))
        self.assertIn("200 OK", self.tell("ask", good.port, "a", "y"))
        self.assertNotIn(b"traceparent", b"".join(good.received[before:]))
        agent.end()
        stats = agent.stats()
        self.assertEqual((0, 1), (stats["injection_on"], stats["injection_stopped"]), stats)
        self.assertEqual(10, stats["injections_answered"], stats)
        self.assertIn(stats["injections_broken"], range(20, 26), stats)

    def test_a_connection_that_stands_still(self):
        """It is taken out, and what waits arrives. Here it waits because its program wants it sent slowly."""
        agent, peer = self.traced(*DESPITE), Peer(self)
        self.tell("connect", peer.port, "a")
        for number in range(12):  # Linux paces none of the first ten packets
            self.assertIn("200 OK", self.tell("ask", peer.port, "a", "x"))
        self.tell("pace", peer.port, "a", 50)  # bytes per second
        for number in range(20):
            self.tell("send", peer.port, "a", "x" * 200)
        agent.wait_line(agent.errors, "1 connections stood still", 60)
        self.tell("pace", peer.port, "a", 1 << 30)
        self.tell("send", peer.port, "a", "last")
        self.assertIn("200 OK", self.ask(peer.port, "b"))
        wait_for(lambda: any(head.startswith(b"GET /last ") for head in peer.received), "what waited", 60)
        with_header = [head for head in peer.received if b"traceparent" in head]
        self.assertNotIn(b"GET /last ", b"".join(with_header))
        self.assertEqual(12 + 20 + 2, len(peer.received))
        agent.end()
        stats = agent.stats()
        self.assertEqual((1, 0, 1), (stats["injection_on"], stats["injection_stopped"],
                                     stats["injection_stalled_connections"]), stats)
        self.assertEqual(len(with_header), stats["injected"], stats)

    def foreign(self):
        """Another agent's programs, loaded by this process. Gone when the function that is returned is called."""
        library = ctypes.CDLL("libbpf.so.1")
        library.bpf_object__open.restype = ctypes.c_void_p
        programs = library.bpf_object__open(str(harness.BUILD / "tests" / "propagation" / "foreign.bpf.o").encode())
        self.assertEqual(0, library.bpf_object__load(ctypes.c_void_p(programs)))
        return lambda: library.bpf_object__close(ctypes.c_void_p(programs))

    def test_another_agent(self):
        gone = self.foreign()
        peer = Peer(self)
        agent = self.traced(*DESPITE)
        self.off(agent, "sk_msg program is loaded .foreign__")
        self.assertIn("200 OK", self.ask(peer.port))
        agent.end()
        self.assertEqual((0, 0), (agent.stats()["injection_on"], agent.stats()["injection_stopped"]))
        gone()
        agent = self.traced(*DESPITE)
        self.assertIn("200 OK", self.ask(peer.port))
        gone = self.foreign()  # while it injects
        self.addCleanup(gone)
        self.off(agent, "sk_msg program is loaded .foreign__")
        self.assertIn("200 OK", self.tell("ask", peer.port, "a", "y"))
        self.assertIn("200 OK", self.ask(peer.port))
        agent.end()
        self.assertEqual([False, True, False, False], [b"traceparent" in head for head in peer.received])
        self.assertEqual((0, 1), (agent.stats()["injection_on"], agent.stats()["injection_stopped"]))


class Throughput(harness.Case):
    """A load generator against nginx: not traced, traced, and traced with injection, in turns."""

    ROUNDS = 3

    @staticmethod
    def processor_seconds(server):
        """Of all children that were waited for (the generator, not the server), and of the server's processes."""
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = own.ru_utime + own.ru_stime
        children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in (str(server.pid), *children):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def rates(self, server, command, rate, requests, check):
        rates, costs = collections.defaultdict(list), collections.defaultdict(list)
        for _ in range(self.ROUNDS):
            for how in ("not traced", "traced", "injected"):
                agent = None
                if how != "not traced":
                    agent = self.agent("--exe", command[0], *(DESPITE if how == "injected" else ()))
                before = self.processor_seconds(server)
                done = subprocess.run(command, capture_output=True, text=True, timeout=60 * harness.TIME_FACTOR)
                spent = self.processor_seconds(server) - before
                self.assertEqual(0, done.returncode, done.stdout + done.stderr)
                rates[how].append(float(re.search(rate, done.stdout).group(1)))
                costs[how].append(1e6 * spent / int(re.search(requests, done.stdout).group(1)))
                if agent:
                    agent.end()
                    check(done.stdout, agent.stats(), how == "injected")
        middle = {how: (statistics.median(rates[how]), statistics.median(costs[how])) for how in rates}
        print(f"{os.path.basename(command[0])}: " +
              ", ".join(f"{how} {a:.0f}/s {b:.1f} us of processor time each" for how, (a, b) in middle.items()) +
              f"; injected/traced {middle['injected'][0] / middle['traced'][0]:.2f} of the rate, "
              f"{middle['injected'][1] / middle['traced'][1]:.2f} of the time", flush=True)
        # The rate also measures the neighbours; the processor's time less so.
        self.assertLess(middle["injected"][1], 1.5 * middle["traced"][1])

    def test_wrk(self):
        self.need("wrk", "nginx")
        server = servers.nginx(self)

        def check(output, stats, injects):
            self.assertNotIn("Non-2xx", output)
            self.assertNotIn("Socket errors", output)
            # All but those of connections that were open before the process was decided about.
            requests = int(re.search(r"(\d+) requests in", output).group(1))
            injected = stats["injected"]
            self.assertGreater(injected if injects else requests - injected, 0.5 * requests, stats)

        self.rates(server, ["/usr/bin/wrk", "-t1", "-c8", "-d3s", f"http://127.0.0.1:{server.port}/files/10"],
                   r"Requests/sec:\s+([\d.]+)", r"(\d+) requests in", check)

    def test_h2load(self):
        """Of HTTP/2, whose connections are looked at only once."""
        self.need("h2load", "nginx")
        server = servers.nginx(self, template="http2.conf.in")

        def check(output, stats, injects):
            self.assertRegex(output, r"requests: 30000 total, .* 30000 succeeded, 0 failed")

        self.rates(server, ["/usr/bin/h2load", "-n30000", "-c4", "-m8", f"http://127.0.0.1:{server.port}/files/10"],
                   r"([\d.]+) req/s", r"(\d+) succeeded", check)


class Slow(Harm):
    test_exchanges_take_as_long = None

    def test_mixed_traffic(self):
        self.mixed(int(os.environ.get("ZEROSPAN_HARM_MEGABYTES", "1024")), 900)


if __name__ == "__main__":
    unittest.main()
