# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""amqp_client.py work|load: when a line on standard input has the broker's address, pika publishes messages and gets them, and prints
what became of each. load: 20,000 messages as fast as pika can, and as fast as they come."""

import sys

import pika

what = sys.argv[1]
connection = None


def context(i):
    return f"00-{0xabc0 + i:032x}-{0xdef0 + i:016x}-01"


def work():
    channel = connection.channel()
    channel.exchange_declare("logs", "topic")
    for queue in ("jobs", "news", "large"):
        channel.queue_declare(queue)
    channel.queue_bind("news", "logs", "info.*")
    channel.queue_declare("small", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    own = channel.queue_declare("", exclusive=True).method.queue
    print("call queue.declare", own)

    for i in range(20):
        properties = pika.BasicProperties(headers={"count": i, "traceparent": context(i)}, message_id=f"m{i}")
        channel.basic_publish("", "jobs", b"secret"[:i % 6] * (i // 4), properties)
        print("sent jobs", (i % 6) * (i // 4))
    confirmed = connection.channel()
    confirmed.confirm_delivery()
    for i in range(20):
        confirmed.basic_publish("logs", "info.a", b"x" * i)
        print("sent logs:info.a", i)
    for size in (511, 513, 100_000, 300_000, 3_000_000):
        confirmed.basic_publish("", "large", b"secret" * (size // 6 + 1))
        print("sent large", (size // 6 + 1) * 6)
    confirmed.basic_publish("", "small", b"1")
    print("sent small 1")
    try:
        confirmed.basic_publish("", "small", b"22")
    except pika.exceptions.NackError:
        print("sent small 2 nack")
    try:
        confirmed.basic_publish("logs", "nowhere", b"333", mandatory=True)
    except pika.exceptions.UnroutableError:
        print("sent logs:nowhere 3")
        print("returned logs:nowhere 3 312")
    try:
        confirmed.basic_publish("missing", "key", b"4444")
    except pika.exceptions.ChannelClosedByBroker as error:
        print("sent missing:key 4", error.reply_code)
    failing = connection.channel()
    try:
        failing.queue_declare("missing", passive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        print("call queue.declare missing", error.reply_code)

    method, properties, body = channel.basic_get("jobs")
    print("got get jobs", len(body))
    channel.basic_ack(method.delivery_tag)
    print("settled ack jobs")
    got = 0
    for method, properties, body in channel.consume("jobs"):
        got += 1
        print("got deliver jobs", len(body))
        if got == 5:
            channel.basic_ack(method.delivery_tag, multiple=True)
            print("settled ack jobs 5")
        elif got == 6:
            channel.basic_reject(method.delivery_tag, requeue=False)
            print("settled reject jobs")
        elif got == 7:
            channel.basic_nack(method.delivery_tag, requeue=False)
            print("settled nack jobs")
        elif got > 7:
            channel.basic_ack(method.delivery_tag)
            print("settled ack jobs")
        if got == 19:
            break
    channel.cancel()
    assert channel.basic_get("jobs") == (None, None, None)
    print("empty")
    for queue, count in (("news", 20), ("large", 5)):
        for method, properties, body in channel.consume(queue, auto_ack=True):
            print("got deliver", f"logs:info.a:{queue}" if queue == "news" else queue, len(body))
            count -= 1
            if count == 0:
                break
        channel.cancel()
    channel.queue_delete("small")
    print("call queue.delete small")


def load():
    channel = connection.channel()
    channel.queue_declare("jobs")
    for i in range(20_000):
        channel.basic_publish("", "jobs", b"secret %d" % i)
    got = 0
    for method, properties, body in channel.consume("jobs"):
        got += 1
        if got % 100 == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if got == 20_000:
            break
    channel.cancel()


print("ready", flush=True)
address = sys.stdin.readline().strip()
connection = pika.BlockingConnection(pika.URLParameters(address))
{"work": work, "load": load}[what]()
connection.close()
print("done", flush=True)
