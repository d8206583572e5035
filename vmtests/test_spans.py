#!/usr/bin/python3 -B
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The same traffic gives the same spans on this machine's kernel and on those that are marked core in the list (or VMTEST_KERNELS): as
many, of the same names, with the same parents."""

import json
import os
import re
import subprocess
import unittest

import test_conditions
from test_conditions import HERE, KERNELS, PYTHON, TIME_FACTOR, guest, kernels

COMMAND = [PYTHON, "-B", str(HERE / "spans.py"), "-v"]


def spans(case, status, said):
    found = re.search(r"^spans (\{.*\})$", said, re.M)
    case.assertTrue(status == 0 and found, said[-4000:])
    return json.loads(found.group(1))


class Spans(unittest.TestCase):
    maxDiff = None
    setUpClass = staticmethod(test_conditions.prepare)

    def test_same_as_here(self):
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=600)
        here = spans(self, done.returncode, done.stdout + done.stderr)
        self.assertGreater(sum(here.values()), 200)
        left_out = [series for series in KERNELS if not test_conditions.traces(series)]
        for series in KERNELS:
            if series not in left_out:
                with self.subTest(series):
                    environment = {**os.environ, "ZEROSPAN_TIME_FACTOR": str(TIME_FACTOR)}
                    result = guest.run(kernels.fetch(series), COMMAND, environment, 900)
                    there = spans(self, result.status, (result.stdout + result.stderr).decode(errors="replace"))
                    self.assertEqual(here, there)
                    print(f"\n{series}: the same {sum(here.values())} spans, of {len(here)} shapes", flush=True)
        if left_out:
            print(f"\nnot applicable on {', '.join(left_out)}: zerospan cannot trace there (vmtests/check)", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
