# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""mysql_client.py pymysql|connector PORT: works with the database "shop" after a line on standard input, and prints "ready"
before."""

import sys


def pymysql_work(port):
    import pymysql
    from pymysql.constants import CLIENT
    yield
    connection = pymysql.connect(host="127.0.0.1", port=port, user="app", database="shop", autocommit=True,
                                 client_flag=CLIENT.MULTI_STATEMENTS)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE two (a INT PRIMARY KEY, b TEXT)")
    for i in range(20):
        cursor.execute("INSERT INTO two VALUES (%s, %s)", (i, f'it\'s "secret" {i}'))
    cursor.execute("SELECT a, b FROM two WHERE a IN %s", ((1, 2, 3),))
    assert len(cursor.fetchall()) == 3
    for wrong in ("SELECT * FROM nowhere", "SELEKT 'secret'", "INSERT INTO two VALUES (1, 'secret')"):
        try:
            cursor.execute(wrong)
        except pymysql.err.Error:
            pass
    cursor.execute("SELECT REPEAT('x', 200) FROM two t1, two t2, two t3")
    assert len(cursor.fetchall()) == 8000
    cursor.execute("SELECT '" + "secret" * 3000 + "'")
    connection.close()


def connector_work(port):
    import mysql.connector
    yield
    connection = mysql.connector.connect(host="127.0.0.1", port=port, user="app", database="shop", use_pure=True,
                                         ssl_disabled=True)
    connection.autocommit = True
    plain = connection.cursor()
    plain.execute("CREATE TABLE three (a INT, b TEXT)")
    cursor = connection.cursor(prepared=True)
    for i in range(20):
        cursor.execute("INSERT INTO three VALUES (%s, %s)", (i, f"secret {i}"))
    cursor.execute("SELECT a FROM three WHERE a < %s", (7,))
    assert len(cursor.fetchall()) == 7
    connection.close()


work = {"pymysql": pymysql_work, "connector": connector_work}[sys.argv[1]](int(sys.argv[2]))
next(work)
print("ready", flush=True)
sys.stdin.readline()
for _ in work:
    pass
print("done", flush=True)
