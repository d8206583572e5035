# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Databases as real services use them: through drivers and pools. Parents, as a score of requests with their id inside of
the statements; and each driver's statements against the server's own log."""

import collections
import functools
import pathlib
import re
import unittest

import databases
import harness
import servers
import test_mysql
import test_postgresql
import traffic
from harness import CLIENT, SERVER


def python_packages():
    return {"PYTHONPATH": str(pathlib.Path(*servers.prepared("sql/python")) / "packages")}


def python_program(name):
    return [harness.PYTHON, "-B", pathlib.Path(*servers.prepared("sql/python")) / name]


class Parents(harness.Case):
    """A handler's statements must be below its own request, or nowhere."""

    def score(self, name, command, path="/two", count=400, workers=100, least=0.0, begins=1, env=None):
        handler = self.start([str(part) for part in command], env=env)
        port = int(handler.wait_line(handler.lines, r"^listening (\d+)", 60).group(1))
        self.run_requests(name, handler, port, path, count, workers, least, begins)
        handler.stop()

    def run_requests(self, name, handler, port, path, count, workers, least, begins):
        agent = self.agent("--pid", str(handler.pid))
        targets = [traffic.with_id(f"{path}?delay={1 + 7 * i % 40}") for i in range(count)]
        traffic.concurrent_gets(port, targets, workers)
        spans = agent.interrupt(30)
        self.assertEqual({}, agent.lost())
        requests = {span.span_id: span for span in spans if span.kind == SERVER}
        self.assertEqual({harness.id_of(target) for target in targets}, {span.id for span in requests.values()})
        right = orphan = wrong = 0
        examples, others, unnamed = [], collections.Counter(), collections.Counter()
        seen = collections.Counter()
        for span in spans:
            if span.kind != CLIENT:
                continue
            identity = re.search(r"\b[tu]_(\d{6})\b", span.attributes.get("db.query.text", ""))
            if not identity:  # of a driver or a pool itself
                others[span.attributes.get("db.query.text", span.name), bool(span.parent_id)] += 1
                unnamed[span.parent_id, span.attributes.get("db.query.text")] += 1
                continue
            seen[identity.group()] += 1
            parent = requests.get(span.parent_id)
            if not span.parent_id:
                orphan += 1
            elif parent and parent.id == identity.group(1) and parent.trace_id == span.trace_id:
                right += 1
            else:
                wrong += 1
                examples.append((span.attributes["db.query.text"], parent and parent.id))
        stats = agent.stats()
        why = {key: value for key, value in stats.items() if value and key.startswith(("parents_", "roots_", "go_"))}
        print(f"\nscore {name}, {path[1:]}, {workers} at once: right {right}, orphan {orphan}, wrong {wrong} of {2 * count}; "
              f"{dict(others)}; {harness.describe(why)}", flush=True)
        self.assertEqual(0, wrong, examples[:5])
        self.assertEqual({1}, set(seen.values()))
        self.assertEqual(2 * count, len(seen))
        self.assertGreaterEqual(right, least * 2 * count)
        # What a driver sends of itself is below a request at most so often: a transaction's beginning, what opens and checks
        # a connection.
        self.assertEqual([], [(parent, text) for (parent, text), times in unnamed.items() if parent and times > begins])

    def postgresql(self):
        return databases.Postgresql(self, "max_connections=250")

    def go(self, driver, source, connections=20, paths=("/two", "/fan", "/transaction"), **how):
        self.need("go")
        for path in paths:
            with self.subTest(path=path):
                self.score(f"Go, {driver}, {connections} connections", [*servers.prepared("sql/go"), "handler", driver,
                                                                        source, str(connections)], path, **how)

    def postgresql_url(self, server):
        return f"postgres://app@127.0.0.1:{server.port}/postgres?sslmode=disable"

    def test_go_pq(self):
        self.go("pq", self.postgresql_url(self.postgresql()), least=0.99)

    def test_go_pgx(self):
        self.go("pgx", self.postgresql_url(self.postgresql()), least=0.99)

    def test_go_pgx_stdlib(self):
        self.go("pgx-stdlib", self.postgresql_url(self.postgresql()), least=0.99, begins=2)  # it asks idle connections

    def test_go_mysql(self):
        self.go("mysql", f"app@tcp(127.0.0.1:{databases.Mariadb(self).port})/shop", least=0.99)

    def test_go_redis(self):
        self.go("redis", f"127.0.0.1:{databases.Redis(self).port}", least=0.99, begins=4)

    def mongodb(self, language, connections, **how):
        server = databases.Mongodb(self)
        command, env = server.command(language, "handler", server.uri, str(connections))
        self.score(f"MongoDB, {language}, {connections} connections", command, env=env, begins=4, **how)

    def test_mongodb_go(self):
        self.mongodb("go", 20, least=0.99)

    def test_mongodb_python(self):
        self.mongodb("python", 20, least=0.99)

    def test_mongodb_node(self):
        self.mongodb("node", 20)

    def test_cassandra_go(self):
        server = databases.Cassandra(self)
        # Where the driver gathers what it writes, which it does if nobody says otherwise, its own goroutine writes for all.
        for wait, least in (("0", 0.99), ("200", 0.0)):
            command, _ = server.command("go", "handler", wait)
            self.score(f"Cassandra, Go, gathering for {wait} us", command, least=least, begins=4)

    def java(self, driver, port, paths=(("/two", 0.99), ("/transaction", 0.99), ("/handed", 0.0))):
        self.need("java", "mvn")
        for path, least in paths:
            with self.subTest(path=path):
                self.score(f"Java, {driver}, HikariCP", [*servers.prepared("sql/java"), "handler", driver, str(port), "20"],
                           path, least=least, begins=2)

    def test_java_postgresql(self):
        self.java("postgresql", self.postgresql().port)

    def test_java_mariadb(self):
        self.java("mariadb", databases.Mariadb(self).port)

    def test_flask_sqlalchemy(self):
        self.need_module("flask")
        self.need_module("psycopg2")
        server = self.postgresql()
        for connections in (100, 8):
            with self.subTest(connections=connections):
                self.score(f"Python, Flask, SQLAlchemy, {connections} connections",
                           [*python_program("handler.py"), "flask", server.port, connections], env=python_packages(), least=1.0, begins=4)

    def test_asyncpg(self):
        server = self.postgresql()
        for kind in ("aiohttp", "fastapi"):
            self.need_module(kind)
            with self.subTest(kind):
                self.score(f"Python, {kind}, asyncpg", [*python_program("handler.py"), kind, server.port, 20],
                           env=python_packages())

    def node(self, driver, port):
        self.need("node", "npm")
        for connections in (4, 40):
            for path in ("/two", "/taken", "/across", "/both"):
                for workers in (1, 100):
                    with self.subTest(path=path, connections=connections, workers=workers):
                        self.score(f"Node, {driver}, {connections} connections",
                                   [*servers.prepared("sql/node"), "handler", driver, port, connections], path,
                                   count=50 if workers == 1 else 400, workers=workers)

    def test_node_pg(self):
        self.node("pg", self.postgresql().port)

    def test_node_mysql2(self):
        self.node("mysql2", databases.Mariadb(self).port)

    def test_node_ioredis(self):
        self.node("ioredis", databases.Redis(self).port)


