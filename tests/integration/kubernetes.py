# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The real kube-apiserver on the real etcd with certificates, roles and tokens as a cluster has them, and a proxy in
front of it that makes faults. There is no node and no controller: what a test needs, it makes itself."""

import concurrent.futures
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading

import harness
import servers

ADMIN = "zerospan-admin"

AUDIT = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted, ResponseComplete, Panic]
rules: [{level: Metadata}]
"""


def kubectl_program():
    return os.path.join(os.path.dirname(servers.prepared("kube-apiserver")[0]), "bin", "kubectl")


class Cluster:
    """etcd runs, the server from start() on. `run` starts a command as a harness.Program, and sees to its end."""

    def __init__(self, run, directory):
        self.run, self.directory = run, directory
        harness.Case.need("go", "openssl")
        self.server = servers.prepared("kube-apiserver")[0]
        self.etcd_port, self.port = harness.free_port(), harness.free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        peer = harness.free_port()
        url, peer_url = (f"http://127.0.0.1:{each}" for each in (self.etcd_port, peer))
        self.etcd = run([*servers.prepared("etcd"), "--data-dir", self.directory / "etcd", "--listen-client-urls", url,
                         "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
                         "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}",
                         "--log-level", "error"])
        harness.wait_for(lambda: harness.accepts(self.etcd_port), f"port {self.etcd_port} of {self.etcd}", 60)
        self.key, self.tokens = self.directory / "sa.key", self.directory / "tokens.csv"
        self.audit = self.directory / "audit.log"
        (self.directory / "audit.yaml").write_text(AUDIT)
        self.openssl("genrsa", "-out", self.key, "2048")
        self.tokens.write_text(f'{ADMIN},admin,1,"system:masters"\n')
        self.ca = None
        self.new_certificates()

    def openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def new_certificates(self):
        """A new authority, and a certificate of it for the server; used from its next start on."""
        number = 1 if self.ca is None else int(self.ca.stem[2:]) + 1
        self.ca = self.directory / f"ca{number}.pem"
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=authority {number}",
                     "-keyout", self.ca.with_suffix(".key"), "-out", self.ca)
        self.certificate("server", "/CN=server")

    def certificate(self, name, subject):
        """NAME.pem and NAME.key."""
        file, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        request, names = self.directory / f"{name}.csr", self.directory / "names"
        names.write_text("subjectAltName=IP:127.0.0.1\n")
        self.openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca.with_suffix(".key"),
                     "-CAcreateserial", "-days", "2", "-extfile", names, "-out", file)
        return file, key

    def start(self):
        self.program = self.run([
            self.server, f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={self.directory / 'server.pem'}",
            f"--tls-private-key-file={self.directory / 'server.key'}", f"--client-ca-file={self.ca}",
            "--service-account-issuer=https://k", f"--service-account-key-file={self.key}",
            f"--service-account-signing-key-file={self.key}", "--service-cluster-ip-range=10.0.0.0/24",
            f"--token-auth-file={self.tokens}",
            "--authorization-mode=Node,RBAC", "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true",
            f"--audit-policy-file={self.directory / 'audit.yaml'}", f"--audit-log-path={self.audit}"])
        harness.wait_for(self.ready, f"{self.program} to be ready", 180, 0.2)

    def ready(self):
        if self.program.process.poll() is not None:
            raise AssertionError(f"ended: {self.program}")
        try:
            return self.request("GET", "/readyz") == (200, "ok")
        except (OSError, http.client.HTTPException):
            return False

    def stop(self):
        self.program.stop()

    def connection(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60,
                                           context=ssl.create_default_context(cafile=self.ca))

    def request(self, method, path, body=None, token=ADMIN, accept="application/json", connection=None):
        """The answer's status and text."""
        mine = connection or self.connection()
        try:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            mine.request(method, path, None if body is None else json.dumps(body),
                         {"Authorization": f"Bearer {token}", "Accept": accept, "Content-Type": kind})
            answer = mine.getresponse()
            return answer.status, answer.read().decode()
        finally:
            if connection is None:
                mine.close()

    def call(self, method, path, body=None, connection=None):
        """As the administrator. The answer's object."""
        status, text = self.request(method, path, body, connection=connection)
        if status >= 300:
            raise AssertionError(f"{method} {path}: {status} {text[:300]}")
        return json.loads(text)

    def each(self, work, items, threads=4):
        """work(connection, item) for all items, on a few connections."""
        def run(part):
            connection = self.connection()
            try:
                for item in part:
                    work(connection, item)
            finally:
                connection.close()
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, [items[i::threads] for i in range(threads)]))

    def kubeconfig(self):
        """The administrator's file for kubectl and helm."""
        path = self.directory / "kubeconfig.json"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "test", "user": {"token": ADMIN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}))
        return path

    def try_kubectl(self, *arguments, **how):
        """The process, which has ended."""
        return subprocess.run([kubectl_program(), *arguments], capture_output=True, text=True, timeout=120, **how,
                              env={**os.environ, "HOME": str(self.directory), "KUBECONFIG": str(self.kubeconfig())})

    def kubectl(self, *arguments, **how):
        """What it prints."""
        done = self.try_kubectl(*arguments, **how)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {arguments}: {done.stderr}")
        return done.stdout

    def objects(self, kind):
        """What kubectl sees, as {namespace/name/uid: version}."""
        listed = json.loads(self.kubectl("get", kind, "--all-namespaces", "--output=json"))["items"]
        return {f"{each['metadata'].get('namespace', '')}/{each['metadata']['name']}/{each['metadata']['uid']}":
                each["metadata"]["resourceVersion"] for each in listed}

    def service_account(self, name, resources):
        """One that may get, list and watch these."""
        self.call("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": name}})
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        self.call("POST", f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": [
            {"apiGroups": ["", "apps"], "resources": resources, "verbs": ["get", "list", "watch"]}]})
        self.call("POST", f"{rbac}/clusterrolebindings", {
            "metadata": {"name": name}, "subjects": [
                {"kind": "ServiceAccount", "name": name, "namespace": "default"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}})

    def token(self, account, secret, namespace="default"):
        """A token that is valid until this secret, which is made, is deleted."""
        made = self.call("POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": secret}})
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return self.call("POST", path, {"spec": {"expirationSeconds": 3600, "boundObjectRef": {
            "kind": "Secret", "apiVersion": "v1", "name": secret, "uid": made["metadata"]["uid"]}}})["status"]["token"]

    def audited(self, user_agent):
        """(verb, resource, URI) of the requests that the server has received from this program."""
        found = []
        for line in self.audit.read_text().splitlines():
            event = json.loads(line)
            if event.get("userAgent", "").startswith(user_agent):
                found.append((event["verb"], event.get("objectRef", {}).get("resource"), event["requestURI"]))
        return found


