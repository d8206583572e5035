# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""deploy/ and docs/kubernetes.md: the manifests and the chart against the real API server, what the service accounts may
do, the image's program with the pod's privileges, and the example's collectors."""

import contextlib
import functools
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import yaml

import harness
import kubernetes
import pod
import servers

DEPLOY = harness.ROOT / "deploy"
DAEMONSET = DEPLOY / "daemonset"
CHART = DEPLOY / "helm" / "zerospan"
DOCUMENT = harness.ROOT / "docs" / "kubernetes.md"
BUNDLES = ["base", "overlays/least-privilege", "overlays/monitoring", "overlays/example-collector"]
# What the chart is given to make the same as a bundle.
AS_BUNDLE = {
    "base": [],
    "overlays/least-privilege": ["--set=privileged=false,networkPolicy.enabled=true"],
    "overlays/monitoring": ["--set=monitoring.podMonitor=true,monitoring.rules=prometheusRule,monitoring.dashboard=true"],
}
CRD_MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0"


def run(*command, **how):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **how)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr}")
    return done.stdout


@functools.cache
def bundle(name):
    """The text of kustomize's objects."""
    return run(kubernetes.kubectl_program(), "kustomize", DAEMONSET / name)


def objects(text):
    return [each for each in yaml.safe_load_all(text) if each]


@functools.cache
def helm_program():
    return servers.prepared("helm")[0]


def helm(*arguments, **how):
    return subprocess.run([helm_program(), *map(str, arguments)], capture_output=True, text=True, timeout=300, **how)


def chart(*arguments):
    done = helm("template", "zerospan", CHART, "--namespace=zerospan", *arguments)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


@functools.cache
def collector_program():
    return run(harness.ROOT / "tests/collector/build_collector.sh", harness.ROOT / "tests/deploy/collector.yaml").strip()


@functools.cache
def crds():
    """The files of the Prometheus operator's own definitions that the overlay uses."""
    folder = pathlib.Path(json.loads(run("go", "mod", "download", "-json", CRD_MODULE))["Dir"])
    return [folder / "example/prometheus-operator-crd" / f"monitoring.coreos.com_{each}.yaml"
            for each in ("podmonitors", "prometheusrules")]


class WithApi(harness.Case):
    """One API server for all tests of a class. Nothing ends a namespace that is deleted: that is a controller's work."""

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="zerospan-cluster-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)

        def start(command):
            program = harness.Program(command)
            cls.addClassCleanup(program.stop)
            return program

        cls.cluster = kubernetes.Cluster(start, folder)
        cls.cluster.start()

    def apply(self, text, *arguments):
        return self.cluster.try_kubectl("apply", "--validate=strict", "-f", "-", *arguments, input=text)

    def token(self, account, namespace="zerospan"):
        return self.cluster.kubectl("create", "token", account, "--namespace", namespace).strip()


