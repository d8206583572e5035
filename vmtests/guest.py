# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""One command in a virtual machine: another kernel on this machine's own root file system, which it sees read-only under a layer
in memory; on arm64 on a root of that processor's packages, with this machine's folders that the command is about at their places.
Without hardware support, by QEMU's emulation: it works wherever the tests run, and is some 30 times slower."""

import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import time

import arm64_root
import debian
import kernel as kernels

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = {"busybox": "busybox-static", "depmod": "kmod", "zstd": "zstd"}
# From the start of QEMU to the start of the command: 5 s on an idle machine, and it shares the machine.
BOOT_SECONDS = 240


@dataclasses.dataclass(frozen=True)
class Machine:
    package: str  # of Debian, with the emulator
    emulator: list[str]
    console: str

    @property
    def program(self):
        return self.emulator[0]


# What is left out of a processor only costs time where it is emulated.
MACHINES = {
    kernels.AMD64: Machine("qemu-system-x86", ["qemu-system-x86_64", "-M", "q35", "-cpu", "max,-smap,-la57"], "ttyS0"),
    kernels.ARM64: Machine("qemu-system-arm", ["qemu-system-aarch64", "-M", "virt", "-cpu", "neoverse-n1"], "ttyAMA0"),
}


@dataclasses.dataclass
class Result:
    status: int | None  # the command's; None if the guest gave none
    stdout: bytes
    stderr: bytes
    console: str  # what the kernel and QEMU said
    timed_out: bool  # the command was started, and did not end in its time
    tries: int = 1


def missing_packages(architecture=kernels.AMD64):
    machine = MACHINES[architecture]
    missing = [package for command, package in [(machine.program, machine.package), *PACKAGES.items()] if not shutil.which(command)]
    busybox = shutil.which("busybox")
    if busybox and b"/ld-linux" in pathlib.Path(busybox).read_bytes():
        missing.append("busybox-static")  # the one that is there needs libraries
    return missing


def run(kernel, command, environment, seconds, memory=2048, cpus=2, append="", count_instructions=False):
    """Boots, runs the command in the same directory, as root, and powers off. A guest that gave no status is tried once more, but
    not a command that did not end."""
    for tries in (1, 2):
        with tempfile.TemporaryDirectory(prefix="zerospan-vmtest-") as folder:
            result = _run(kernel, pathlib.Path(folder), command, environment, seconds, memory, cpus, append, count_instructions)
        result.tries = tries
        if result.status is not None or result.timed_out:
            break
    return result


