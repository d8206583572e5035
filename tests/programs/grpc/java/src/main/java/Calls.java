// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

import com.google.protobuf.ByteString;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.Status;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.net.InetSocketAddress;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import zerospan.test.CallsGrpc;
import zerospan.test.Item;

/** The gRPC test program (../README.md) on grpc-java with Netty. */
public final class Calls {
  static final String[] KINDS = {
    "unary", "large", "gzip", "server_stream", "client_stream", "both", "not_found", "broken", "unimplemented",
    "deadline", "cancel"
  };
  static final int STREAMED = 3;
  static final Metadata.Key<String> ID_FIELD = Metadata.Key.of("x-id", Metadata.ASCII_STRING_MARSHALLER);
  static final Context.Key<String> ID = Context.key("id");

  static void print(String text) {
    synchronized (System.out) {
      System.out.println(text);
      System.out.flush();
    }
  }

  static Item item(int size) {
    return Item.newBuilder().setPayload(ByteString.copyFrom(new byte[size])).build();
  }

  static void log(String id, String method, int received, int sent, Status status) {
    print(String.format(Locale.ROOT,
        "{\"id\":\"%s\",\"method\":\"%s\",\"status\":\"%s\",\"received\":%d,\"sent\":%d}", id, method,
        status.getCode(), received, sent));
  }

  static final class Service extends CallsGrpc.CallsImplBase {
    @Override
    public void unary(Item request, StreamObserver<Item> answers) {
      Status status = Status.fromCodeValue(request.getStatus());
      log(ID.get(), "Unary", 1, status.isOk() ? 1 : 0, status);
      if (!status.isOk()) {
        answers.onError(status.withDescription("as asked for").asRuntimeException());
        return;
      }
      answers.onNext(Item.newBuilder().setPayload(request.getPayload()).build());
      answers.onCompleted();
    }

    @Override
    public void serverStream(Item request, StreamObserver<Item> answers) {
      String id = ID.get();
      if (request.getWait()) {
        ((ServerCallStreamObserver<Item>) answers).setOnCancelHandler(
            () -> log(id, "ServerStream", 1, request.getAnswers(), Status.CANCELLED));
      }
      for (int i = 0; i < request.getAnswers(); i++) {
        answers.onNext(Item.newBuilder().setPayload(request.getPayload()).build());
      }
      if (request.getWait()) {
        return;
      }
      Status status = Status.fromCodeValue(request.getStatus());
      log(id, "ServerStream", 1, request.getAnswers(), status);
      if (status.isOk()) {
        answers.onCompleted();
      } else {
        answers.onError(status.withDescription("as asked for").asRuntimeException());
      }
    }

    @Override
    public StreamObserver<Item> clientStream(StreamObserver<Item> answers) {
      String id = ID.get();
      return new StreamObserver<>() {
        private int received;

        @Override
        public void onNext(Item item) {
          received++;
        }

        @Override
        public void onError(Throwable error) {
          log(id, "ClientStream", received, 0, Status.CANCELLED);
        }

        @Override
        public void onCompleted() {
          log(id, "ClientStream", received, 1, Status.OK);
          answers.onNext(item(10));
          answers.onCompleted();
        }
      };
    }

    @Override
    public StreamObserver<Item> both(StreamObserver<Item> answers) {
      String id = ID.get();
      return new StreamObserver<>() {
        private int count;

        @Override
        public void onNext(Item item) {
          answers.onNext(Item.newBuilder().setPayload(item.getPayload()).build());
          count++;
        }

        @Override
        public void onError(Throwable error) {
          log(id, "Both", count, count, Status.CANCELLED);
        }

        @Override
        public void onCompleted() {
          log(id, "Both", count, count, Status.OK);
          answers.onCompleted();
        }
      };
    }
  }

  static void serve(String age) throws Exception {
    ServerInterceptor identify = new ServerInterceptor() {
      @Override
      public <Q, A> ServerCall.Listener<Q> interceptCall(
          ServerCall<Q, A> call, Metadata fields, ServerCallHandler<Q, A> next) {
        return Contexts.interceptCall(Context.current().withValue(ID, fields.get(ID_FIELD)), call, fields, next);
      }
    };
    NettyServerBuilder builder = NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
        .addService(ServerInterceptors.intercept(new Service(), identify));
    if (age != null) {
      builder.maxConnectionAge(Long.parseLong(age), TimeUnit.MILLISECONDS);
    }
    io.grpc.Server server = builder.build().start();
    print("listening " + server.getPort());
    server.awaitTermination();
  }

