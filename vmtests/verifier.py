#!/usr/bin/python3 -B
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What each BPF program costs the verifier, against what was recorded for the kernel's series in verifier/SERIES. As a program: of the
kernel that it runs on, or, where that series was not recorded, against the newest that was."""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE / "verifier"
GROWTH = 1.2
OLD = "_old"  # the end of the names of objects for kernels before 5.13
# Below it a program is far from every limit of the verifier (a million instructions), and 20 % of it are a few lines.
SMALL = (1000, 100)
NOT_EVERYWHERE = {"sock_event", "sock_fexit", "sock_kprobe", "io_uring"}  # objects without which another capture kind is used, or less is seen


def is_built(build):
    return (build / "vmtests" / "verifier_costs").exists()


def objects(build, release):
    """Those that zerospan loads on a kernel: of what is built twice, one (docs/decisions/0016-kernels-before-5-13.md)."""
    found = {file.name.removesuffix(".bpf.o"): file for file in (build / "bpf").glob("*.bpf.o")}
    old = {name for name in found if name.endswith(OLD)}
    before = tuple(map(int, re.match(r"(\d+)\.(\d+)", release).groups())) < (5, 13)
    return sorted(found[name] for name in found if (name + OLD not in old if before else name not in old))


def measure(build):
    """The output of verifier_costs for the objects of a build. Needs root."""
    done = subprocess.run([build / "vmtests" / "verifier_costs", *objects(build, os.uname().release)], capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout:
        raise AssertionError(f"verifier_costs ended with {done.returncode}: {done.stderr}")
    return done.stdout


def parse(text):
    """{(object, program): (instructions, states), or None if it was refused}."""
    costs = {}
    for line in text.splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            costs[words[0].removesuffix(OLD), words[1]] = None if words[2:] == ["refused"] else (int(words[2]), int(words[3]))
    return costs


def complaints(now, before, same_kernel=True):
    """What is not as recorded, and has to be looked at. Another kernel of the series may take what the recorded one refuses."""
    said = []
    for program in sorted(now.keys() | before.keys()):
        name = " ".join(program)
        if program not in before or program not in now:
            said.append(f"{name} is {'new' if program in now else 'gone'}")
        elif now[program] is None or before[program] is None:
            if now[program] != before[program] and (same_kernel or (now[program] is None and program[0] not in NOT_EVERYWHERE)):
                said.append(f"{name} {'is refused now' if now[program] is None else 'was refused, and is not now'}")
        else:
            said += [f"{name}: {after:,} {what}, recorded were {earlier:,}" for what, after, earlier, small in
                     zip(("instructions", "states"), now[program], before[program], SMALL) if after > GROWTH * max(earlier, small)]
    return said


def compare(text, series, record=False, same_kernel=True):
    """(passed, reason)."""
    file = RECORDED / series
    if record:
        RECORDED.mkdir(exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in sorted(text.splitlines())))
    if not file.exists():
        return False, f"nothing is recorded for {series}: vmtests/matrix {series} --record"
    said = complaints(parse(text), parse(file.read_text()), same_kernel)
    return not said, "; ".join(said) + f" (if that must be: vmtests/matrix {series} --record)" if said else ""


def nearest(release, recorded):
    """Of the recorded series the one of this release, else the newest."""
    series = re.match(r"\d+\.\d+", release).group()
    return series if series in recorded else max(recorded, key=lambda each: [int(number) for number in each.split(".")])


def main():
    series = nearest(os.uname().release, [file.name for file in RECORDED.iterdir()])
    build = pathlib.Path(os.environ.get("ZEROSPAN_BUILD", HERE.parent / "build" / "release"))
    passed, reason = compare(measure(build), series, same_kernel=False)
    print(f"{os.uname().release} against {series}: {'no program costs the verifier more' if passed else reason}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
