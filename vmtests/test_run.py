# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""vmtests/run itself, with real guests, and what it reads from files. VMTEST_KERNEL: on another kernel than 6.1."""

import gzip
import importlib.machinery
import importlib.util
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import debian  # noqa: E402
import guest  # noqa: E402
import kernel as kernels  # noqa: E402

loader = importlib.machinery.SourceFileLoader("matrix", str(HERE / "matrix"))
matrix = importlib.util.module_from_spec(importlib.util.spec_from_loader("matrix", loader))
loader.exec_module(matrix)

KERNEL = os.environ.get("VMTEST_KERNEL", "6.1")


def run(*arguments, kernel=KERNEL, cwd=None, **environment):
    return subprocess.run([HERE / "run", kernel, *arguments], capture_output=True, text=True, cwd=cwd, timeout=900,
                          env={**os.environ, **environment})


class Guests(unittest.TestCase):
    def test_status_and_output(self):
        done = run("--", "sh", "-c", "echo out; echo error >&2; exit 7")
        self.assertEqual((7, "out\n", "error\n"), (done.returncode, done.stdout, done.stderr))

    def test_what_the_guest_is(self):
        """Its kernel; this machine's files, which it cannot change; the same directory, words and environment; what is mounted."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "file"
            file.write_text("from the host\n")
            script = ('uname -r; pwd; cat file; echo changed > file; cat file; echo "$1|$WORD"; id -u; nproc; '
                      'for at in /sys/fs/cgroup /sys/fs/bpf /sys/kernel/tracing /sys/kernel/security; do stat -f -c %T "$at"; done; '
                      'modprobe veth && echo veth; cat /sys/kernel/security/lockdown; ls /sys/kernel/btf/vmlinux')
            done = run("--", "sh", "-c", script, "sh", "one 'word' $HOME", cwd=folder, WORD='a "b"\n\'c\'')
            self.assertEqual("from the host\n", file.read_text())
        release = kernels.fetch(KERNEL).release
        self.assertEqual(("", 0), (done.stderr, done.returncode))
        self.assertEqual([release, folder, "from the host", "changed", "one 'word' $HOME|a \"b\"", "'c'", "0", "2", "cgroup2fs", "bpf_fs",
                          "tracefs", "securityfs", "veth", "[none] integrity confidentiality", "/sys/kernel/btf/vmlinux"],
                         done.stdout.splitlines())

    def test_success_with_nothing_said(self):
        done = run("--cpus=1", "--append=lockdown=integrity", "--", "grep", "-q", r"\[integrity\]", "/sys/kernel/security/lockdown")
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))

    def test_panic(self):
        """Tried once more, which is said; the console's last lines are shown, and what the command wrote before."""
        done = run("--", "sh", "-c", "echo before; echo c > /proc/sysrq-trigger; sleep 1000")
        self.assertEqual((125, "before\n"), (done.returncode, done.stdout))
        self.assertRegex(done.stderr, "the first guest with .* gave no status; this was the second")
        self.assertIn("sysrq triggered crash", done.stderr)

    def test_command_that_does_not_end(self):
        done = run("--timeout=3", "--", "sh", "-c", "echo before; exec sleep 1000")
        self.assertEqual((124, "before\n"), (done.returncode, done.stdout))
        self.assertRegex(done.stderr, "did not end in 3 s")
        self.assertNotIn("second", done.stderr)


