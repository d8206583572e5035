# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""mqtt_client.py 4|5|load PORT: when a line on standard input has the password, paho publishes messages and gets them, by the version of MQTT
that is named, and prints what became of each. load: 10,000 messages of each quality of service as fast as paho can."""

import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

what, port = sys.argv[1:]
password = None
version = 4 if what == "load" else int(what)
got = threading.Semaphore(0)
quiet = what == "load"


def tell(line):
    """From any thread."""
    sys.stdout.write(line + "\n")


def on_message(client, _, message):
    if not quiet:
        tell(f"got {message.topic} {len(message.payload)}")
    got.release()


def opened(name, secret):
    """A client of which the broker has said what it thinks of it."""
    client = mqtt.Client(name, protocol=version)
    client.username_pw_set("tester", secret)
    client.max_inflight_messages_set(1000)
    client.max_queued_messages_set(0)
    client.on_message = on_message
    answered = threading.Event()

    def on_connect(_, __, ___, reason, *properties):
        tell("called connect" + (" not_authorized" if reason != 0 else ""))
        answered.set()
    client.on_connect = on_connect
    client.connect("127.0.0.1", int(port))
    client.loop_start()
    assert answered.wait(20)
    return client


def subscribe(client, topic):
    acknowledged = threading.Event()
    client.on_subscribe = lambda *arguments: acknowledged.set()
    client.subscribe(topic, 2)
    assert acknowledged.wait(20)


def publish(client, topic, body, qos, context=None):
    properties = None
    if version == 5:
        properties = Properties(PacketTypes.PUBLISH)
        if context:
            properties.UserProperty = [("count", "1"), ("traceparent", context)]
    sent = client.publish(topic, body, qos, properties=properties)
    sent.wait_for_publish(20)
    return sent


def work():
    client = opened("writer", password)
    subscribe(client, "open/#")
    tell("called subscribe open/#")
    wanted = 0
    for i in range(30):
        context = f"00-{0xabc0 + i:032x}-{0xdef0 + i:016x}-01"
        publish(client, "open/orders", b"secret"[:i % 6] * (i // 4), i % 3, context)
        tell(f"sent open/orders {(i % 6) * (i // 4)}")
        wanted += 1
    for size in (0, 100, 480, 600, 17_000, 100_000, 3_000_000):
        for qos in range(3):
            publish(client, f"open/large/{qos}", b"x" * size, qos)
            tell(f"sent open/large/{qos} {size}")
            wanted += 1
    for _ in range(wanted):
        assert got.acquire(timeout=20)
    client.unsubscribe("open/#")
    publish(client, "open/last", b"", 1)
    tell("called unsubscribe open/#")
    tell("sent open/last 0")
    client.disconnect()
    client.loop_stop()
    # Version 3.1.1 has no words for it, and in 5 the broker closes the connection too.
    denied = opened("denied", password)
    publish(denied, "closed/door", b"333", 1)
    tell("sent closed/door 3" + (" not_authorized" if version == 5 else ""))
    denied.disconnect()
    denied.loop_stop()
    refused = opened("other", "secret-guess")
    refused.loop_stop()


def load():
    reader = opened("reader", password)
    subscribe(reader, "open/#")
    client = opened("writer", password)
    for qos in range(3):
        all_sent = [client.publish(f"open/{qos}", b"secret %d" % i, qos) for i in range(10_000)]
        for sent in all_sent:
            sent.wait_for_publish(60)
        for _ in all_sent:
            assert got.acquire(timeout=60)
    for one in (client, reader):
        one.disconnect()
        one.loop_stop()


print("ready", flush=True)
password = sys.stdin.readline().strip()
load() if quiet else work()
print("done", flush=True)
