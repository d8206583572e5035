// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Messages BROKER TOPIC...: makes the topics and prints "ready"; after a line on standard input it sends messages and
// reads them, and prints what became of each: "sent TOPIC PARTITION OFFSET", "failed TOPIC ERROR", "got TOPIC
// PARTITION OFFSET", "committed TOPIC". The topic "small" takes small messages only.

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Messages {
  private static String broker;

  private static KafkaProducer<String, String> producer(String client, Object... more) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", broker);
    properties.put("client.id", client);
    properties.put("key.serializer", StringSerializer.class.getName());
    properties.put("value.serializer", StringSerializer.class.getName());
    for (int i = 0; i < more.length; i += 2) {
      properties.put(more[i], more[i + 1]);
    }
    return new KafkaProducer<>(properties);
  }

  private static void tell(String topic, Future<RecordMetadata> sent) throws InterruptedException {
    try {
      RecordMetadata record = sent.get();
      System.out.println("sent " + topic + " " + record.partition() + " " + record.offset());
    } catch (ExecutionException e) {
      System.out.println("failed " + topic + " " + Errors.forException((ApiException) e.getCause()));
    }
  }

  private static void tell(String topic, List<Future<RecordMetadata>> all) throws InterruptedException {
    for (Future<RecordMetadata> sent : all) {
      tell(topic, sent);
    }
  }

  private static void send() throws InterruptedException {
    try (KafkaProducer<String, String> one = producer("one-by-one")) {
      for (int i = 0; i < 12; i++) {
        ProducerRecord<String, String> record = new ProducerRecord<>("orders", "key" + i, "secret " + i);
        String context = String.format("00-%032x-%016x-01", 0xabc0 + i, 0xdef0 + i);
        record.headers().add("traceparent", context.getBytes(StandardCharsets.US_ASCII));
        tell("orders", one.send(record));
      }
      tell("small", one.send(new ProducerRecord<>("small", "secret".repeat(1000))));
      tell("large", one.send(new ProducerRecord<>("large", "secret".repeat(50_000))));
    }
    try (KafkaProducer<String, String> many = producer("batches", "linger.ms", 200, "batch.size", 1 << 20)) {
      List<Future<RecordMetadata>> all = new ArrayList<>();
      for (int i = 0; i < 500; i++) {
        all.add(many.send(new ProducerRecord<>("bulk", "key" + i, "secret " + i)));
      }
      tell("bulk", all);
    }
    try (KafkaProducer<String, String> packed =
             producer("compressed", "linger.ms", 200, "compression.type", "gzip")) {
      List<Future<RecordMetadata>> all = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        all.add(packed.send(new ProducerRecord<>("bulk", "key" + i, "secret " + i)));
      }
      tell("bulk", all);
    }
    try (KafkaProducer<String, String> unsure = producer("unsure", "acks", "0", "enable.idempotence", "false")) {
      for (int i = 0; i < 5; i++) {
        tell("fast", unsure.send(new ProducerRecord<>("fast", "secret " + i)));
      }
    }
    try (KafkaProducer<String, String> careful = producer("careful", "transactional.id", "transfer")) {
      careful.initTransactions();
      careful.beginTransaction();
      List<Future<RecordMetadata>> all = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        all.add(careful.send(new ProducerRecord<>("orders", i, null, "secret " + i)));
      }
      careful.commitTransaction();
      tell("orders", all);
    }
  }

  private static void receive(String group, Set<String> topics, int count) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", broker);
    properties.put("client.id", "reader");
    properties.put("group.id", group);
    properties.put("auto.offset.reset", "earliest");
    properties.put("enable.auto.commit", "false");
    properties.put("key.deserializer", StringDeserializer.class.getName());
    properties.put("value.deserializer", StringDeserializer.class.getName());
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
      consumer.subscribe(topics);
      int[] got = {0};
      while (got[0] < count) {
        consumer.poll(Duration.ofSeconds(1)).forEach(record -> {
          System.out.println("got " + record.topic() + " " + record.partition() + " " + record.offset());
          ++got[0];
        });
      }
      consumer.commitSync();
      System.out.println("committed " + topics.iterator().next());
      // Some polls that bring nothing.
      for (int i = 0; i < 3; i++) {
        consumer.poll(Duration.ofMillis(600));
      }
    }
  }

  public static void main(String[] args) throws Exception {
    broker = args[0];
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
      admin.createTopics(List.of(new NewTopic("orders", 3, (short) 1), new NewTopic("bulk", 1, (short) 1),
                                 new NewTopic("fast", 1, (short) 1), new NewTopic("large", 1, (short) 1),
                                 new NewTopic("small", 1, (short) 1).configs(Map.of("max.message.bytes", "1000"))))
          .all().get();
    }
    System.out.println("ready");
    if (System.in.read() < 0) {
      throw new IOException("no line on standard input");
    }
    send();
    receive("readers", Set.of("orders"), 15);
    receive("packers", Set.of("bulk"), 600);
    receive("packers", Set.of("large"), 1);
    System.out.println("done");
  }
}
