# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""redis_client.py PORT|SOCKET: works with a Redis server after a line on standard input, and prints "ready" before."""

import sys
import threading

import redis

where = sys.argv[1]


def connect(**how):
    if where.isdigit():
        return redis.Redis(host="127.0.0.1", port=int(where), **how)
    return redis.Redis(unix_socket_path=where, **how)


print("ready", flush=True)
sys.stdin.readline()

client = connect(db=2)
for i in range(20):
    client.set(f"key{i}", f"secret {i}")
    assert client.get(f"key{i}") == f"secret {i}".encode()
client.mset({"a": "secret", "b": "secret"})
client.mget("a", "b", "none")
client.hset("hash", mapping={"one": "secret", "two": "secret"})
client.hgetall("hash")
for wrong in (lambda: client.lpush("a", "secret"), lambda: client.execute_command("NOSUCH", "secret"),
              lambda: client.incr("a")):
    try:
        wrong()
        raise AssertionError("it worked")
    except redis.ResponseError:
        pass

plain = client.pipeline(transaction=False)
for i in range(50):
    plain.set(f"p{i}", "secret")
    plain.get(f"p{i}")
plain.lpush("a", "secret")
plain.incr("counter")
assert len(plain.execute(raise_on_error=False)) == 102

transaction = client.pipeline()
transaction.watch("counter")
transaction.multi()
transaction.incr("counter")
transaction.lpush("a", "secret")
transaction.get("counter")
assert transaction.execute(raise_on_error=False)[2] == b"2"

large = "secret" * 50_000
client.set("large", large)
assert client.get("large").decode() == large
lists = connect(db=2)
lists.rpush("list", *(f"secret{i}" for i in range(5000)))
assert len(lists.lrange("list", 0, -1)) == 5000
lists.get("after")
lists.close()

sha = client.script_load("return redis.call('GET', KEYS[1])")
client.evalsha(sha, 1, "a")

subscriber = client.pubsub()
subscriber.subscribe("channel", "other")
for _ in range(2):
    assert subscriber.get_message(timeout=10)["type"] == "subscribe"
for i in range(5):
    client.publish("channel", f"secret {i}")
received = [subscriber.get_message(timeout=10) for _ in range(5)]
assert [message["data"] for message in received] == [f"secret {i}".encode() for i in range(5)]
subscriber.unsubscribe("channel")
assert subscriber.get_message(timeout=10)["type"] == "unsubscribe"

waiting = threading.Thread(target=lambda: connect(db=2).blpop("queue", timeout=10))
waiting.start()
while client.info("clients")["blocked_clients"] == 0:
    pass
client.rpush("queue", "secret")
waiting.join()
subscriber.close()
client.close()
print("done", flush=True)