class Manifests(WithApi):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for file in crds():
            cls.cluster.kubectl("apply", "--server-side", "-f", file)
        # A dry run of what is inside of it needs the namespace itself.
        cls.cluster.kubectl("apply", "-f", DAEMONSET / "base/namespace.yaml")
        for kind in ("podmonitors", "prometheusrules"):
            harness.wait_for(lambda: cls.cluster.try_kubectl("get", kind, "--all-namespaces").returncode == 0, kind, 30, 0.1)

    def check_accepted(self, text):
        done = self.apply(text, "--dry-run=server")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        lines = done.stdout.splitlines()
        self.assertEqual(len(objects(text)), len(lines))
        for line in lines:
            self.assertRegex(line, r" \(server dry run\)$")

    def test_every_bundle_is_accepted(self):
        for name in BUNDLES:
            with self.subTest(name):
                self.check_accepted(bundle(name))

    def test_the_chart_is_accepted(self):
        for arguments in [*AS_BUNDLE.values(), ["--set=monitoring.rules=configMap"], ["--set=privileged=false,uprobes=true"],
                          ["--set=image.tag=x,image.pullSecrets[0].name=y,podLabels.a=b,podAnnotations.c=d,maxUnavailable=2",
                           "--set=env[0].name=A,env[0].value=b,serviceAccount.annotations.e=f,priorityClassName="]]:
            with self.subTest(arguments=arguments):
                self.check_accepted(chart(*arguments))

    def test_wrong_manifests_are_refused(self):
        """That the test above can fail."""
        for name, right, wrong in (
                ("base", "hostPID: true", "hostPid: true"), ("base", "fieldPath: spec.nodeName", "fieldPath: spec.nodename"),
                ("base", "cpu: 100m", "cpu: 100 millis"), ("base", "- operator: Exists", "- operator: Exist"),
                ("base", "maxUnavailable: 10%", "maxUnavailable: ten"), ("base", "path: /healthz", "pathname: /healthz"),
                ("overlays/least-privilege", "type: Unconfined", "type: Unconfirmed"),
                ("overlays/monitoring", "port: metrics\n    relabelings", "prot: metrics\n    relabelings"),
                ("overlays/example-collector", "clusterIP: None", "clusterIP: Nothing")):
            with self.subTest(wrong):
                self.assertIn(right, bundle(name))
                done = self.apply(bundle(name).replace(right, wrong), "--dry-run=server")
                self.assertNotEqual(0, done.returncode, done.stdout)
                self.assertRegex(done.stderr, r"(?i)invalid|unknown field|unmarshal|quantities|bad request")

    def test_the_chart_makes_the_same_objects(self):
        for name, arguments in AS_BUNDLE.items():
            with self.subTest(name):
                expected = {key: value for key, value in self.substance(bundle(name)).items() if key[0] != "Namespace"}
                self.assertEqual(expected, self.substance(chart(*arguments)))
        # And what a change makes of it is seen.
        self.assertNotEqual(self.substance(chart()), self.substance(chart("--set=resources.limits.memory=257Mi")))

    def substance(self, text):
        """Objects by kind and name, without what only says who made them, and with what is text in them read."""
        result = {}
        for each in objects(text):
            metadata = each["metadata"]
            labels = metadata.get("labels", {})
            for key in list(labels):
                if key in ("helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version",
                           "app.kubernetes.io/managed-by"):
                    del labels[key]
            if each["kind"] == "ConfigMap":
                each["data"] = {key: yaml.safe_load(value) for key, value in each["data"].items()}
            if each["kind"] == "DaemonSet":
                for container in each["spec"]["template"]["spec"]["containers"]:
                    # The API server's default for an image with a tag.
                    container.setdefault("imagePullPolicy", "IfNotPresent")
            self.assertNotIn((each["kind"], metadata["name"]), result)
            result[each["kind"], metadata["name"]] = each
        return result

    def test_rules_as_a_config_map_are_the_same(self):
        made = self.substance(chart("--set=monitoring.rules=configMap"))["ConfigMap", "zerospan-rules"]
        rule = self.substance(bundle("overlays/monitoring"))["PrometheusRule", "zerospan"]
        self.assertEqual({"zerospan.rules.yaml": rule["spec"]}, made["data"])

    def test_the_rules_find_their_namespace(self):
        done = helm("template", "zerospan", CHART, "--namespace=elsewhere", "--set=monitoring.rules=prometheusRule")
        self.assertIn('namespace="elsewhere"', done.stdout)
        self.assertNotIn('namespace="zerospan"', done.stdout)

    def test_pods_are_admitted_only_where_the_namespace_says_so(self):
        self.cluster.kubectl("create", "namespace", "other")
        self.cluster.kubectl("label", "namespace", "other", "pod-security.kubernetes.io/enforce=baseline")
        for name in ("base", "overlays/least-privilege"):
            template = pod.of_kind(objects(bundle(name)), "DaemonSet", "zerospan")["spec"]["template"]
            text = json.dumps({"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
                               "metadata": {"name": "zerospan", **template["metadata"]}})
            with self.subTest(name):
                done = self.apply(text, "--dry-run=server", "--namespace=zerospan")
                self.assertEqual((0, ""), (done.returncode, done.stderr))
                done = self.apply(text, "--dry-run=server", "--namespace=other")
                self.assertNotEqual(0, done.returncode)
                self.assertIn('violates PodSecurity "baseline:latest"', done.stderr)
                self.assertIn("host namespaces (hostPID=true)", done.stderr)

    def test_helm_installs_upgrades_and_removes(self):
        config = self.cluster.kubeconfig()

        def do(*arguments):
            done = helm(*arguments, "--namespace=release", "--kubeconfig", config)
            self.assertEqual(0, done.returncode, done.stderr)
            return done.stdout

        self.cluster.kubectl("create", "namespace", "release")
        self.assertIn("kubectl label namespace", do("install", "zerospan", CHART))
        read = ("get", "daemonset", "zerospan", "--namespace=release", "--output=json")
        self.assertTrue(json.loads(self.cluster.kubectl(*read))["spec"]["template"]["spec"]["containers"][0]
                        ["securityContext"]["privileged"])
        do("upgrade", "zerospan", CHART, "--set=privileged=false")
        upgraded = json.loads(self.cluster.kubectl(*read))["spec"]["template"]["spec"]["containers"][0]["securityContext"]
        self.assertEqual((False, ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]),
                         (upgraded["privileged"], upgraded["capabilities"]["add"]))
        do("uninstall", "zerospan")
        self.assertNotEqual(0, self.cluster.try_kubectl(*read).returncode)
        self.assertNotEqual(0, self.cluster.try_kubectl("get", "clusterrole", "zerospan").returncode)

    def test_wrong_values_are_refused(self):
        for argument, named in {"privileged=maybe": "privileged", "imag.tag=x": "imag", "image.pullPolicy=Sometimes":
                                "pullPolicy", "maxUnavailable=0": "maxUnavailable", "config.capure.workers=2": "capure",
                                "config.metrics.listen=127.0.0.1:9465": "listen", "resources.limits.memory=many": "memory",
                                "monitoring.rules=on": "rules", "endpoint=collector": "endpoint",
                                "terminationGracePeriodSeconds=0": "terminationGracePeriodSeconds"}.items():
            with self.subTest(argument):
                done = helm("template", "zerospan", CHART, f"--set={argument}")
                self.assertNotEqual(0, done.returncode)
                self.assertRegex(done.stderr, r"don't meet the specifications of the schema")
                self.assertIn(named, done.stderr)

    def test_helm_lint(self):
        done = helm("lint", "--strict", CHART)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)


