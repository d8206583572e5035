# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""PostgreSQL 15 with psql, pgbench, psycopg 2 and 3. The oracle is the server's log: each statement there has exactly
one span in the session's process, with the same text without literals, and the same error."""

import collections
import concurrent.futures
import re
import shutil
import signal
import subprocess
import unittest

import databases
import harness
import traffic
from harness import CLIENT, SERVER


def told(span):
    a = span.attributes
    return a.get("db.query.text", ""), a.get("db.response.status_code", "")


def logged(statement):
    return databases.sanitized(statement.text), statement.error


class Session(harness.Case):
    """A server of its own, and what its log must have in common with spans."""

    def setUp(self):
        super().setUp()
        self.server = databases.Postgresql(self)

    def agent_on_server(self):
        self.server.mark()
        return self.agent("--pid", str(self.server.pid))

    def check(self, spans, agent, expected=1, lines=None):
        """Of the server's spans, by the session's process."""
        lines = lines or self.server.logged()
        self.assertGreaterEqual(len(lines), expected)
        wanted = collections.Counter((line.pid, *logged(line)) for line in lines)
        for span in spans:  # of a statement that is longer than what is captured, the beginning
            if span.attributes.get("zerospan.incomplete") == ["head_truncated"]:
                del span.attributes["zerospan.incomplete"]
                span.attributes["db.query.text"] = next(text for _, text, _ in wanted if text.startswith(told(span)[0]))
        seen = collections.Counter((span.resource["process.pid"], *told(span)) for span in spans if span.kind == SERVER)
        self.assertEqual([], list((wanted - seen).items())[:5], "logged, but no span")
        self.assertEqual([], list((seen - wanted).items())[:5], "spans of nothing that was logged")
        self.assertEqual({}, agent.lost())
        for span in spans:
            self.assertNotIn("zerospan.incomplete", span.attributes, span)
            self.assertNotIn("secret", str(span.attributes))
            self.assertEqual("postgresql", span.attributes["db.system.name"])
            self.assertEqual("postgres", span.attributes["db.namespace"])
            self.assertEqual("db.response.status_code" in span.attributes, span.status == 2)
        return wanted

    def go(self, client):
        client.process.stdin.write("go\n")
        client.process.stdin.flush()
        self.assertEqual(0, client.wait_exit(60), client)

    def run_client(self, command, **how):
        """A program that prints "ready" and works after a line on its standard input; its spans and the server's."""
        client = self.start(command, stdin=subprocess.PIPE, **how)
        client.wait_line(client.lines, "^ready", 60)
        self.server.mark()
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        self.go(client)
        return agent.interrupt(), agent

    def client_and_server(self, command, least, unlogged=0, **how):
        """`unlogged`: empty statements that the server does not log."""
        spans, agent = self.run_client(command, **how)
        # Nor does it log what it passes over.
        spans = [span for span in spans if span.attributes.get("error.type") != "pipeline_aborted"]
        lines = self.server.logged()
        logged_empty = sum(logged(line) == ("", "") for line in lines)
        for kind in (SERVER, CLIENT):
            empty = [span for span in spans if span.kind == kind and told(span) == ("", "")]
            self.assertEqual(logged_empty + unlogged, len(empty), empty)
            for span in empty[:unlogged]:
                spans.remove(span)
        # If the connection was open before, the agent was not told its database.
        for span in spans:
            span.attributes.setdefault("db.namespace", "postgres")
        wanted = self.check(spans, agent, least, lines)
        seen = collections.Counter(told(span) for span in spans if span.kind == CLIENT)
        by_client = collections.Counter()
        for (_, *key), count in wanted.items():
            by_client[tuple(key)] += count
        self.assertEqual(({}, {}), (dict(by_client - seen), dict(seen - by_client)))
        return spans