class Arm64Guests(unittest.TestCase):
    def test_what_the_guest_is(self):
        """Another processor and its own packages; of this machine the folders that the command is about, which it cannot change."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "file"
            file.write_text("from the host\n")
            script = (f'uname -m; pwd; cat file; echo changed > file; cat file; echo "$1"; cmp {HERE}/run {HERE}/run && echo tree; '
                      '/usr/bin/python3 -c "import platform; print(platform.machine())"; ls /sys/kernel/btf/vmlinux; exit 7')
            done = run("--arch=arm64", "--", "sh", "-c", script, "sh", "one 'word'", kernel="6.18", cwd=folder)
            self.assertEqual("from the host\n", file.read_text())
        self.assertEqual(("", 7), (done.stderr, done.returncode))
        self.assertEqual(["aarch64", folder, "from the host", "changed", "one 'word'", "tree", "aarch64", "/sys/kernel/btf/vmlinux"],
                         done.stdout.splitlines())


class WithoutGuests(unittest.TestCase):
    def test_images_of_arm64(self):
        image = bytes(56) + b"ARM\x64" + bytes(100)
        packed = gzip.compress(image)
        efi = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + bytes(48) + packed + b"behind it"
        for given in (image, packed, efi):
            self.assertEqual(image, kernels.extract_arm64(given))
        with self.assertRaises(kernels.Unavailable):
            kernels.extract_arm64(b"\x7fELF" + bytes(100))

    def test_folders_that_lie_in_another_one(self):
        a = pathlib.Path("/nowhere/a")
        self.assertEqual([a, a.parent / "ab"], guest._apart([a / "b", a, a.parent / "ab", a, pathlib.Path("/"), pathlib.Path("/tmp")]))

    def test_unknown_kernel(self):
        done = run("--", "true", kernel="2.4")
        self.assertEqual((123, ""), (done.returncode, done.stdout))
        self.assertIn("2.4 is not in", done.stderr)

    def test_kernel_that_the_mirror_has_not(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(debian, "CACHE", pathlib.Path(folder)):
            for listed, why in (({"9.99": ["bookworm"]}, "has no kernel 9.99 for amd64 in bookworm"), ({"6.1": ["nowhere"]}, "apt-get update")):
                with mock.patch.object(kernels, "listed", return_value=listed), self.assertRaisesRegex(kernels.Unavailable, why):
                    kernels.fetch(*listed)
            self.assertEqual([], list(pathlib.Path(folder).glob("fetch.*")))

    def test_missing_packages(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("--", "true", PATH=folder)
        self.assertEqual((122, ""), (done.returncode, done.stdout))
        self.assertIn("qemu-system-x86 busybox-static kmod", done.stderr)

    def test_no_command(self):
        self.assertEqual(2, run("true").returncode)

    def test_mirrors(self):
        deb822 = ("# http://not.example/\nTypes: deb deb-src\nURIs: http://one.example/debian\nSuites: bookworm bookworm-updates\n\n"
                  "Types: deb\nURIs: http://two.example/debian-security/\nSuites: bookworm-security\n")
        lines = ("# deb http://not.example/debian bookworm main\ndeb-src http://not.example/debian bookworm main\n"
                 "deb http://other.example/tool stable main\n"
                 "deb [signed-by=/k arch=amd64] http://one.example/debian bookworm main\n"
                 "deb http://two.example/debian-security/ bookworm-security main\n")
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.sources", deb822), ("sources.list", lines)):
                file = pathlib.Path(folder) / name
                file.write_text(text)
                with self.subTest(name):
                    self.assertEqual("http://one.example/debian", debian.mirror("trixie-backports", [file]))
                    self.assertEqual("http://two.example/debian-security/", debian.mirror("bullseye-security", [file]))
            with self.assertRaises(kernels.Unavailable):
                debian.mirror("trixie", [pathlib.Path(folder) / "none"])

    def test_what_is_compared_of_the_check(self):
        """Not the release, nor what the loader and the verifier say; but every verdict."""
        said = ("Kernel 6.1.0-9-amd64, lockdown none, user id 0\n\n  yes  muting\n  NO   uprobes\n       without them: No such process; "
                "refused (libbpf: prog 'a': failed\nlibbpf: 1: R1=ctx()\n       R2=2)\n  yes  more\n\nzerospan can trace here.\n")
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "release").write_text("6.1.0-9-amd64\n")
            (pathlib.Path(folder) / "check").mkdir()
            kernel = kernels.Kernel("6.1", kernels.AMD64, pathlib.Path(folder))
            self.assertEqual("Kernel 6.1, lockdown none, user id 0\n  yes  muting\n  NO   uprobes\n       without them: No such process; "
                             "refused\n  yes  more\nzerospan can trace here.\n", matrix.stable(said, kernel))
            with mock.patch.object(matrix, "HERE", pathlib.Path(folder)), mock.patch.object(matrix, "ROOT", pathlib.Path(folder)):
                self.assertEqual("failed", matrix.compare(said, kernel, record=False)[0])  # there is no file yet
                self.assertEqual("passed", matrix.compare(said, kernel, record=True)[0])
                self.assertEqual("passed", matrix.compare(said.replace("R1=ctx()", "R1=2"), kernel, record=False)[0])
                self.assertEqual("failed", matrix.compare(said.replace("yes  muting", "NO   muting"), kernel, record=False)[0])

    def test_columns(self):
        """A column for the kind that a kernel chooses, with all of them one for each other, too; and what it has not, with the reason."""
        check = ("  yes  kernel BTF\n  NO   tracepoints (capture kind tracepoint, kernel 6.3+)\n       without them: no\n"
                 "  yes  ends (capture kind fentry)\n  yes  exit (capture kind syscall)\n")
        found = matrix.kinds(check)
        self.assertEqual({"tracepoint": False, "fentry": True, "syscall": True}, found)
        self.assertEqual({}, matrix.kinds(""))
        asked = []

        def run(series, kind, tests, options):
            asked.append((series, kind))
            return (found if series == "6.1" else {}), [("zerospan check", "passed", "", 0)]

        with mock.patch.object(matrix, "run", run):
            for every, wanted in ((False, ["5.10 -", "6.1 fentry"]), (True, ["5.10 -", "6.1 fentry", "6.1 tracepoint", "6.1 syscall"])):
                asked.clear()
                columns = matrix.run_all(["5.10", "6.1"], [], mock.Mock(all=False, kinds=every))
                self.assertEqual(wanted, list(columns))
                self.assertEqual({("5.10", None), ("6.1", None)} | ({("6.1", "syscall")} if every else set()), set(asked))
        self.assertEqual([("zerospan check", "not applicable", "check: no capture kind tracepoint", 0)], columns["6.1 tracepoint"])

    def test_initial_file_system(self):
        """As BusyBox's own cpio reads it; modules after those that they need."""
        kernel = kernels.fetch(KERNEL)
        with tempfile.TemporaryDirectory() as folder:
            archive = guest.initramfs(kernel, pathlib.Path("/"), [])
            subprocess.run(["busybox", "cpio", "-id"], input=archive, cwd=folder, check=True, capture_output=True)
            at = pathlib.Path(folder)
            self.assertEqual((HERE / "init").read_bytes(), (at / "init").read_bytes())
            self.assertTrue(os.access(at / "bin" / "busybox", os.X_OK))
            order = (at / "modules" / "order").read_text().split()
            self.assertEqual(set(order), {file.name for file in (at / "modules").glob("*.ko")})
            for name in order:
                self.assertTrue((at / "modules" / name).read_bytes().startswith(b"\x7fELF"), name)
            self.assertLess(order.index("9pnet.ko"), order.index("9p.ko"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
