#!/usr/bin/python3 -B
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Debian 12 for arm64 as a folder: what zerospan is built against there, and the root of an arm64 guest. Its packages are unpacked,
not installed: none of their scripts has run. Prints the folder."""

import hashlib
import os
import pathlib
import re
import subprocess
import sys

import debian

SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
# scripts/install-deps.sh, without the tools that run while it is built
BUILD = """libc6-dev libstdc++-12-dev libgcc-12-dev linux-libc-dev libbpf-dev libelf-dev zlib1g-dev libzstd-dev libzydis-dev libgrpc++-dev
    libprotobuf-dev libcurl4-openssl-dev libssl-dev libspdlog-dev libfmt-dev libexpected-dev prometheus-cpp-dev libcli11-dev
    libyaml-cpp-dev nlohmann-json3-dev libxxhash-dev libre2-dev libgtest-dev libgmock-dev libnghttp2-dev"""
# A shell and its tools, and the programs that the tests trace or ask with
GUEST = """base-files base-passwd bash busybox-static ca-certificates coreutils dash findutils gawk grep sed hostname iproute2 kmod mount
    ncurses-base procps util-linux python3 python3-requests python3-aiohttp curl nginx-light nodejs openssl netbase"""


def unpack(packages, root):
    root.mkdir()
    # As base-files and usrmerge leave it: a package that has /lib/x must not replace the link by a folder.
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in sorted(packages.glob("*.deb")):
        archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        subprocess.run(["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--exclude=./usr/share/doc",
                        "--exclude=./usr/share/man", "--exclude=./usr/share/locale", "-C", root], stdin=archive.stdout, check=True,
                       capture_output=True)
        if archive.wait() != 0:
            raise subprocess.CalledProcessError(archive.returncode, archive.args)


def finish(root):
    """What the packages' scripts would have done, as far as something here asks for it."""
    for name in ("passwd", "group"):
        (root / "etc" / name).write_bytes((root / "usr/share/base-passwd" / f"{name}.master").read_bytes())
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (root / "etc/hostname").write_text("arm64\n")
    # A link to /lib/... would lead a compiler out of the folder.
    for folder, names, files in os.walk(root):
        for path in (pathlib.Path(folder) / name for name in names + files):
            if path.is_symlink() and os.readlink(path).startswith("/"):
                target = os.path.relpath(root / os.readlink(path)[1:], os.path.realpath(folder))
                path.unlink()
                path.symlink_to(target)


def make(work):
    apt = debian.private_apt(work, SUITES, "arm64")
    apt("apt-get", "install", "--yes", "--download-only", "--no-install-recommends", f"--option=Dir::Cache::archives={work}/packages",
        *BUILD.split(), *GUEST.split())
    root = work / "result"
    unpack(work / "packages", root)
    finish(root)
    names = sorted(re.sub(r"_[^_]*\.deb$", "", path.name) for path in (work / "packages").glob("*.deb"))
    (root / "etc/zerospan-packages").write_text("".join(f"{name}\n" for name in names))


def fetch():
    """The folder from the cache, else made from Debian's mirror. Raises Unavailable."""
    version = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
    return debian.cached(debian.CACHE / f"root-arm64-{version}", "Debian for arm64", make)


if __name__ == "__main__":
    try:
        print(fetch())
    except debian.Unavailable as error:
        sys.exit(f"{sys.argv[0]}: {error}")
