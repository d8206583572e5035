# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""MariaDB with its own client, PyMySQL and MySQL's connector for Python. The oracle is the server's general log: each
statement there has exactly one span with the same text without literals; and its log of errors."""

import collections
import subprocess
import unittest

import databases
import harness
from harness import CLIENT, SERVER


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = databases.Mariadb(self)

    def check(self, spans, agent, kind, least):
        lines, refused, errors = self.server.logged()
        self.assertGreaterEqual(len(lines), least)
        lines += refused
        ours = [span for span in spans if span.kind == kind and "general_log" not in str(span.attributes)]
        wanted = collections.Counter(databases.sanitized(line.text, databases.MYSQL_TOKEN) for line in lines)
        # The last word of a statement that is longer than what is captured is not known.
        seen = collections.Counter(span.attributes.get("db.query.text", "").rstrip("; ") for span in ours
                                   if span.attributes.get("zerospan.incomplete") != ["head_truncated"])
        cut = [span for span in ours if span.attributes.get("zerospan.incomplete") == ["head_truncated"]]
        self.assertEqual({}, agent.lost())
        missing, surplus = wanted - seen, seen - wanted
        self.assertEqual(len(cut), sum(missing.values()), (missing, surplus))
        self.assertEqual({}, dict(surplus), missing)
        self.assertEqual(errors, collections.Counter(
            span.attributes["db.response.status_code"] for span in ours if span.status == 2))
        for span in ours:
            self.assertNotIn("secret", str(span.attributes))
            if span not in cut:
                self.assertNotIn("zerospan.incomplete", span.attributes, span)
            self.assertEqual("mariadb", span.attributes["db.system.name"])
        return ours

    def drive(self, command, least):
        """Runs a program that prints "ready" and works after a line on its standard input."""
        client = self.start(command, stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        self.server.mark()
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        client.process.stdin.write("go\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(60), client)
        spans = agent.interrupt()
        for kind in (SERVER, CLIENT):
            with self.subTest(kind=kind):
                self.check(spans, agent, kind, least)

    def drive_python(self, python, name, least):
        self.drive([python, harness.PROGRAMS / "mysql_client.py", name, str(self.server.port)], least)


class Statements(Case):
    def test_client(self):
        for tcp in (True, False):
            with self.subTest(tcp=tcp):
                self.server.client("DROP TABLE IF EXISTS shop.one")
                self.server.mark()
                agent = self.agent("--pid", str(self.server.pid))
                self.server.client(
                    "SELECT 1, 'secret', \"secret\", 0x5ec, 2.5", "CREATE TABLE one (a INT PRIMARY KEY, `b c` TEXT)",
                    "INSERT INTO one SELECT seq, 'secret' FROM seq_1_to_3000", "SELECT * FROM one",
                    "SELECT a FROM one WHERE a IN (1, 2, 3)", "SELECT * FROM nowhere", "SELEKT 'secret'",
                    "INSERT INTO one VALUES (1, 'secret')", "USE information_schema", "SELECT /*! 'secret', */ COUNT(*) FROM shop.one",
                    "BEGIN", "ROLLBACK",
                    tcp=tcp, user="app", database="shop", force=True, check=False)
                spans = agent.interrupt()
                ours = self.check(spans, agent, SERVER, 12)
                rows = {span.attributes["db.query.text"]: span.attributes.get("db.response.returned_rows")
                        for span in ours}
                self.assertEqual(3, rows["SELECT a FROM one WHERE a IN (?)"])
                self.assertEqual({"shop"}, {span.attributes.get("db.namespace") for span in ours
                                            if "FROM nowhere" in span.attributes["db.query.text"]})

    def test_pymysql(self):
        self.need_module("pymysql")
        self.drive_python(harness.PYTHON, "pymysql", 25)


class Connector(Case):
    """Not in Debian: fetched into the build folder."""

    def test_prepared(self):
        folder = harness.BUILD / "mysql-connector-venv"
        if not (folder / "bin" / "python").exists():
            subprocess.run([harness.PYTHON, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin" / "pip", "install", "-q", "mysql-connector-python==26.10.0"], check=True)
        self.drive_python(folder / "bin" / "python", "connector", 22)


if __name__ == "__main__":
    unittest.main()
