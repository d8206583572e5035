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
import kubernetes
import servers


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
        self.read(kubernetes.kubectl_program(), 50_000)

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

    def test_calls_to_etcd(self):
        cluster = kubernetes.Cluster(self.start, self.directory)
        agent = self.agent("--exe", f"*/{os.path.basename(os.path.dirname(cluster.server))}/program")
        cluster.start()
        things = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"thing-{i}", "namespace": "default"},
                   "data": {"text": "x" * (i * 20)}} for i in range(self.OBJECTS)]
        done = cluster.kubectl("apply", "--validate=false", "-f", "-",
                               input=json.dumps({"apiVersion": "v1", "kind": "List", "items": things}))
        self.assertEqual(self.OBJECTS, done.count("created"), done)
        listed = cluster.kubectl("get", "configmaps", "--namespace=default", "--output=name")
        self.assertEqual(self.OBJECTS, listed.count("/thing-"))
        cluster.kubectl("delete", "configmaps", "--all", "--namespace=default")
        cluster.program.process.terminate()
        self.assertEqual(0, cluster.program.wait_exit(120), cluster.program)
        started, handled = self.handled(cluster.etcd_port)
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