  /** Counts answers, and tells how the call ended. */
  static class Answers implements ClientResponseObserver<Item, Item> {
    final CompletableFuture<Status> end = new CompletableFuture<>();
    final AtomicInteger received = new AtomicInteger();
    ClientCallStreamObserver<Item> call;

    @Override
    public void beforeStart(ClientCallStreamObserver<Item> stream) {
      call = stream;
    }

    @Override
    public void onNext(Item item) {
      received.incrementAndGet();
    }

    @Override
    public void onError(Throwable error) {
      end.complete(Status.fromThrowable(error));
    }

    @Override
    public void onCompleted() {
      end.complete(Status.OK);
    }
  }

  static String call(ManagedChannel channel, int number) throws Exception {
    String id = String.format(Locale.ROOT, "%06d", number);
    String kind = KINDS[number % KINDS.length];
    Metadata fields = new Metadata();
    fields.put(ID_FIELD, id);
    ClientInterceptor identify = MetadataUtils.newAttachHeadersInterceptor(fields);
    CallsGrpc.CallsStub stub = CallsGrpc.newStub(channel).withInterceptors(identify);
    String method = "Unary";
    int sent = 1;
    Answers answers = new Answers();
    switch (kind) {
      case "unary" -> stub.unary(item(100), answers);
      case "large" -> stub.unary(item(50_000), answers);
      case "gzip" -> stub.withCompression("gzip").unary(item(5_000), answers);
      case "not_found" -> stub.unary(Item.newBuilder().setStatus(5).build(), answers);
      case "unimplemented" -> {
        method = "Missing";
        stub.missing(item(100), answers);
      }
      case "server_stream" -> {
        method = "ServerStream";
        stub.serverStream(item(100).toBuilder().setAnswers(STREAMED).build(), answers);
      }
      case "broken" -> {
        method = "ServerStream";
        stub.serverStream(item(100).toBuilder().setAnswers(2).setStatus(13).build(), answers);
      }
      case "deadline" -> {
        method = "ServerStream";
        stub.withDeadlineAfter(2, TimeUnit.SECONDS)
            .serverStream(item(100).toBuilder().setAnswers(1).setWait(true).build(), answers);
      }
      case "client_stream" -> {
        method = "ClientStream";
        StreamObserver<Item> requests = stub.clientStream(answers);
        for (sent = 0; sent < STREAMED; sent++) {
          requests.onNext(item(100));
        }
        requests.onCompleted();
      }
      default -> {
        method = "Both";
        sent = kind.equals("cancel") ? 1 : STREAMED;
        int last = sent;
        AtomicInteger written = new AtomicInteger(1);
        answers = new Answers() {
          @Override
          public void onNext(Item item) {
            super.onNext(item);
            if (kind.equals("cancel")) {
              call.cancel("enough", null);
            } else if (written.get() < last) {
              written.incrementAndGet();
              call.onNext(item(100));
            } else {
              call.onCompleted();
            }
          }
        };
        stub.both(answers).onNext(item(100));
      }
    }
    Status status = answers.end.get();
    return String.format(Locale.ROOT,
        "{\"id\":\"%s\",\"kind\":\"%s\",\"method\":\"%s\",\"status\":\"%s\",\"sent\":%d,\"received\":%d}", id, kind,
        method, status.getCode(), sent, answers.received.get());
  }

  static void callAll(int port, int count, int wide) throws Exception {
    ManagedChannel channel = NettyChannelBuilder.forAddress("127.0.0.1", port).usePlaintext().build();
    print("ready");
    System.in.read();
    AtomicInteger next = new AtomicInteger();
    ExecutorService pool = Executors.newFixedThreadPool(wide);
    for (int i = 0; i < wide; i++) {
      pool.submit(() -> {
        for (int number = next.getAndIncrement(); number < count; number = next.getAndIncrement()) {
          print(call(channel, number));
        }
        return null;
      });
    }
    pool.shutdown();
    pool.awaitTermination(5, TimeUnit.MINUTES);
    print(call(channel, count));
    print("done");
    channel.shutdownNow();
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("serve")) {
      serve(arguments.length > 1 ? arguments[1] : null);
    } else {
      callAll(Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3]));
    }
  }
}
