# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The real kube-apiserver on the real etcd, used by kubectl. Between the two is gRPC without TLS; the oracle is what
etcd says that it has handled. It links OpenTelemetry's SDK, and does not use it unless it is told to."""

import collections
import json
import os
import re
import subprocess
import time
import unittest

import harness
import servers

TOKEN = "zerospan-test"


class KubeApiserver(harness.Case):
    OBJECTS = 150

    def read(self, program, least_functions):
        """check --exe: all modules, in tens of MiB. What it prints."""
        started = time.monotonic()
        check = subprocess.Popen([harness.BINARY, "check", "--exe", program], stdout=subprocess.PIPE, text=True)
        text = check.stdout.read()
        check.stdout.close()
        _, status, usage = os.wait4(check.pid, 0)
        check.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        self.assertEqual(0, check.returncode)
        listed = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, check=True).stdout
        modules = len(re.findall(r"^\tdep\t", listed, re.M))
        self.assertEqual(modules, int(re.search(r"^modules +(\d+)$", text, re.M)[1]))
        functions = int(re.search(r"^functions +(\d+)$", text, re.M)[1])
        print(f"\n  {os.path.basename(program)}: {os.path.getsize(program) >> 20} MiB, {modules} modules, {functions} "
              f"functions: {seconds:.2f} s ({usage.ru_utime + usage.ru_stime:.2f} s of processor), "
              f"{usage.ru_maxrss >> 10} MiB")
        self.assertGreater(functions, least_functions)
        self.assertLess(usage.ru_maxrss, 40 << 10)
        self.assertRegex(text, r"(?m)^offsets +DWARF$")
        self.assertIn("emulated at `push %rbp`: net/http.(*persistConn).roundTrip", text)
        return text

    def test_how_it_is_read(self):
        self.need("go")
        self.assertIn("its own SDK is linked", self.read(servers.prepared("kube-apiserver")[0], 100_000))

    def test_how_kubectl_is_read(self):
        self.need("go")
        self.read(self.kubectl_program(), 50_000)

    def kubectl_program(self):
        return os.path.join(os.path.dirname(servers.prepared("kube-apiserver")[0]), "bin", "kubectl")

    def etcd(self):
        port, peer = harness.free_port(), harness.free_port()
        url, peer_url = (f"http://127.0.0.1:{each}" for each in (port, peer))
        server = self.start([*servers.prepared("etcd"), "--data-dir", self.directory / "etcd", "--listen-client-urls",
                             url, "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
                             "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}",
                             "--log-level", "error"])
        harness.wait_for(lambda: harness.accepts(port), f"port {port} of {server}", 60)
        return port

    def handled(self, port):
        """Calls that etcd says it has begun and ended, by method, without those that never end."""
        pattern = r'^grpc_server_%s_total\{(?:grpc_code="\w+",)?grpc_method="(\w+)",grpc_service="([\w.]+)",' \
                  r'grpc_type="unary"\} (\d+)$'
        text = harness.scrape(port)
        counts = []
        for state in ("started", "handled"):
            count = collections.Counter()
            for method, service, number in re.findall(pattern % state, text, re.M):
                count[f"{service}/{method}"] += int(number)
            counts.append(+count)
        return counts

    def kubectl(self, port, *arguments, **how):
        return subprocess.run([self.kubectl_program(), f"--server=https://127.0.0.1:{port}", "--insecure-skip-tls-verify",
                               f"--token={TOKEN}", *arguments], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "HOME": str(self.directory), "KUBECONFIG": "/dev/null"}, **how)

    def apiserver(self, etcd_port):
        key, tokens = self.directory / "sa.key", self.directory / "tokens.csv"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        tokens.write_text(f'{TOKEN},tester,1,"system:masters"\n')
        port = harness.free_port()
        program = self.start([
            *servers.prepared("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={self.directory}",
            "--service-account-issuer=https://k", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.0.0.0/24",
            f"--token-auth-file={tokens}", "--authorization-mode=Node,RBAC",
            "--disable-admission-plugins=ServiceAccount"])
        harness.wait_for(lambda: program.process.poll() is not None or
                         self.kubectl(port, "get", "--raw", "/readyz").stdout == "ok", f"{program} to be ready", 180, 0.2)
        return program, port

    def test_calls_to_etcd(self):
        self.need("go", "openssl")
        etcd_port = self.etcd()
        name = os.path.basename(os.path.dirname(servers.prepared("kube-apiserver")[0]))
        agent = self.agent("--exe", f"*/{name}/program")
        program, port = self.apiserver(etcd_port)
        things = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"thing-{i}", "namespace": "default"},
                   "data": {"text": "x" * (i * 20)}} for i in range(self.OBJECTS)]
        done = self.kubectl(port, "apply", "--validate=false", "-f", "-",
                            input=json.dumps({"apiVersion": "v1", "kind": "List", "items": things}))
        self.assertEqual((0, self.OBJECTS), (done.returncode, done.stdout.count("created")), done.stderr)
        listed = self.kubectl(port, "get", "configmaps", "--namespace=default", "--output=name").stdout
        self.assertEqual(self.OBJECTS, listed.count("/thing-"))
        self.assertEqual(0, self.kubectl(port, "delete", "configmaps", "--all", "--namespace=default").returncode)
        program.process.terminate()
        self.assertEqual(0, program.wait_exit(120), program)
        started, handled = self.handled(etcd_port)
        spans = [span for span in agent.interrupt() if span.kind == harness.CLIENT and
                 "rpc.method" in span.attributes]
        self.assertEqual({}, agent.lost())
        seen = collections.Counter(span.attributes["rpc.method"] for span in spans)
        unary = collections.Counter({method: count for method, count in seen.items() if method in started})
        print(f"\n  {sum(started.values())} calls: {dict(started)}; streams "
              f"{dict(seen - unary)}; spans left to its SDK: {agent.stats()['spans_left_to_sdk']}")
        self.assertGreater(started["etcdserverpb.KV/Txn"], 2 * self.OBJECTS)
        self.assertEqual(started, handled)
        self.assertEqual(started, unary)
        self.assertEqual(0, agent.stats()["spans_left_to_sdk"])
        for span in spans:
            self.assertNotIn("zerospan.incomplete", span.attributes)


if __name__ == "__main__":
    unittest.main(verbosity=2)
