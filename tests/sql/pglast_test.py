# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The statement tokeniser against PostgreSQL's own scanner (libpg_query, by the Python package pglast): the same
literals, names and comments in hand-written and random statements, and nothing of a literal in the text.

    pglast_test.py SQL_DESCRIBE VENV
"""

import pathlib
import random
import re
import subprocess
import sys

describe, venv = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
python = venv / "bin" / "python"
try:
    import pglast
except ImportError:
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "pglast==8.7"], check=True)
    sys.exit(subprocess.run([python, "-B", *sys.argv]).returncode)

from pglast.parser import ParseError, scan

CONSTANTS = {"ICONST", "FCONST", "SCONST", "BCONST", "XCONST", "USCONST"}


def wanted(text):
    """What the scanner's tokens make of a statement."""
    data = text.encode()
    out, end, previous, before = "", 0, "", ""
    for token in scan(text):
        piece = text[token.start:token.end + 1]
        gap = token.start > end
        end = token.end + 1
        if token.name in ("C_COMMENT", "SQL_COMMENT"):
            gap_after = True
            out += "\0"
            continue
        shown = piece
        if token.name in CONSTANTS:
            shown = "U&?" if piece[:2].upper() == "U&" else "?"
        elif token.name in ("TRUE_P", "FALSE_P") and not (
                previous == "IS" or (previous == "NOT" and before == "IS")):
            shown = "?"
        if (gap or out.endswith("\0")) and out.rstrip("\0"):
            out = out.rstrip("\0") + " "
        out = out.rstrip("\0") + shown
        before, previous = previous, token.name
    out = out.rstrip("\0").strip()
    out = re.sub(r"\b(in) ?\(((?:[-+]?\s*(?:\?|\$\d+)\s*,\s*)+[-+]?\s*(?:\?|\$\d+))\)",
                 lambda m: m.group().split("(")[0] + "(?)", out, flags=re.I)
    # A bit string that goes on in another line is two of its tokens, without a gap.
    out = re.sub(r"\?\?+", "?", out)
    return re.sub(r"[\s;]+$", "", re.sub(r"; (?=;)", ";", re.sub(r"\s*;\s*", "; ", out)).strip())


def told(statements):
    joined = b"".join(statement.encode() + b"\0" for statement in statements)
    fields = subprocess.run([describe, "postgresql"], input=joined, capture_output=True, check=True).stdout
    texts = fields.decode().split("\0")[:-1]
    assert len(texts) == 2 * len(statements)
    return texts[::2]


HAND = [
    "SELECT 1", "SELECT 'it''s', E'a\\'b', e'\\\\', $$x$$, $a$ $$ $a$, B'01', x'1F', U&'\\0041'",
    "SELECT 'a'\n 'b', E'c'\n\t'd\\'e'", "SELECT 'a' -- c\n 'b'", "/* a /* b */ c */ SELECT -- x\n 1 /* y */",
    "SELECT a FROM t WHERE b IN (1, 2, 3) AND c = $1", "SELECT \"a'b\", \"c\"\"d\" FROM \"T\"",
    "SELECT 1.5e-3, .5, 12., 0x1F, 1_000, 1e5, 5-3, a-1, a[1:2]", "SELECT a::int, 'x'::text, x'1f'::bit(8)",
    "SELECT true, false, a IS TRUE, b IS NOT FALSE", "SELECT a.b.c, a . b, t.*, f($1, $2)",
    "SELECT '' , '''', ''''''", "INSERT INTO t VALUES ('a', 1), ('b', -2.5)", "SELECT 'a\\', b, 'c'",
    "COPY t FROM STDIN", "DO $do$ BEGIN RAISE NOTICE 'x'; END $do$", "SELECT é, 'é', \"é\" FROM ñ",
    "SELECT a ? b, a ?| b, a @> '{}', a #>> '{b}'", "UPDATE t SET a = 5; DELETE FROM t WHERE b = 'x';",
    "SELECT interval '1 day', date '2020-01-01', timestamp with time zone 'now'", "SELECT a$1, b$c FROM t",
]
PIECES = ["SELECT", "FROM", "WHERE", "a", "t1.b", "\"x y\"", "\"q\"\"r\"", "1", "42", "1.5", ".25", "1e10", "2.5e-3",
          "0xBEEF", "'secret'", "'it''s secret'", "''", "E'sec\\'ret'", "e'secret\\\\'", "$$secret$$", "$t$sec$$ret$t$",
          "B'0101'", "x'5ec'", "U&'secret'", "$1", "$23", "(", ")", ",", ";", "=", "<>", "||", "::", "+", "-", "*",
          "/* secret */", "/* a /* secret */ ' */", "-- it's secret\n", "IN (1, 'secret', 3)", "in ($1, $2)", "TRUE",
          "IS TRUE", "NULL", "été", "E", "B", "x", "u", "a$b", "[", "]", "<", "@>", "'secret'\n'secret'",
          "E'x'\n  '\\'secret'", "%", "&", "?"]
GAPS = [" ", " ", " ", "  ", "\n", "\t ", " /**/ ", " --\n"]


def main():
    randomness = random.Random(20261121)
    statements = list(HAND)
    while len(statements) < 40000:
        statements.append("".join(randomness.choice(PIECES) + randomness.choice(GAPS)
                                  for _ in range(randomness.randint(1, 14))))
    compared, different = 0, []
    for statement, text in zip(statements, told(statements)):
        try:
            expected = wanted(statement)
        except ParseError:
            continue
        compared += 1
        if text.rstrip("; ") != expected:
            different.append((statement, text, expected))
        if "secret" in text:
            different.append((statement, text, "no literal"))
    print(f"{compared} statements compared, {len(different)} differ")
    for statement, text, expected in different[:10]:
        print(f"statement {statement!r}\n  told     {text!r}\n  expected {expected!r}")
    return 0 if not different and compared > 20000 else 1


if __name__ == "__main__":
    sys.exit(main())
