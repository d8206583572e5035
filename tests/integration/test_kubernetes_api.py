# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""agent/k8s/api against the real kube-apiserver and etcd: what it knows is what kubectl gets, whatever happens on the
way. Faults of the network are made by a proxy of the test; those of the server are the server's own."""

import json
import os
import pathlib
import re
import subprocess
import time
import unittest
import urllib.request

import harness
import kubernetes

PROBE = harness.BUILD / "tests" / "kubernetes" / "kubernetes_probe"
AGENT = "kubernetes-probe"
MAPS = "/api/v1/namespaces/default/configmaps"
CONFIG_MAPS = {"name": "configmaps", "path": "/api/v1/configmaps"}


class Probe:
    """The client, in a program of its own."""

    def __init__(self, case, **config):
        self.program = case.start([PROBE], stdin=subprocess.PIPE)
        self.write(json.dumps({"start_jitter": 0, **config}))

    def write(self, line):
        self.program.process.stdin.write(line + "\n")
        self.program.process.stdin.flush()

    def said(self, key):
        with self.program.changed:
            lines = [json.loads(line) for line in self.program.lines]
        return [line for line in lines if key in line]

    def ask(self, command, key):
        before = len(self.said(key))
        self.write(command)
        harness.wait_for(lambda: len(self.said(key)) > before, f"{command} of {self.program}")
        return self.said(key)[before]

    def known(self, collection=0):
        return self.ask("known", "known")["known"][collection] or {}

    def counters(self):
        return self.ask("counters", "counters")["counters"]

    def errors(self):
        return [line["message"] for line in self.said("error")]

    def resident_kb(self, field="VmHWM"):
        return int(re.search(rf"{field}:\s+(\d+) kB", pathlib.Path(f"/proc/{self.program.pid}/status").read_text())[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.program.pid}/fd"))


def config_map(name, **data):
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


class KubernetesApi(harness.Case):
    def setUp(self):
        super().setUp()
        self.cluster = kubernetes.Cluster(self.start, self.directory)
        self.cluster.start()
        self.cluster.service_account("agent", ["configmaps", "namespaces", "pods"])
        self.token_file = self.directory / "token"
        self.token_file.write_text(self.cluster.token("agent", "first"))

    def probe(self, port=None, collections=(CONFIG_MAPS,), **config):
        self.ca_file = self.directory / "ca.pem"
        self.ca_file.write_bytes(self.cluster.ca.read_bytes())
        return Probe(self, **{
            "url": f"http://127.0.0.1:{port}" if port else self.cluster.url,
            "token_file": str(self.token_file), "ca_file": str(self.ca_file), "collections": list(collections),
            **config})

    def make(self, names):
        self.cluster.each(lambda connection, name: self.cluster.call(
            "POST", MAPS, config_map(name, text="x" * 100), connection=connection), names)

    def same(self, probe, seconds=60, collection=0, kind="configmaps"):
        """Waits until the probe knows what kubectl gets; the server has objects of its own, which come when they do."""
        def differ():
            self.wanted = self.cluster.objects(kind)
            return set(probe.known(collection).items()) ^ set(self.wanted.items())
        try:
            harness.wait_for(lambda: not differ(), "the probe to know all", seconds, 0.1)
        except AssertionError:
            raise AssertionError(f"of {len(self.wanted)}: {sorted(differ())[:10]}; {probe.counters()} "
                                 f"{probe.errors()[-5:]}") from None
        return len(self.wanted)

    def test_lists_and_follows(self):
        self.make([f"map-{i}" for i in range(1200)])
        probe = self.probe(page_size=100, collections=[
            CONFIG_MAPS,
            {"name": "namespaces", "path": "/api/v1/namespaces", "metadata_only": True},
            {"name": "pods", "path": "/api/v1/pods", "field_selector": "spec.nodeName=n1"},
            {"name": "secrets", "path": "/api/v1/secrets"}])
        self.assertGreater(self.same(probe), 1200)
        self.same(probe, collection=1, kind="namespaces")
        whole, metadata_only, *_ = probe.ask("known", "known")["fields"]
        self.assertIn("data", whole)
        self.assertNotIn("managedFields", whole)
        self.assertNotIn("spec", metadata_only)
        self.assertNotIn("managedFields", metadata_only)
        harness.wait_for(lambda: sum(each["watches"] for each in probe.counters()["collections"]) == 3, "3 watches")
        first = probe.counters()
        for path, answer in (("/api/v1/namespaces/default/configmaps/map-7", "map-7"), ("/apis/nothing/x", None),
                             ("/api/v1/namespaces/default/configmaps/none", None)):
            got = probe.ask(f"get {path}", "got")
            self.assertEqual(answer, got["got"] and got["got"]["metadata"]["name"], got)
            if answer:
                self.assertEqual("PartialObjectMetadata", got["got"]["kind"])
            else:
                self.assertIn("404", got["message"])
        # The server's own record of what it was asked at the start.
        audited = [(verb, resource) for verb, resource, uri in self.cluster.audited(AGENT) if "continue=" not in uri]
        for resource in ("configmaps", "namespaces", "pods"):
            self.assertEqual(1, audited.count(("list", resource)), audited)
            self.assertEqual(1, audited.count(("watch", resource)), audited)
        self.assertFalse(first["synced"])  # the fourth is forbidden
        forbidden = [message for message in probe.errors() if "forbids to list secrets (403)" in message]
        self.assertIn('cannot list resource "secrets"', forbidden[0])
        self.assertIn("ClusterRole", forbidden[0])
        self.assertEqual(len(forbidden), len(probe.errors()))
        self.assertEqual((0, 0, 0), (first["collections"][3]["watches"], first["unauthorized"],
                                     first["collections"][0]["skipped_objects"]))

        # Changes by kubectl, one after the other.
        self.cluster.kubectl("create", "configmap", "by-kubectl", "--from-literal=a=1")
        self.cluster.kubectl("patch", "configmap", "map-3", "--patch", '{"data":{"text":"y"}}')
        self.cluster.kubectl("delete", "configmap", "map-4", "map-5", "--wait")
        self.cluster.kubectl("create", "namespace", "another")
        self.same(probe)
        self.same(probe, collection=1, kind="namespaces")
        self.cluster.kubectl("create", "--validate=false", "-f", self.pods())
        harness.wait_for(lambda: [key.split("/")[1] for key in probe.known(2)] == ["here"], "the pod of the node")
        after = probe.counters()["collections"][0]
        self.assertEqual((1, 1, 2), (after["lists"], after["watches"], after["deleted"]), after)

        # The server goes and comes back, with the same data.
        self.cluster.stop()
        harness.wait_for(lambda: any("cannot watch configmaps" in each for each in probe.errors()), "an error")
        before = probe.counters()["requests"]
        self.cluster.start()
        self.cluster.kubectl("delete", "configmap", "map-6")
        self.make(["later"])
        self.same(probe)
        counters = probe.counters()
        print(f"\n  at start {first}\n  at the end {counters}\n  {probe.resident_kb()} KiB, {probe.descriptors()} "
              f"descriptors; {counters['requests'] - before} requests while the server started")
        self.assertLess(counters["requests"] - before, 100)
        # The first list comes whole from the server's cache, whatever limit it is asked for; the second in pages.
        self.assertGreater(counters["collections"][0]["lists"], 1)
        self.assertGreater(counters["collections"][0]["pages"], 13)
        self.assertLess(probe.resident_kb(), 40 << 10)

    def pods(self):
        path = self.directory / "pods.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
             "spec": {"nodeName": node, "containers": [{"name": "c", "image": "none"}]}}
            for name, node in (("here", "n1"), ("there", "n2"))]}))
        return str(path)

    def test_rotation(self):
        """Watches of two seconds, so that requests are made all the time."""
        probe = self.probe(min_watch=2000, max_watch=2000, token_interval=500, max_backoff=1000)
        self.same(probe)

        # A new token before the old one is invalid: nothing fails.
        self.token_file.write_text(self.cluster.token("agent", "second"))
        self.cluster.call("DELETE", "/api/v1/namespaces/default/secrets/first")
        watches = probe.counters()["collections"][0]["watches"]
        # The server believes in a token for 10 s after it was last checked.
        harness.wait_for(lambda: probe.counters()["collections"][0]["watches"] > watches + 7, "more watches", 60)
        self.assertEqual([], probe.errors())

        # The old one is invalid first.
        third = self.cluster.token("agent", "third")
        self.cluster.call("DELETE", "/api/v1/namespaces/default/secrets/second")
        harness.wait_for(lambda: probe.counters()["unauthorized"] >= 2, "answers 401", 60)
        self.assertIn("(401)", probe.errors()[0])
        self.make(["unseen"])
        probe.write(f"get {MAPS}/unseen")
        self.token_file.write_text(third)
        self.same(probe)
        got = harness.wait_for(lambda: probe.said("got"), "the answer to a get that was refused first")
        self.assertEqual("unseen", got[0]["got"]["metadata"]["name"], got)
        unauthorized = probe.counters()["unauthorized"]

        # A new authority and a new certificate of the server, which the client does not know yet.
        self.cluster.stop()
        self.cluster.new_certificates()
        self.cluster.start()
        harness.wait_for(lambda: any("certificate" in each for each in probe.errors()), "the certificate's error", 60)
        self.make(["unseen-too"])
        swapped = self.directory / "swapped"
        swapped.write_bytes(self.cluster.ca.read_bytes())
        swapped.rename(self.ca_file)
        self.same(probe)
        self.assertEqual(unauthorized, probe.counters()["unauthorized"])
        for secret in (third, self.token_file.read_text()):
            self.assertNotIn(secret, "\n".join(probe.program.lines + probe.program.errors))

    def test_client_certificate(self):
        certificate, key = self.cluster.certificate("client", "/O=system:masters/CN=agent")
        probe = self.probe(token_file="", certificate_file=str(certificate), key_file=str(key))
        self.same(probe)
        self.assertEqual([], probe.errors())
        probe.program.process.stdin.close()  # it ends at once, amid a watch
        self.assertEqual(0, probe.program.wait_exit(10), probe.program)

    def test_faults(self):
        proxy = kubernetes.FaultyProxy(self.cluster)
        self.addCleanup(proxy.close)
        probe = self.probe(proxy.port, max_backoff=2000, watch_silence=5000)
        self.same(probe)

        # Cut amid an event.
        for i in range(10):
            proxy.cut_at = f'"name":"cut-{i}"'.encode()
            self.make([f"cut-{i}", f"after-{i}"])
            harness.wait_for(lambda: proxy.cuts == i + 1, "the cut")
            self.same(probe)
        counters = probe.counters()["collections"][0]
        self.assertEqual((1, 0), (counters["lists"], counters["relists_gone"]), counters)  # resumed each time
        self.assertGreater(counters["watches"], 10)

        # A connection that is silent: nothing says that it is dead.
        proxy.hanging = True
        self.make(["while-silent"])
        silent = probe.counters()["collections"][0]["silent"]
        harness.wait_for(lambda: probe.counters()["collections"][0]["silent"] > silent, "the silence to be noticed", 30)
        proxy.hanging = False
        proxy.drop()
        self.same(probe)
        self.assertEqual(1, probe.counters()["collections"][0]["lists"])

        # Away for so long that the server, which was started anew, has no more of the version.
        proxy.refusing = True
        proxy.drop()
        self.cluster.each(lambda connection, i: self.cluster.call("DELETE", f"{MAPS}/cut-{i}", connection=connection),
                          list(range(10)))
        self.make(["while-away"])
        self.cluster.stop()
        harness.wait_for(lambda: self.compacted(), "etcd to be compacted")
        self.cluster.start()
        self.make(["while-away-too"])
        taken = proxy.taken
        harness.wait_for(lambda: proxy.taken > taken + 2, "more tries", 30)
        proxy.refusing = False
        self.same(probe)
        after = probe.counters()["collections"][0]
        self.assertGreater(after["relists_gone"], 0, after)

        # A list that is cut is begun again.
        proxy.cut_at = b'"name":"while-away"'
        other = self.probe(proxy.port, max_backoff=2000)
        self.same(other)
        self.assertEqual((11, 2, 1), (proxy.cuts, len(other.said("begin")), len(other.said("end"))), other.program)
        self.assertEqual(1, len(other.errors()), other.errors())
        print(f"\n  {probe.counters()}; {proxy.taken} connections; {probe.descriptors()} descriptors")
        self.assertLess(probe.descriptors(), 20)

    def compacted(self):
        """All that etcd has is compacted away but for the newest."""
        def post(path, body):
            request = urllib.request.Request(f"http://127.0.0.1:{self.cluster.etcd_port}/v3/kv/{path}",
                                             json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        revision = post("range", {"key": "AA=="})["header"]["revision"]
        return post("compaction", {"revision": revision, "physical": True})

    def test_churn(self):
        """2,000 objects that come, change and go for a minute."""
        probe = self.probe(min_watch=5000, max_watch=10000)
        self.same(probe)
        until = time.monotonic() + 60
        made = {"POST": 0, "PATCH": 0, "DELETE": 0}

        def churn(connection, i):
            name = f"churn-{i % 2000}"
            for method, path, body in (("POST", MAPS, config_map(name, i=str(i))),
                                       ("PATCH", f"{MAPS}/{name}", {"data": {"i": "changed"}}),
                                       ("DELETE", f"{MAPS}/{name}", None)):
                if method == "DELETE" and i % 4 == 0:
                    continue  # these stay
                if time.monotonic() < until or i < 2000:
                    self.cluster.call(method, path, body, connection=connection)
                    made[method] += 1

        self.cluster.each(churn, list(range(2000)))
        first = probe.resident_kb("VmRSS")
        round_ = 1
        while time.monotonic() < until:
            self.cluster.each(churn, [i + 2000 * round_ for i in range(2000) if i % 4])
            round_ += 1
        count = self.same(probe)
        counters = probe.counters()
        print(f"\n  {made}; {count} objects; {counters}; {first} KiB after one round, {probe.resident_kb()} KiB at most, "
              f"{probe.descriptors()} descriptors")
        self.assertGreater(sum(made.values()), 5000)
        self.assertGreater(counters["collections"][0]["watches"], 4)
        self.assertEqual(1, counters["collections"][0]["lists"])
        self.assertEqual([], probe.errors())
        self.assertLess(probe.resident_kb(), 40 << 10)
        self.assertLess(probe.descriptors(), 20)


if __name__ == "__main__":
    unittest.main(verbosity=2)
