# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What vmtests does with its files, without a guest: the comparison of the verifier's costs, and that docs/kernel-support.md is not
stale."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import document  # noqa: E402
import verifier  # noqa: E402

loader = importlib.machinery.SourceFileLoader("matrix", str(HERE / "matrix"))
matrix = importlib.util.module_from_spec(importlib.util.spec_from_loader("matrix", loader))
loader.exec_module(matrix)


class Verifier(unittest.TestCase):
    COSTS = "socket big 100000 5000\nsocket small 20 2\nsocket gone refused\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.enterContext(mock.patch.object(verifier, "RECORDED", pathlib.Path(folder.name) / "verifier"))

    def says(self, *replace):
        self.assertTrue(verifier.compare(self.COSTS, "6.1", record=True)[0])
        return verifier.compare(self.COSTS.replace(*replace), "6.1")

    def test_the_same(self):
        self.assertEqual((True, ""), self.says("none", ""))

    def test_growth(self):
        """A fifth is too much, of instructions and of states; what is small may grow, and all may shrink."""
        for before, after, passes in (("100000 ", "120000 ", True), ("100000 ", "120001 ", False), ("5000", "6000", True),
                                      ("5000", "6001", False), (" 20 ", " 1200 ", True), (" 20 ", " 1201 ", False), ("100000 ", "1 ", True)):
            with self.subTest(after):
                passed, reason = self.says(before, after)
                self.assertEqual(passes, passed, reason)
                self.assertEqual(passes, "--record" not in reason)

    def test_refused_new_and_gone(self):
        for before, after, reason in (("small 20 2", "small refused", "socket small is refused now"), ("gone refused", "gone 1 1", "was refused"),
                                      ("small", "other", "socket other is new; socket small is gone")):
            passed, said = self.says(before, after)
            self.assertFalse(passed)
            self.assertIn(reason, said)

    def test_another_kernel_of_the_series(self):
        """It may take more, but not less."""
        self.assertTrue(verifier.compare(self.COSTS, "6.1", record=True)[0])
        for before, after, passes in (("gone refused", "gone 1 1", True), ("small 20 2", "small refused", False)):
            self.assertEqual(passes, verifier.compare(self.COSTS.replace(before, after), "6.1", same_kernel=False)[0])

    def test_not_recorded(self):
        passed, reason = verifier.compare(self.COSTS, "5.4")
        self.assertFalse(passed)
        self.assertIn("vmtests/matrix 5.4 --record", reason)

    def test_which_series(self):
        recorded = ["5.10", "6.1", "6.18", "7.2"]
        self.assertEqual(["6.18", "6.1", "7.2", "7.2"],
                         [verifier.nearest(release, recorded) for release in ("6.18.44-x", "6.1.0-9-amd64", "6.19.3", "8.0")])

    def test_which_objects(self):
        """Of those that are built twice the one that the kernel gets; they are one program to compare."""
        with tempfile.TemporaryDirectory() as build:
            (pathlib.Path(build) / "bpf").mkdir()
            for name in ("once", "twice", "twice_old"):
                (pathlib.Path(build) / "bpf" / f"{name}.bpf.o").touch()
            for release, names in (("5.10.0-46-amd64", ["once", "twice_old"]), ("5.12.19", ["once", "twice_old"]), ("5.13.0", ["once", "twice"]),
                                   ("6.1.0-9-amd64", ["once", "twice"])):
                found = verifier.objects(pathlib.Path(build), release)
                self.assertEqual([f"{name}.bpf.o" for name in names], [file.name for file in found])
        self.assertEqual({("twice", "program"): (1, 2)}, verifier.parse("twice_old program 1 2\n"))


class Page(unittest.TestCase):
    def test_is_not_stale(self):
        page = document.PAGE.read_text()
        self.assertEqual(sorted(document.TABLES), sorted(name for _, name, _, _ in document.BLOCK.findall(page)))
        self.assertEqual(document.made(page), page, "run vmtests/document.py")

    def test_results_are_read_as_they_were_written(self):
        rows = [("zerospan check", "passed", "can trace", 0), ("a.b", "failed", "1 != 2: [(3, 4)]", 5), ("c.d", "not applicable", "check: no e", 0)]
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            (place / "release").write_text("6.1.0-9-amd64\n")
            with mock.patch.object(matrix, "HERE", place), mock.patch.object(document, "HERE", place):
                matrix.write_results(matrix.kernels.Kernel("6.1", matrix.kernels.AMD64, place), rows)
                title, told = document.results("6.1")
        self.assertRegex(title, r"^6\.1\.0-9-amd64, \d{4}-\d\d-\d\d$")
        self.assertEqual([("passed", "zerospan check", ""), ("failed", "a.b", "1 != 2: [(3, 4)]"), ("not applicable", "c.d", "check: no e")], told)

    def test_tables_follow_the_files(self):
        """What is in the files is what stands in the tables."""
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            for name, text in (("check/6.1", "Kernel 6.1\n  yes  one (capture kind syscall, x)\n  NO   two\nzerospan can trace here.\n"),
                               ("verifier/6.1", "a b 1234 5\na c refused\n"),
                               ("results/6.1", "6.1.0, 2026-01-02\npassed  zerospan check\nfailed  a.b.c: 1 != 2: x\n")):
                (place / name).parent.mkdir(exist_ok=True)
                (place / name).write_text(text)
            with mock.patch.object(document, "HERE", place), mock.patch.object(document.kernels, "listed", return_value={"6.1": []}):
                self.assertIn("| 6.1 (6.1.0, 2026-01-02) | can trace here | `syscall` | 1 passed, 1 failed |", document.kernel_table())
                self.assertIn("| two | **no** |", document.check_table())
                self.assertIn("| `a.b.c` | **failed** |", document.test_table())
                self.assertIn("- 6.1, `a.b.c`: 1 != 2: x\n", document.test_table())
                self.assertIn("| `b` | 1,234 / 5 |\n| `c` | refused |", document.verifier_table())


if __name__ == "__main__":
    unittest.main(verbosity=2)
