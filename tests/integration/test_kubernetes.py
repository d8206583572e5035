# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Pods choose what is traced, and are told of in resources. The API server and etcd are real, and RBAC holds: the agent has
the token of the service account in deploy/. The test is
the kubelet: it makes pods' objects, their statuses and their cgroups, and runs their processes in namespaces of their
own. The oracle is what these log."""

import concurrent.futures
import json
import os
import pathlib
import secrets
import subprocess
import time
import unittest

import harness
import kubernetes
import servers
from test_go_rpc import build_rpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE = "node-1"
LABEL = "zerospan.io/instrument"

# Answers any GET, and logs what it was asked for. Arguments: address, port, log.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        log.write(self.path + "\\n"); log.flush()
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *arguments): pass
log = open(sys.argv[3], "a")
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""

# Asks for PREFIX/0, PREFIX/1, ... over connections of its own. Arguments: address, port, prefix, how many.
CLIENT = """
import http.client, sys
for i in range(int(sys.argv[4])):
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
    connection.request("GET", f"{sys.argv[3]}/{i}")
    assert connection.getresponse().read() == b"ok"
    connection.close()
"""


def unified_hierarchy():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return pathlib.Path(line.split()[1])
    raise AssertionError("cgroup v2 is not mounted")


def slice_of(uid):
    return f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"


# Where runtimes put a container's processes: (runtime, path below the unified hierarchy).
RUNTIMES = {
    "containerd, systemd": ("containerd", lambda uid, id: f"kubepods.slice/kubepods-burstable.slice/{slice_of(uid)}/"
                            f"cri-containerd-{id}.scope"),
    "containerd, cgroupfs": ("containerd", lambda uid, id: f"kubepods/burstable/pod{uid}/{id}"),
    "CRI-O": ("cri-o", lambda uid, id: f"kubepods.slice/kubepods-burstable.slice/{slice_of(uid)}/crio-{id}.scope"),
    "CRI-O, nested": ("cri-o", lambda uid, id: f"kubepods.slice/{slice_of(uid)}/crio-{id}.scope/container"),
    "Docker": ("docker", lambda uid, id: f"kubepods.slice/{slice_of(uid)}/docker-{id}.scope"),
    "kind": ("containerd", lambda uid, id: f"docker/{'f' * 64}/kubelet.slice/kubelet-kubepods.slice/"
             f"kubelet-kubepods-pod{uid.replace('-', '_')}.slice/cri-containerd-{id}.scope"),
}


class Pod:
    """A pod's object, as the API server has it, and its one process."""

    def __init__(self, case, name, namespace, address="10.1.0.7", labels=None, annotations=None, owner=None,
                 runtime="containerd, systemd", container="main", create=True):
        self.case, self.name, self.namespace, self.address, self.container = case, name, namespace, address, container
        self.scheme, self.place = RUNTIMES[runtime]
        self.id = secrets.token_hex(32)
        self.metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
        if owner:
            self.metadata["ownerReferences"] = [owner]
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.server = None
        self.log = case.directory / f"{secrets.token_hex(4)}.log"
        self.uid = None
        if create:
            self.create()

    def create(self):
        made = self.case.cluster.call("POST", self.path, {
            "metadata": self.metadata,
            "spec": {"nodeName": NODE, "containers": [{"name": self.container, "image": "example.com:5000/shop:v3"}]}})
        self.uid = made["metadata"]["uid"]

    def report(self):
        """What the kubelet says once the container runs."""
        self.case.cluster.call("PATCH", f"{self.path}/{self.name}/status", {"status": {
            "phase": "Running", "podIP": self.address, "podIPs": [{"ip": self.address}],
            "startTime": "2026-01-02T03:04:05Z", "containerStatuses": [{
                "name": self.container, "containerID": f"{self.scheme}://{self.id}", "image": "example.com:5000/shop:v3",
                "imageID": "", "ready": True, "restartCount": 0}]}})

    def start(self, uid=None):
        """The process, in the container's cgroup and in pid, mount and network namespaces of its own."""
        self.cgroup = self.case.hierarchy / self.place(uid or self.uid, self.id)
        self.cgroup.mkdir(parents=True, exist_ok=True)
        self.case.cgroups.append(self.cgroup)
        script = f"ip link set lo up && ip address add {self.address}/32 dev lo && exec \"$@\""
        self.server = self.case.start(
            ["sh", "-c", f"echo $$ > {self.cgroup}/cgroup.procs && exec \"$@\"", "sh", "unshare", "--net", "--pid",
             "--mount", "--fork", "--kill-child", "sh", "-c", script, "sh", harness.PYTHON, "-c", SERVER, self.address, "8080",
             self.log])
        harness.wait_for(self.accepts, f"{self.server} to listen", 20)
        return self

    def run(self):
        self.start()
        self.report()
        return self

    def inside(self, *command):
        child = self.server.pid
        return ["nsenter", f"--target={child}", "--net", *map(str, command)]

    def accepts(self):
        if self.server.process.poll() is not None:
            raise AssertionError(f"ended: {self.server}")
        return subprocess.run(self.inside("ss", "-Hltn", "sport", "=", ":8080"), capture_output=True, text=True).stdout

    def ask(self, prefix, count=1):
        """From outside of the pod's cgroup."""
        subprocess.run(self.inside(harness.PYTHON, "-c", CLIENT, self.address, 8080, prefix, count), check=True, timeout=120)

    def logged(self):
        return self.log.read_text().split()

    def stop(self):
        self.server.stop()

    def delete(self):
        self.case.cluster.call("DELETE", f"{self.path}/{self.name}?gracePeriodSeconds=0")


