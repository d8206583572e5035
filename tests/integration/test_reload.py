# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The configuration that changes while `run` runs; one `run` on a host; health checks."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import unittest

import harness
import servers
import test_robustness
import traffic


def request(path="/c?size=10", **headers):
    return traffic.Request("GET", traffic.with_id(path),
                           headers={name.replace("_", "-"): value for name, value in headers.items()})


def owned(pid):
    """The ids of the BPF programs, maps and links that a process holds: other agents may come and go meanwhile."""
    found = set()
    for entry in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        found |= set(re.findall(r"^(link|prog|map)_id:\s+(\d+)$", entry.read_text(), re.M))
    return found


def of_the_kernel():
    return {(kind, str(number)) for kind, number, _ in test_robustness.kernel_objects()}


def ask(port, *requests):
    with traffic.Connection(port) as connection:
        for one in requests:
            connection.send(one)
    return [one.id for one in requests]


class Running(harness.Case):
    """`run` with a file, whose spans go to another file unless the test says otherwise."""

    def setUp(self):
        super().setUp()
        self.config = self.directory / "zerospan.yaml"
        self.received = self.directory / "received.jsonl"

    def write(self, text, exporter=None):
        exporter = exporter or f"{{kind: file, file: {self.received}}}"
        self.config.write_text(f"exporter: {exporter}\n{text}")

    def run_agent(self, *arguments, **how):
        self.watcher = self.agent("--config", str(self.config), "--metrics-listen", "127.0.0.1:0", *arguments,
                                  command="run", **how)
        self.port = int(self.watcher.wait_line(self.watcher.errors, r"metrics at port (\d+)").group(1))
        return self.watcher

    def metric(self, name):
        found = re.search(rf"^zerospan_{re.escape(name)} (\S+)$", harness.scrape(self.port), re.M)
        return float(found.group(1)) if found else None

    def reloads(self, result):
        return self.metric(f'config_reloads_total{{result="{result}"}}')

    def change(self, how, result="applied"):
        """Does `how` and waits until the agent has read the file, with that result."""
        before = self.reloads(result)
        how()
        harness.wait_for(lambda: self.reloads(result) > before, f"a configuration that is {result}: {self.watcher}")

    def wait_selected(self, count):
        harness.wait_for(lambda: self.metric("processes_selected") == count, f"{count} processes to be selected")

    def spans(self):
        return harness.parse_spans(self.received.read_text()) if self.received.exists() else []

    def wait_spans(self, count):
        harness.wait_for(lambda: len(self.spans()) >= count, f"{count} spans")

    def assert_accounts(self):
        stats = self.watcher.stats()
        self.assertEqual({}, self.watcher.lost())
        self.assertEqual(stats["records_reserved"], stats["records_decoded"])
        self.assertEqual(stats["exchanges"], stats["spans_made"] + stats["spans_not_sampled"] +
                         stats["spans_left_to_sdk"] + stats["spans_health_checks"])
        self.assertEqual(stats["spans_made"], stats["spans_exported"])
        return stats


