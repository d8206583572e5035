# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""ClickHouse over HTTP. The oracle is the server's own table of queries: each has exactly one span of the client, and one of the
server, with the same text without literals, and the same error. No literal, row or password is in what the agent tells."""

import collections
import pathlib
import re
import subprocess
import unittest

import databases
import harness
import servers
from harness import CLIENT, SERVER

# What the clients have in literals, rows and passwords, and nowhere else.
SECRETS = re.compile(rf"secret '|secret \\|'secret|31337|{databases.Clickhouse.PASSWORD}|2031-03")


def told(spans):
    """All text that could hold one."""
    return "\n".join(str(text) for span in spans for text in (span.name, *span.attributes.values()))


def expected(logged):
    return collections.Counter((databases.sanitized(text, databases.CLICKHOUSE_TOKEN), code) for _, text, code in logged)


class Clickhouse(harness.Case):
    def check(self, agent, server, reads_answers=True):
        """`reads_answers`: the client reads them all, and does not close a connection before an answer's last byte."""
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        self.assertIsNone(SECRETS.search(told(spans)))
        logged = server.logged()
        wanted = expected(logged)
        for kind in (CLIENT, SERVER):
            with self.subTest(kind=kind):
                ours = [span for span in spans if span.kind == kind]
                seen = collections.Counter(
                    (span.attributes.get("db.query.text"), span.attributes.get("db.response.status_code", "")) for span in ours)
                self.assertEqual(({}, {}), (dict(wanted - seen), dict(seen - wanted)))
                for span in ours:
                    said = span.attributes
                    self.assertEqual("clickhouse", said["db.system.name"])
                    self.assertEqual(said["db.query.summary"], span.name)
                    self.assertNotIn("zerospan.incomplete", said)
                    self.assertEqual(2 if "error.type" in said else 0, span.status)
                    if not reads_answers and said.get("error.type") in ("connection_closed", "connection_reset"):
                        self.assertRegex(said["db.query.text"], "^(CREATE|DROP|INSERT)")
                        continue
                    self.assertEqual(said.get("db.response.status_code"), said.get("error.type"))
                    self.assertEqual(span.code != 200, "error.type" in said)
                if kind == SERVER:
                    ports = collections.Counter(port for port, _, _ in logged)
                    self.assertEqual(ports, collections.Counter(span.attributes["network.peer.port"] for span in ours))
        return spans, logged

    def run_client(self, *command, env=None, reads_answers=True):
        server = databases.Clickhouse(self)
        client = self.start([*command, str(server.port), "app", server.PASSWORD], stdin=subprocess.PIPE, env=env)
        client.wait_line(client.lines, "^ready", 60)
        agent = self.agent("--pid", f"{server.pid},{client.pid}")
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(120), client)
        self.assertEqual("done", client.lines[-1], client)
        spans, logged = self.check(agent, server, reads_answers)
        failed = sum(1 for _, _, code in logged if code)
        print(f"\n{command[-1]}: {len(logged)} queries, {failed} of them failed; {len(spans)} spans", flush=True)
        self.assertGreater(len(logged), 100)
        self.assertGreater(failed, 15)
        return spans

    def test_python(self):
        folder = pathlib.Path(*servers.prepared("clickhouse"))
        for library in ("infi", "aiochclient"):
            with self.subTest(library=library):
                spans = self.run_client(harness.PYTHON, "-B", folder / "client.py", library,
                                        env={"PYTHONPATH": str(folder / "packages")},
                                        reads_answers=library != "aiochclient")
                names = collections.Counter(span.attributes.get("db.namespace") for span in spans)
                # infi looks for the database first, without it.
                self.assertLessEqual(names.pop(None, 0), 2)
                self.assertEqual(["shop"], list(names))

    def test_node(self):
        folder = pathlib.Path(*servers.prepared("clickhouse"))
        self.run_client("node", folder / "client.mjs")

    def test_curl(self):
        """Each way to send a statement; only the server says whose it is."""
        self.need("curl")
        server = databases.Clickhouse(self)
        agent = self.agent("--exe", "*/curl", "--pid", str(server.pid))

        def curl(*options, query="", check=True):
            url = f"{server.url}?user=app&password={server.PASSWORD}{query}"
            done = subprocess.run(["curl", "--silent", "--show-error", *options, url], capture_output=True, text=True, timeout=60)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual(check, not done.stdout.startswith("Code: "), done.stdout)
            return done.stdout
        curl(query="&query=SELECT%201,%20'secret',+31337%2B1e3,0x1F,%20nan,+inf%20FORMAT+JSON")
        curl("--data-binary", "CREATE TABLE shop.t (a UInt32, `b \\` c` String) ENGINE = Memory")
        curl("--data-binary", "31337\tsecret '\n31338\t'secret\n", query="&query=INSERT+INTO+shop.t+FORMAT+TSV")
        curl("--data-binary", "INSERT INTO shop.t (a, `b \\` c`) FORMAT CSV\n31337,\"secret '\"\n31339,\"'secret \"\"x\"\"\"\n")
        curl("--data-binary", "INSERT INTO t VALUES (31337, 'secret'), (1, 'secret \\' '), (2, 'a')", query="&database=shop")
        curl("--data-binary", "", query="&query=INSERT+INTO+shop.t+SELECT+number,+'secret'+FROM+system.numbers+LIMIT+3")
        curl("--data-binary", " FROM system.numbers LIMIT 31337", query="&query=SELECT+number+AS+\"a+'\",'it''s+\\'secret'")
        curl("--data-binary", "SELECT sum(a) /* 'secret */ FROM shop.t -- it's 'secret\nWHERE a IN (1, 31337) AND [1, 2][1] = 1 // '")
        curl("--data-binary", "SELECT * FROM shop.nothing WHERE a = 'secret'", check=False)
        curl(query="&query=SELECT+'secret'+FROM", check=False)
        curl("--data-binary", "SELECT 31337 AS x FORMAT Nothing31338", check=False)
        curl("--data-binary", "SELECT throwIf(number = 31337), 'secret' FROM system.numbers LIMIT 100000", check=False)
        self.check(agent, server)

    def test_long_statement(self):
        """Of a statement that is longer than what is kept of a body, the beginning."""
        server = databases.Clickhouse(self)
        agent = self.agent("--pid", str(server.pid))
        columns = ", ".join(f"number + {i} AS column_{i}, 'secret'" for i in range(200))
        self.assertEqual(200 * 2, len(server.run(f"SELECT {columns} FROM numbers(1)", "app", server.PASSWORD).split("\t")))
        (span,) = agent.interrupt()
        self.assertIsNone(SECRETS.search(told([span])))
        ((_, text, _),) = server.logged()
        beginning = span.attributes["db.query.text"]
        self.assertGreater(len(beginning), 500)
        self.assertTrue(databases.sanitized(text, databases.CLICKHOUSE_TOKEN).startswith(beginning), beginning)
        self.assertNotIn("db.collection.name", span.attributes)
        self.assertEqual("SELECT", span.name)

    def test_passwords(self):
        """A wrong password, a compressed statement, and no answer at all."""
        server = databases.Clickhouse(self)
        agent = self.agent("--pid", str(server.pid), "--exe", "*/curl")
        wrong = subprocess.run(["curl", "--silent", f"{server.url}?user=app&password=wrong31337&query=SELECT+'secret'"],
                               capture_output=True, text=True, timeout=60)
        self.assertIn("Code: 193", wrong.stdout)
        packed = subprocess.run(["gzip"], input=b"SELECT 'secret'", capture_output=True, check=True).stdout
        subprocess.run(["curl", "--silent", "--fail", "--data-binary", "@-", "-H", "Content-Encoding: gzip",
                        "-u", f"app:{server.PASSWORD}", server.url],
                       input=packed, check=True, stdout=subprocess.DEVNULL, timeout=60)
        url = f"{server.url}?user=app&password={server.PASSWORD}&query=SELECT+'secret',sleep(3)"
        timed_out = subprocess.run(["curl", "--silent", "--max-time", "1", url], stdout=subprocess.DEVNULL, timeout=60)
        self.assertEqual(28, timed_out.returncode)
        spans = agent.interrupt()
        self.assertIsNone(SECRETS.search(told(spans)))
        clients = sorted((span for span in spans if span.kind == CLIENT), key=lambda span: span.start)
        self.assertEqual(["SELECT", "clickhouse", "GET"], [span.name for span in clients])
        self.assertEqual(["193", None, None], [span.attributes.get("db.response.status_code") for span in clients])
        self.assertEqual("user=REDACTED&password=REDACTED&query=REDACTED", clients[2].target.partition("?")[2])


if __name__ == "__main__":
    unittest.main()
