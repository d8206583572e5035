# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What `matrix` runs in a guest: `zerospan check`, what each program costs the verifier, then the tests of tests/integration that it
is given, as they are. Standard output has one JSON object a line, as soon as each is known, so that what a crash leaves is told; what
the tests themselves print is on standard error. Before that it is run on the host, as `cases.py --prepare BUILDS`: there compilers are quick,
and there is a network."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

import verifier

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
TEST_SECONDS = 600


def out_of_time(number, frame):
    raise AssertionError(f"not done in {TEST_SECONDS} s")


def tell(results, **what):
    print(json.dumps(what), file=results, flush=True)


def kind_in_use(check):
    """The capture kind: the one that is asked for, or else that which the check's last line names."""
    asked = os.environ.get("ZEROSPAN_CAPTURE_KIND", "auto")
    return asked if asked != "auto" else re.search(r"by capture kind (\w+)", check).group(1)


def applies(rows, kind, needs):
    """Whether the check's lines say yes to the one that begins so; "capture kind a b": whether one of these is in use."""
    if needs.startswith("capture kind "):
        return kind in needs.split()[2:]
    return not needs or any(row.split(None, 1)[0] == "yes" and row.split(None, 1)[1].startswith(needs) for row in rows)


def prepare(builds):
    """`builds`: of tests/programs/go_fan, by their names in test_go."""
    import harness
    import servers
    import test_go
    servers.built("go")
    servers.prepared("web")
    for name in builds:
        environment, flags = test_go.BUILDS[name]
        test_go.build_fan(harness.Case(), name, environment=environment, flags=flags)


def main():
    if sys.argv[1:2] == ["--prepare"]:
        prepare(sys.argv[2:])
        return
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, out_of_time)
    import harness  # after standard output is another
    check = subprocess.run([harness.BINARY, "check"], capture_output=True, text=True)
    tell(results, check=check.stdout + check.stderr, status=check.returncode)
    if verifier.is_built(harness.BUILD):
        tell(results, verifier=verifier.measure(harness.BUILD))
    if check.returncode != 0:
        return
    kind = kind_in_use(check.stdout)
    rows = [line for line in check.stdout.splitlines() if line.startswith(("  yes ", "  NO "))]
    for test in sys.argv[1:]:
        name, _, needs = test.partition(" ")
        needs = needs.strip("[]")
        if not applies(rows, kind, needs):
            reason = f"only by {needs}" if needs.startswith("capture kind ") else f"check: no {needs}"
            tell(results, test=name, verdict="not applicable", reason=reason)
            continue
        started = time.monotonic()
        signal.alarm(TEST_SECONDS)
        suite = unittest.defaultTestLoader.loadTestsFromName(name)
        outcome = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
        signal.alarm(0)
        if outcome.wasSuccessful() and outcome.skipped:
            tell(results, test=name, verdict="not applicable", reason=outcome.skipped[0][1])
            continue
        passed = outcome.wasSuccessful() and outcome.testsRun > 0
        said = [line for _, text in outcome.failures + outcome.errors for line in text.splitlines() if line[:1].isalpha()]
        tell(results, test=name, verdict="passed" if passed else "failed", seconds=round(time.monotonic() - started, 1),
             reason="" if passed else ([line for line in said if not line.startswith("Traceback")] or ["no test ran"])[0][:300])


main()