class Reload(Running):
    def test_selection(self):
        """Servers are selected and left at once, under a connection that stays. What was not seen of it is not made
        up from what was."""
        first, second = servers.go(self), servers.go(self)
        self.write(f"selection: {{pids: [{first.pid}]}}\n")
        self.run_agent()
        seen = [request() for _ in range(5)]
        unseen = [request("/c?size=20&status=404") for _ in range(3)]
        cut = request("/c?size=10&delay=2000")
        with traffic.Connection(first.port) as lasting, traffic.Connection(first.port) as slow:
            lasting.send(seen[0])
            ask(second.port, unseen[0])
            slow.send(request("/c?size=10&warm=1"))
            slow.socket.sendall(cut.head(first.port))
            # Nothing shows that the server has read it, but that another one that came later is answered.
            ask(first.port, seen[3])
            self.change(lambda: self.write(f"selection: {{ports: [{second.port}]}}\n"))
            self.wait_selected(1)
            harness.wait_for(lambda: cut.id in {span.id for span in self.spans()}, "the request that was left")
            lasting.send(unseen[1])
            ask(second.port, seen[1])
            first.wait_logged(5)  # the slow answer is out, which nobody watches
            self.change(lambda: self.write(f"selection: {{pids: [{first.pid}, {second.pid}]}}\n"))
            self.wait_selected(2)
            lasting.send(seen[2])
            # The answer to what was left must not be taken for this one's, nor the other way about.
            slow.receive(cut)
            slow.send(seen[4])
        self.watcher.end()
        spans = {span.id: span for span in self.spans() if "warm" not in span.target}
        self.assertEqual(sorted([one.id for one in seen] + [cut.id]), sorted(spans))
        for one in seen:
            self.assertEqual((200, 10), (spans[one.id].code, spans[one.id].attributes["http.response.body.size"]))
        self.assertIsNone(spans[cut.id].code)
        self.assert_accounts()

    def test_nothing_is_detached_or_lost_under_load(self):
        """A ConfigMap changes as a kubelet does it, again and again, while requests go on."""
        server = servers.go(self)
        for number in range(6):
            folder = self.directory / f"..{number}"
            folder.mkdir()
            (folder / "zerospan.yaml").write_text(
                f"selection: {{pids: [{server.pid}]}}\n"
                f"http: {{routes: ['/{{route{number}}}']}}\n"
                f"service: {{rules: [{{executable: '*/httpprog', name: name{number}}}]}}\n"
                f"exporter: {{kind: file, file: {self.received}}}\n")
        data = self.directory / "..data"
        data.symlink_to("..0")
        self.config.symlink_to("..data/zerospan.yaml")

        def swap(number):
            (self.directory / "..tmp").symlink_to(f"..{number}")
            os.rename(self.directory / "..tmp", data)

        self.run_agent()
        attached = owned(self.watcher.pid)
        self.assertEqual({"link", "prog", "map"}, {kind for kind, _ in attached})
        sent, over = [], threading.Event()

        def load():
            # At the server's pace: a ring that overflows on a busy machine is test_overload's matter.
            with traffic.Connection(server.port) as connection:
                while not over.is_set():
                    one = request("/c?size=10&delay=2")
                    connection.send(one)
                    sent.append(one.id)

        loader = threading.Thread(target=load)
        loader.start()
        self.addCleanup(loader.join)
        self.addCleanup(over.set)
        for number in range(1, 6):
            harness.wait_for(lambda wanted=len(sent) + 50: len(sent) >= wanted, "requests")
            self.change(lambda: swap(number))
            harness.wait_for(lambda: any(span.attributes.get("http.route") == f"/{{route{number}}}" and
                                         span.resource["service.name"] == f"name{number}"
                                         for span in self.spans()), f"spans by rules {number}")
        over.set()
        loader.join()
        self.assertLessEqual(attached, owned(self.watcher.pid))
        self.watcher.end()
        spans = self.spans()
        stats = self.assert_accounts()
        self.assertEqual(set(), set(sent) ^ {span.id for span in spans})
        self.assertEqual(len(sent), len(spans))
        self.assertLessEqual({span.attributes["http.route"] for span in spans},
                             {f"/{{route{number}}}" for number in range(6)})
        print(f"\n{len(sent)} requests during 5 changes: {stats['spans_exported']} spans", flush=True)

    def test_new_programs_of_a_selection_that_came_later(self):
        """A selection by pid needs no eye on new programs, one by executable does: the kernel side captures a
        program from its start, here while the agent stands still and cannot have decided about it."""
        other = servers.python(self)
        self.write(f"selection: {{pids: [{other.pid}]}}\n")
        self.run_agent()
        self.change(lambda: self.write("selection: {executables: ['*/httpprog']}\n"))
        self.wait_selected(0)
        os.kill(self.watcher.pid, signal.SIGSTOP)
        status = pathlib.Path(f"/proc/{self.watcher.pid}/status")
        harness.wait_for(lambda: "\nState:\tT" in status.read_text(), "the agent to stand still")
        try:
            ids = ask(servers.go(self).port, request())
        finally:
            os.kill(self.watcher.pid, signal.SIGCONT)
        self.wait_selected(1)
        self.watcher.end()
        self.assertEqual(sorted(ids), sorted(span.id for span in self.spans()))

    def test_what_is_wrong_is_refused_as_a_whole(self):
        server = servers.go(self)
        good = f"selection: {{pids: [{server.pid}]}}\n"
        self.write(good + "http: {routes: ['/{good}']}\n")
        self.run_agent()
        wrong = {
            good + "http: {routes: ['/{bad}'], rute: x}\n": r"zerospan\.yaml:3:\d+: .http\.rute.: .*routes",
            good + "http: {routes: ['/{bad}']}\nsampler: {ratio: 2}\n": r"zerospan\.yaml:4:\d+: sampler\.ratio",
            "http: {routes: ['/{bad}']}\n": r"no process is selected",
            "selection: {pids: [4194304]}\n": r"process 4194304 does not exist",
        }
        for text, message in wrong.items():
            self.change(lambda: self.write(text), "refused")
            self.watcher.wait_line(self.watcher.errors, r"error.*the configuration stays as it was: .*" + message)
        self.assertEqual(0, self.metric("config_last_reload_success"))
        ids = ask(server.port, request())
        self.change(lambda: self.write(good + "http: {routes: ['/{better}']}\n"))
        self.assertEqual(1, self.metric("config_last_reload_success"))
        ids += ask(server.port, request())
        self.watcher.end()
        self.assertEqual(ids, [span.id for span in self.spans()])
        self.assertEqual(["/{good}", "/{better}"], [span.attributes["http.route"] for span in self.spans()])

    def test_what_needs_a_restart_is_named_and_the_rest_is_applied(self):
        server = servers.go(self)
        good = f"selection: {{pids: [{server.pid}]}}\n"
        self.write(good)
        self.run_agent("--log-level", "info")
        self.change(lambda: self.write(
            good + "capture: {head_bytes: 256}\nmetrics: {bpf_stats: true}\nsampler: {kind: always_off}\n"
            "log: {level: error}\n"))
        for key in ("capture.head_bytes", "metrics.bpf_stats"):
            self.watcher.wait_line(self.watcher.errors, rf"warn +configuration: {key} has changed .*restart")
        self.assertEqual(2, self.metric("config_restart_needed"))
        ask(server.port, request())
        self.change(lambda: self.write(good + "sampler: {kind: always_on}\n"))
        self.assertEqual(0, self.metric("config_restart_needed"))
        kept = ask(server.port, request())
        self.watcher.end()
        self.assertEqual(kept, [span.id for span in self.spans()])
        self.assertEqual(1, self.assert_accounts()["spans_not_sampled"])

    def test_hangup(self):
        server = servers.go(self)
        self.write(f"selection: {{pids: [{server.pid}]}}\n")
        self.run_agent()
        for result in ("unchanged", "unchanged"):
            self.change(lambda: os.kill(self.watcher.pid, signal.SIGHUP), result)
        ids = ask(server.port, request())
        self.watcher.end()
        self.assertEqual(ids, [span.id for span in self.spans()])

    def test_another_receiver(self):
        """What waits for a receiver that is away goes to the next one; each span once."""
        server = servers.go(self)
        outputs, ports = [], []
        for name in ("first", "second"):
            outputs.append(self.directory / f"{name}.jsonl")
            receiver = self.start([harness.BUILD / "tests/receiver/otlp_receiver", "--output", outputs[-1]])
            ports.append(receiver.wait_line(receiver.lines, r"^listening (\d+)").group(1))

        def send_to(port):
            self.write(f"selection: {{pids: [{server.pid}]}}\n",
                       f"{{protocol: grpc, endpoint: 'http://127.0.0.1:{port}'}}")

        send_to(ports[0])
        self.run_agent()
        first = ask(server.port, *[request() for _ in range(20)])
        harness.wait_for(lambda: self.metric("spans_exported_total") == 20, "the first receiver to have its spans")
        self.change(lambda: send_to(harness.free_port()))
        rest = ask(server.port, *[request() for _ in range(20)])
        self.watcher.wait_line(self.watcher.errors, "spans cannot be exported")
        self.change(lambda: send_to(ports[1]))
        rest += ask(server.port, *[request() for _ in range(20)])
        harness.wait_for(lambda: self.metric("spans_exported_total") == 60, "the second receiver to have the rest")
        self.watcher.end()

        def received(path):
            return sorted(span.id for span in harness.parse_spans(path.read_text()))

        harness.wait_for(lambda: len(received(outputs[1])) >= 40, "the second receiver to have written")
        self.assertEqual((sorted(first), sorted(rest)), (received(outputs[0]), received(outputs[1])))
        self.assert_accounts()


