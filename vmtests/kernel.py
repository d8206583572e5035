# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Debian's kernels: fetched, checked and unpacked by apt's and dpkg's own tools into the cache folder. Nothing is installed, and
nothing outside of that folder is written: apt works on lists and a state of its own."""

import dataclasses
import lzma
import pathlib
import re
import shutil
import struct
import subprocess
import tarfile
import zlib

import debian
from debian import Unavailable

HERE = pathlib.Path(__file__).resolve().parent
# Debian's names of the processors that there are guests for.
AMD64, ARM64 = "amd64", "arm64"

# Of the modules those that a guest may ask for: the file systems of its root, network devices and whatever sockets, traffic control
# and packet filters load. A whole set is several hundred MB.
MODULES = re.compile(
    r"/kernel/(net|lib|crypto|arch|fs/(9p|netfs|fscache|overlayfs)|drivers/(virtio|net/(veth|dummy|tun)))\b|/modules\.[^/]*$")
IMAGE = re.compile(r"(^|/)(vmlinuz|config)(-[^/]*)?$")


@dataclasses.dataclass(frozen=True)
class Kernel:
    series: str
    architecture: str
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


def fetch(series, architecture=AMD64):
    """The kernel from the cache folder, else from Debian's mirror; several callers at once wait for the first. Raises Unavailable."""
    known = listed()
    if series not in known:
        raise Unavailable(f"{series} is not in {HERE / 'kernels'}, which has {', '.join(known)}")

    def make(work):
        _download(series, known[series][0], architecture, work)
        _unpack(architecture, work)

    target = debian.CACHE / (f"kernel-{series}" if architecture == AMD64 else f"kernel-{series}-{architecture}")
    return Kernel(series, architecture, debian.cached(target, f"kernel {series} for {architecture}", make))


def _download(series, suite, architecture, work):
    """The packages of the newest kernel of the series, into work/packages."""
    apt = debian.private_apt(work, [suite], architecture)
    # Of its flavours the plain one: not -rt-, and not -cloud-, which has no 9p.
    wanted = re.compile(rf"linux-image-({re.escape(series)}(?:\.[.\d]+)?(?:-\d+|\+[a-z0-9.]+)*-{architecture})")
    releases = [found[1] for found in map(wanted.fullmatch, apt("apt-cache", "pkgnames", "linux-image-").split()) if found]
    if not releases:
        raise Unavailable(f"the mirror has no kernel {series} for {architecture} in {suite}")
    release = max(releases, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
    # Since 6.19 what was one package is several.
    parts = [f"linux-{part}-{release}" for part in ("binary", "modules", "base")]
    known = set(apt("apt-cache", "pkgnames", "linux-").split())
    apt("apt-get", "download", f"linux-image-{release}", *(part for part in parts if part in known))


def _unpack(architecture, work):
    """Of work/packages: work/result with vmlinux, config, modules and the name of the release."""
    files, kernel = work / "files", work / "result"
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
    (kernel / "vmlinux").write_bytes(EXTRACT[architecture](image.read_bytes()))
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


def extract_arm64(image):
    """The file that QEMU boots (Documentation/arch/arm64/booting.rst), which Debian has as it is, or packed, or inside of a program for
    EFI that unpacks it (drivers/firmware/efi/libstub/zboot-header.S: offset and length of what is packed)."""
    if image[4:8] == b"zimg":
        offset, length = struct.unpack_from("<II", image, 8)
        image = image[offset:offset + length]
    kernel = decompress(image)
    if kernel[56:60] != b"ARM\x64":
        raise Unavailable(f"the kernel's image is none for arm64: {kernel[:8].hex()}")
    return kernel


EXTRACT = {AMD64: extract, ARM64: extract_arm64}


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
