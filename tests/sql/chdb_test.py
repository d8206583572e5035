# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The statement tokeniser against ClickHouse's own lexer (by normalizeQueryKeepNames of the Python package chdb): what that takes for a
literal or a comment, in hand-written and random statements, is not in the text. Of the hand-written ones the rest is. A statement in which that lexer
finds an error, and so ends, is not compared.

    chdb_test.py SQL_DESCRIBE VENV
"""

import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

describe, venv = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
python = venv / "bin" / "python"
try:
    import chdb
except ImportError:
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "chdb-core==26.9.0"], check=True)
    sys.exit(subprocess.run([python, "-B", *sys.argv]).returncode)

HAND = [
    "SELECT Wa, 'Wb', \"Wc\", `Wd` FROM We", "SELECT 'Wa''Wb', 'Wc\\'Wd', Wf FROM Wg",
    "SELECT Wa -- Wb\n, Wc /* Wd */, We // Wf\n, Wg # Wh\n", "SELECT `a\\`Wb`, \"c\\\" 'Wd\", Wf",
    "SELECT $$Wa$$, $t$ 'Wb $$ $t$, Wc", "SELECT 0x1F, 1e-3, inf, Wa.1.2, [1, 'Wb'], {Wc:UInt8}",
    "SELECT Wa a -> b, Wc ? 'Wd' : We", "SELECT x'41', b'01', 'Wa' Wb", "INSERT INTO Wa (Wb) SELECT 'Wc' FROM Wd FORMAT We",
    "CREATE USER Wa IDENTIFIED BY 'Wb'", "SELECT Wa$b, c$Wd, Wf$", "SELECT '\\\\', Wa, '\\\\\\'Wb'", "SELECT (Wa), '(Wb'", "",
]
PIECES = [
    "SELECT", "FROM", ",", ";", "(", ")", "[", "]", "{", "}", "W", "W", "t.W", "W.1", "'W'", "'W", "W'", "'it''s W'", "'W\\'W'",
    "'\\\\'", "\"W\"", "\"W\\\"W\"", "\"it's W\"", "`W`", "`W\\`'W`", "`W``W`", "$$W$$", "$$", "$t$W$t$", "$t$", "$", "$W", "$ W$",
    "$W '$", "a$W", "--W\n", "-- it's W\n", "//W\n", "// it's W\r W\n", "# W\n", "#! it's W\n", "#W\n", "/* W */", "/* it's W */",
    "/*", "*/", "‘W’", "‘it's W’", "‘", "“W”", "“", "x'4", "x'41'", "b'01'", "E'W\\'W'", "N'W'", "1", "0x", "0x1p-3", "1e", "1_0",
    ".5", "a.5", "\\", "\"", "`", "'", "\\'", "->", "::", "?", "|", "@", "é", "\u00a0", "\u2212",
]
GAPS = ["", "", " ", " ", "\n", "\t", "\r"]


END = "\nthe_end"


def marked(text, counter=[0]):
    """Each W becomes a word of its own."""
    def word(match):
        counter[0] += 1
        number, letters = counter[0] % 20000, ""
        for _ in range(4):
            letters += chr(ord("a") + number % 26)
            number //= 26
        return f"zw{letters}"
    return re.sub("W", word, text)


def words(text):
    return set(re.findall(r"zw[a-z]{4}", text))


def told(statements):
    joined = b"".join(statement.encode() + b"\0" for statement in statements)
    fields = subprocess.run([describe, "clickhouse"], input=joined, capture_output=True, check=True).stdout
    texts = fields.decode(errors="replace").split("\0")[:-1]
    assert len(texts) == 2 * len(statements)
    return [text + " " + summary for text, summary in zip(texts[::2], texts[1::2])]


def normalized(statements):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for statement in statements:
            file.write(json.dumps({"s": statement}) + "\n")
        file.flush()
        answer = chdb.query(f"SELECT normalizeQueryKeepNames(s) AS t FROM file('{file.name}', JSONEachRow, 's String')",
                            "JSONEachRow")
        return [json.loads(line)["t"] for line in str(answer).splitlines()]


def main():
    randomness = random.Random(20261122)
    statements = [marked(statement) + END for statement in HAND]
    while len(statements) < 60000:
        statements.append(marked("".join(randomness.choice(PIECES) + randomness.choice(GAPS)
                                         for _ in range(randomness.randint(1, 14)))) + END)
    texts, theirs = told(statements), normalized(statements)
    assert len(theirs) == len(statements), len(theirs)
    wrong, compared, shown, kept = [], 0, 0, 0
    for number, (statement, text, their) in enumerate(zip(statements, texts, theirs)):
        if END.strip() not in their:
            continue
        ours, allowed = words(text), words(their)
        compared += 1
        shown += len(ours)
        kept += len(allowed)
        if ours - allowed or (number < len(HAND) and ours != allowed):
            wrong.append((statement, text, their))
    print(f"{compared} of {len(statements)} statements compared, {len(wrong)} wrong; {shown} of {kept} words shown")
    for statement, text, their in wrong[:10]:
        print(f"statement {statement!r}\n  told     {text!r}\n  theirs   {their!r}")
    return 0 if not wrong and compared > 20000 and shown > kept / 2 else 1


if __name__ == "__main__":
    sys.exit(main())