class FaultyProxy:
    """Fault injection: takes plain HTTP connections, passes their bytes to the server over TLS, and does to the
    answers what a network may do."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.refusing = self.hanging = False
        self.cut_at = None  # bytes: the connection ends amid their first occurrence
        self.cuts = self.taken = 0
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()
        self.drop()

    def drop(self):
        """Ends all connections."""
        with self.lock:
            ended, self.open = self.open, set()
        for each in ended:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.taken += 1
            if self.refusing:
                client.close()
                continue
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            context = ssl.create_default_context(cafile=self.cluster.ca)
            server = context.wrap_socket(socket.create_connection(("127.0.0.1", self.cluster.port), 10),
                                         server_hostname="127.0.0.1")
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self.lock:
            self.open |= {client, server}
        pumps = [threading.Thread(target=self.pump, args=pair, daemon=True)
                 for pair in ((client, server, False), (server, client, True))]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        with self.lock:
            self.open -= {client, server}
        client.close()
        server.close()

    def pump(self, source, sink, answers):
        try:
            while data := source.recv(65536):
                if answers and self.hanging:
                    continue
                at = data.find(self.cut_at) if answers and self.cut_at else -1
                if at >= 0:
                    sink.sendall(data[:at + len(self.cut_at) // 2])
                    with self.lock:
                        self.cuts, self.cut_at = self.cuts + 1, None
                    break
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