class Permissions(WithApi):
    ALLOWED = {("", "pods"): {"list", "watch"}, ("", "namespaces"): {"list", "watch"},
               ("apps", "replicasets"): {"get"}, ("batch", "jobs"): {"get"}}

    def setUp(self):
        super().setUp()
        done = self.apply(bundle("overlays/example-collector"))
        self.assertEqual(0, done.returncode, done.stderr)
        if self.cluster.try_kubectl("get", "serviceaccount", "nobody", "--namespace=zerospan").returncode != 0:
            self.cluster.kubectl("create", "serviceaccount", "nobody", "--namespace=zerospan")

    def rules(self, token):
        """What the API server's authorizer says that the token's owner may do, as (group, resource, verb)."""
        status, text = self.cluster.request(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}}, token)
        self.assertEqual(201, status, text)
        found = json.loads(text)["status"]
        return ({(group, resource, verb) for rule in found["resourceRules"] for group in rule["apiGroups"]
                 for resource in rule["resources"] for verb in rule["verbs"]},
                {(path, verb) for rule in found.get("nonResourceRules", []) for path in rule["nonResourceURLs"]
                 for verb in rule["verbs"]})

    def test_exactly_what_is_needed(self):
        resources, others = self.rules(self.token("zerospan"))
        anybody_resources, anybody_others = self.rules(self.token("nobody"))
        self.assertEqual({(group, resource, verb) for (group, resource), verbs in self.ALLOWED.items() for verb in verbs},
                         resources - anybody_resources)
        self.assertEqual(anybody_others, others)

    def test_real_requests(self):
        token = self.token("zerospan")
        meta = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        for path, accept in (("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1", "application/json"),
                             ("/api/v1/pods?watch=1&timeoutSeconds=1&fieldSelector=spec.nodeName%3Dnode-1", "application/json"),
                             ("/api/v1/namespaces", meta), ("/api/v1/namespaces?watch=1&timeoutSeconds=1", meta)):
            with self.subTest(path):
                status, text = self.cluster.request("GET", path, token=token, accept=accept)
                self.assertEqual(200, status, text)
                if accept == meta and "watch" not in path:
                    self.assertEqual("PartialObjectMetadataList", json.loads(text)["kind"])
        for path in ("/apis/apps/v1/namespaces/default/replicasets/a", "/apis/batch/v1/namespaces/default/jobs/a"):
            self.assertEqual(404, self.cluster.request("GET", path, token=token)[0], path)
        pod_path = "/api/v1/namespaces/default/pods"
        for method, path, body in (("GET", "/api/v1/secrets", None), ("GET", "/api/v1/configmaps", None),
                                   ("GET", "/api/v1/nodes", None), ("GET", pod_path + "/a", None),
                                   ("GET", "/api/v1/namespaces/default", None), ("GET", pod_path + "/a/log", None),
                                   ("GET", "/apis/apps/v1/replicasets", None), ("GET", "/apis/batch/v1/jobs", None),
                                   ("GET", "/apis/apps/v1/deployments", None), ("DELETE", pod_path + "/a", None),
                                   ("POST", pod_path, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}),
                                   ("POST", pod_path + "/a/exec", {}), ("DELETE", "/api/v1/namespaces/default", None),
                                   ("GET", "/api/v1/namespaces/zerospan/secrets", None)):
            with self.subTest(method=method, path=path):
                self.assertEqual(403, self.cluster.request(method, path, body, token)[0])

    def test_of_the_example(self):
        """The node's collector may read what k8s_attributes asks for, the gateway nothing."""
        got = self.rules(self.token("otel-node"))[0] - self.rules(self.token("nobody"))[0]
        self.assertEqual({("", resource, verb) for resource in ("pods", "namespaces") for verb in ("get", "list", "watch")},
                         got)


@functools.cache
def image_root():
    """The image's root file system, as the Dockerfile makes it, of this build's program; or that of a built image."""
    if built := os.environ.get("ZEROSPAN_IMAGE_ROOT"):
        return pathlib.Path(built)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="image-", dir=harness.BUILD))
    run(DEPLOY / "image/rootfs.sh", harness.BINARY, folder / "root")
    return folder / "root"


def tearDownModule():
    if image_root.cache_info().currsize and "ZEROSPAN_IMAGE_ROOT" not in os.environ:
        shutil.rmtree(image_root().parent, ignore_errors=True)