class Statements(Session):
    STATEMENTS = (
        "SELECT 1, 'secret', 2.5e-3, $q$secret$q$, E'\\'secret' -- secret",
        "CREATE TABLE one (a int PRIMARY KEY, b text)",
        "INSERT INTO one SELECT g, 'secret ' || g FROM generate_series(1, 3000) g",
        "SELECT * FROM one",
        "SELECT a FROM one WHERE a IN (1, 2, 3)",
        "UPDATE one SET b = 'secret' WHERE a < 10; DELETE FROM one WHERE a = 11; SELECT count(*) FROM one",
        "INSERT INTO one VALUES (1, 'secret')",
        "SELECT * FROM nowhere",
        "SELEKT 'secret'",
        "SELECT 1/(500 - a) FROM one",
        "DO $$ BEGIN RAISE NOTICE 'secret'; END $$",
        "BEGIN", "SAVEPOINT s", "ROLLBACK TO s", "COMMIT",
        "COPY one TO STDOUT",
        "UPDATE one SET b = repeat('secret', 2000) WHERE a = 5 RETURNING b",
        "",
    )

    def test_psql(self):
        for name, environment in (("TCP", {}), ("Unix", {"PGHOST": str(self.server.folder)})):
            with self.subTest(name):
                self.server.psql("DROP TABLE IF EXISTS one")
                agent = self.agent_on_server()
                self.server.psql(*self.STATEMENTS, check=False, **environment)
                self.server.run("psql", "-X", "-c", "\\copy one FROM STDIN", check=False, **environment)
                spans = agent.interrupt()
                self.check(spans, agent, 15)
                rows = {span.attributes["db.query.text"]: span.attributes.get("db.response.returned_rows")
                        for span in spans}
                self.assertEqual(3000, rows["SELECT * FROM one"])
                self.assertEqual(3, rows["SELECT a FROM one WHERE a IN (?)"])
                self.assertEqual(1, rows["UPDATE one SET b = repeat(?, ?) WHERE a = ? RETURNING b"])
                summaries = {span.name for span in spans}
                self.assertIn("SELECT nowhere", summaries)
                address = self.server.socket if environment else "127.0.0.1"
                self.assertEqual({address}, {span.attributes["server.address"] for span in spans})

    def test_psql_as_the_client(self):
        """Selected by its program: it is seen from its start."""
        self.server.mark()
        agent = self.agent("--cmdline", f"*psql*marker-{self.server.port}*")
        self.server.run("psql", "-X", "-q", "-v", f"v=marker-{self.server.port}",
                        *(part for statement in self.STATEMENTS for part in ("-c", statement)), check=False)
        spans = agent.interrupt()
        wanted = collections.Counter(map(logged, self.server.logged()))
        self.assertEqual(wanted, collections.Counter(map(told, spans)))
        self.assertEqual({CLIENT}, {span.kind for span in spans})

    def client(self, kind):
        return [harness.PYTHON, harness.PROGRAMS / "postgresql_client.py", kind, self.server.conninfo]

    def test_psycopg2(self):
        self.need_module("psycopg2")
        spans = self.client_and_server(self.client("psycopg2"), 25)
        self.assertIn(2000, [span.attributes.get("db.response.returned_rows") for span in spans])

    def test_psycopg(self):
        self.need_module("psycopg")
        spans = self.client_and_server(self.client("psycopg"), 60)
        rows = [span.attributes.get("db.response.returned_rows") for span in spans if span.kind == CLIENT
                and span.attributes["db.query.text"].endswith("RETURNING a, b")]
        self.assertEqual([1], rows)

    def test_prepared_before_us(self):
        client = self.start(self.client("prepared"), stdin=subprocess.PIPE)
        client.wait_line(client.lines, "^ready")
        self.server.mark()
        agent = self.agent("--pid", f"{self.server.pid},{client.pid}")
        self.go(client)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        for kind in (SERVER, CLIENT):
            of_kind = [span for span in spans if span.kind == kind]
            unknown = [span for span in of_kind if "db.query.text" not in span.attributes]
            self.assertEqual(5, len(unknown))
            for span in unknown:
                self.assertEqual("postgresql", span.name)
                self.assertEqual(["statement_unknown"], span.attributes["zerospan.incomplete"])
                self.assertRegex(span.attributes["zerospan.db.statement.id"], "^_pg3_")
                self.assertEqual(1, span.attributes["db.response.returned_rows"])
                self.assertNotIn("db.operation.name", span.attributes)
            self.assertEqual({"SELECT ? || $1": 1, "SELECT ?": 1}, dict(collections.Counter(
                span.attributes["db.query.text"] for span in of_kind if span not in unknown)))

    def test_cancel(self):
        agent = self.agent_on_server()
        client = self.start(["psql", "-X", "-c", "SELECT pg_sleep(60), 'cancel me'"], env=self.server.environment)
        harness.wait_for(lambda: any("cancel me" in line.text for line in self.server.logged(settled=False)), "the statement")
        client.process.send_signal(signal.SIGINT)
        client.wait_exit()
        spans = agent.interrupt()
        self.check(spans, agent)
        self.assertEqual(["57014"], [span.attributes["error.type"] for span in spans])

    def test_context_in_a_comment(self):
        agent = self.agent_on_server()
        trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        self.server.psql(f"SELECT 1 /*app='x',traceparent='00-{trace}-{parent}-01'*/", "SELECT 2")
        spans = agent.interrupt()
        self.check(spans, agent, 2)
        self.assertEqual([(trace, parent)], [(s.trace_id, s.parent_id) for s in spans if s.parent_id])

    def test_encrypted_connections_are_left_alone(self):
        self.need("openssl")
        data = self.server.folder / "data"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-keyout", data / "server.key", "-out", data / "server.crt"], check=True, capture_output=True)
        subprocess.run(["chown", "postgres:postgres", data / "server.key", data / "server.crt"], check=True)
        (data / "server.key").chmod(0o600)
        self.server.psql("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        harness.wait_for(lambda: self.server.psql("SELECT 1", check=False, PGSSLMODE="require").returncode == 0, "SSL")
        agent = self.agent_on_server()
        self.server.psql("SELECT 'encrypted'", PGSSLMODE="require")
        self.server.psql("SELECT 'clear'", PGSSLMODE="disable")
        spans = agent.interrupt()
        self.assertEqual(1, len(spans), spans)
        self.assertEqual({}, agent.lost())
        self.assertEqual("SELECT ?", spans[0].attributes["db.query.text"])


class Pooled(Session):
    """pgbouncer: a session of the server is many clients' in turn, each for a transaction."""

    CLIENTS, TURNS = 12, 40

    def pool(self):
        self.need("pgbouncer")
        port = harness.free_port()
        folder = self.server.folder
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.server.port} user=app\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 3\n")
        pool = self.start([*self.server.user, shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), folder / "pgbouncer.ini"])
        harness.wait_for(lambda: self.server.psql("SELECT 1", check=False, PGPORT=str(port)).returncode == 0,
                         "pgbouncer to start")
        return pool, port

    def test_sessions_in_turn(self):
        import psycopg2
        pool, port = self.pool()
        self.server.mark()
        agent = self.agent("--pid", f"{self.server.pid},{pool.pid}")

        def client(number):
            connection = psycopg2.connect(f"host=127.0.0.1 port={port} user=app dbname=postgres")
            with connection.cursor() as cursor:
                for turn in range(self.TURNS):
                    cursor.execute(f"SELECT 'secret', {turn} AS t_{number}_{turn}")
                    if turn % 5 == 0:
                        try:
                            cursor.execute(f"SELECT 'secret' FROM nowhere_{number}_{turn}")
                        except psycopg2.errors.UndefinedTable:
                            pass
                    connection.rollback()
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(self.CLIENTS) as threads:
            list(threads.map(client, range(self.CLIENTS)))
        spans = agent.interrupt()
        lines = self.server.logged()
        for span in spans:  # a session that was open before: the agent was not told its database
            span.attributes.setdefault("db.namespace", "postgres")
        of_pool = [span for span in spans if span.resource["process.pid"] == pool.pid]
        asked = [span for span in of_pool if span.kind == SERVER]
        sent = [span for span in of_pool if span.kind == CLIENT]
        self.check([span for span in spans if span not in of_pool], agent, 2 * self.CLIENTS * self.TURNS, lines)
        logged_texts = collections.Counter(logged(line) for line in lines)
        self.assertEqual(logged_texts, collections.Counter(told(span) for span in sent))
        # What the pool sends of its own accord: what a client has set, for a session that had another's.
        asked_texts = collections.Counter(told(span) for span in asked)
        self.assertEqual({}, dict(asked_texts - logged_texts))
        self.assertEqual([], [text for text, _ in logged_texts - asked_texts if not text.startswith("SET ")])
        self.assertLess(len({line.pid for line in lines}), self.CLIENTS)  # they were shared

        by_id = {span.span_id: span for span in asked}
        right = sum(told(by_id[span.parent_id]) == told(span) for span in sent if span.parent_id in by_id)
        orphan = sum(not span.parent_id for span in sent)
        print(f"\nscore pgbouncer: right {right}, orphan {orphan}, wrong {len(sent) - right - orphan} of {len(sent)}", flush=True)
        self.assertEqual(len(sent), right + orphan)


