# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""client.py WHAT HOST PORT VERSION COMPRESSION: prints "ready", or of "joined" connects before that, waits for a line on standard
input, and works with DataStax's driver: "work" and "joined" send statements, "login" is refused one. It prints one line of JSON for
each statement that failed, with the server's code, or whose rows were counted; and "done"."""

import json
import re
import sys
import uuid

from cassandra import ConsistencyLevel, InvalidRequest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT, NoHostAvailable
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import BatchStatement, SimpleStatement

WHAT, HOST, PORT, VERSION, COMPRESSION = sys.argv[1:]


def tell(**facts):
    print(json.dumps(facts), flush=True)


def connect(password="cassandra", keyspace=None):
    cluster = Cluster(
        [HOST], port=int(PORT), protocol_version=int(VERSION) or 66, allow_beta_protocol_version=not int(VERSION),
        compression=COMPRESSION if COMPRESSION != "none" else False,
        auth_provider=PlainTextAuthProvider("cassandra", password), connect_timeout=60, control_connection_timeout=60,
        execution_profiles={EXEC_PROFILE_DEFAULT: ExecutionProfile(request_timeout=60)})
    if not int(VERSION):
        cluster.protocol_version = 66
    return cluster, cluster.connect(keyspace)


def fails(session, statement):
    try:
        session.execute(statement)
    except Exception as error:
        tell(text=statement, code=str(int(re.search(r"code=(\w+)", str(error))[1], 16)))
        return
    raise AssertionError(f"not refused: {statement}")


def rows(session, text):
    tell(text=text, rows=len(session.execute(text).current_rows))


def work(session):
    name = f"shop{VERSION}"
    session.execute(f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
    session.set_keyspace(name)
    session.execute("CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, name text, stamp uuid, data blob, tags map<text, int>, "
                    "bill tuple<int, text>) /* a secret comment */")
    for index, literal in enumerate(["'secret'", "'it''s a secret; -- no'", "$$a 'secret' // $$", "'secret /* '"]):
        session.execute(f"INSERT INTO orders (id, name) VALUES ({index}, {literal}) /* secret */")
    session.execute("UPDATE orders USING TTL 86400 SET stamp = abcdef01-1234-5678-9abc-def012345678, data = 0xCAFEBABE WHERE id = 1")
    session.execute("UPDATE orders SET stamp = 12345678-1234-5678-9abc-def012345678, tags = {'secret': 12, 'b': -3} WHERE id = 2")
    insert = session.prepare("INSERT INTO orders (id, name, bill) VALUES (?, ?, ?)")
    insert.consistency_level = ConsistencyLevel.LOCAL_QUORUM
    execute_concurrent_with_args(session, insert, [(number, f"secret {number}", (number, "secret")) for number in range(100, 500)],
                                 concurrency=100)
    select = session.prepare("SELECT name, bill FROM orders WHERE id = ?")
    execute_concurrent_with_args(session, select, [(number,) for number in range(100, 500)], concurrency=200)
    rows(session, "SELECT id, name, stamp, tags, bill FROM orders WHERE id IN (100, 101, 102)")
    rows(session, "SELECT * FROM orders LIMIT 7")
    rows(session, "SELECT name FROM orders WHERE id = -1")
    pages = session.execute(SimpleStatement("SELECT id FROM orders", fetch_size=150))
    assert len(list(pages)) == 404
    many = BatchStatement()
    for number in range(20):
        many.add(insert, (number + 1000, "secret", (1, "x")))
    session.execute(many)
    mixed = BatchStatement()
    mixed.add(insert, (2000, "secret", None))
    mixed.add(SimpleStatement("INSERT INTO orders (id, name) VALUES (2001, 'secret')"))
    mixed.add(SimpleStatement("DELETE FROM orders WHERE id = 2002"))
    session.execute(mixed)
    # In one segment, and in many.
    for size in (5_000, 60_000, 300_000):
        session.execute(f"INSERT INTO orders (id, name) VALUES (3000, '{'s' * size}')")
        session.execute(insert, (3000 + size, "s" * size, None))
        assert len(session.execute(select, (3000 + size,)).one().name) == size
    fails(session, "SELECT * FROM nothing WHERE name = 'secret'")
    fails(session, "SELEC 'secret'")
    fails(session, "INSERT INTO orders (id) VALUES ('secret')")
    try:
        session.prepare("SELECT nothing FROM orders")
    except InvalidRequest:
        tell(text="SELECT nothing FROM orders", code=str(0x2200))
    session.execute("CREATE ROLE IF NOT EXISTS joe WITH PASSWORD = 'a secret password' AND LOGIN = true")
    session.execute("TRUNCATE orders")


def main():
    if WHAT == "joined":
        cluster, session = connect()
        before = session.prepare("SELECT host_id FROM system.local WHERE key = ?")
    print("ready", flush=True)
    sys.stdin.readline()
    if WHAT == "login":
        try:
            connect("a wrong password")
        except NoHostAvailable:
            print("done", flush=True)
        return
    if WHAT == "joined":
        for _ in range(10):
            session.execute(before, ("local",))
    else:
        cluster, session = connect()
    print("version", cluster.protocol_version)
    work(session)
    cluster.shutdown()
    print("done", flush=True)


main()
