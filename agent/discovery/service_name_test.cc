// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/service_name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace zerospan::discovery {
namespace {

std::string guess(const std::string& executable, std::vector<std::string> arguments,
                  const std::string& directory = "", const PackageName& package = {}) {
  return guess_service_name({.executable = executable,
                             .command = "comm",
                             .arguments = arguments,
                             .runtime = runtime_from_executable(executable),
                             .working_directory = directory},
                            package);
}

TEST(ServiceName, Native) {
  EXPECT_EQ(guess("/usr/sbin/nginx", {"nginx: worker process"}), "nginx");
  EXPECT_EQ(guess("/usr/local/bin/shop", {"./shop", "--port", "80"}), "shop");
  EXPECT_EQ(guess("", {}), "comm");
  EXPECT_EQ(guess("/usr/bin/bash", {"bash", "/opt/run/backup.sh", "-v"}), "backup");
  EXPECT_EQ(guess("/bin/sh", {"sh", "-c", "exec something secret"}), "sh");
  EXPECT_EQ(guess("/usr/bin/perl", {"perl", "-w", "proxy.pl"}), "proxy");
  EXPECT_EQ(guess("/usr/local/bin/bun", {"bun", "run", "src/api.ts"}), "api");
  const auto linked = [](std::string_view command, std::vector<std::string> arguments) {
    return guess_service_name({.executable = "/usr/bin/redis-check-rdb",
                               .command = command,
                               .arguments = arguments,
                               .working_directory = {}},
                              {});
  };
  EXPECT_EQ(linked("redis-server", {"/usr/bin/redis-server 127.0.0.1:6379"}), "redis-server");
  EXPECT_EQ(linked("a-name-of-twent", {"./a-name-of-twenty-one"}), "a-name-of-twenty-one");
  EXPECT_EQ(linked("redis-check-rdb", {"redis-check-rdb", "dump"}), "redis-check-rdb");
  EXPECT_EQ(linked("main", {"/usr/bin/redis-server"}), "redis-check-rdb");  // it calls itself so
  EXPECT_EQ(guess_service_name({}, {}), "unknown_service");
}

TEST(ServiceName, Python) {
  const std::string py = "/usr/bin/python3.11";
  EXPECT_EQ(guess(py, {"python", "app.py"}), "app");
  EXPECT_EQ(guess(py, {"python3", "-u", "-W", "ignore", "/srv/api/server.py", "--debug"}),
            "server");
  EXPECT_EQ(guess(py, {"python", "-m", "pkg.mod", "x"}), "pkg.mod");
  EXPECT_EQ(guess(py, {"python", "-um", "http.server", "8000"}), "http.server");
  EXPECT_EQ(guess(py, {"python", "-mhttp.server"}), "http.server");
  EXPECT_EQ(guess(py, {"python", "-c", "import secret"}), "python3.11");
  EXPECT_EQ(guess(py, {"python", "-m"}), "python3.11");
  EXPECT_EQ(guess(py, {"python"}), "python3.11");
  EXPECT_EQ(guess(py, {"python", "/srv/shop/manage.py", "runserver"}), "shop");
  EXPECT_EQ(guess(py, {"python", "manage.py", "runserver"}, "/srv/orders"), "orders");
  EXPECT_EQ(guess(py, {"python", "manage.py"}, "/"), "manage");
}

TEST(ServiceName, PythonApplicationServers) {
  const std::string py = "/usr/bin/python3";
  EXPECT_EQ(guess(py, {"/usr/bin/python3", "/usr/bin/gunicorn", "-b", "0.0.0.0:8000", "-w", "4",
                       "shop.wsgi:app"}),
            "shop.wsgi");
  EXPECT_EQ(guess(py, {"python3", "/usr/bin/gunicorn", "--bind", "localhost:8000", "-k",
                       "uvicorn.workers.UvicornWorker", "main:create_app()"}),
            "main");
  EXPECT_EQ(guess(py, {"python3", "/usr/bin/gunicorn", "-b", "unix:/run/g.sock", "-w4", "shop"}),
            "shop");
  EXPECT_EQ(guess(py, {"python3", "-m", "uvicorn", "api.main:app", "--port", "80"}), "api.main");
  EXPECT_EQ(guess(py, {"python3", "/usr/local/bin/uvicorn", "main:app"}), "main");
  EXPECT_EQ(guess(py, {"gunicorn: worker [shop.wsgi:app]"}), "shop.wsgi");
  EXPECT_EQ(guess(py, {"python3", "-m", "flask", "--app", "hello", "run"}), "hello");
  EXPECT_EQ(guess(py, {"python3", "/usr/bin/flask", "--app=svc/hello.py:create", "run"}), "hello");
  EXPECT_EQ(guess(py, {"python3", "/usr/bin/celery", "-A", "proj", "worker"}), "proj");
  EXPECT_EQ(guess(py, {"python3", "/usr/bin/gunicorn", "-c", "conf.py"}), "gunicorn");
  EXPECT_EQ(guess("/usr/bin/uwsgi", {"uwsgi", "--http", ":8000", "--module", "site.wsgi:app"}),
            "site.wsgi");
}

TEST(ServiceName, Node) {
  const std::string node = "/usr/bin/node";
  EXPECT_EQ(guess(node, {"node", "server.js"}), "server");
  EXPECT_EQ(guess(node, {"node", "--inspect", "-r", "./tracing.js", "dist/api.mjs", "x"}), "api");
  EXPECT_EQ(guess(node, {"node", "/app/cart/index.js"}), "cart");
  EXPECT_EQ(guess(node, {"node", "index.js"}, "/srv/web/current"), "web");
  EXPECT_EQ(guess(node, {"node", "-e", "secret()"}), "node");
  std::string asked;
  const PackageName package = [&](std::string_view script) {
    asked = script;
    return std::string("@acme/checkout");
  };
  EXPECT_EQ(guess(node, {"node", "/app/dist/main.js"}, "/app", package), "checkout");
  EXPECT_EQ(asked, "/app/dist/main.js");
}

TEST(ServiceName, Java) {
  const std::string java = "/usr/lib/jvm/java-17/bin/java";
  EXPECT_EQ(guess(java, {"java", "-Xmx1g", "-jar", "/opt/x.jar", "--spring"}), "x");
  EXPECT_EQ(guess(java, {"java", "-jar", "cart-service-1.2.3-SNAPSHOT.jar"}), "cart-service");
  EXPECT_EQ(guess(java, {"java", "-cp", "a.jar:b.jar", "com.example.Main", "-jar"}),
            "com.example.Main");
  EXPECT_EQ(guess(java, {"java", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "@args",
                         "com.example.Main"}),
            "com.example.Main");
  EXPECT_EQ(guess(java, {"java", "-p", "mods", "-m", "shop/com.shop.Main"}), "shop");
  EXPECT_EQ(guess(java, {"java", "Hello.java"}), "Hello");
  EXPECT_EQ(guess(java, {"java", "-jar"}), "java");
  const std::vector<std::string> stated = {"java", "-Dotel.service.name=pay", "-jar", "x.jar"};
  EXPECT_EQ(stated_java_name(stated), "pay");
}

TEST(ServiceName, RubyPhpDotnet) {
  EXPECT_EQ(guess("/usr/bin/ruby3.1", {"puma 6.4.0 (tcp://0.0.0.0:9292) [shop]"}), "shop");
  EXPECT_EQ(guess("/usr/bin/ruby3.1", {"ruby", "/usr/bin/puma", "-p", "1"}, "/srv/shop/current"),
            "shop");
  EXPECT_EQ(guess("/usr/bin/ruby", {"ruby", "-I", "lib", "bin/worker.rb"}), "worker");
  EXPECT_EQ(guess("/usr/sbin/php-fpm8.2", {"php-fpm: pool www"}), "php-fpm");
  EXPECT_EQ(guess("/usr/bin/php8.2", {"php", "-S", "127.0.0.1:80", "router.php"}), "router");
  EXPECT_EQ(guess("/usr/bin/php8.2", {"php", "artisan", "serve"}, "/srv/blog"), "blog");
  EXPECT_EQ(guess("/usr/bin/dotnet", {"dotnet", "/app/Shop.Api.dll"}), "Shop.Api");
  EXPECT_EQ(guess("/usr/bin/dotnet", {"dotnet", "run"}, "/src/Orders"), "Orders");
}

TEST(ServiceName, HostileTextIsBoundedUtf8) {
  const std::string name = guess("/x/" + std::string(5000, '\xff'), {});
  EXPECT_EQ(name.size(), 255U * 3);
  EXPECT_EQ(guess("/usr/bin/python3", {"python3", "\xff.py"}), "\xef\xbf\xbd");
}

TEST(Runtime, ByExecutableAndLibraries) {
  EXPECT_EQ(runtime_from_executable("/usr/bin/python3.11"), Runtime::kPython);
  EXPECT_EQ(runtime_from_executable("node"), Runtime::kNode);
  EXPECT_EQ(runtime_from_executable("/usr/sbin/nginx"), Runtime::kNative);
  EXPECT_EQ(runtime_from_executable("/usr/sbin/php-fpm8.2"), Runtime::kPhp);
  const std::vector<std::string> java = {"/lib/libc.so.6", "/opt/jdk/lib/server/libjvm.so"};
  EXPECT_EQ(runtime_from_libraries(java), Runtime::kJava);
  const std::vector<std::string> ssl = {"/lib/libc.so.6", "/lib/libgnutls.so.30",
                                        "/lib/libssl.so.3"};
  EXPECT_EQ(runtime_from_libraries(ssl), Runtime::kNative);
  EXPECT_EQ(tls_library(Runtime::kNative, ssl), "/lib/libssl.so.3");
  EXPECT_EQ(tls_library(Runtime::kGo, {}), "crypto/tls (Go)");
  EXPECT_EQ(tls_library(Runtime::kNative, {}), "");
}

}  // namespace
}  // namespace zerospan::discovery