class Pgbench(harness.Case):
    def count(self, *options, script=None, seconds=6, clients=4):
        server = databases.Postgresql(self)
        server.run("pgbench", "-i", "-q", "-s", "2")
        server.mark()
        agent = self.agent("--pid", str(server.pid))
        file = self.directory / "script.sql"
        if script:
            file.write_text(script)
        output = server.run("pgbench", "-n", "-c", str(clients), "-j", "2", "-T", str(seconds), *options,
                            *(["-f", file] if script else [])).stdout
        spans = agent.interrupt(30)
        transactions = int(re.search(r"actually processed: (\d+)", output).group(1))
        wanted = collections.Counter((line.pid, *logged(line)) for line in server.logged())
        seen = collections.Counter((span.resource["process.pid"], *told(span)) for span in spans)
        print(f"\n  pgbench {' '.join(options)}: {transactions} transactions, {sum(wanted.values())} statements, "
              f"{len(spans)} spans, lost {agent.lost()}", flush=True)
        self.assertEqual({}, agent.lost())
        self.assertEqual([], [*(wanted - seen).items(), *(seen - wanted).items()][:5])
        self.assertEqual([], [span for span in spans if "zerospan.incomplete" in span.attributes][:2])
        self.assertGreater(transactions, 200)

    def test_simple(self):
        self.count("-M", "simple")

    def test_extended(self):
        self.count("-M", "extended")

    def test_prepared_reads(self):
        self.count("-S", "-M", "prepared")

    def test_pipeline(self):
        self.count("-M", "prepared", script="\\set a random(1, 1000)\n\\startpipeline\n"
                   "SELECT abalance FROM pgbench_accounts WHERE aid = :a;\n"
                   "UPDATE pgbench_accounts SET abalance = 5 WHERE aid = :a;\nSELECT 1;\n\\endpipeline\n")


