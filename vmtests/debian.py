# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Debian's packages, fetched and checked by a private apt: on lists and a state of its own, of any of Debian's suites and processors.
Nothing is installed, and nothing outside of the folder that is given is written."""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

CACHE = pathlib.Path(os.environ.get("ZEROSPAN_CACHE") or pathlib.Path.home() / ".cache" / "zerospan")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unavailable(Exception):
    """What cannot be had: not in a list, not on the mirror, or the mirror cannot be reached."""


def mirror(suite, files=None):
    """The address that this system's own apt uses for such a suite: security updates may come from another one."""
    security = suite.endswith("-security")
    places = files or [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        text = place.read_text() if place.exists() else ""
        if place.suffix == ".sources":
            stanzas = [dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M)) for stanza in re.split(r"\n\s*\n", text)]
            found = [(uri, name) for stanza in stanzas if "deb" in stanza.get("Types", "").split()
                     for uri in stanza.get("URIs", "").split() for name in stanza.get("Suites", "").split()]
        else:
            found = re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.M)
        for uri, name in found:
            if "debian" in uri and name.endswith("-security") == security:
                return uri
    raise Unavailable(f"apt's sources name no mirror of Debian for {suite}")


def private_apt(work, suites, architecture):
    """apt(program, *words) -> its output, after an update; `work` is an empty folder for its lists, its state, and work/packages."""
    for folder in ("lists/partial", "cache/archives/partial", "preferences", "packages"):
        (work / folder).mkdir(parents=True)
    sources, status = work / "sources.list", work / "status"
    sources.write_text("".join(f"deb [signed-by={KEYRING}] {mirror(suite)} {suite} main\n" for suite in suites))
    status.write_text("")
    settings = {"Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "/dev/null", "Dir::Etc::PreferencesParts": work / "preferences",
                "Dir::State": work, "Dir::State::Lists": work / "lists", "Dir::State::status": status, "Dir::Cache": work / "cache",
                "APT::Sandbox::User": "root", "Acquire::Languages": "none", "APT::Update::Error-Mode": "any",
                "APT::Architecture": architecture, "APT::Architectures": architecture}
    options = [f"--option={name}={value}" for name, value in settings.items()]

    def apt(program, *words):
        return subprocess.run([program, words[0], "-qq", *options, *words[1:]], cwd=work / "packages", check=True,
                              capture_output=True).stdout.decode()

    apt("apt-get", "update")
    return apt


def cached(target, what, make):
    """The folder `target` of the cache. If it is not there, make(work) fills work / "result"; several callers at once wait for the
    first. Raises Unavailable, with `what` that is."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            work = pathlib.Path(tempfile.mkdtemp(prefix="fetch.", dir=CACHE))
            try:
                make(work)
                (work / "result").rename(target)
            except subprocess.CalledProcessError as error:
                said = (error.stderr or b"").decode(errors="replace").strip()
                command = " ".join(map(str, error.cmd[:2]))
                raise Unavailable(f"{what}: {command} ended with {error.returncode}: {said[-1000:]}") from error
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return target
