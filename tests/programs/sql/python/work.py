# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""work.py asyncpg|sqlalchemy PORT [BATCH]: works with PostgreSQL after a line on standard input, and prints "ready" before."""

import asyncio
import io
import sys

port = int(sys.argv[2])
batch = int(sys.argv[3]) if len(sys.argv) > 3 else 40


async def with_asyncpg():
    import asyncpg
    connection = await asyncpg.connect(host="127.0.0.1", port=port, user="app", database="postgres")
    await connection.execute("CREATE TEMP TABLE one (a int PRIMARY KEY, b text)")
    for i in range(10):
        await connection.execute("INSERT INTO one VALUES ($1, $2)", i, f"secret {i}")
    await connection.executemany("INSERT INTO one VALUES ($1, $2)", [(i, "secret") for i in range(100, 100 + batch)])
    await connection.execute("UPDATE one SET b = 'secret' WHERE a = 3; DELETE FROM one WHERE a = 4")
    prepared = await connection.prepare("SELECT a, b FROM one WHERE a < $1")
    for i in range(4):
        assert len(await prepared.fetch(i)) == i
    for wrong, how in (("23505", ("INSERT INTO one VALUES ($1, $2)", 1, "secret")),
                       ("42P01", ("SELECT nothing FROM nowhere WHERE a = $1", 1)), ("42601", ("SELEKT 'secret'",)),
                       ("22012", ("SELECT 1 / ($1::int - 3)", 3))):
        try:
            await connection.execute(*how)
            raise AssertionError("it worked")
        except asyncpg.PostgresError as error:
            assert error.sqlstate == wrong, error
    try:
        await connection.executemany("INSERT INTO one VALUES ($1, $2)", [(i, "secret") for i in (500, 501, 500, 502)])
        raise AssertionError("it worked")
    except asyncpg.UniqueViolationError:
        pass
    async with connection.transaction():
        seen = 0
        async for _ in connection.cursor("SELECT g FROM generate_series(1, $1::int) g", 120, prefetch=50):
            seen += 1
        assert seen == 120
        async with connection.transaction():  # a savepoint
            await connection.fetchval("SELECT count(*) FROM one WHERE a = ANY($1)", [1, 2, 3])
    assert len(await connection.fetch("SELECT repeat('x', 100) FROM generate_series(1, 3000)")) == 3000
    await connection.copy_records_to_table("one", records=[(i, "secret copied") for i in range(1000, 6000)])
    back = io.BytesIO()
    await connection.copy_from_table("one", output=back)
    assert back.getvalue().count(b"\n") == 5009 + batch
    await connection.copy_from_query("SELECT a FROM one WHERE a < $1", 5, output=io.BytesIO())
    try:
        await connection.copy_records_to_table("one", records=[(1, "secret")])
        raise AssertionError("it worked")
    except asyncpg.UniqueViolationError:
        pass
    await connection.close()


def with_sqlalchemy():
    import sqlalchemy
    from sqlalchemy import orm
    engine = sqlalchemy.create_engine(f"postgresql+psycopg2://app@127.0.0.1:{port}/postgres", pool_size=1)

    class Base(orm.DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "things"
        a: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        b: orm.Mapped[str]

    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Thing(a=i, b=f"secret {i}") for i in range(40)])
        session.commit()
        assert len(session.scalars(sqlalchemy.select(Thing).where(Thing.a.in_([1, 2, 3]))).all()) == 3
        session.get(Thing, 5).b = "secret changed"
        session.commit()
        session.add(Thing(a=7, b="secret again"))
        try:
            session.commit()
            raise AssertionError("it worked")
        except sqlalchemy.exc.IntegrityError:
            session.rollback()
        with session.begin_nested():
            session.delete(session.get(Thing, 8))
        session.commit()
        assert sum(1 for _ in session.connection(execution_options={"stream_results": True}).execute(
            sqlalchemy.text("SELECT g FROM generate_series(1, :n) g"), {"n": 1500})) == 1500
        session.commit()
    engine.dispose()


print("ready", flush=True)
sys.stdin.readline()
if sys.argv[1] == "asyncpg":
    asyncio.run(with_asyncpg())
else:
    with_sqlalchemy()
print("done", flush=True)