class Kubernetes(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.hierarchy = unified_hierarchy()

    def setUp(self):
        super().setUp()
        self.need("unshare", "nsenter", "ip", "ss")
        self.cgroups = []
        self.in_cgroup = None
        self.addCleanup(self.remove_cgroups)
        self.cluster = kubernetes.Cluster(self.start, self.directory)
        self.cluster.start()
        self.cluster.kubectl("apply", "-k", ROOT / "deploy/daemonset/base")
        self.token = self.directory / "token"
        self.new_token("first")
        for name in ("shop", "quiet"):
            self.cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def remove_cgroups(self):
        for cgroup in self.cgroups:
            path = cgroup
            while path != self.hierarchy:
                try:
                    harness.wait_for(lambda: not (path / "cgroup.procs").read_text().strip(), f"{path} to be empty", 10)
                    path.rmdir()
                except OSError:
                    break
                path = path.parent

    def new_token(self, secret):
        fresh = self.token.with_suffix(".new")
        fresh.write_text(self.cluster.token("zerospan", secret, "zerospan"))
        fresh.rename(self.token)

    def traced(self, *arguments, **settings):
        names = {"api_server": self.cluster.url, "token_file": self.token,
                 "ca_file": self.cluster.ca, "node_name": NODE, "enabled": "true", "start_jitter": "0", **settings}
        return self.agent(*arguments, env={f"ZEROSPAN_KUBERNETES_{key.upper()}": str(value)
                                           for key, value in names.items()})

    def opt_in(self, namespace="shop", value="enabled"):
        self.cluster.kubectl("label", "--overwrite", "namespace", namespace,
                             f"{LABEL}={value}" if value else f"{LABEL}-")

    def spans(self, agent):
        text = agent.output.read_text()
        return harness.parse_spans(text[:text.rfind("\n") + 1])

    def paths(self, agent):
        return [span.attributes["url.path"] for span in self.spans(agent) if span.kind == harness.SERVER]

    def await_paths(self, agent, wanted):
        harness.wait_for(lambda: set(wanted) <= set(self.paths(agent)), f"spans of {wanted}", 30)

    def until_traced(self, agent, pod, prefix):
        """Asks until a span of it is there; the seconds until then."""
        begun = time.monotonic()
        for i in range(10_000):
            pod.ask(f"{prefix}/{i}")
            if any(path.startswith(prefix + "/") for path in self.paths(agent)):
                return time.monotonic() - begun
            self.assertLess(time.monotonic() - begun, 30, f"no span of {prefix}")

    def until_left_alone(self, agent, pod, prefix):
        """Asks until there is no span of it; the seconds until the first request without one."""
        begun = time.monotonic()
        asked = {}
        while time.monotonic() - begun < 30:
            path = f"{prefix}/{len(asked)}"
            asked[f"{path}/0"] = time.monotonic() - begun
            pod.ask(path)
            # Ten in a row without one, and time for spans that are on their way.
            if len(asked) % 10 == 0:
                time.sleep(0.3)
                missing = [each for each in list(asked)[-10:] if each not in self.paths(agent)]
                if len(missing) == 10:
                    return next(seconds for each, seconds in asked.items() if each not in self.paths(agent))
        self.fail(f"still traced: {prefix}")

    def test_a_namespace_opts_in_and_out(self):
        replicas = {"metadata": {"name": "cart-5d"}, "spec": {
            "selector": {"matchLabels": {"app": "cart"}},
            "template": {"metadata": {"labels": {"app": "cart"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}}}
        deployment = self.cluster.call("POST", "/apis/apps/v1/namespaces/shop/deployments",
                                       {**replicas, "metadata": {"name": "cart"}})
        replica_set = self.cluster.call("POST", "/apis/apps/v1/namespaces/shop/replicasets", {
            **replicas, "metadata": {"name": "cart-5d", "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", "controller": True,
                "uid": deployment["metadata"]["uid"]}]}})
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-5d", "controller": True,
                 "uid": replica_set["metadata"]["uid"]}
        pod = Pod(self, "cart-5d-abcde", "shop", labels={"app": "cart", "tier": "back"}, owner=owner,
                  annotations={"resource.opentelemetry.io/team": "blue"}).run()
        other = Pod(self, "other", "quiet", address="10.1.0.8").run()
        agent = self.traced(cluster_name="c1", labels="tier,missing")
        pod.ask("/before", 20)
        self.opt_in()
        seconds_in = self.until_traced(agent, pod, "/labelled")
        pod.ask("/in", 200)
        other.ask("/quiet", 200)
        self.await_paths(agent, [f"/in/{i}" for i in range(200)])
        self.opt_in(value=None)
        seconds_out = self.until_left_alone(agent, pod, "/unlabelled")
        pod.ask("/out", 200)
        self.opt_in()
        self.until_traced(agent, pod, "/again")
        spans = [span for span in agent.interrupt() if span.kind == harness.SERVER]
        paths = [span.attributes["url.path"] for span in spans]
        print(f"\n  seconds from the label to a span {seconds_in:.2f}, from its end to none {seconds_out:.2f}")
        self.assertEqual(len(paths), len(set(paths)))
        self.assertEqual([], [path for path in paths if path.startswith(("/before", "/out", "/quiet"))])
        self.assertEqual(200, sum(path.startswith("/in/") for path in paths))
        self.assertEqual(220 + 200, sum(path.startswith(("/before/", "/in/", "/out/")) for path in pod.logged()))
        self.assertEqual({}, agent.lost())
        namespaces = {each["metadata"]["name"]: each["metadata"]["uid"]
                      for each in self.cluster.call("GET", "/api/v1/namespaces")["items"]}
        expected = {
            "k8s.cluster.name": "c1", "k8s.cluster.uid": namespaces["kube-system"], "k8s.node.name": NODE,
            "host.name": NODE, "k8s.namespace.name": "shop", "k8s.pod.name": "cart-5d-abcde", "k8s.pod.uid": pod.uid,
            "k8s.pod.ip": pod.address, "k8s.pod.start_time": "2026-01-02T03:04:05Z", "k8s.container.name": "main",
            "k8s.deployment.name": "cart", "k8s.replicaset.name": "cart-5d", "container.id": pod.id,
            "container.image.name": "example.com:5000/shop", "container.image.tags": ["v3"],
            "k8s.pod.label.tier": "back", "team": "blue", "service.name": "cart", "service.namespace": "shop",
            "service.version": "v3", "service.instance.id": "shop.cart-5d-abcde.main"}
        for span in spans:
            self.assertEqual(expected, {key: span.resource.get(key) for key in expected})
            self.assertNotIn("k8s.pod.label.missing", span.resource)
            self.assertEqual(pod.address, span.attributes["server.address"])

    def test_runtimes(self):
        self.opt_in()
        agent = self.traced()
        for i, runtime in enumerate(RUNTIMES):
            pod = Pod(self, f"pod-{i}", "shop", address=f"10.1.0.{i + 10}", runtime=runtime).run()
            pod.ask(f"/{i}", 20)
        # A pod that the kubelet read from a file: the cgroup has a hash, and its mirror's uid is another.
        digest = secrets.token_hex(16)
        static = Pod(self, "static", "shop", address="10.1.0.30", runtime="containerd, cgroupfs",
                     annotations={"kubernetes.io/config.hash": digest, "kubernetes.io/config.mirror": digest})
        static.start(uid=digest)
        static.report()
        static.ask("/static", 20)
        spans = [span for span in agent.interrupt() if span.kind == harness.SERVER]
        for i, runtime in enumerate(RUNTIMES):
            mine = [span for span in spans if span.attributes["url.path"].startswith(f"/{i}/")]
            self.assertEqual((20, {f"pod-{i}"}), (len(mine), {span.resource["k8s.pod.name"] for span in mine}), runtime)
        mine = [span.resource["k8s.pod.uid"] for span in spans if span.attributes["url.path"].startswith("/static/")]
        self.assertEqual([static.uid] * 20, mine)
        self.assertEqual({}, agent.lost())

    def test_pods_and_selectors(self):
        self.opt_in()
        config = self.directory / "config.yaml"
        config.write_text("kubernetes:\n  selectors:\n  - {namespaces: [quiet], pod_labels: {app: chosen}, containers: [main]}\n")
        pods = [Pod(self, name, namespace, address=f"10.1.1.{i}", **how) for i, (name, namespace, how) in enumerate([
            ("said-no", "shop", {"labels": {LABEL: "disabled"}}),
            ("noted-no", "shop", {"annotations": {LABEL: "disabled"}}),
            ("said-yes", "quiet", {"labels": {LABEL: "enabled"}}),
            ("selected", "quiet", {"labels": {"app": "chosen"}}),
            ("wrong-container", "quiet", {"labels": {"app": "chosen"}, "container": "side"}),
            ("nobody", "quiet", {})], 1)]
        for pod in pods[:3]:
            pod.run()
        agent = self.traced(f"--config={config}")
        for pod in pods[3:]:
            pod.run()
        # Its label changes while it runs.
        for pod in pods:
            pod.ask(f"/{pod.name}", 20)
        self.cluster.kubectl("label", "--namespace=shop", "--overwrite", "pod", "said-no", f"{LABEL}=enabled")
        self.until_traced(agent, pods[0], "/later")
        seen = {}
        for span in agent.interrupt():
            if span.kind == harness.SERVER:
                seen.setdefault(span.attributes["url.path"].split("/")[1], set()).add(span.resource["k8s.pod.name"])
        self.assertEqual({"said-yes": {"said-yes"}, "selected": {"selected"}, "later": {"said-no"}}, seen)

    def test_a_process_that_is_there_before_its_pod_is_known(self):
        self.opt_in()
        agent = self.traced()
        proxy_pod = Pod(self, "late", "shop", create=False)
        # The uid is the server's to choose: the pod is known to it, but the agent's server is stopped meanwhile.
        self.cluster.stop()
        self.cluster.start()
        proxy_pod.create()
        proxy_pod.start()
        proxy_pod.ask("/early", 50)
        proxy_pod.report()
        proxy_pod.ask("/late", 50)
        self.await_paths(agent, ["/early/49", "/late/49"])
        spans = [span for span in agent.interrupt() if span.kind == harness.SERVER]
        self.assertEqual(100, len(spans))
        self.assertEqual({("late", "main")},
                         {(span.resource["k8s.pod.name"], span.resource.get("k8s.container.name")) for span in spans})
        self.assertEqual({}, agent.lost())

    def test_a_process_of_a_pod_that_is_never_known(self):
        """It is let go after a while, and nothing of it is told; the agent says so."""
        agent = self.traced()
        pod = Pod(self, "ghost", "shop", create=False)
        pod.start(uid="8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f")
        pod.ask("/ghost", 20)
        agent.end(30)
        self.assertEqual([], agent.spans())
        self.assertEqual({"spans_dropped_not_selected": 20}, agent.lost())

    def test_what_a_container_executes_is_seen_from_its_first_byte(self):
        """As of `kubectl exec`: programs that live for one request."""
        self.opt_in()
        pod = Pod(self, "cart", "shop").run()
        agent = self.traced()
        pod.ask("/warm")
        self.await_paths(agent, ["/warm/0"])
        for i in range(50):
            subprocess.run(["sh", "-c", f"echo $$ > {pod.cgroup}/cgroup.procs && exec \"$@\"", "sh",
                            *pod.inside("curl", "-sf", f"http://{pod.address}:8080/exec/{i}")], check=True,
                           capture_output=True, timeout=30)
        spans = [span for span in agent.interrupt() if "/exec/" in span.attributes.get("url.path", "") or
                 "/exec/" in span.attributes.get("url.full", "")]
        self.assertEqual(50, sum(span.kind == harness.SERVER for span in spans))
        clients = [span for span in spans if span.kind == harness.CLIENT]
        lost = agent.lost()
        print(f"\n  {len(clients)} of 50 calls of programs that end at once; {lost}")
        # Whoever has ended before the busy agent could look at it is of no known process: counted.
        self.assertLessEqual(set(lost), {"spans_dropped_not_selected"})
        self.assertEqual(50, len(clients) + lost.get("spans_dropped_not_selected", 0))
        self.assertGreater(len(clients), 40)
        self.assertEqual({"cart"}, {span.resource["k8s.pod.name"] for span in clients})

    def test_services_that_are_called_by_their_addresses(self):
        self.opt_in()
        pod = Pod(self, "cart-1", "shop").run()
        self.cluster.kubectl("apply", "-f", ROOT / "deploy/daemonset/components/peers/rbac.yaml")
        service = self.cluster.call("POST", "/api/v1/namespaces/shop/services", {
            "metadata": {"name": "cart"}, "spec": {"ports": [{"port": 8080}]}})
        self.cluster.call("POST", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", {
            "metadata": {"name": "cart-abc", "labels": {"kubernetes.io/service-name": "cart"}},
            "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": [pod.address]}]})
        address = service["spec"]["clusterIP"]
        subprocess.run(pod.inside("ip", "address", "add", f"{address}/32", "dev", "lo"), check=True)
        subprocess.run(pod.inside("ip", "address", "add", "10.1.9.9/32", "dev", "lo"), check=True)
        # In the pod's network: the Service's address is where kube-proxy would send it, and one that nobody has.
        for place in (address, "10.1.9.9"):
            self.start(pod.inside(harness.PYTHON, "-c", SERVER, place, "8080", self.directory / "more.log"))
            harness.wait_for(lambda: place in subprocess.run(pod.inside("ss", "-Hltn"), capture_output=True,
                                                             text=True).stdout, f"{place} to listen", 20)
        agent = self.traced(peers="true")
        for place in (pod.address, address, "10.1.9.9"):
            command = pod.inside(harness.PYTHON, "-c", CLIENT, place, 8080, "/call", 20)
            subprocess.run(["sh", "-c", f"echo $$ > {pod.cgroup}/cgroup.procs && exec \"$@\"", "sh", *command], check=True)
        seen = {}
        for span in agent.interrupt():
            if span.kind == harness.CLIENT:
                key = (span.attributes["network.peer.address"], span.attributes["server.address"])
                seen[key] = seen.get(key, 0) + 1
        self.assertEqual({(pod.address, "cart.shop"): 20, (address, "cart.shop"): 20, ("10.1.9.9", "10.1.9.9"): 20}, seen)

    def test_an_address_and_a_name_are_used_again(self):
        self.opt_in()
        agent = self.traced()
        uids = []
        for i in range(4):
            pod = Pod(self, "cart", "shop").run()
            uids.append(pod.uid)
            pod.ask(f"/{i}", 25)
            self.await_paths(agent, [f"/{i}/24"])
            pod.stop()
            pod.delete()
        spans = [span for span in agent.interrupt() if span.kind == harness.SERVER]
        self.assertEqual(100, len(spans))
        for span in spans:
            self.assertEqual(uids[int(span.attributes["url.path"].split("/")[1])], span.resource["k8s.pod.uid"])

    def test_the_api_server_goes_away(self):
        self.opt_in()
        pod = Pod(self, "cart", "shop").run()
        agent = self.traced()
        pod.ask("/0", 20)
        self.await_paths(agent, ["/0/19"])
        self.cluster.stop()
        pod.ask("/away", 100)  # what is known stays
        self.cluster.new_certificates()
        agent_ca = self.cluster.ca
        os.replace(agent_ca, self.cluster.directory / "ca1.pem")  # the file that the agent was given
        self.cluster.ca = self.cluster.directory / "ca1.pem"
        self.cluster.start()
        self.new_token("second")
        self.cluster.call("DELETE", "/api/v1/namespaces/zerospan/secrets/first")
        new = Pod(self, "new", "shop", address="10.1.0.9").run()
        self.until_traced(agent, new, "/new")
        self.opt_in(value=None)
        self.until_left_alone(agent, pod, "/unlabelled")
        spans = [span for span in agent.interrupt() if span.kind == harness.SERVER]
        self.assertEqual(100, sum(span.attributes["url.path"].startswith("/away/") for span in spans))
        for span in spans:
            self.assertEqual("new" if span.attributes["url.path"].startswith("/new") else "cart",
                             span.resource["k8s.pod.name"])

    def test_2000_pods_come_and_go(self):
        self.opt_in()
        traced = Pod(self, "cart", "shop").run()
        agent = self.traced()
        traced.ask("/warm", 20)
        self.await_paths(agent, ["/warm/19"])
        before, files = agent.resident_peak_kb(), len(os.listdir(f"/proc/{agent.pid}/fd"))
        path = "/api/v1/namespaces/shop/pods"
        begun = time.monotonic()

        def churn(connection, i):
            self.cluster.call("POST", path, {"metadata": {"name": f"p{i}", "labels": {"app": "x" * 60}}, "spec": {
                "nodeName": NODE, "containers": [{"name": "main", "image": "x"}]}}, connection=connection)
            self.cluster.call("DELETE", f"{path}/p{i}?gracePeriodSeconds=0", connection=connection)
        with concurrent.futures.ThreadPoolExecutor(1) as beside:
            asked = beside.submit(traced.ask, "/meanwhile", 200)
            self.cluster.each(churn, list(range(2000)))
            asked.result()
        seconds = time.monotonic() - begun
        after = agent.resident_peak_kb()
        print(f"\n  2,000 pods in {seconds:.0f} s; most resident memory {before / 1024:.1f} MB before, "
              f"{after / 1024:.1f} MB after")
        self.assertLess(after - before, 16 << 10)
        self.assertLessEqual(len(os.listdir(f"/proc/{agent.pid}/fd")), files + 4)
        new = Pod(self, "new", "shop", address="10.1.0.9").run()
        self.until_traced(agent, new, "/new")
        spans = [span for span in agent.interrupt() if span.kind == harness.SERVER]
        self.assertEqual(200, sum(span.attributes["url.path"].startswith("/meanwhile/") for span in spans))
        self.assertEqual({}, agent.lost())

    def test_200_pods_with_2000_processes(self):
        self.opt_in()
        pods = []

        def make(connection, i):
            pod = Pod(self, f"p{i}", "shop", address=f"10.2.{i // 100}.{i % 100 + 1}", create=False)
            made = self.cluster.call("POST", pod.path, {"metadata": pod.metadata, "spec": {
                "nodeName": NODE, "containers": [{"name": "main", "image": "x:1"}]}}, connection=connection)
            pod.uid = made["metadata"]["uid"]
            self.cluster.call("PATCH", f"{pod.path}/{pod.name}/status", {"status": {"containerStatuses": [{
                "name": "main", "containerID": f"{pod.scheme}://{pod.id}", "image": "x:1", "imageID": "", "ready": True,
                "restartCount": 0}]}}, connection=connection)
            pods.append(pod)
        self.cluster.each(make, list(range(200)))
        for pod in pods:
            cgroup = self.hierarchy / pod.place(pod.uid, pod.id)
            cgroup.mkdir(parents=True)
            self.cgroups.append(cgroup)
            sleepers = "; ".join(["sleep 100000 &"] * 10).replace("&;", "&")
            pod.server = self.start(["sh", "-c", f"echo $$ > {cgroup}/cgroup.procs; {sleepers} wait"])
            self.addCleanup(self.end_all_of, cgroup)
        harness.wait_for(lambda: sum(len((cgroup / "cgroup.procs").read_text().split()) for cgroup in self.cgroups) >= 2200,
                         "2,200 processes", 60)
        metrics = harness.free_port()
        agent = self.agent(command="run", env={
            "ZEROSPAN_EXPORTER_KIND": "none", "ZEROSPAN_METRICS_LISTEN": f"127.0.0.1:{metrics}",
            "ZEROSPAN_KUBERNETES_API_SERVER": self.cluster.url,
            "ZEROSPAN_KUBERNETES_ENABLED": "true", "ZEROSPAN_KUBERNETES_TOKEN_FILE": str(self.token),
            "ZEROSPAN_KUBERNETES_CA_FILE": str(self.cluster.ca), "ZEROSPAN_KUBERNETES_NODE_NAME": NODE,
            "ZEROSPAN_KUBERNETES_START_JITTER": "0"})
        value = {line.split()[0]: float(line.split()[1]) for line in harness.scrape(metrics).splitlines()
                 if line and line[0] != "#"}
        self.assertEqual(200, value["zerospan_k8s_chosen_pods"])
        self.assertEqual(2200, value["zerospan_processes_selected"])
        asked = self.cluster.audited("zerospan/")
        lists = [uri for verb, _, uri in asked if verb == "list"]
        self.assertEqual(["/api/v1/namespaces", "/api/v1/pods"], sorted({uri.split("?")[0] for uri in lists}))
        self.assertEqual(2, len(lists))
        self.assertIn("fieldSelector=spec.nodeName%3D" + NODE, " ".join(lists))

        def used():
            fields = pathlib.Path(f"/proc/{agent.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        begun, cpu = time.monotonic(), used()
        harness.wait_for(lambda: time.monotonic() - begun > 60, "a minute of idleness", 70)  # what is measured
        share = (used() - cpu) / (time.monotonic() - begun)
        resident = agent.resident_peak_kb() / 1024
        after = self.cluster.audited("zerospan/")
        print(f"\n  ready in {agent.seconds_to_ready:.2f} s; most resident memory {resident:.1f} MB; {share:.2%} of a core when "
              f"idle; requests to the API server: {len(asked)} at the start, {len(after) - len(asked)} in the minute after")
        self.assertLess(resident, 100)
        self.assertLessEqual(len(asked), 4)
        agent.end()

    def start(self, command, **how):
        if self.in_cgroup:
            command = ["sh", "-c", f"echo $$ > {self.in_cgroup}/cgroup.procs && exec \"$@\"", "sh", *command]
        return super().start(command, **how)

    def in_pod(self, name, make):
        """A server of servers.py as the process of a pod that uses the node's network."""
        pod = Pod(self, name, "shop", address="127.0.0.1")
        cgroup = self.hierarchy / pod.place(pod.uid, pod.id)
        cgroup.mkdir(parents=True)
        self.cgroups.append(cgroup)
        pod.report()
        self.in_cgroup = cgroup
        try:
            return make()
        finally:
            self.in_cgroup = None

    def test_the_service_map_is_the_call_graph(self):
        """Seven languages and servers call each other over HTTP/1, HTTP/2 and gRPC; none has an SDK."""
        rpc = build_rpc(self, "plain")
        self.opt_in()
        agent = self.traced()
        printed = {}

        def listening(command):
            program = self.start(command)
            return program.wait_line(program.lines, r"^listening (\d+)", 30).group(1)
        archive = self.in_pod("archive", lambda: servers.go_http2(self))
        stock = self.in_pod("stock", lambda: servers.go_to_http2(self, archive.port))
        billing = self.in_pod("billing", lambda: servers.java(self, stock.port))
        api = self.in_pod("api", lambda: servers.python(self, billing.port))
        web = self.in_pod("web", lambda: servers.node(self, api.port))
        edge = self.in_pod("edge", lambda: servers.nginx(self, web.port))
        printed["ledger"] = self.in_pod("ledger", lambda: listening([rpc, "backend"]))
        printed["orders"] = self.in_pod("orders", lambda: listening([
            rpc, "serve", "grpc", self.directory / "orders.log", f"http://127.0.0.1:{edge.port}/proxy",
            f"127.0.0.1:{printed['ledger']}"]))

        def shop():
            client = self.start([rpc, "call", "grpc", printed["orders"], "200", "8", "Both"])
            client.wait_line(client.lines, "^done", 120)
            client.wait_exit()
        self.in_pod("shopper", shop)
        harness.wait_for(lambda: len(archive.logged()) == 200, "200 requests at the end of the chain", 30)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertEqual([], [span for span in spans if "server.address" not in span.attributes])
        # Where each service answers, and whom each calls, both as the spans say.
        answers, edges = {}, {}
        for span in spans:
            place = (span.attributes["server.address"], span.attributes["server.port"])
            if span.kind == harness.SERVER:
                answers.setdefault(place, set()).add(span.resource["service.name"])
        for span in spans:
            if span.kind == harness.CLIENT:
                place = (span.attributes["server.address"], span.attributes["server.port"])
                edge_of = (span.resource["service.name"], *answers.get(place, {place}))
                edges[edge_of] = edges.get(edge_of, 0) + 1
        print(f"\n  {edges}")
        names = ["orders", "edge", "web", "api", "billing", "stock", "archive"]
        self.assertEqual({("shopper", "orders"): 200, ("orders", "ledger"): 200,
                          **{pair: 200 for pair in zip(names, names[1:])}}, edges)

    def end_all_of(self, cgroup):
        for pid in (cgroup / "cgroup.procs").read_text().split():
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
