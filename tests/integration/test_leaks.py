# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""A minute under load of the agent as the sanitizers build it: no leak, no error, nothing lost."""

import os
import subprocess
import unittest

import harness
import servers
import traffic

SECONDS = int(os.environ.get("ZEROSPAN_LEAK_SECONDS", "60"))


class Leaks(harness.Case):
    def test_no_leak(self):
        build = harness.ROOT / "build" / "asan"
        for command in (["cmake", "--preset", "asan"], ["cmake", "--build", build, "--target", "zerospan"]):
            subprocess.run(command, cwd=harness.ROOT, check=True, stdout=subprocess.DEVNULL)
        server = servers.nginx(self, backend=servers.go(self).port)
        original, harness.BINARY = harness.BINARY, build / "zerospan"
        self.addCleanup(setattr, harness, "BINARY", original)
        agent = self.agent("--pid", str(server.pid), env={"ASAN_OPTIONS": "detect_leaks=1"})
        deadline = harness.time.monotonic() + SECONDS
        while harness.time.monotonic() < deadline:
            traffic.wrk(f"http://127.0.0.1:{server.port}/proxy?size=10", 2, connections=16)
            traffic.wrk(f"http://127.0.0.1:{server.port}/fast", 1, connections=16, close=True)
        self.assertIsNone(agent.process.poll(), agent)
        # Exit code 0 says it too: a leak or an error makes it another.
        self.assertTrue(agent.interrupt(60))
        self.assertNotIn("Sanitizer", "\n".join(agent.errors))


if __name__ == "__main__":
    unittest.main(verbosity=2)
