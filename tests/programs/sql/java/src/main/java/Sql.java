// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.StringReader;
import java.net.InetSocketAddress;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.postgresql.PGConnection;

/**
 * handler DRIVER PORT CONNECTIONS: an HTTP server with a pool of threads, whose handlers send statements, with the request's
 * id in them, over connections of a pool. work DRIVER PORT: works with a database after a line on standard input, and prints
 * "ready" before.
 */
public class Sql {
  static HikariDataSource open(String driver, int port, int connections) {
    HikariConfig config = new HikariConfig();
    boolean postgresql = driver.equals("postgresql");
    config.setJdbcUrl("jdbc:" + driver + "://127.0.0.1:" + port
        + (postgresql ? "/postgres?sslmode=disable" : "/shop?allowMultiQueries=true&useServerPrepStmts=true"));
    config.setUsername("app");
    config.setMaximumPoolSize(connections);
    config.setMinimumIdle(Math.max(1, connections / 2));
    config.setConnectionTimeout(60_000);
    return new HikariDataSource(config);
  }

  static int rows(PreparedStatement statement) throws SQLException {
    try (ResultSet found = statement.executeQuery()) {
      int count = 0;
      while (found.next()) ++count;
      return count;
    }
  }

  static void run(Connection on, String text, Object... arguments) throws SQLException {
    try (PreparedStatement statement = on.prepareStatement(text)) {
      for (int i = 0; i < arguments.length; ++i) statement.setObject(i + 1, arguments[i]);
      statement.execute();
    }
  }

  static void want(String what, boolean is) {
    if (!is) throw new IllegalStateException(what);
  }

  interface Work {
    void run() throws SQLException;
  }

  static void refused(String state, Work work) {
    try {
      work.run();
    } catch (SQLException error) {
      want(state + ", not " + error.getSQLState() + " " + error.getMessage(), error.getSQLState().equals(state));
      return;
    }
    throw new IllegalStateException("it worked");
  }

  static void two(HikariDataSource pool, String slow, String id, int delay) throws SQLException {
    try (Connection connection = pool.getConnection()) {
      run(connection, slow + id, delay / 1000.0);
    }
    try (Connection connection = pool.getConnection()) {
      run(connection, "SELECT ? AS u_" + id, 1);
    }
  }

  static void handler(String driver, int port, int connections) throws Exception {
    HikariDataSource pool = open(driver, port, connections);
    String slow = driver.equals("postgresql") ? "SELECT pg_sleep(?) AS t_" : "SELECT SLEEP(?) AS t_";
    ExecutorService others = Executors.newFixedThreadPool(100);
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 200);
    server.setExecutor(Executors.newFixedThreadPool(100));
    server.createContext("/", exchange -> {
      Map<String, String> query = new HashMap<>();
      for (String pair : exchange.getRequestURI().getRawQuery().split("&")) {
        int at = pair.indexOf('=');
        query.put(pair.substring(0, at), pair.substring(at + 1));
      }
      String id = query.get("id");
      int delay = Integer.parseInt(query.getOrDefault("delay", "0"));
      int status = 200;
      try {
        switch (exchange.getRequestURI().getPath()) {
          case "/two" -> two(pool, slow, id, delay);
          case "/transaction" -> {
            try (Connection connection = pool.getConnection()) {
              connection.setAutoCommit(false);
              run(connection, slow + id, delay / 1000.0);
              run(connection, "SELECT ? AS u_" + id, 1);
              connection.commit();
              connection.setAutoCommit(true);
            }
          }
          // The statements are run by a thread of another pool.
          case "/handed" -> CompletableFuture.runAsync(() -> {
            try {
              two(pool, slow, id, delay);
            } catch (SQLException error) {
              throw new IllegalStateException(error);
            }
          }, others).join();
          default -> status = 404;
        }
      } catch (SQLException | IllegalStateException error) {
        error.printStackTrace();
        status = 500;
      }
      exchange.sendResponseHeaders(status, -1);
      exchange.close();
    });
    server.start();
    System.out.println("listening " + server.getAddress().getPort());
  }

  static void work(String driver, int port) throws Exception {
    boolean postgresql = driver.equals("postgresql");
    String table = postgresql ? "one" : "made";
    try (HikariDataSource pool = open(driver, port, 1); Connection connection = pool.getConnection()) {
      run(connection, "CREATE " + (postgresql ? "TEMP " : "") + "TABLE " + table + " (a INT PRIMARY KEY, b TEXT)");
      for (int i = 0; i < 10; ++i) run(connection, "INSERT INTO " + table + " VALUES (?, ?)", i, "secret " + i);
      // From the fifth time on PostgreSQL's driver has a named statement.
      try (PreparedStatement prepared = connection.prepareStatement("SELECT a, b FROM " + table + " WHERE a < ?")) {
        for (int i = 0; i < 9; ++i) {
          prepared.setInt(1, i);
          want("rows", rows(prepared) == i);
        }
      }
      try (Statement statement = connection.createStatement()) {
        statement.execute("UPDATE " + table + " SET b = 'secret' WHERE a = 3; DELETE FROM " + table + " WHERE a = 4");
        statement.execute("SELECT a FROM " + table + " WHERE a IN (1, 2, 3)");
      }
      refused(postgresql ? "23505" : "23000", () -> run(connection, "INSERT INTO " + table + " VALUES (?, ?)", 1, "secret"));
      refused(postgresql ? "42P01" : "42S02", () -> run(connection, "SELECT nothing FROM nowhere WHERE a = ?", 1));
      refused(postgresql ? "42601" : "42000", () -> run(connection, "SELEKT 'secret'"));
      try (PreparedStatement batch = connection.prepareStatement("UPDATE " + table + " SET b = ? WHERE a = ?")) {
        for (int i = 0; i < 40; ++i) {
          batch.setString(1, "secret " + i);
          batch.setInt(2, i % 10);
          batch.addBatch();
        }
        want("a batch", batch.executeBatch().length == 40);
      }
      connection.setAutoCommit(false);
      run(connection, "UPDATE " + table + " SET b = ? WHERE a = 5", "secret".repeat(3000));
      try (PreparedStatement many = connection.prepareStatement(postgresql
               ? "SELECT g, repeat('x', 50) FROM generate_series(1, ?) g"
               : "SELECT seq, REPEAT('x', 50) FROM seq_1_to_3000 WHERE seq <= ?")) {
        many.setInt(1, 3000);
        want("many rows", rows(many) == 3000);
        // PostgreSQL: in parts.
        many.setFetchSize(1000);
        want("many rows in parts", rows(many) == 3000);
      }
      connection.rollback();
      connection.setAutoCommit(true);
      if (postgresql) {
        var copies = connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder text = new StringBuilder();
        for (int i = 1000; i < 4000; ++i) text.append(i).append("\tsecret copied\n");
        want("copied", copies.copyIn("COPY one FROM STDIN", new StringReader(text.toString())) == 3000);
        want("copied back", copies.copyOut("COPY one TO STDOUT", new java.io.ByteArrayOutputStream()) == 3009);
      }
      want("valid", connection.isValid(5));
    }
  }

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[2]);
    if (arguments[0].equals("handler")) {
      handler(arguments[1], port, Integer.parseInt(arguments[3]));
      return;
    }
    System.out.println("ready");
    System.in.read();
    work(arguments[1], port);
    System.out.println("done");
  }
}
