# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What was recorded gives the same spans again: byte for byte, on any machine, without root."""

import subprocess
import unittest

import harness
import servers
import traffic


class Replay(harness.Case):
    def replay(self, recording, *command, form="otlp-json"):
        done = subprocess.run([*command, harness.BINARY, "replay", recording, f"--format={form}"],
                              capture_output=True, timeout=60)
        self.assertEqual(0, done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout

    def test_same_bytes_without_root(self):
        self.need("setpriv")
        server = servers.nginx(self, backend=servers.go(self).port)
        recording = self.directory / "recording.zspan"
        live = self.directory / "live.jsonl"
        agent = self.agent("--pid", str(server.pid), "--output", str(recording), "--spans", str(live),
                           command="record")
        requests = traffic.mixed(server, 100)
        traffic.run_mixed(server, requests)
        targets = [traffic.with_id("/proxy?delay=5") for _ in range(50)]
        traffic.concurrent_gets(server.port, targets, 50)
        agent.end()
        recording.chmod(0o644)

        # Workers write as they come: the order of lines between them is no promise.
        self.assertEqual(sorted(live.read_bytes().splitlines()),
                         sorted(self.replay(recording, form="json").splitlines()))
        first = self.replay(recording)
        # The binary may lie where only root can enter: a copy of it beside the recording.
        unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
        self.assertEqual(first, self.replay(recording))
        binary = self.directory / "zerospan"
        binary.write_bytes(harness.BINARY.read_bytes())
        binary.chmod(0o755)
        original, harness.BINARY = harness.BINARY, binary
        try:
            self.assertEqual(first, self.replay(recording, *unprivileged))
        finally:
            harness.BINARY = original

        spans = harness.parse_spans(first.decode())
        wanted = {request.id for request in requests} | {harness.id_of(target) for target in targets}
        self.assertEqual(sorted(wanted), sorted(s.id for s in spans if s.kind == harness.SERVER))
        self.assertEqual(len(targets), sum(span.kind == harness.CLIENT for span in spans))

    def test_damaged_recording_is_an_error(self):
        recording = self.directory / "damaged.zspan"
        recording.write_bytes(b"not a recording at all" * 10)
        done = subprocess.run([harness.BINARY, "replay", recording, "--format=otlp-json"], capture_output=True,
                              timeout=60, text=True)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("damaged.zspan", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
