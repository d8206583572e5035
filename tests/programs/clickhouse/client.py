# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""client.py infi|aiochclient PORT USER PASSWORD: statements by one of ClickHouse's clients for Python, once a line came on
standard input. Prints "ready" before, and "done" at the end."""

import asyncio
import datetime
import sys

library, port, user, password = sys.argv[1:]
url = f"http://127.0.0.1:{port}/"


def wait():
    print("ready", flush=True)
    sys.stdin.readline()


def infi():
    from infi.clickhouse_orm import Database, Memory, Model, StringField, UInt32Field
    from infi.clickhouse_orm.database import ServerError

    class Book(Model):
        number = UInt32Field()
        title = StringField()
        engine = Memory()

    class Missing(Model):
        number = UInt32Field()
        engine = Memory()

    wait()
    database = Database("shop", url, username=user, password=password)
    database.create_table(Book)
    for number in range(20):
        database.insert([Book(number=31337000 + number * 10 + i, title=f"secret '{i}' \\ it's\n{number}") for i in range(3)])
    for number in range(20):
        assert database.count(Book, f"number = {31337000 + number * 10}") == 1
        rows = list(database.select(f"SELECT title FROM $db.book WHERE number IN ({31337000 + number}, 31337999) "
                                    f"OR title = 'secret \\' -- {number}' /* 'secret' */ LIMIT 5"))
        assert len(rows) <= 2, rows
        for wrong in ("SELECT nothing FROM $db.book WHERE title = 'secret'", "SELECT 'secret' +", "SELECT toUInt8('secret')"):
            try:
                database.raw(wrong)
                raise AssertionError(wrong)
            except ServerError:
                pass
    try:
        list(database.select("SELECT * FROM $db.nowhere WHERE a = 'secret'"))
        raise AssertionError("a table that is missing")
    except ServerError:
        pass
    database.drop_table(Book)


async def aiochclient():
    import aiohttp
    from aiochclient import ChClient, ChClientError

    async with aiohttp.ClientSession() as session:
        client = ChClient(session, url=url, user=user, password=password, database="shop")
        wait()
        await client.execute("CREATE TABLE shop.pages (number UInt32, title String, day Date) ENGINE = Memory")
        for number in range(20):
            await client.execute("INSERT INTO shop.pages VALUES", *[
                (31337000 + number * 10 + i, f"secret '{i}' \\ it's\n{number}", datetime.date(2031, 3, 3)) for i in range(3)])

        async def ask(number):
            (row,) = await client.fetch("SELECT title, number FROM shop.pages WHERE number = {number}",
                                        params={"number": 31337000 + number * 10})
            assert row["title"].startswith("secret '0'"), row
            rows = await client.fetch("SELECT p.title FROM shop.pages AS p WHERE p.title LIKE {like} AND day > toDate('2031-03-01')",
                                      params={"like": f"secret '%{number}"})
            assert rows
            try:
                await client.execute(f"ALTER TABLE shop.nowhere DROP COLUMN secret_{'x' * number}")
                raise AssertionError("a table that is missing")
            except ChClientError:
                pass
        # On connections of their own, and on few.
        await asyncio.gather(*(ask(number) for number in range(20)))
        for number in range(20):
            await ask(number)
        await client.execute("DROP TABLE shop.pages")


if library == "infi":
    infi()
else:
    asyncio.run(aiochclient())
print("done", flush=True)
