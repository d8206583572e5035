// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import sun.misc.Signal;

/**
 * App BACKEND: knows nothing of OpenTelemetry. A request for /HOW/... asks BACKEND for the same target: with
 * java.net.http (HOW known), with HttpURLConnection (url), with what no instrumentation knows (plain), or with the
 * first and then plainly (mixed).
 */
public class App {
  static final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  static void ask(String how, URI url) throws IOException, InterruptedException {
    switch (how) {
      case "known" -> client.send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofByteArray());
      case "url" -> {
        HttpURLConnection connection = (HttpURLConnection) url.toURL().openConnection();
        connection.getInputStream().readAllBytes();
      }
      case "plain" -> {
        try (Socket socket = new Socket(url.getHost(), url.getPort())) {
          String request = "GET " + url.getRawPath() + "?" + url.getRawQuery() + " HTTP/1.1\r\nHost: " + url.getHost()
              + "\r\nConnection: close\r\n\r\n";
          socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
          socket.getInputStream().readAllBytes();
        }
      }
      case "mixed" -> {
        ask("known", url);
        ask("plain", url);
      }
      default -> throw new IOException("no way to ask is called " + how);
    }
  }

  public static void main(String[] args) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 1024);
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.createContext("/", exchange -> {
      int status = 200;
      try {
        ask(exchange.getRequestURI().getPath().split("/")[1], URI.create(args[0] + exchange.getRequestURI()));
      } catch (IOException | InterruptedException error) {
        error.printStackTrace();
        status = 502;
      }
      exchange.sendResponseHeaders(status, -1);
      exchange.close();
    });
    server.start();
    Signal.handle(new Signal("TERM"), signal -> System.exit(0));
    System.out.println("listening " + server.getAddress().getPort());
  }
}