class Postgresql(test_postgresql.Session):
    """Client and server selected; the oracle is the server's log."""

    def go_program(self, driver, least, **how):
        self.need("go")
        source = f"postgres://app@127.0.0.1:{self.server.port}/postgres?sslmode=disable"
        if driver == "pq":
            source = self.server.conninfo + " sslmode=disable"
        return self.client_and_server([*servers.prepared("sql/go"), "work", driver, source], least, **how)

    def test_pq(self):
        self.go_program("pq", 30)

    def test_pgx_stdlib(self):
        self.go_program("pgx-stdlib", 25)

    def test_pgx(self):
        self.go_program("pgx", 100)

    def test_jdbc(self):
        self.need("java", "mvn")
        # That a connection is valid is seen by an empty statement, which the server does not log if it was prepared.
        self.client_and_server([*servers.prepared("sql/java"), "work", "postgresql", str(self.server.port)], 75, unlogged=2)

    def test_node_pg(self):
        self.need("node", "npm")
        self.client_and_server([*servers.prepared("sql/node"), "work", "pg", str(self.server.port)], 50)

    def test_asyncpg(self):
        self.client_and_server([*python_program("work.py"), "asyncpg", str(self.server.port)], 70, env=python_packages())

    def test_tokio_postgres(self):
        self.need("cargo")
        self.client_and_server([*servers.prepared("sql/rust"), str(self.server.port)], 340)

    def test_sqlalchemy(self):
        self.need_module("psycopg2")
        self.client_and_server([*python_program("work.py"), "sqlalchemy", str(self.server.port)], 15, env=python_packages())


class LargeBatches(test_postgresql.Session):
    """More statements in one operation than are captured: what is told without a flag is right."""

    def check_large(self, command, **how):
        spans, agent = self.run_client(command, **how)
        lines = self.server.logged()
        self.assertGreater(len(lines), 300)
        wanted = collections.Counter(map(test_postgresql.logged, lines))
        for kind in (SERVER, CLIENT):
            whole = [span for span in spans if span.kind == kind and "zerospan.incomplete" not in span.attributes]
            told = collections.Counter(map(test_postgresql.told, whole))
            flagged = sum(span.kind == kind for span in spans) - len(whole)
            print(f"\n{len(lines)} statements, {len(whole)} told, {flagged} flagged", flush=True)
            self.assertEqual({}, dict(told - wanted))
            self.assertGreater(flagged, 0)
        self.assertGreater(agent.stats()["postgresql_responses_without_request"], 0)
        self.assertEqual({}, agent.lost())

    def test_pgx(self):
        self.need("go")
        self.check_large([*servers.prepared("sql/go"), "work", "pgx", self.server.conninfo + " sslmode=disable", "200"])

    def test_asyncpg(self):
        self.check_large([*python_program("work.py"), "asyncpg", str(self.server.port), "600"], env=python_packages())


class Mysql(test_mysql.Case):
    """The same with MariaDB's general log."""

    def test_go(self):
        self.need("go")
        self.drive([*servers.prepared("sql/go"), "work", "mysql", f"app@tcp(127.0.0.1:{self.server.port})/shop"], 25)

    def test_jdbc(self):
        self.need("java", "mvn")
        self.drive([*servers.prepared("sql/java"), "work", "mariadb", str(self.server.port)], 70)

    def test_node_mysql2(self):
        self.need("node", "npm")
        self.drive([*servers.prepared("sql/node"), "work", "mysql2", str(self.server.port)], 50)


if __name__ == "__main__":
    unittest.main()
