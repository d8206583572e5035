// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Service tomcat|executors|virtual|netty: the services in Java of the parents benchmark (../../../../README.md).
//   tomcat     a thread serves a request to its end, and calls by HttpURLConnection
//   executors  handlers and what follows calls on one pool of threads, CompletableFutures, calls by HttpClient, timers by a scheduler
//   virtual    as tomcat, each request on a virtual thread (Java 21)
//   netty      reactor-netty's server and client
import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.grpc.CallOptions;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;

public class Service {
  static final String URL = System.getenv("HTTP_URL");
  static final Metadata.Key<String> ID = Metadata.Key.of("x-id", Metadata.ASCII_STRING_MARSHALLER);

  static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<>() {
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException error) {
        throw new RuntimeException(error);
      }
    }
  };
  static final MethodDescriptor<byte[], byte[]> METHOD = MethodDescriptor.<byte[], byte[]>newBuilder()
      .setType(MethodDescriptor.MethodType.UNARY).setFullMethodName("parents.Service/Call")
      .setRequestMarshaller(BYTES).setResponseMarshaller(BYTES).build();

  static ManagedChannel channel;
  static HikariDataSource database;
  static ExecutorService pool = Executors.newFixedThreadPool(16);
  static final ScheduledExecutorService TIMERS = Executors.newScheduledThreadPool(2);
  static final BlockingQueue<Runnable> JOBS = new LinkedBlockingQueue<>();

  // ---- Calls of threads that wait.

  static void get(String name) throws Exception {
    HttpURLConnection connection = (HttpURLConnection) URI.create(URL + name).toURL().openConnection();
    if (connection.getResponseCode() != 200) {
      throw new IOException("status " + connection.getResponseCode());
    }
    try (InputStream body = connection.getInputStream()) {
      body.readAllBytes();
    }
  }

  static io.grpc.Channel named(String name) {
    Metadata fields = new Metadata();
    fields.put(ID, name);
    return ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(fields));
  }

  static void query(String name) throws Exception {
    try (Connection connection = database.getConnection(); Statement statement = connection.createStatement()) {
      statement.execute("SELECT pg_sleep(0.002) AS r" + name.replace('.', '_'));
    }
  }

  static void call(String kind, String name) throws Exception {
    switch (kind) {
      case "http" -> get(name);
      case "grpc" -> ClientCalls.blockingUnaryCall(named(name), METHOD, CallOptions.DEFAULT, new byte[0]);
      case "sql" -> query(name);
      default -> throw new IllegalArgumentException("unknown step " + kind);
    }
  }

  // Runs the steps; `made` calls were made before.
  static void run(String id, List<String> steps, int made) throws Exception {
    for (int i = 0; i < steps.size();) {
      String step = steps.get(i);
      if (step.equals("timer")) {
        Thread.sleep(5);
        ++i;
      } else if (step.equals("queue")) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        List<String> rest = steps.subList(i + 1, steps.size());
        int before = made;
        JOBS.add(() -> {
          try {
            run(id, rest, before);
            done.complete(null);
          } catch (Exception error) {
            done.completeExceptionally(error);
          }
        });
        done.get();
        return;
      } else if (step.endsWith(":parallel")) {
        List<CompletableFuture<Void>> waiting = new ArrayList<>();
        for (; i < steps.size() && steps.get(i).endsWith(":parallel"); ++i) {
          String kind = steps.get(i).split(":")[0];
          String name = id + "." + made++;
          waiting.add(CompletableFuture.runAsync(() -> {
            try {
              call(kind, name);
            } catch (Exception error) {
              throw new RuntimeException(error);
            }
          }, pool));
        }
        for (CompletableFuture<Void> each : waiting) {
          each.get();
        }
      } else {
        call(step, id + "." + made++);
        ++i;
      }
    }
  }

  static int work(String id, String plan) {
    try {
      run(id, List.of(plan.split(",")), 0);
      return 200;
    } catch (Exception error) {
      return failed(id, plan, error);
    }
  }

  static int failed(String id, String plan, Throwable error) {
    System.err.println(id + " " + plan + " " + error);
    return 500;
  }

  // ---- Calls that no thread waits for.

  static HttpClient client;

  static CompletionStage<Void> callLater(String kind, String name) {
    switch (kind) {
      case "http":
        return client.sendAsync(HttpRequest.newBuilder(URI.create(URL + name)).build(), HttpResponse.BodyHandlers.ofByteArray())
            .thenAccept(answer -> {
              if (answer.statusCode() != 200) {
                throw new RuntimeException("status " + answer.statusCode());
              }
            });
      case "grpc":
        CompletableFuture<Void> done = new CompletableFuture<>();
        ClientCalls.asyncUnaryCall(named(name).newCall(METHOD, CallOptions.DEFAULT), new byte[0], new StreamObserver<byte[]>() {
          public void onNext(byte[] value) {}

          public void onError(Throwable error) {
            done.completeExceptionally(error);
          }

          public void onCompleted() {
            done.complete(null);
          }
        });
        return done;
      default:
        return CompletableFuture.runAsync(() -> {
          try {
            call(kind, name);
          } catch (Exception error) {
            throw new RuntimeException(error);
          }
        }, pool);
    }
  }

  static CompletionStage<Void> runLater(String id, List<String> steps, int made) {
    if (steps.isEmpty()) {
      return CompletableFuture.completedFuture(null);
    }
    String step = steps.get(0);
    if (step.equals("timer") || step.equals("queue")) {
      CompletableFuture<Void> done = new CompletableFuture<>();
      List<String> rest = steps.subList(1, steps.size());
      Runnable goOn = () -> runLater(id, rest, made).whenComplete((nothing, error) -> {
        if (error != null) {
          done.completeExceptionally(error);
        } else {
          done.complete(null);
        }
      });
      if (step.equals("timer")) {
        TIMERS.schedule(goOn, 5, TimeUnit.MILLISECONDS);
      } else {
        JOBS.add(goOn);
      }
      return done;
    }
    int together = 1;
    while (step.endsWith(":parallel") && together < steps.size() && steps.get(together).endsWith(":parallel")) {
      ++together;
    }
    CompletableFuture<?>[] waiting = new CompletableFuture<?>[together];
    for (int i = 0; i < together; ++i) {
      waiting[i] = callLater(steps.get(i).split(":")[0], id + "." + (made + i)).toCompletableFuture();
    }
    List<String> rest = steps.subList(together, steps.size());
    int next = made + together;
    return CompletableFuture.allOf(waiting).thenComposeAsync(nothing -> runLater(id, rest, next), pool);
  }

  // ---- The same in reactor's terms; it has no blocking calls.

  static reactor.netty.http.client.HttpClient reactive;

  static Mono<Void> callMono(String kind, String name) {
    if (kind.equals("http")) {
      return reactive.get().uri(URL + name).responseSingle((answer, body) -> answer.status().code() == 200
          ? body.asByteArray().then() : Mono.error(new IOException("status " + answer.status())));
    }
    return Mono.fromCompletionStage(() -> callLater(kind, name));
  }

  static final reactor.core.publisher.Sinks.Many<Mono<Void>> MONOS =
      reactor.core.publisher.Sinks.many().unicast().onBackpressureBuffer();

  static Mono<Void> runMono(String id, List<String> steps, int made) {
    if (steps.isEmpty()) {
      return Mono.empty();
    }
    String step = steps.get(0);
    List<String> behind = steps.subList(1, steps.size());
    if (step.equals("timer")) {
      return Mono.delay(java.time.Duration.ofMillis(5)).then(Mono.defer(() -> runMono(id, behind, made)));
    }
    if (step.equals("queue")) {
      reactor.core.publisher.Sinks.One<Void> done = reactor.core.publisher.Sinks.one();
      Mono<Void> job = Mono.defer(() -> runMono(id, behind, made)).doOnSuccess(nothing -> done.tryEmitEmpty())
          .onErrorResume(error -> {
            done.tryEmitError(error);
            return Mono.empty();
          });
      synchronized (MONOS) {
        MONOS.tryEmitNext(job).orThrow();
      }
      return done.asMono();
    }
    int together = 1;
    while (step.endsWith(":parallel") && together < steps.size() && steps.get(together).endsWith(":parallel")) {
      ++together;
    }
    int count = together;
    return Flux.range(0, count).flatMap(i -> callMono(steps.get(i).split(":")[0], id + "." + (made + i)), 16)
        .then(Mono.defer(() -> runMono(id, steps.subList(count, steps.size()), made + count)));
  }

  // ---- Servers.

  static Map<String, String> query(URI uri) {
    Map<String, String> found = new HashMap<>();
    for (String pair : uri.getQuery().split("&")) {
      found.put(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
    }
    return found;
  }

  static void announce(int port) {
    System.out.println("listening " + port);
  }

  static void tomcat() throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(System.getProperty("java.io.tmpdir"));
    Connector connector = new Connector();
    connector.setPort(0);
    connector.setProperty("address", "127.0.0.1");
    connector.setProperty("acceptCount", "1024");
    connector.setProperty("maxKeepAliveRequests", "-1");
    tomcat.setConnector(connector);
    Context context = tomcat.addContext("", null);
    Tomcat.addServlet(context, "work", new HttpServlet() {
      protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        response.setStatus(work(request.getParameter("id"), request.getParameter("plan")));
        response.getWriter().write("ok");
      }
    });
    context.addServletMappingDecoded("/work", "work");
    tomcat.start();
    announce(connector.getLocalPort());
    tomcat.getServer().await();
  }

  static void jdkServer(ExecutorService executor, boolean waits) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 1024);
    server.setExecutor(executor);
    server.createContext("/work", exchange -> {
      Map<String, String> query = query(exchange.getRequestURI());
      String id = query.get("id");
      String plan = query.get("plan");
      java.util.function.IntConsumer answer = status -> {
        try (exchange) {
          exchange.sendResponseHeaders(status, 2);
          exchange.getResponseBody().write("ok".getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
          failed(id, plan, error);
        }
      };
      if (waits) {
        answer.accept(work(id, plan));
      } else {
        CompletableFuture.completedFuture(null).thenComposeAsync(nothing -> runLater(id, List.of(plan.split(",")), 0), pool)
            .whenComplete((nothing, error) -> answer.accept(error == null ? 200 : failed(id, plan, error)));
      }
    });
    server.start();
    announce(server.getAddress().getPort());
  }

  static void netty() {
    reactive = reactor.netty.http.client.HttpClient.create(
        reactor.netty.resources.ConnectionProvider.builder("calls").maxConnections(64).pendingAcquireMaxCount(10000).build());
    MONOS.asFlux().flatMap(job -> job, 8).subscribe();
    DisposableServer server = reactor.netty.http.server.HttpServer.create().host("127.0.0.1").port(0)
        .option(io.netty.channel.ChannelOption.SO_BACKLOG, 1024)
        .handle((request, response) -> {
          Map<String, String> query = query(URI.create(request.uri()));
          String id = query.get("id");
          String plan = query.get("plan");
          return runMono(id, List.of(plan.split(",")), 0).thenReturn(200)
              .onErrorResume(error -> Mono.just(failed(id, plan, error)))
              .flatMap(status -> response.status(status).sendString(Mono.just("ok")).then());
        }).bindNow();
    announce(server.port());
    server.onDispose().block();
  }

  public static void main(String[] arguments) throws Exception {
    if (System.getenv("GRPC_TARGET") != null) {
      channel = NettyChannelBuilder.forTarget(System.getenv("GRPC_TARGET")).usePlaintext().build();
    }
    if (System.getenv("PGHOST") != null) {
      HikariConfig config = new HikariConfig();
      config.setJdbcUrl("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"));
      config.setUsername(System.getenv("PGUSER"));
      config.setMaximumPoolSize(16);
      database = new HikariDataSource(config);
    }
    for (int i = 0; i < 8; ++i) {
      Thread worker = new Thread(() -> {
        while (true) {
          try {
            JOBS.take().run();
          } catch (InterruptedException error) {
            return;
          }
        }
      });
      worker.setDaemon(true);
      worker.start();
    }
    switch (arguments[0]) {
      case "tomcat" -> tomcat();
      case "executors" -> {
        client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        jdkServer(pool, false);
      }
      case "virtual" -> {
        // Java 17 compiles this.
        pool = (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        jdkServer(pool, true);
      }
      case "netty" -> netty();
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }
}
