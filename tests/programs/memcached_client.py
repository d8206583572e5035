# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""memcached_client.py pymemcache|pylibmc PORT|SOCKET: works with a Memcached server after a line on standard input, and prints
"ready" before."""

import sys

driver, where = sys.argv[1:]


def pymemcache_work():
    from pymemcache.client.base import Client
    from pymemcache.exceptions import MemcacheClientError
    yield
    client = Client(("127.0.0.1", int(where)) if where.isdigit() else where, default_noreply=False)
    for i in range(20):
        client.set(f"key{i}", f"secret {i}", expire=60)
        assert client.get(f"key{i}") == f"secret {i}".encode()
    assert len(client.get_many([f"key{i}" for i in range(20)])) == 20
    client.set("quiet", "secret", noreply=True)
    client.add("key0", "secret")
    client.replace("none", "secret")
    client.append("key0", "secret")
    value, unique = client.gets("key0")
    assert client.cas("key0", "END\r\nsecret", unique)
    try:
        client.incr("key0", 5)
        raise AssertionError("it worked")
    except MemcacheClientError:
        pass
    client.set("n", "7")
    assert client.incr("n", 5) == 12
    client.decr("n", 1)
    client.touch("n", 60)
    client.delete("n")
    client.delete("n")
    large = "secret" * 50_000
    client.set("large", large)
    assert client.get("large").decode() == large
    client.get("none")
    client.version()
    client.close()


def pylibmc_work():
    import pylibmc
    yield
    client = pylibmc.Client([f"127.0.0.1:{where}" if where.isdigit() else where])
    for i in range(20):
        client.set(f"lib{i}", f"secret {i}")
        assert client.get(f"lib{i}") == f"secret {i}"
    assert len(client.get_multi([f"lib{i}" for i in range(20)])) == 20
    client.set("count", 1)
    client.incr("count")
    client.delete("count")
    client.disconnect_all()


work = {"pymemcache": pymemcache_work, "pylibmc": pylibmc_work}[driver]()
next(work)
print("ready", flush=True)
sys.stdin.readline()
for _ in work:
    pass
print("done", flush=True)
