# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""postgresql_client.py psycopg2|psycopg|prepared CONNINFO: works with a database after a line on standard input, and
prints "ready" before. `prepared` prepares a statement before that line, and runs it behind it."""

import sys


def psycopg2_work(conninfo):
    import psycopg2
    connection = psycopg2.connect(conninfo)
    connection.autocommit = True
    yield
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE two (a int, b text)")
    for i in range(20):
        cursor.execute("INSERT INTO two VALUES (%s, %s)", (i, f"it's secret {i}"))
    cursor.execute("SELECT a, b FROM two WHERE a IN %s", ((1, 2, 3),))
    assert len(cursor.fetchall()) == 3
    try:
        cursor.execute("SELECT 1/%s", (0,))
    except psycopg2.errors.DivisionByZero:
        pass
    connection.autocommit = False
    cursor.execute("SELECT repeat('x', 100) FROM generate_series(1, 2000)")
    assert cursor.rowcount == 2000
    with connection.cursor(name="held") as named:
        named.itersize = 50
        named.execute("SELECT g FROM generate_series(1, 120) g")
        assert sum(1 for _ in named) == 120
    connection.commit()
    connection.close()


def psycopg_work(conninfo):
    import psycopg
    connection = psycopg.connect(conninfo, autocommit=True)
    yield
    connection.execute("CREATE TEMP TABLE three (a int PRIMARY KEY, b text)")
    for i in range(20):  # the sixth time it is prepared
        connection.execute("INSERT INTO three VALUES (%s, %s)", (i, f"secret {i}"))
    connection.execute("INSERT INTO three VALUES (%s, %s) RETURNING a, b", (100, "x" * 20000))
    connection.execute("SELECT a FROM three WHERE a < %s", (7,))
    connection.execute("SELECT a FROM three WHERE a < %s", (8,), binary=True, prepare=True)
    try:
        connection.execute("INSERT INTO three VALUES (%s, %s)", (1, "again"))
    except psycopg.errors.UniqueViolation:
        pass
    try:
        connection.execute("SELECT nothing FROM nowhere WHERE a = %s", (1,))
    except psycopg.errors.UndefinedTable:
        pass
    with connection.cursor() as cursor:
        with cursor.copy("COPY three FROM STDIN") as copy:
            for i in range(1000, 4000):
                copy.write_row((i, "secret" * 10))
        with cursor.copy("COPY three TO STDOUT") as copy:
            assert sum(len(data) > 0 for data in copy) == 3021
        cursor.executemany("UPDATE three SET b = %s WHERE a = %s", [(str(i), i) for i in range(30)])
    with connection.pipeline():
        for i in range(8):
            connection.execute("SELECT %s::int + 1", (i,))
    with connection.pipeline() as pipeline:
        connection.execute("SELECT 1 FROM three WHERE a = %s", (1,))
        pipeline.sync()
        connection.execute("SELECT 2 FROM three WHERE a = %s", (1,))
    with connection.transaction():
        with connection.cursor("named") as cursor:
            cursor.execute("SELECT g FROM generate_series(1, %s) g", (250,))
            assert len(cursor.fetchall()) == 250
    connection.close()


def prepared_work(conninfo):
    import psycopg
    connection = psycopg.connect(conninfo, autocommit=True)
    connection.execute("SELECT 'before' || %s", (0,), prepare=True)
    yield
    for i in range(5):
        connection.execute("SELECT 'before' || %s", (i,), prepare=True)
    connection.execute("SELECT 'after' || %s", (1,), prepare=True)
    connection.execute("SELECT 'plain'")
    connection.close()


work = {"psycopg2": psycopg2_work, "psycopg": psycopg_work, "prepared": prepared_work}[sys.argv[1]](sys.argv[2])
next(work)
print("ready", flush=True)
sys.stdin.readline()
for _ in work:
    pass
print("done", flush=True)
