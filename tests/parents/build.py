# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Builds the services of the parents benchmark that need more than an interpreter, once per version of their sources and commands, into
${ZEROSPAN_CACHE:-~/.cache/zerospan}. Several callers at once wait for the first."""

import fcntl
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NPM = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
COMMANDS = {
    "go": [["go", "build", "-o", "program", "."]],
    "node": [NPM],
    "java": [["mvn", "--batch-mode", "--quiet", "package"], ["sh", "-c", "mv target/service-1.jar target/dependency/"]],
    "rust": [["cargo", "build", "--release", "--locked", "--quiet"], ["sh", "-c", "mv target/release/program . && rm -r target"]],
    "cpp": [["sh", "-c", "c++ -std=c++20 -O1 -pthread -o service service.cc $(pkg-config --cflags --libs grpc++ libpq libcurl)"]],
    # A Java runtime that is newer than Debian's.
    "jdk": [["/usr/bin/python3", "-m", "venv", "tool"],
            ["tool/bin/pip", "install", "--quiet", "--target", ".", "--requirement", "requirements.txt"], ["rm", "-r", "tool"]],
}


class Failed(Exception):
    """What could not be built, and the compiler's last words."""


def run(name, command, folder):
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        raise Failed(f"{name}: {command[0]} is not installed (scripts/install-test-deps.sh --parents)") from None
    if done.returncode != 0:
        raise Failed(f"{name}: {' '.join(command)} failed: {(done.stderr + done.stdout).strip()[-2000:]}")


@functools.cache
def built(name):
    """The folder with a service's program; raises Failed."""
    source = HERE / name
    version = hashlib.sha256(repr(COMMANDS[name]).encode())
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        version.update(f"{path.relative_to(source)}\n".encode() + path.read_bytes())
    cache = pathlib.Path(os.environ.get("ZEROSPAN_CACHE") or pathlib.Path.home() / ".cache" / "zerospan")
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"parents-{name}-{version.hexdigest()[:12]}"
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix="parents-build-", dir=cache) as work:
                folder = pathlib.Path(work) / name
                shutil.copytree(source, folder)
                for command in COMMANDS[name]:
                    run(name, command, folder)
                folder.rename(target)
    return target


if __name__ == "__main__":
    for each in sys.argv[1:]:
        try:
            print(built(each))
        except Failed as error:
            raise SystemExit(str(error)) from None
