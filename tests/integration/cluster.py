# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""A cluster as far as its API goes: the real kube-apiserver on the real etcd, and kubectl. No kubelet, no controller."""

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request

import harness
import servers

TOKEN = "zerospan-test"


def kubectl_program():
    return os.path.join(os.path.dirname(servers.prepared("kube-apiserver")[0]), "bin", "kubectl")


def start_etcd(start, directory):
    """The port. `start` runs a command as a harness.Program."""
    port, peer = harness.free_port(), harness.free_port()
    url, peer_url = (f"http://127.0.0.1:{each}" for each in (port, peer))
    server = start([*servers.prepared("etcd"), "--data-dir", directory / "etcd", "--listen-client-urls", url,
                    "--advertise-client-urls", url, "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls",
                    peer_url, "--initial-cluster", f"default={peer_url}", "--log-level", "error"])
    harness.wait_for(lambda: harness.accepts(port), f"port {port} of {server}", 60)
    return port


class ApiServer:
    """Ready when constructed. TOKEN is an administrator's."""

    def __init__(self, start, directory, etcd_port):
        self.directory = directory
        self.certificate = directory / "apiserver.crt"
        key, tokens, tls_key = directory / "sa.key", directory / "tokens.csv", directory / "apiserver.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tls_key, "-out",
                        self.certificate, "-days", "2", "-subj", "/CN=kube-apiserver", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        tokens.write_text(f'{TOKEN},tester,1,"system:masters"\n')
        self.port = harness.free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.program = start([
            *servers.prepared("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}", f"--tls-cert-file={self.certificate}",
            f"--tls-private-key-file={tls_key}", f"--cert-dir={directory}",
            "--service-account-issuer=https://k", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.0.0.0/24",
            f"--token-auth-file={tokens}", "--authorization-mode=Node,RBAC",
            "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true"])
        harness.wait_for(lambda: self.program.process.poll() is not None or
                         self.kubectl("get", "--raw", "/readyz").stdout == "ok", f"{self.program} to be ready", 180, 0.2)

    def kubectl(self, *arguments, token=TOKEN, **how):
        return subprocess.run([kubectl_program(), f"--server={self.url}", f"--certificate-authority={self.certificate}",
                               f"--token={token}", *arguments], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "HOME": str(self.directory), "KUBECONFIG": "/dev/null"}, **how)

    def kubeconfig(self, token=TOKEN):
        """A file that kubectl and helm take."""
        path = self.directory / "kubeconfig.json"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.certificate)}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}))
        return path

    def request(self, path, token=TOKEN, method="GET", body=None, accept="application/json"):
        """Status and body of one request, without kubectl."""
        request = urllib.request.Request(self.url + path, method=method, data=body and json.dumps(body).encode(), headers={
            "Authorization": f"Bearer {token}", "Accept": accept, "Content-Type": "application/json"})
        try:
            context = ssl.create_default_context(cafile=self.certificate)
            with urllib.request.urlopen(request, timeout=60, context=context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
