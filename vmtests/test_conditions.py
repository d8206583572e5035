#!/usr/bin/python3 -B
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""conditions.py on the kernels that are marked core in the list, or on those of VMTEST_KERNELS. A kernel that zerospan cannot trace
on at all is left out, and that is said."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

import guest  # noqa: E402
import kernel as kernels  # noqa: E402

PYTHON = "/usr/bin/python3"
TIME_FACTOR = 10


def chosen():
    """VMTEST_KERNELS: some of the list, or all."""
    words = os.environ.get("VMTEST_KERNELS", "").split()
    listed = kernels.listed()
    return list(listed) if words == ["all"] else words or [series for series, marks in listed.items() if "core" in marks]


KERNELS = chosen()


def prepare():
    """What is compiled is compiled here: a guest is slow and has no network."""
    if missing := guest.missing_packages():
        raise AssertionError(f"these Debian packages are missing: {' '.join(missing)} (scripts/install-test-deps.sh --vm)")
    subprocess.run([PYTHON, "-B", HERE / "cases.py", "--prepare"], check=True)


def traces(series):
    """What a kernel can do at all is golden in check/."""
    return "cannot trace here" not in (HERE / "check" / series).read_text()


class Conditions(unittest.TestCase):
    """One guest for each that needs a boot of its own."""

    setUpClass = staticmethod(prepare)

    def run_all(self, *names, append=""):
        left_out = []
        for series in KERNELS:
            with self.subTest(series):
                kernel = kernels.fetch(series)
                other = next(name for name in kernels.listed() if name != series)
                environment = {**os.environ, "ZEROSPAN_TIME_FACTOR": str(TIME_FACTOR), "VMTEST_IMAGE": str(kernel.image),
                               "VMTEST_OTHER_IMAGE": str(kernels.fetch(other).image)}
                if not traces(series):
                    left_out.append(series)
                    continue
                command = [PYTHON, "-B", str(HERE / "conditions.py"), "-v", *names]
                result = guest.run(kernel, command, environment, 1500, append=append)
                said = result.stdout.decode(errors="replace") + result.stderr.decode(errors="replace")
                print(f"\n{kernel.release} {append}: " + ", ".join(
                    f"{name} {verdict}" for name, verdict in re.findall(r"^(test_\w+) \(.*?(ok|FAIL|ERROR)$", said, re.M | re.S)),
                    flush=True)
                self.assertEqual(0, result.status, f"{said[-6000:]}\n{result.console[-2000:] if result.status is None else ''}")
                self.assertNotRegex(result.console, r"(?m)(BUG:|Oops|WARNING: )")
        if left_out:
            print(f"\nnot applicable on {', '.join(left_out)}: zerospan cannot trace there (vmtests/check)", flush=True)

    def test_as_usual(self):
        self.run_all("Plain", "BtfToBeSeen")

    def test_btf(self):
        self.run_all("Btf")

    def test_perf_event_paranoid(self):
        self.run_all("Paranoid")

    def test_capabilities(self):
        self.run_all("Capabilities")

    def test_seccomp(self):
        self.run_all("Seccomp")

    def test_lockdown_integrity(self):
        self.run_all("Lockdown.test_integrity", append="lockdown=integrity")

    def test_lockdown_confidentiality(self):
        self.run_all("Lockdown.test_confidentiality", append="lockdown=confidentiality")


if __name__ == "__main__":
    unittest.main(verbosity=2)