def start_collector(case, network, port):
    """The real collector in this network; the program and the file that it writes."""
    output, config = case.directory / f"spans-{port}.jsonl", case.directory / f"collector-{port}.yaml"
    config.write_text(json.dumps({
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"file": {"path": str(output)}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
                    "telemetry": {"metrics": {"level": "none"}}}}))
    program = network.start([collector_program(), "--config", config])
    program.wait_line(program.errors, "Everything is ready", 60)
    return program, output


class Privileges(harness.Case):
    """The image's program, started as the manifest says, traces programs of another user that run outside of its
    namespaces, and sends to the collector at the node's address. The oracle is the programs' own log."""
    NODE = "node-1"
    REQUESTS = 30

    def server(self, command, name):
        log = self.directory / f"{name}.log"
        log.touch()
        log.chmod(0o666)
        user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        return servers._printing(self, [*user, *command, "serve", log], log)

    def trace(self, name, capabilities=None):
        """Runs the pod; the spans that the collector has at the end, the servers, and /metrics."""
        network = pod.Network(self)
        collector, output = start_collector(self, network, 4318)
        made = objects(bundle(name))
        python = self.server([harness.PYTHON, harness.PROGRAMS / "python_http.py"], f"python{len(os.listdir(self.directory))}")
        go = self.server(servers.built("go"), f"go{len(os.listdir(self.directory))}")
        agent = pod.start(network, made, "zerospan", image_root(), {"spec.nodeName": self.NODE, "status.hostIP": "127.0.0.1"},
                          {"ZEROSPAN_SELECTION_PORTS": f"{python.port},{go.port}"}, capabilities)
        pod.wait_ready(network, made, "zerospan", agent)
        metrics = ""
        if agent.process.poll() is None:
            self.assertEqual(200, pod.probed(network, made, "zerospan", "livenessProbe")[0])
            for server in (python, go):
                for i in range(self.REQUESTS):
                    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/a?id={i}", timeout=20) as response:
                        response.read()
                server.wait_logged(self.REQUESTS)
            metrics = network.get(9465, "/metrics")[1]
            grace = pod.of_kind(made, "DaemonSet", "zerospan")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            self.assertEqual(0, pod.end(agent, grace), agent)
        os.kill(collector.pid, signal.SIGTERM)
        self.assertEqual(0, collector.wait_exit(30), collector)
        spans = harness.parse_spans(output.read_text()) if output.exists() else []
        return spans, {"python": python, "go": go}, metrics, agent

    def check_traced(self, name, capabilities=None):
        """How many uprobes were placed."""
        spans, traced, metrics, agent = self.trace(name, capabilities)
        machine = pathlib.Path("/etc/machine-id").read_text().strip()
        for server in traced.values():
            with self.subTest(server=server.pid):
                mine = [span for span in spans if span.resource["process.pid"] == server.pid]
                self.assertEqual(sorted(line.id for line in server.logged()), sorted(span.id for span in mine), agent)
                for span in mine:
                    self.assertEqual((harness.SERVER, self.NODE, machine, "nobody"),
                                     (span.kind, span.resource["host.name"], span.resource["host.id"],
                                      span.resource["process.owner"]))
        resident, probes = (float(re.search(rf"^zerospan_{each} (\S+)$", metrics, re.M)[1])
                            for each in ("process_resident_memory_bytes", "go_probes"))
        print(f"\n  {name} {capabilities or ''}: {len(spans)} spans; resident {resident / 1e6:.1f} MB; {probes:.0f} uprobes")
        self.check_metric_names(metrics)
        return probes

    def check_metric_names(self, metrics):
        """Alerts and dashboard name only metrics and labels that there are."""
        known = set(re.findall(r"^(zerospan_\w+)", metrics, re.M))
        self.assertIn("zerospan_spans_dropped_total", known)
        folder = DAEMONSET / "components/monitoring"
        for file in ("prometheusrule.yaml", "dashboard.json"):
            named = set(re.findall(r"zerospan_\w+", (folder / file).read_text()))
            self.assertGreater(len(named), 5)
            self.assertEqual(set(), named - known, file)

    def least(self):
        made = objects(bundle("overlays/least-privilege"))
        (container,) = pod.of_kind(made, "DaemonSet", "zerospan")["spec"]["template"]["spec"]["containers"]
        return container["securityContext"]["capabilities"]["add"]

    def test_privileged(self):
        self.assertGreater(self.check_traced("base"), 0)

    def test_least_privilege(self):
        """All spans; the kernel allows no uprobes."""
        self.assertEqual(0, self.check_traced("overlays/least-privilege"))

    def test_least_privilege_and_uprobes(self):
        self.assertGreater(self.check_traced("overlays/least-privilege", [*self.least(), "SYS_ADMIN"]), 0)

    def test_each_capability_is_needed(self):
        for each in self.least():
            with self.subTest(without=each):
                spans, _, _, agent = self.trace("overlays/least-privilege", [other for other in self.least() if other != each])
                self.assertEqual([], spans)
                if each in ("BPF", "PERFMON"):
                    self.assertNotEqual(0, agent.process.returncode)
                    self.assertIn("Operation not permitted", "\n".join(agent.errors))


