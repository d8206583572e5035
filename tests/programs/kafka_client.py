# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""kafka_client.py kafka-python|confluent-kafka|load BROKER: after a line on standard input it sends messages and reads them, and
prints what became of each, as kafka/src/main/java/Messages.java does. The topics are there already. load: 200,000
messages as fast as librdkafka can, and nothing is read."""

import sys

library, broker = sys.argv[1:]


def kafka_python():
    import kafka
    print("ready", flush=True)
    sys.stdin.readline()
    one = kafka.KafkaProducer(bootstrap_servers=broker, client_id="one-by-one")
    for i in range(12):
        context = f"00-{0xabc0 + i:032x}-{0xdef0 + i:016x}-01"
        sent = one.send("orders", b"secret %d" % i, headers=[("traceparent", context.encode())]).get(20)
        print("sent", sent.topic, sent.partition, sent.offset)
    try:
        one.send("small", b"secret" * 1000).get(20)
    except kafka.errors.MessageSizeTooLargeError:
        print("failed small MESSAGE_TOO_LARGE")
    one.close()
    many = kafka.KafkaProducer(bootstrap_servers=broker, client_id="batches", linger_ms=200, batch_size=1 << 20)
    for sent in [many.send("bulk", b"secret %d" % i) for i in range(500)]:
        sent = sent.get(20)
        print("sent", sent.topic, sent.partition, sent.offset)
    many.close()
    for group, topic, count in (("readers", "orders", 12), ("packers", "bulk", 500)):
        consumer = kafka.KafkaConsumer(topic, bootstrap_servers=broker, client_id="reader", group_id=group,
                                       auto_offset_reset="earliest", enable_auto_commit=False)
        for _ in range(count):
            record = next(consumer)
            print("got", record.topic, record.partition, record.offset)
        consumer.commit()
        print("committed", topic)
        consumer.close()


def confluent_kafka():
    import confluent_kafka as kafka

    def tell(error, message):
        if error:
            print("failed", message.topic(), {kafka.KafkaError.MSG_SIZE_TOO_LARGE: "MESSAGE_TOO_LARGE"}[error.code()])
        else:
            print("sent", message.topic(), message.partition(), message.offset())
    print("ready", flush=True)
    sys.stdin.readline()
    one = kafka.Producer({"bootstrap.servers": broker, "client.id": "one-by-one", "linger.ms": 0})
    for i in range(12):
        context = f"00-{0xabc0 + i:032x}-{0xdef0 + i:016x}-01"
        one.produce("orders", b"secret %d" % i, headers={"traceparent": context}, on_delivery=tell)
        assert one.flush(20) == 0
    one.produce("small", b"secret" * 1000, on_delivery=tell)
    assert one.flush(20) == 0
    many = kafka.Producer({"bootstrap.servers": broker, "client.id": "batches", "linger.ms": 200, "compression.type": "lz4"})
    for i in range(500):
        many.produce("bulk", b"secret %d" % i, on_delivery=tell)
    assert many.flush(20) == 0
    for group, topic, count in (("readers", "orders", 12), ("packers", "bulk", 500)):
        consumer = kafka.Consumer({"bootstrap.servers": broker, "client.id": "reader", "group.id": group,
                                   "auto.offset.reset": "earliest", "enable.auto.commit": False})
        consumer.subscribe([topic])
        got = 0
        while got < count:
            record = consumer.poll(20)
            assert not record.error(), record.error()
            print("got", record.topic(), record.partition(), record.offset())
            got += 1
        consumer.commit(asynchronous=False)
        print("committed", topic)
        consumer.close()


def load():
    import confluent_kafka as kafka
    print("ready", flush=True)
    sys.stdin.readline()
    producer = kafka.Producer({"bootstrap.servers": broker, "client.id": "loader", "linger.ms": 1, "batch.num.messages": 100})
    delivered = []
    for i in range(200_000):
        while True:
            try:
                producer.produce("bulk", b"secret %d" % i, on_delivery=lambda error, _: delivered.append(error))
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert delivered.count(None) == 200_000, len(delivered)


{"load": load, "kafka-python": kafka_python, "confluent-kafka": confluent_kafka}[library]()
print("done", flush=True)
