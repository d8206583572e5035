# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Debian's kernels: fetched, checked and unpacked by apt's and dpkg's own tools into the cache folder. Nothing is installed, and
nothing outside of that folder is written: apt works on lists and a state of its own."""

import dataclasses
import fcntl
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("ZEROSPAN_CACHE") or pathlib.Path.home() / ".cache" / "zerospan")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Of the modules those that a guest may ask for: the file systems of its root, network devices and whatever sockets, traffic control
# and packet filters load. A whole set is several hundred MB.
MODULES = re.compile(
    r"/kernel/(net|lib|crypto|arch|fs/(9p|netfs|fscache|overlayfs)|drivers/(virtio|net/(veth|dummy|tun)))\b|/modules\.[^/]*$")
IMAGE = re.compile(r"(^|/)(vmlinuz|config)(-[^/]*)?$")


class Unavailable(Exception):
    """A kernel that cannot be had: not in the list, not on the mirror, or the mirror cannot be reached."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    series: str
    folder: pathlib.Path

    @property
    def release(self):
        return (self.folder / "release").read_text().strip()

    @property
    def image(self):
        return self.folder / "vmlinux"

    @property
    def modules(self):
        return self.folder / "modules"


def listed():
    """{series: the words behind it in the list}, in its order."""
    lines = [line.split() for line in (HERE / "kernels").read_text().splitlines() if line and not line.startswith("#")]
    return {line[0]: line[1:] for line in lines}


def fetch(series):
    """The kernel from the cache folder, else from Debian's mirror; several callers at once wait for the first. Raises Unavailable."""
    known = listed()
    if series not in known:
        raise Unavailable(f"{series} is not in {HERE / 'kernels'}, which has {', '.join(known)}")
    target = CACHE / f"kernel-{series}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"kernel-{series}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            work = pathlib.Path(tempfile.mkdtemp(prefix="kernel-fetch.", dir=CACHE))
            try:
                _download(series, known[series][0], work)
                _unpack(work)
                (work / "kernel").rename(target)
            except subprocess.CalledProcessError as error:
                said = (error.stderr or b"").decode(errors="replace").strip()
                raise Unavailable(f"kernel {series}: {' '.join(error.cmd[:2])} ended with {error.returncode}: {said[-1000:]}") from error
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return Kernel(series, target)


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


def _download(series, suite, work):
    """The packages of the newest kernel of the series, into work/packages."""
    for folder in ("lists/partial", "cache/archives/partial", "preferences", "packages"):
        (work / folder).mkdir(parents=True)
    sources = work / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror(suite)} {suite} main\n")
    settings = {"Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "/dev/null", "Dir::Etc::PreferencesParts": work / "preferences",
                "Dir::State": work, "Dir::State::Lists": work / "lists", "Dir::State::status": "/dev/null", "Dir::Cache": work / "cache",
                "APT::Sandbox::User": "root", "Acquire::Languages": "none", "APT::Update::Error-Mode": "any"}
    options = [f"--option={name}={value}" for name, value in settings.items()]

    def apt(program, *arguments):
        return subprocess.run([program, arguments[0], "-qq", *options, *arguments[1:]], cwd=work / "packages", check=True,
                              capture_output=True).stdout.decode()

    apt("apt-get", "update")
    # Of its flavours the plain one: not -rt-, and not -cloud-, which has no 9p.
    wanted = re.compile(rf"linux-image-({re.escape(series)}(?:\.[.\d]+)?(?:-\d+|\+[a-z0-9.]+)*-amd64)")
    releases = [found[1] for found in map(wanted.fullmatch, apt("apt-cache", "pkgnames", "linux-image-").split()) if found]
    if not releases:
        raise Unavailable(f"the mirror has no kernel {series} in {suite}")
    release = max(releases, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
    # Since 6.19 what was one package is several.
    parts = [f"linux-{part}-{release}" for part in ("binary", "modules", "base")]
    known = set(apt("apt-cache", "pkgnames", "linux-").split())
    apt("apt-get", "download", f"linux-image-{release}", *(part for part in parts if part in known))


def _unpack(work):
    """Of work/packages: work/kernel with vmlinux, config, modules and the name of the release."""
    files, kernel = work / "files", work / "kernel"
    kernel.mkdir()
    for package in sorted((work / "packages").glob("*.deb")):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as process:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    if member.isfile() and (MODULES.search(member.name) or IMAGE.search(member.name)):
                        archive.extract(member, files, set_attrs=False)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, ["dpkg-deb", "--fsys-tarfile"])
    modules = next(files.glob("**/lib/modules/*/kernel"), None)
    image = next(files.glob("**/vmlinuz*"), None)
    config = next(files.glob("**/config*"), None)
    if not modules or not image:
        raise Unavailable("the mirror no longer has all packages of this kernel: its image or its modules are missing")
    modules = modules.parent
    subprocess.run(["depmod", "-b", modules.parents[2], modules.name], check=True, capture_output=True)
    (kernel / "vmlinux").write_bytes(extract(image.read_bytes()))
    if config:
        shutil.copy(config, kernel / "config")
    (kernel / "release").write_text(modules.name + "\n")
    modules.rename(kernel / "modules")


def extract(image):
    """The ELF file inside of a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length). Booted
    directly, it saves the guest its own unpacking, which takes seconds under emulation."""
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start:start + length]
    kernel = decompress(payload)
    if not kernel.startswith(b"\x7fELF"):
        raise Unavailable(f"the kernel's image holds no ELF file: {kernel[:8].hex()}")
    return kernel


def decompress(data):
    """What xz, gzip or zstd has packed. What follows it (the kernel's own length, in an image) is left out."""
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31).decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        # zstd ends with an error at what is behind its frame, when it has written all of it.
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return data