class OnePerHost(Running):
    ALONE = {"ZEROSPAN_ONE_PER_HOST": "true"}

    def alone(self):
        """An agent that lets no other one run. Tests of other trees of this machine may have one for a moment."""
        def try_once():
            try:
                return self.run_agent(env=self.ALONE)
            except AssertionError:
                if "another zerospan run" not in "\n".join(self.refused().errors):
                    raise
                return None
        return harness.wait_for(try_once, "no other agent", 60, 1)

    def refused(self, *prefix):
        second = self.start([*prefix, harness.BINARY, "run", "--config", self.config, "--metrics-listen", "off"],
                            env=self.ALONE)
        second.code = second.wait_exit()
        return second

    def test_the_second_says_so_and_ends(self):
        self.need("unshare")
        server = servers.go(self)
        self.write(f"selection: {{pids: [{server.pid}]}}\n")
        first = self.alone()
        # Also as in a second pod, which has file system, network and host name of its own, and sees the host's pids.
        for prefix in ((), ("unshare", "--mount", "--net", "--uts", "--ipc", "--cgroup")):
            second = self.refused(*prefix)
            self.assertEqual(3, second.code, str(second))
            self.assertRegex("\n".join(second.errors), rf"another zerospan run .*process {first.pid}: .*--beside-others")
        # Other sub-commands, and those that are told to, run beside it.
        watching = self.agent("--pid", str(server.pid))
        beside = self.agent("--config", str(self.config), "--beside-others", "--metrics-listen", "off",
                            command="run", env=self.ALONE)
        ids = ask(server.port, request())
        self.assertEqual(ids, [span.id for span in watching.interrupt()])
        beside.end()
        first.end()

    def test_a_lock_of_somebody_else_stops_nobody(self):
        """Any user's process can take it; one that may not load BPF programs is no agent."""
        self.need("setpriv")
        server = servers.go(self)
        self.write(f"selection: {{pids: [{server.pid}]}}\n")
        holder = self.start(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                             harness.PYTHON, "-c", "import fcntl, signal\n"
                             "file = open('/proc/self/ns/pid')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
                             "print('locked', flush=True)\nsignal.pause()"])
        holder.wait_line(holder.lines, "^locked", 60)
        agent = self.run_agent(env=self.ALONE)
        agent.wait_line(agent.errors, rf"warn +process {holder.pid} has locked /proc/self/ns/pid")
        agent.end()

    def test_a_killed_agent_leaves_the_host_free(self):
        """And nothing of it in the kernel, uprobes included; the traced program goes on."""
        self.need("bpftool")
        server = servers.go(self)
        self.write(f"selection: {{pids: [{server.pid}]}}\n")
        first = self.alone()
        own = owned(first.pid)
        self.assertLessEqual(own, of_the_kernel())
        uprobes = [entry for entry in self.links() if ("link", str(entry["id"])) in own and
                   entry["type"] in ("perf_event", "uprobe_multi")]
        self.assertTrue(uprobes, "no uprobe in a Go program?")
        with traffic.Connection(server.port) as connection:
            connection.send(request())
            os.kill(first.pid, signal.SIGKILL)
            first.wait_exit()
            for _ in range(20):
                connection.send(request())
        harness.wait_for(lambda: not own & of_the_kernel(), "the kernel to free what was loaded")
        self.assertIsNone(server.program.process.poll())
        self.alone().end()

    @staticmethod
    def links():
        text = subprocess.run(["bpftool", "-j", "link", "list"], capture_output=True, text=True, check=True).stdout
        return test_robustness.json.loads(text or "[]")


