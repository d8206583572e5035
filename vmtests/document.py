#!/usr/bin/python3 -B
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Writes the tables of docs/kernel-support.md anew, from what `matrix --record` has left in check/, verifier/ and results/. Each stands
between two comments; what is around them is written by hand."""

import pathlib
import re
import sys

import kernel as kernels
import verifier

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "kernel-support.md"
BLOCK = re.compile(r"(<!-- table: (\w+), by vmtests/document.py -->\n)(.*?)(<!-- end of table -->)", re.S)
KIND = re.compile(r"capture kind (\w+)")


def read(folder, series):
    file = HERE / folder / series
    return file.read_text().splitlines() if file.exists() else []


def check_rows(series):
    """{what a row is about, without its numbers: whether it says yes}, in its order."""
    return {found.group(2): found.group(1) == "yes" for found in (re.match(r"  (yes|NO) +(.*)", line) for line in read("check", series)) if found}


def results(series):
    """(the kernel and the day, [(verdict, test, reason)])."""
    lines = read("results", series)
    return (lines[0] if lines else ""), [(*line.partition(": ")[0].split("  ", 1), line.partition(": ")[2]) for line in lines[1:]]


def table(head, rows):
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def kernel_table():
    rows = []
    for series in kernels.listed():
        recorded, tests = results(series)
        verdicts = [verdict for verdict, *_ in tests]
        rows.append([
            f"{series} ({recorded})" if recorded else series,
            read("check", series)[-1].removeprefix("zerospan ").rstrip("."),
            ", ".join(f"`{kind}`" for row, yes in check_rows(series).items() if yes for kind in KIND.findall(row)) or "none",
            ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("passed", "failed", "not applicable") if verdict in verdicts)
            or "not recorded"])
    return table(["kernel", "`check`", "capture kinds", "checks and core tests"], rows)


def check_table():
    by_series = {series: check_rows(series) for series in kernels.listed()}
    names = list(dict.fromkeys(row for rows in by_series.values() for row in rows))
    return table(["line of `zerospan check`", *by_series],
                 [[name, *({True: "yes", False: "**no**", None: ""}[rows.get(name)] for rows in by_series.values())] for name in names])


def test_table():
    by_series = {series: {test: (verdict, reason) for verdict, test, reason in results(series)[1]} for series in kernels.listed()}
    by_series = {series: tests for series, tests in by_series.items() if tests}
    mark = {"passed": "passed", "failed": "**failed**", "not applicable": "-", "": ""}
    names = list(dict.fromkeys(test for tests in by_series.values() for test in tests))
    rows = [[f"`{name}`", *(mark[tests.get(name, ("", ""))[0]] for tests in by_series.values())] for name in names]
    failures = [f"- {series}, `{test}`: {reason.replace('|', '/')}\n" for series, tests in by_series.items()
                for test, (verdict, reason) in tests.items() if verdict == "failed"]
    return table(["test", *by_series], rows) + ("\nThe failures:\n\n" + "".join(failures) if failures else "")


def verifier_table():
    by_series = {series: verifier.parse("\n".join(read("verifier", series))) for series in kernels.listed()}
    by_series = {series: costs for series, costs in by_series.items() if costs}

    def cell(costs, program):
        if program not in costs:
            return ""
        return "refused" if costs[program] is None else "{:,} / {:,}".format(*costs[program])
    return table(["program", *by_series], [[f"`{name[1]}`", *(cell(costs, name) for costs in by_series.values())]
                                           for name in sorted({name for costs in by_series.values() for name in costs})])


TABLES = {"kernels": kernel_table, "check": check_table, "tests": test_table, "verifier": verifier_table}


def made(page):
    """The page with its tables as they should be."""
    return BLOCK.sub(lambda found: f"{found.group(1)}{TABLES[found.group(2)]()}{found.group(4)}", page)


def main():
    page = PAGE.read_text()
    found = [name for _, name, _, _ in BLOCK.findall(page)]
    if sorted(found) != sorted(TABLES):
        sys.exit(f"{PAGE} has the tables {found}, expected {list(TABLES)}")
    now = made(page)
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if now == page else f"{PAGE} is not what vmtests/check, verifier and results say: run vmtests/document.py")
    PAGE.write_text(now)


if __name__ == "__main__":
    main()
