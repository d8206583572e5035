// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.FileWriter;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;

/** serve LOG | proxy LOG BACKEND | client: the same contract as go/main.go. */
public class HttpProgram {
  static PrintWriter log;

  static Map<String, String> query(URI uri) {
    Map<String, String> result = new HashMap<>();
    if (uri.getRawQuery() == null) return result;
    for (String pair : uri.getRawQuery().split("&")) {
      int at = pair.indexOf('=');
      if (at > 0) result.put(pair.substring(0, at), pair.substring(at + 1));
    }
    return result;
  }

  static byte[] filled(int size, char with) {
    byte[] bytes = new byte[size];
    Arrays.fill(bytes, (byte) with);
    return bytes;
  }

  static String id(HttpExchange exchange) {
    String id = exchange.getRequestHeaders().getFirst("X-Id");
    return id == null ? "" : id;
  }

  static void finish(HttpExchange exchange, int status, byte[] body, boolean chunked, double start)
      throws Exception {
    boolean head = exchange.getRequestMethod().equals("HEAD");
    boolean none = status == 204 || status == 304 || head;
    if (head) exchange.getResponseHeaders().set("Content-Length", "" + body.length);
    // 0 means chunked for this server, and -1 no body.
    exchange.sendResponseHeaders(status, none || body.length == 0 ? -1 : chunked ? 0 : body.length);
    if (!none && body.length > 0) exchange.getResponseBody().write(body);
    double end = System.currentTimeMillis() / 1000.0;
    exchange.close();
    synchronized (log) {
      log.printf("{\"id\":\"%s\",\"method\":\"%s\",\"target\":\"%s\",\"status\":%d,\"bytes\":%d,"
          + "\"start\":%.3f,\"end\":%.3f}%n", id(exchange), exchange.getRequestMethod(),
          exchange.getRequestURI(), status, none ? 0 : body.length, start, end);
      log.flush();
    }
  }

  static void answer(HttpExchange exchange) throws Exception {
    double start = System.currentTimeMillis() / 1000.0;
    exchange.getRequestBody().readAllBytes();
    Map<String, String> query = query(exchange.getRequestURI());
    Thread.sleep(Integer.parseInt(query.getOrDefault("delay", "0")));
    int status = Integer.parseInt(query.getOrDefault("status", "200"));
    if (status == 301) exchange.getResponseHeaders().set("Location", "/moved");
    finish(exchange, status, filled(Integer.parseInt(query.getOrDefault("size", "0")), 'x'),
        query.getOrDefault("chunked", "0").equals("1"), start);
  }

  static HttpRequest request(String method, String url, int size, String id) {
    HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(url));
    if (!id.isEmpty()) builder.header("X-Id", id);
    return builder.method(method, size > 0 ? HttpRequest.BodyPublishers.ofByteArray(filled(size, 'b'))
        : HttpRequest.BodyPublishers.noBody()).build();
  }

  public static void main(String[] args) throws Exception {
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    if (args[0].equals("client")) {
      System.out.println("listening 0");
      BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
      for (String line = input.readLine(); line != null; line = input.readLine()) {
        String[] part = line.split(" ");
        HttpResponse<byte[]> response = client.send(
            request(part[0], part[1], Integer.parseInt(part[2]), ""), HttpResponse.BodyHandlers.ofByteArray());
        System.out.println(response.statusCode() + " " + response.body().length);
      }
      System.exit(0);
    }
    log = new PrintWriter(new FileWriter(args[1], true));
    boolean proxy = args[0].equals("proxy");
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 1024);
    server.setExecutor(Executors.newFixedThreadPool(64));
    server.createContext("/", exchange -> {
      try {
        if (!proxy) {
          answer(exchange);
          return;
        }
        double start = System.currentTimeMillis() / 1000.0;
        HttpResponse<byte[]> response = client.send(
            request("GET", args[2] + exchange.getRequestURI(), 0, id(exchange)),
            HttpResponse.BodyHandlers.ofByteArray());
        finish(exchange, response.statusCode(), response.body(), false, start);
      } catch (Exception error) {
        error.printStackTrace();
        exchange.close();
      }
    });
    server.start();
    System.out.println("listening " + server.getAddress().getPort());
  }
}