class OptIn(WithApi):
    """From a namespace's label to spans: the image's program as the manifests start it, with their service account and its
    roles, against the API server. The test is the kubelet: it makes the pods' status and cgroup. Only the network is the
    host's, where the API server is, so the two ports are others. The oracle is the pods' own log."""
    REQUESTS = 10

    def run_pod(self, namespace, name):
        """A pod whose one process, of another user, is in the cgroup that containerd would make; its uid and server."""
        container_id = secrets.token_hex(32)
        made = json.loads(self.cluster.kubectl("create", "-f", "-", "-o", "json", input=json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {"nodeName": Privileges.NODE, "containers": [{"name": "c", "image": "shop/checkout:7"}]}})))
        uid = made["metadata"]["uid"]
        status = {"phase": "Running", "podIP": "10.1.0.7", "podIPs": [{"ip": "10.1.0.7"}], "containerStatuses": [{
            "name": "c", "image": "shop/checkout:7", "imageID": "x", "ready": True, "restartCount": 0,
            "containerID": f"containerd://{container_id}"}]}
        self.cluster.kubectl("patch", "pod", name, "--namespace", namespace, "--subresource=status", "--patch",
                             json.dumps({"status": status}))
        (top,) = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()
                  if line.split()[2] == "cgroup2"][:1]
        cgroup = pathlib.Path(top, f"kubepods.slice/kubepods-pod{uid.replace('-', '_')}.slice/cri-containerd-{container_id}.scope")
        cgroup.mkdir(parents=True)
        for folder in (cgroup.parents[1], cgroup.parent, cgroup):
            self.addCleanup(self.remove_empty, folder)
        log = self.directory / f"{name}.log"
        log.touch()
        log.chmod(0o666)
        enter = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs && exec "$@"', "sh", "setpriv", "--reuid", "65534", "--regid",
                 "65534", "--clear-groups"]
        return uid, servers._printing(self, [*enter, harness.PYTHON, harness.PROGRAMS / "python_http.py", "serve", log], log)

    @staticmethod
    def remove_empty(cgroup):
        with contextlib.suppress(OSError):  # another test has one in it
            cgroup.rmdir()

    def account(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        (folder / "token").write_text(self.token("zerospan"))
        (folder / "namespace").write_text("zerospan")
        shutil.copy(self.cluster.ca, folder / "ca.crt")
        return folder

    def check(self, name):
        made, wanted, other = objects(bundle(name)), f"shop-{secrets.token_hex(2)}", f"quiet-{secrets.token_hex(2)}"
        done = self.apply(bundle(name))
        self.assertEqual(0, done.returncode, done.stderr)
        for namespace in (wanted, other):
            self.cluster.kubectl("create", "namespace", namespace)
        self.cluster.kubectl("label", "namespace", wanted, "zerospan.io/instrument=enabled")
        (uid, server), (_, left_alone) = (self.run_pod(namespace, f"pod-{namespace}") for namespace in (wanted, other))
        network, port, metrics_port = pod.HostNetwork(self), harness.free_port(), harness.free_port()
        collector, output = start_collector(self, network, port)
        agent = pod.start(network, made, "zerospan", image_root(), {"spec.nodeName": Privileges.NODE,
                                                                    "status.hostIP": "127.0.0.1"},
                          {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                           "KUBERNETES_SERVICE_PORT": str(self.cluster.port),
                           "ZEROSPAN_METRICS_LISTEN": f"127.0.0.1:{metrics_port}"}, account=self.account())
        agent.wait_line(agent.errors, "zerospan: ready", 60)
        harness.wait_for(lambda: harness.sums(harness.scrape(metrics_port))["zerospan_processes_selected"] == 1,
                         f"the pod's process to be selected: {agent}", 60, 0.1)
        for each in (server, left_alone):
            for i in range(self.REQUESTS):
                with urllib.request.urlopen(f"http://127.0.0.1:{each.port}/a?id={i}", timeout=20) as response:
                    response.read()
        server.wait_logged(self.REQUESTS)
        # A changed ConfigMap holds without a restart.
        (text,) = pod.of_kind(made, "ConfigMap", "zerospan")["data"].values()
        pod.write_config_map(self, "zerospan", {"zerospan.yaml": text + "sampler: {kind: always_off}\n"})
        harness.wait_for(lambda: 'zerospan_config_reloads_total{result="applied"} 1' in harness.scrape(metrics_port),
                         f"the changed configuration: {agent}", 30, 0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/a?id=unsampled", timeout=20) as response:
            response.read()
        self.assertEqual(0, pod.end(agent, 10), agent)
        os.kill(collector.pid, signal.SIGTERM)
        self.assertEqual(0, collector.wait_exit(30), collector)
        spans = harness.parse_spans(output.read_text()) if output.exists() else []
        logged = [line.id for line in server.wait_logged(self.REQUESTS + 1)]
        self.assertEqual(sorted(logged[:-1]), sorted(span.id for span in spans))
        for span in spans:
            self.assertEqual((wanted, f"pod-{wanted}", uid, Privileges.NODE),
                             tuple(span.resource[key] for key in ("k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid",
                                                                  "k8s.node.name")))
        self.assertNotIn("orbidden", "\n".join(agent.errors))

    def test_privileged(self):
        self.check("base")

    def test_least_privilege(self):
        self.check("overlays/least-privilege")


class Alerts(harness.Case):
    def test_rules(self):
        """promtool reads them, and each fires for what it is for and not without."""
        self.need("promtool")
        rule = pod.of_kind(objects(bundle("overlays/monitoring")), "PrometheusRule", "zerospan")["spec"]
        (self.directory / "rules.yaml").write_text(yaml.safe_dump(rule))
        run("promtool", "check", "rules", self.directory / "rules.yaml")
        labels = 'node="n", pod="p"'
        bad = {
            "ZerospanDown": [('up{namespace="zerospan", container="zerospan", %s}', "0x60")],
            "ZerospanLosesRecords": [("zerospan_records_lost_ring_full_total{%s}", "0+10x60"),
                                     ("zerospan_records_reserved_total{%s}", "0+1000x60")],
            "ZerospanMapsFull": [("zerospan_capture_lost_connections_full_total{%s}", "0+1x60"),
                                 ("zerospan_capture_lost_processes_full_total{%s}", "0x60"),
                                 ("zerospan_connections_evicted_total{%s}", "0x60")],
            "ZerospanDropsSpans": [('zerospan_spans_dropped_total{reason="queue_full", %s}', "0+5x60")],
            "ZerospanRefusesItsConfiguration": [("zerospan_config_last_reload_success{%s}", "0x60")],
            "ZerospanUsesMuchMemory": [("zerospan_process_resident_memory_bytes{%s}", "200000000x60")],
        }
        good = {
            "ZerospanDown": [('up{namespace="zerospan", container="zerospan", %s}', "1x60")],
            "ZerospanLosesRecords": [("zerospan_records_lost_ring_full_total{%s}", "0+1x60"),
                                     ("zerospan_records_reserved_total{%s}", "0+10000x60")],
            "ZerospanMapsFull": [("zerospan_capture_lost_connections_full_total{%s}", "7x60"),
                                 ("zerospan_capture_lost_processes_full_total{%s}", "0x60"),
                                 ("zerospan_connections_evicted_total{%s}", "0x60")],
            "ZerospanDropsSpans": [('zerospan_spans_dropped_total{reason="not_selected", %s}', "0+5x60")],
            "ZerospanRefusesItsConfiguration": [("zerospan_config_last_reload_success{%s}", "1x60")],
            "ZerospanUsesMuchMemory": [("zerospan_process_resident_memory_bytes{%s}", "60000000x60")],
        }
        names = {each["alert"] for each in rule["groups"][0]["rules"]}
        self.assertEqual(names, set(bad))
        for series, fires in ((bad, True), (good, False)):
            tests = []
            for name, inputs in series.items():
                test = {"interval": "1m", "name": name,
                        "input_series": [{"series": key % labels, "values": values} for key, values in inputs],
                        # How often it fires: the text of annotations is not what is tested.
                        "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{name}", alertstate="firing", node="n"}})',
                                              "eval_time": "40m",
                                              "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}]}
                tests.append(test)
            file = self.directory / f"tests-{fires}.yaml"
            file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
            run("promtool", "test", "rules", file)