class HealthChecks(Running):
    def test_dropped_unless_in_a_trace(self):
        """Through a proxy: the check, the call that is made for it, and the check at the server behind."""
        behind = servers.go(self)
        proxy = servers.go(self, backend=behind.port)
        agent = self.agent("--pid", f"{behind.pid},{proxy.pid}")
        context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        dropped = [request("/healthz"), request("/livez"), request("/readyz"), request("/metrics"),
                   request("/", User_Agent="kube-probe/1.33"), request("/x", User_Agent="GoogleHC/1.0"),
                   request("/x", User_Agent="ELB-HealthChecker/2.0")]
        kept = [request("/c"), request("/healthz/ready"), request("/healthz", traceparent=context)]
        ask(proxy.port, *dropped, *kept)
        spans = agent.interrupt()
        # The proxy sends neither context nor user agent on: the server behind sees the three with a probe's user
        # agent as any request, and the one that was kept for its context as a check.
        served = [span.id for span in spans if span.kind == harness.SERVER]
        self.assertEqual(sorted([one.id for one in dropped[4:]] + 2 * [one.id for one in kept[:2]] + [kept[2].id]),
                         sorted(served))
        called = [span.id for span in spans if span.kind == harness.CLIENT]
        self.assertEqual(sorted(one.id for one in kept), sorted(called))
        self.assertEqual(2 * 7 + 4 + 1, agent.stats()["spans_health_checks"])
        self.assertEqual(agent.stats()["exchanges"], len(spans) + agent.stats()["spans_health_checks"])
        self.assertEqual({}, agent.lost())

    def test_the_summary_says_so(self):
        server = servers.go(self)
        agent = self.start([harness.BINARY, "trace", "--pid", str(server.pid)])
        agent.wait_line(agent.errors, "^zerospan: ready")
        ask(server.port, request(), request("/healthz"), request("/metrics"))
        os.kill(agent.pid, signal.SIGINT)
        self.assertEqual(0, agent.wait_exit())
        self.assertIn("1 spans; lost: nothing; without 2 of health checks", agent.errors)

    def test_grpc(self):
        """The health service's methods, at the server and at the client."""
        self.need_module("grpc")
        program = harness.PROGRAMS / "grpc_health" / "program.py"
        server = self.start([harness.PYTHON, program, "serve"])
        port = server.wait_line(server.lines, r"^listening (\d+)").group(1)
        client = self.start([harness.PYTHON, program, "call", port], stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        agent = self.agent("--pid", f"{server.pid},{client.pid}")
        client.process.stdin.write("go\n")
        client.process.stdin.flush()
        client.wait_line(client.lines, "^done")
        self.assertEqual(0, client.wait_exit())
        spans = agent.interrupt()
        self.assertEqual({"shop.Orders/Check"}, {span.attributes["rpc.method"] for span in spans})
        self.assertEqual(3 * [harness.SERVER] + 3 * [harness.CLIENT], sorted(span.kind for span in spans))
        self.assertEqual(2 * 2 * 3, agent.stats()["spans_health_checks"])
        self.assertEqual({}, agent.lost())

    def test_kept_when_asked_for(self):
        server = servers.go(self)
        agent = self.agent("--pid", str(server.pid), "--keep-health-checks")
        ids = ask(server.port, request("/healthz"), request("/", User_Agent="kube-probe/1.33"))
        self.assertEqual(ids, [span.id for span in agent.interrupt()])
        self.assertEqual(0, agent.stats()["spans_health_checks"])

    def test_the_lists_replace_the_default_at_run_time(self):
        server = servers.go(self)
        good = f"selection: {{pids: [{server.pid}]}}\n"
        self.write(good)
        self.run_agent()
        ask(server.port, request("/healthz"), request("/up/a"))
        self.change(lambda: self.write(good + "http: {health_checks: {paths: ['/up/*']}}\n"))
        kept = ask(server.port, request("/healthz"))
        ask(server.port, request("/up/b"))
        self.change(lambda: self.write(good + "http: {health_checks: {paths: [], user_agents: []}}\n"))
        kept += ask(server.port, request("/up/c"), request("/", User_Agent="kube-probe/1.33"))
        self.watcher.end()
        self.assertEqual(kept, [span.id for span in self.spans() if not span.target.startswith("/up/a")])
        self.assertEqual(2, self.assert_accounts()["spans_health_checks"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