def _run(kernel, folder, command, environment, seconds, memory, cpus, append, count_instructions):
    share = folder / "share"
    share.mkdir()
    (share / "start").write_text(_script(command, environment))
    machine = MACHINES[kernel.architecture]
    root, folders, shares = pathlib.Path("/"), [], []
    if kernel.architecture != kernels.AMD64:
        root = arm64_root.fetch()
        folders = _apart([HERE.parent, debian.CACHE, pathlib.Path(environment.get("ZEROSPAN_BUILD", HERE)), pathlib.Path.cwd()])
        shares = _plan9("host", "/", "readonly=on,multidevs=remap")
    (folder / "initramfs").write_bytes(initramfs(kernel, root, folders))
    console = folder / "console"
    arguments = [
        "setpriv", "--pdeathsig", "KILL",  # it does not outlive what waits for it
        *machine.emulator, "-nodefaults", "-display", "none", "-no-reboot",
        # Never KVM: that it can be opened does not mean that it boots such a kernel, or faster. One thread for all processors:
        # with more, QEMU 7.2 runs stale code where a kernel has patched itself, which is what attaching a probe is.
        "-accel", "tcg,thread=single,tb-size=512", "-m", str(memory), "-smp", str(cpus),
        "-kernel", kernel.image, "-initrd", folder / "initramfs", "-serial", f"file:{console}",
        "-append", f"console={machine.console} quiet panic=-1 oops=panic mitigations=off {append}",
        *_plan9("root", root, "readonly=on,multidevs=remap"), *shares, *_plan9("modules", kernel.modules, "readonly=on"),
        *_plan9("share", share, "writeout=immediate"),
        # Each instruction takes one nanosecond of all of the guest's clocks.
        *(("-icount", "shift=0,sleep=off") if count_instructions else ())]
    started, command_started, timed_out = time.monotonic(), None, False
    with open(folder / "qemu", "wb") as log:
        qemu = subprocess.Popen([str(part) for part in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while qemu.poll() is None:
            now = time.monotonic()
            if command_started is None and (share / "started").exists():
                command_started = now
            timed_out = command_started is not None and now - command_started > seconds
            if timed_out or (command_started is None and now - started > BOOT_SECONDS):
                break
            time.sleep(0.05)
    finally:
        qemu.kill()
        qemu.wait()
    status = share / "status"
    said = "".join(place.read_text(errors="replace") for place in (console, folder / "qemu") if place.exists())
    output = [place.read_bytes() if place.exists() else b"" for place in (share / "stdout", share / "stderr")]
    return Result(int(status.read_text()) if status.exists() else None, *output, said, timed_out and not status.exists())


def _apart(paths):
    """Without those that lie in another one, and what every system has of its own."""
    paths = sorted({path.resolve() for path in paths} - {pathlib.Path("/"), pathlib.Path("/tmp")})
    return [path for path in paths if not any(other in path.parents for other in paths)]


def _plan9(tag, path, options):
    return ["-fsdev", f"local,id={tag},path={path},security_model=none,{options}", "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def _script(command, environment):
    """What the guest runs as its first program on the host's root. The status appears whole or not at all."""
    words = " ".join(map(shlex.quote, command))
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()
                      if re.fullmatch(r"[A-Za-z_]\w*", name))
    return (f"{exports}ulimit -l unlimited\n: > /run/vmtest/started\n"
            f"(cd {shlex.quote(os.getcwd())} && {words}) < /dev/null > /run/vmtest/stdout 2> /run/vmtest/stderr\n"
            "echo $? > /run/vmtest/status.new\n/run/busybox mv /run/vmtest/status.new /run/vmtest/status\n"
            "/run/busybox poweroff -f\n")


def initramfs(kernel, root, host):
    """BusyBox, `init`, the modules without which the guest does not see its root, and the names of the folders that come from the host
    when the root does not; in cpio's format "newc" (the kernel's
    Documentation/driver-api/early-userspace/buffer-format.rst). Not compressed: unpacking costs more than loading."""
    order, modules = [], {}
    depends = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        name, _, needs = line.partition(":")
        depends[re.sub(r"\.ko(\.\w+)?$", "", name.rsplit("/", 1)[-1])] = [*reversed(needs.split()), name]
    for wanted in ("virtio_pci", "9pnet_virtio", "9p", "overlay"):
        for path in depends.get(wanted, []):  # otherwise it is built in
            name = re.sub(r"\.ko(\.\w+)?$", ".ko", path.rsplit("/", 1)[-1])
            if name not in modules:
                modules[name] = kernels.decompress((kernel.modules / path).read_bytes())
                order.append(name)
    folders = ("bin", "proc", "sys", "dev", "modules", "below", "layer", "root", "host")
    busybox = root / "bin/busybox" if host else pathlib.Path(shutil.which("busybox"))
    files = {"init": (HERE / "init").read_bytes(), "bin/busybox": busybox.read_bytes(),
             "modules/order": "".join(name + "\n" for name in order).encode(),
             "folders": "".join(f"{path}\n" for path in host).encode(),
             **{f"modules/{name}": data for name, data in modules.items()}}
    entries = [(name, 0o040755, b"") for name in folders] + [(name, 0o100755, data) for name, data in files.items()]
    archive = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")]):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        archive += b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
        archive += b"\0" * (-len(archive) % 4) + data
        archive += b"\0" * (-len(archive) % 4)
    return bytes(archive)
