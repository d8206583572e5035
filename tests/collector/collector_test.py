#!/usr/bin/python3
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0
"""The exporter against a real OpenTelemetry Collector: every protocol with and without gzip, mTLS, a collector that is
away at start, and one that is killed and started again under load.

What is promised when a collector is killed: every span offered is exported or counted as dropped, every span that counts
as exported was answered by a collector, and a span that counts as dropped may still have arrived (its answer was lost).
A span arrives twice only if its request was repeated because the answer to the first one was lost. The collector here
writes its file before it answers, so "exported" means "in the file".
"""

import argparse
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--probe", required=True)
parser.add_argument("--build", required=True, help="the script that prints the collector's path")
args = parser.parse_args()
otelcol = subprocess.run([args.build], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
scratch = tempfile.TemporaryDirectory(prefix="zerospan-collector-test.")

# No batching and no queue, and a file with rotation, which unlike the others is written without a buffer: so a request is
# answered when its spans are in the file.
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"{tls}}}
      http: {{endpoint: "127.0.0.1:{http}"{tls}}}
exporters:
  file: {{path: "{file}", rotation: {{max_megabytes: 1000}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: warn}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
"""


class Collector:
    """A collector in a directory of its own; started, killed and started again on the same ports."""

    def __init__(self, tls=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=scratch.name))
        self.file = self.directory / "spans.jsonl"
        self.grpc, self.http = harness.free_ports(2)
        tls_part = ""
        if tls:
            tls_part = (f', tls: {{cert_file: "{tls}/server.crt", key_file: "{tls}/server.key",'
                        f' client_ca_file: "{tls}/ca.crt"}}')
        (self.directory / "config.yaml").write_text(
            CONFIG.format(grpc=self.grpc, http=self.http, file=self.file, tls=tls_part))
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        log = (self.directory / "log").open("a")
        self.process = subprocess.Popen([otelcol, "--config", self.directory / "config.yaml"], stdout=log, stderr=log)
        return self

    def wait_until_it_serves(self):
        import socket

        def serves():
            assert self.process.poll() is None, (self.directory / "log").read_text()
            for port in (self.grpc, self.http):
                with socket.socket() as one:
                    if one.connect_ex(("127.0.0.1", port)) != 0:
                        return False
            return True

        harness.wait_for(serves, "the collector serves")
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=harness.TIMEOUT)
            self.process = None

    def endpoint(self, protocol, scheme="http"):
        host = "localhost" if scheme == "https" else "127.0.0.1"
        return f"{scheme}://{host}:{self.grpc if protocol == 'grpc' else self.http}"

    def spans(self):
        return harness.spans_of(self.file)

    def span_count(self):
        return self.file.read_bytes().count(b'"spanId"') if self.file.exists() else 0


PROTOCOLS = ("grpc", "http/protobuf", "http/json")


def every_protocol_with_and_without_gzip():
    for protocol in PROTOCOLS:
        for extra in ([], ["--gzip"]):
            with Collector().start().wait_until_it_serves() as collector:
                counters = harness.Probe(args.probe, "--protocol", protocol, "--endpoint", collector.endpoint(protocol),
                                         "--spans", 5000, *extra).counters()
                assert counters["exported"] == 5000, (protocol, extra, counters)
                collector.stop()
                spans = collector.spans()
            assert harness.numbers_of(spans) == {number: 1 for number in range(5000)}, (protocol, extra)
            for span in spans:
                harness.check_span(span)


def certificates():
    """An authority, a server and a client certificate of it, and another authority that signed nothing here."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=scratch.name))

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2", "-subj",
                f"/CN=zerospan test {name}")
    (directory / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "2", "-extfile", "san", "-out", f"{name}.crt")
    return directory


def mutual_tls():
    tls = certificates()
    client = ["--cert", tls / "client.crt", "--key", tls / "client.key"]
    with Collector(tls).start().wait_until_it_serves() as collector:
        for index, protocol in enumerate(PROTOCOLS):
            where = ["--protocol", protocol, "--endpoint", collector.endpoint(protocol, "https")]
            counters = harness.Probe(args.probe, *where, "--ca", tls / "ca.crt", *client, "--spans", 500).counters()
            assert counters["exported"] == 500, (protocol, counters)
            # Without a client certificate, and when the server's authority is not ours, nothing passes.
            for wrong in (["--ca", tls / "ca.crt"], ["--ca", tls / "other.crt", *client]):
                counters = harness.Probe(args.probe, *where, *wrong, "--spans", 50, "--flush-ms", 300,
                                         "--retry-initial-ms", 50).counters()
                assert counters["exported"] == 0, (protocol, wrong, counters)
                assert "failing: " in counters["log"], counters
            arrived = harness.numbers_of(collector.spans())
            assert arrived == {number: index + 1 for number in range(500)}, protocol


def collector_away_at_start():
    for protocol in PROTOCOLS:
        with Collector() as collector:
            probe = harness.Probe(args.probe, "--protocol", protocol, "--endpoint", collector.endpoint(protocol),
                                  "--spans", 2000, "--flush-ms", 30000, "--retry-initial-ms", 50,
                                  "--retry-max-interval-ms", 200)
            probe.wait_for_report("failing: ")
            collector.start()
            counters = probe.counters()
            assert counters["exported"] == 2000 and counters["retries"] > 0, (protocol, counters)
            collector.stop()
            assert harness.numbers_of(collector.spans()) == {number: 1 for number in range(2000)}, protocol


def collector_never_there():
    with Collector() as collector:  # its ports, but nobody listens
        for protocol in PROTOCOLS:
            counters = harness.Probe(args.probe, "--protocol", protocol, "--endpoint", collector.endpoint(protocol),
                                     "--spans", 40000, "--queue", 2000, "--flush-ms", 0).counters()
            assert counters["exported"] == 0 and counters["offered"] == 40000, (protocol, counters)
            assert counters["shutdown_seconds"] < 1, (protocol, counters)


def collector_killed_and_restarted_under_load():
    # The short queue overflows while the collector is away.
    for protocol, queue in (("grpc", 32768), ("grpc", 600), ("http/protobuf", 600), ("http/json", 600)):
        with Collector().start().wait_until_it_serves() as collector:
            total = 40000
            probe = harness.Probe(args.probe, "--protocol", protocol, "--endpoint", collector.endpoint(protocol),
                                  "--spans", total, "--rate", 10000, "--queue", queue, "--flush-ms", 30000,
                                  "--retry-initial-ms", 300, "--retry-max-interval-ms", 300)
            for _ in range(2):
                before = collector.span_count()
                harness.wait_for(lambda: collector.span_count() > before + 1000, "spans arrive")
                collector.stop(signal.SIGKILL)
                cut_last_line(collector.file)
                probe.wait_for_report("failing: ")
                collector.start()
                probe.wait_for_report("healthy: ")
            counters = probe.counters()
            collector.stop()
            arrived = harness.numbers_of(collector.spans())
            lost = total - len(arrived)
            print(f"  {protocol}, queue {queue}: {total} offered, {counters['exported']} exported, {counters['dropped_total']} dropped, "
                  f"{len(arrived)} arrived, {sum(arrived.values()) - len(arrived)} twice, {counters['retries']} retries")
            assert counters["offered"] == total, counters
            assert counters["retries"] > 0, counters
            assert (counters["dropped"]["queue_full"] > 0) == (queue == 600), counters
            # Nothing is lost without being counted.
            assert len(arrived) >= counters["exported"], (protocol, counters, len(arrived))
            assert lost <= counters["dropped_total"], (protocol, counters, lost)
            # A repeated request is what was in flight at a kill: at most one batch each time.
            assert sum(arrived.values()) - len(arrived) <= 2 * 512, protocol


def cut_last_line(path):
    """A killed writer can leave part of a line, which its successor would append to."""
    data = path.read_bytes()
    whole = data[:data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)


if __name__ == "__main__":
    shutil.which("openssl") or sys.exit("collector_test.py: the mTLS test needs openssl")
    sys.exit(harness.run([
        every_protocol_with_and_without_gzip,
        mutual_tls,
        collector_away_at_start,
        collector_never_there,
        collector_killed_and_restarted_under_load,
    ]))
