# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Does injection harm the programs into whose requests it writes? What arrives is the program's own bytes and exactly the
header, by hashes that both ends made; exchanges take as long as without it; and a self-test finds the kernels on which
sockets behave in another way under it. ZEROSPAN_HARM_MEGABYTES: how much the slow test sends (1024)."""

import collections
import json
import os
import re
import statistics
import subprocess
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
            about = f"{one}\n{other}"
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
        self.assertEqual(injected, stats["capture_injected"], stats)
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
        self.assertEqual(len(times["with"]), agent.stats()["capture_injected"])


class Throughput(harness.Case):
    """A load generator against nginx: not traced, traced, and traced with injection, in turns."""

    ROUNDS = 3

    def rates(self, command, pattern, check):
        rates = collections.defaultdict(list)
        for _ in range(self.ROUNDS):
            for how in ("not traced", "traced", "injected"):
                agent = None
                if how != "not traced":
                    agent = self.agent("--exe", command[0], *(DESPITE if how == "injected" else ()))
                done = subprocess.run(command, capture_output=True, text=True, timeout=60 * harness.TIME_FACTOR)
                self.assertEqual(0, done.returncode, done.stdout + done.stderr)
                rates[how].append(float(re.search(pattern, done.stdout).group(1)))
                if agent:
                    agent.end()
                    check(done.stdout, agent.stats(), how == "injected")
        middle = {how: statistics.median(values) for how, values in rates.items()}
        ratio = middle["injected"] / middle["traced"]
        print(f"{os.path.basename(command[0])}: " + ", ".join(f"{how} {rate:.0f}/s" for how, rate in middle.items()) +
              f"; injected/traced {ratio:.2f}", flush=True)
        # Loose: what is measured here also measures the neighbours.
        self.assertGreater(ratio, 0.6)

    def test_wrk(self):
        self.need("wrk", "nginx")
        server = servers.nginx(self)

        def check(output, stats, injects):
            self.assertNotIn("Non-2xx", output)
            self.assertNotIn("Socket errors", output)
            # All but those of connections that were open before the process was decided about.
            requests = int(re.search(r"(\d+) requests in", output).group(1))
            injected = stats["capture_injected"]
            self.assertGreater(injected if injects else requests - injected, 0.5 * requests, stats)

        self.rates(["/usr/bin/wrk", "-t1", "-c8", "-d3s", f"http://127.0.0.1:{server.port}/files/10"],
                   r"Requests/sec:\s+([\d.]+)", check)

    def test_h2load(self):
        """Of HTTP/2, whose connections are looked at only once."""
        self.need("h2load", "nginx")
        server = servers.nginx(self, template="http2.conf.in")

        def check(output, stats, injects):
            self.assertRegex(output, r"requests: 30000 total, .* 30000 succeeded, 0 failed")

        self.rates(["/usr/bin/h2load", "-n30000", "-c4", "-m8", f"http://127.0.0.1:{server.port}/files/10"],
                   r"([\d.]+) req/s", check)


class Slow(Harm):
    test_exchanges_take_as_long = None

    def test_mixed_traffic(self):
        self.mixed(int(os.environ.get("ZEROSPAN_HARM_MEGABYTES", "1024")), 900)


if __name__ == "__main__":
    unittest.main()