class FullSpeed(Pgbench):
    """Half a minute, with four clients: nothing may be lost at the defaults."""

    def test_simple(self):
        self.count("-M", "simple", seconds=30)

    def test_extended(self):
        self.count("-M", "extended", seconds=30)

    def test_prepared_reads(self):
        self.count("-S", "-M", "prepared", seconds=30)

    test_pipeline = None


class Parents(harness.Case):
    def score(self, connections, workers, count=300):
        self.need_module("psycopg2")
        server = databases.Postgresql(self, "max_connections=150")
        handler = self.start([harness.PYTHON, harness.PROGRAMS / "postgresql_handler.py", server.conninfo,
                              str(connections)])
        port = int(handler.wait_line(handler.lines, r"^listening (\d+)").group(1))
        agent = self.agent("--pid", str(handler.pid))
        targets = [traffic.with_id(f"/q?delay={1 + 7 * i % 40}") for i in range(count)]
        traffic.concurrent_gets(port, targets, workers)
        spans = agent.interrupt()
        self.assertEqual({}, agent.lost())
        requests = {span.span_id: span for span in spans if span.kind == SERVER}
        self.assertEqual(count, len(requests))
        right = orphan = wrong = 0
        seen = collections.Counter()
        for span in spans:
            if span.kind != CLIENT:
                continue
            identity = re.search(r"[tu]_(\w+)", span.attributes["db.query.text"])
            self.assertTrue(identity, span)
            seen[identity.group()] += 1
            parent = requests.get(span.parent_id)
            if not span.parent_id:
                orphan += 1
            elif parent and parent.id == identity.group(1) and parent.trace_id == span.trace_id:
                right += 1
            else:
                wrong += 1
        print(f"\nscore Python threads -> PostgreSQL, {connections} connections, {workers} at once: right {right}, "
              f"orphan {orphan}, wrong {wrong} of {2 * count}", flush=True)
        self.assertEqual(0, wrong)
        self.assertEqual({1}, set(seen.values()))
        self.assertEqual(2 * count, len(seen))
        self.assertEqual(2 * count, right)

    def test_threads(self):
        self.score(100, 100)

    def test_threads_with_a_small_pool(self):
        self.score(8, 100)


if __name__ == "__main__":
    unittest.main()