class Collectors(WithApi):
    """The example's two collectors, with their shipped configuration but for addresses, and for the exporters: the
    gateway writes a file in place of its log, and the node's sends to that one gateway. loadbalancing is not part of the
    collector that can be built here; its section is compared with what its documentation allows."""
    ADDRESS = re.compile(r"0\.0\.0\.0:\d+")

    @staticmethod
    def config(name):
        made = objects(bundle("overlays/example-collector"))
        (found,) = [each for each in made if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith(name + "-")]
        return yaml.safe_load(found["data"]["config.yaml"])

    def on_loopback(self, config):
        """Free ports in place of the fixed ones; by the address that was there."""
        ports = {}

        def walk(value):
            if isinstance(value, dict):
                return {key: walk(each) for key, each in value.items()}
            if isinstance(value, str) and self.ADDRESS.fullmatch(value):
                ports[int(value.rsplit(":", 1)[1])] = port = harness.free_port()
                return f"127.0.0.1:{port}"
            return value

        config = walk(config)
        config["service"]["telemetry"] = {"metrics": {"level": "none"}}
        return config, ports

    def write(self, name, config):
        path = self.directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def node_config(self, gateway_port):
        config, ports = self.on_loopback(self.config("otel-node"))
        del config["exporters"]["loadbalancing"]
        config["exporters"]["otlp_grpc"] = {"endpoint": f"127.0.0.1:{gateway_port}", "tls": {"insecure": True}}
        config["service"]["pipelines"]["traces"]["exporters"] = ["otlp_grpc"]
        return config, ports

    def test_configurations_are_valid(self):
        gateway = self.config("otel-gateway")
        run(collector_program(), "validate", "--config", self.write("gateway", gateway))
        run(collector_program(), "validate", "--config", self.write("node", self.node_config(4317)[0]),
            env={**os.environ, "KUBE_NODE_NAME": "node-1"})
        gateway["processors"]["tail_sampling"]["decision_weight"] = "10s"
        with self.assertRaises(AssertionError):
            run(collector_program(), "validate", "--config", self.write("wrong", gateway))

    def test_load_balancing_by_its_documentation(self):
        """exporter/loadbalancingexporter/README.md of opentelemetry-collector-contrib: routing_key is service, traceID,
        metric or resource; `otlp` without endpoint; `dns` has hostname, port, interval and timeout. The name is that of
        the gateway's Service, without which DNS would not tell its pods' addresses."""
        section = self.config("otel-node")["exporters"]["loadbalancing"]
        self.assertEqual({"routing_key", "protocol", "resolver"}, set(section))
        self.assertEqual("traceID", section["routing_key"])
        self.assertEqual({"otlp"}, set(section["protocol"]))
        self.assertNotIn("endpoint", section["protocol"]["otlp"])
        self.assertLessEqual(set(section["resolver"]["dns"]), {"hostname", "port", "interval", "timeout"})
        service = pod.of_kind(objects(bundle("overlays/example-collector")), "Service", "otel-gateway")
        self.assertEqual("None", service["spec"]["clusterIP"])
        self.assertEqual(f"{service['metadata']['name']}.{service['metadata']['namespace']}",
                         section["resolver"]["dns"]["hostname"])
        self.assertEqual([section["resolver"]["dns"]["port"]], [port["port"] for port in service["spec"]["ports"]])

    def make_pod(self):
        """A pod of a Deployment on this node whose container runs; its uid and the container's id."""
        container_id = "%064x" % random.Random(1).getrandbits(256)

        def create(version, kind, name, spec, owner=None, **metadata):
            if owner:
                metadata["ownerReferences"] = [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True,
                                                **{key: owner["metadata"][key] for key in ("name", "uid")}}]
            text = json.dumps({"apiVersion": version, "kind": kind, "spec": spec,
                               "metadata": {"name": name, "namespace": "shop", **metadata}})
            return json.loads(self.cluster.kubectl("create", "-f", "-", "-o", "json", input=text))

        self.cluster.kubectl("create", "namespace", "shop")
        containers = [{"name": "c", "image": "shop/checkout:7"}]
        replicas = {"replicas": 0, "selector": {"matchLabels": {"app": "checkout"}},
                    "template": {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": containers}}}
        deployment = create("apps/v1", "Deployment", "checkout", replicas)
        replica_set = create("apps/v1", "ReplicaSet", "checkout-5d9c7f6b4d", replicas, deployment)
        made = create("v1", "Pod", "checkout-5d9c7f6b4d-x", {"nodeName": "node-1", "containers": containers}, replica_set,
                      labels={"app": "checkout", "pod-template-hash": "5d9c7f6b4d"})
        status = {"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}], "containerStatuses": [{
            "name": "c", "image": "shop/checkout:7", "imageID": "x", "ready": True, "restartCount": 0,
            "containerID": f"containerd://{container_id}", "state": {"running": {}}}]}
        self.cluster.kubectl("patch", "pod", made["metadata"]["name"], "--namespace=shop", "--subresource=status", "--patch",
                             json.dumps({"status": status}))
        return made["metadata"]["uid"], container_id

    def start_node(self, config):
        """In a pod's place: the service account's files and the API server's address are where a pod has them."""
        account = self.directory / "account"
        account.mkdir()
        (account / "token").write_text(self.token("otel-node"))
        (account / "namespace").write_text("zerospan")
        shutil.copy(self.cluster.ca, account / "ca.crt")
        where = "/run/secrets/kubernetes.io/serviceaccount"
        program = self.start(
            ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/run", "--ro-bind", account, where, collector_program(), "--config",
             self.write("node", config)],
            env={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.cluster.port),
                 "KUBE_NODE_NAME": "node-1"})
        program.wait_line(program.errors, "Everything is ready", 60)
        return program

    def test_what_is_kept(self):
        self.assertEqual(0, self.apply(bundle("overlays/example-collector")).returncode)
        uid, container_id = self.make_pod()
        output = self.directory / "kept.jsonl"
        config, gateway_ports = self.on_loopback(self.config("otel-gateway"))
        config["exporters"] = {"file": {"path": str(output)}}
        config["service"]["pipelines"]["traces"]["exporters"] = ["file"]
        gateway = self.start([collector_program(), "--config", self.write("gateway", config)])
        gateway.wait_line(gateway.errors, "Everything is ready", 60)
        config, node_ports = self.node_config(gateway_ports[4317])
        node = self.start_node(config)

        # Kind of trace -> how many; those that are sent last are decided last.
        counts = {"health": 60, "normal": 600, "slow": 40, "error": 60}
        ids = random.Random(2)
        kinds, now = {}, time.time_ns()
        for kind, count in counts.items():
            spans = []
            for _ in range(count):
                trace = "%032x" % ids.getrandbits(128)
                kinds[trace] = kind
                root, end = "%016x" % ids.getrandbits(64), now + (1_500_000_000 if kind == "slow" else 20_000_000)
                path = ["/healthz", "/livez", "/readyz"][ids.randrange(3)] if kind == "health" else "/orders/healthz"
                spans += [
                    {"traceId": trace, "spanId": root, "name": "GET", "kind": 2, "startTimeUnixNano": str(now),
                     "endTimeUnixNano": str(end), "attributes": [{"key": "url.path", "value": {"stringValue": path}}]},
                    {"traceId": trace, "spanId": "%016x" % ids.getrandbits(64), "parentSpanId": root, "name": "GET", "kind": 3,
                     "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10_000_000),
                     "status": {"code": 2} if kind == "error" else {},
                     "attributes": [{"key": "url.path", "value": {"stringValue": "/healthz"}}]}]
            # As zerospan without Kubernetes' names sends them, and with.
            resource = {"container.id": container_id} if kind != "slow" else {"k8s.pod.uid": uid}
            body = {"resourceSpans": [{"resource": {"attributes": [{"key": key, "value": {"stringValue": value}}
                                                                   for key, value in resource.items()]},
                                       "scopeSpans": [{"spans": spans}]}]}
            request = urllib.request.Request(f"http://127.0.0.1:{node_ports[4318]}/v1/traces",
                                             json.dumps(body).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as response:
                self.assertEqual(200, response.status)

        def kept():
            found = {}
            whole_lines = output.read_text().rpartition("\n")[0] if output.exists() else ""
            for span in harness.parse_spans(whole_lines):
                found.setdefault(span.trace_id, []).append(span)
            return found

        last = [trace for trace, kind in kinds.items() if kind == "error"]
        harness.wait_for(lambda: all(trace in kept() for trace in last), f"the errors' traces at {gateway} {node}", 60, 0.2)
        self.assertEqual(0, pod.end(node, 30), node)
        os.kill(gateway.pid, signal.SIGTERM)
        self.assertEqual(0, gateway.wait_exit(30), gateway)
        found = kept()
        by_kind = {kind: sum(kinds[trace] == kind for trace in found) for kind in counts}
        print(f"\n  sent {counts}, kept {by_kind}")
        self.assertEqual((0, counts["slow"], counts["error"]), (by_kind["health"], by_kind["slow"], by_kind["error"]))
        # A tenth of 600 by a hash of the trace's id: the ids are the same in each run, the hash's salt is fixed.
        self.assertTrue(30 <= by_kind["normal"] <= 95, by_kind)
        for trace, spans in found.items():
            self.assertEqual(2, len(spans), trace)
            for span in spans:
                expected = {"k8s.namespace.name": "shop", "k8s.pod.name": "checkout-5d9c7f6b4d-x", "k8s.pod.uid": uid,
                            "k8s.node.name": "node-1", "k8s.deployment.name": "checkout"}
                if kinds[trace] != "slow":  # which container of the pod is not known from its uid
                    expected |= {"k8s.container.name": "c", "container.image.name": "shop/checkout"}
                self.assertEqual(expected, {key: span.resource.get(key) for key in expected})


class Document(harness.Case):
    """Every block of commands in docs/kubernetes.md that is marked `sh` is run, from the root: those of one section (##)
    in order, on a cluster of their own."""

    def test_commands(self):
        tools = self.directory / "bin"
        tools.mkdir()
        for name, program in (("kubectl", kubernetes.kubectl_program()), ("helm", helm_program())):
            (tools / name).symlink_to(program)
        sections = 0
        for section in re.split(r"^## ", DOCUMENT.read_text(), flags=re.M):
            blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
            if not blocks:
                continue
            sections += 1
            folder = self.directory / str(sections)
            folder.mkdir()
            cluster = kubernetes.Cluster(self.start, folder)
            cluster.start()
            for arguments in [("create", "namespace", "shop"), *(("apply", "--server-side", "-f", file) for file in crds())]:
                cluster.kubectl(*arguments)
            environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder),
                           "KUBECONFIG": str(cluster.kubeconfig())}
            for block in blocks:
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=harness.ROOT, env=environment,
                                      capture_output=True, text=True, timeout=300)
                self.assertEqual(0, done.returncode, block + done.stdout + done.stderr)
            left = cluster.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name", "-l",
                                   "app.kubernetes.io/name=zerospan")
            # Where it is removed, all of it is.
            self.assertEqual("delete" not in section, "zerospan" in left)
        self.assertEqual(3, sections)


if __name__ == "__main__":
    unittest.main(verbosity=2)
