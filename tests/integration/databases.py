# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Database servers of Debian, with their own logs as oracles."""

import collections
import dataclasses
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile

import harness
import servers


@dataclasses.dataclass
class Logged:
    pid: int  # of the session
    text: str
    error: str = ""


# What the agent should make of a statement, by other means: a regular expression, one alternative a token.
TOKEN = re.compile(r"""
    (?P<comment>--[^\n]*|/\*.*?\*/) | (?P<space>\s+) | (?P<parameter>\$\d+) |
    (?P<literal>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | [eE]'(?:[^'\\]|\\.|'')*' | [bBxXnN]?'(?:[^']|'')*' |
      (?<![\w.])\d[\w.]*(?:(?<=[eE])[+-]\d+)? | \btrue\b | \bfalse\b) |
    (?P<name>"(?:[^"]|"")*" | \w+) | (?P<other>.)""", re.X | re.S | re.I)


MYSQL_TOKEN = re.compile(r"""
    (?P<space>\s+ | /\*!\d* | \*/) | (?P<comment>--\s[^\n]*|\#[^\n]*|/\*.*?\*/) | (?P<parameter>(?!)) |
    (?P<literal>[xXbBnN]?'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | (?<![\w.])\d[\w.]* | \btrue\b | \bfalse\b) |
    (?P<name>`(?:[^`]|``)*` | \w+) | (?P<other>.)""", re.X | re.S | re.I)


CLICKHOUSE_TOKEN = re.compile(r"""
    (?P<space>\s+) | (?P<comment>(?:--|//|\#[ !])[^\n]*|/\*.*?\*/) | (?P<parameter>(?!)) |
    (?P<literal>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | '(?:[^'\\]|\\.|'')*' | (?<!\w)0x[0-9a-f]+ |
      (?<![\w.])\d[\w.]*(?:(?<=[eE])[+-]\d+)? | \b(?:true|false|inf|nan)\b) |
    (?P<name>[`"](?:[^`"\\]|\\.)*[`"] | \w+) | (?P<other>.)""", re.X | re.S | re.I)


CQL_TOKEN = re.compile(r"""
    (?P<space>\s+) | (?P<comment>(?:--|//)[^\n]*|/\*.*?\*/) | (?P<parameter>(?!)) |
    (?P<literal>\$\$.*?\$\$ | '(?:[^']|'')*' | [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} |
      (?<![\w.])\d[\w.]* | \btrue\b | \bfalse\b) |
    (?P<name>"(?:[^"]|"")*" | \w+) | (?P<other>.)""", re.X | re.S | re.I)


def sanitized(text, pattern=TOKEN):
    out, gap = "", False
    for token in pattern.finditer(text):
        if token["comment"] or token["space"]:
            gap = True
            continue
        out += " " * (gap and bool(out)) + ("?" if token["literal"] else token.group())
        gap = False
    out = re.sub(r"\b(IN) \((?:[?]|\$\d+)(?:\s*,\s*(?:[?]|\$\d+))+\)", r"\1 (?)", out, flags=re.I)
    return re.sub(r"\s*;", ";", out).rstrip("; ")


class Postgresql:
    """A cluster of its own, trusted on loopback and on a Unix socket; the log is JSON lines."""

    BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")

    def __init__(self, case, *settings):
        if not (self.BINARIES / "postgres").exists():
            case.fail("PostgreSQL 15 is not installed (scripts/install-test-deps.sh)")
        case.need("psql", "pgbench", "setpriv")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postgresql-", dir=case.directory))
        shutil.chown(self.folder, "postgres", "postgres")
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = self.folder / "data"
        subprocess.run([*self.user, self.BINARIES / "initdb", "-D", data, "-A", "trust", "-U", "app", "--no-sync"],
                       check=True, capture_output=True)
        self.port = harness.free_port()
        options = ("fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}",
                   "log_statement=all", "log_destination=jsonlog", "logging_collector=on",
                   f"log_directory={self.folder}", "log_filename=server.log", "autovacuum=off", *settings)
        self.process = case.start([*self.user, self.BINARIES / "postgres", "-D", data, "-p", str(self.port),
                                   *(part for option in options for part in ("-c", option))])
        self.log_file = self.folder / "server.json"
        self.environment = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "app", "PGDATABASE": "postgres"}
        harness.wait_for(lambda: self.psql("SELECT 1", check=False).returncode == 0, "PostgreSQL to start")
        self.marks = 0
        self.seen = 0

    @property
    def pid(self):
        return self.process.pid

    @property
    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} user=app dbname=postgres"

    @property
    def socket(self):
        return str(self.folder / f".s.PGSQL.{self.port}")

    def run(self, *command, check=True, **environment):
        return subprocess.run([str(part) for part in command], env={**os.environ, **self.environment, **environment},
                              check=check, capture_output=True, text=True, timeout=120)

    def psql(self, *statements, check=True, **environment):
        commands = (part for statement in statements for part in ("-c", statement))
        return self.run("psql", "-X", "-q", *commands, check=check, **environment)

    def entries(self):
        if not self.log_file.exists():
            return []
        lines = self.log_file.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def settle(self):
        """Waits until all that was run is in the log, which another process writes; returns where it ends."""
        self.marks += 1
        mark = f"statement: SELECT 'mark {self.marks}'"
        self.psql(mark.removeprefix("statement: "))

        def end():
            messages = [entry["message"] for entry in self.entries()]
            return messages.index(mark) + 1 if mark in messages else 0
        return harness.wait_for(end, f"the log's {mark}")

    def mark(self):
        """What is logged from here on counts."""
        self.seen = self.settle()

    def logged(self, settled=True):
        """The statements that the server logged since mark(), in each session's order."""
        end = self.settle() - 1 if settled else None
        found = collections.defaultdict(list)
        for entry in self.entries()[self.seen:end]:
            session = found[entry["pid"]]
            message = entry["message"]
            statement = re.match(r"(?:statement|execute (?!fetch from)[^:]*): (.*)", message, re.S)
            fetch = re.match(r"execute fetch from [^:]*: (.*)", message, re.S)
            if statement or fetch:
                session.append(Logged(entry["pid"], (statement or fetch).group(1)))
            elif entry["error_severity"] in ("ERROR", "FATAL") and "statement" in entry:
                # A statement that could not even be parsed was not logged before its error.
                if not session or session[-1].text != entry["statement"] or session[-1].error:
                    session.append(Logged(entry["pid"], entry["statement"]))
                session[-1].error = entry["state_code"]
        return [statement for session in found.values() for statement in session]


class Mariadb:
    """A MariaDB server of its own on loopback and a Unix socket; its general log is a table."""

    def __init__(self, case):
        case.need("mariadbd", "mariadb", "mariadb-install-db")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mariadb-", dir=case.directory))
        shutil.chown(self.folder, "mysql", "mysql")
        data = self.folder / "data"
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=mysql", "--skip-test-db",
                        "--auth-root-authentication-method=normal"], check=True, capture_output=True)
        self.port = harness.free_port()
        self.socket = str(self.folder / "sock")
        self.process = case.start(["mariadbd", "--no-defaults", f"--datadir={data}", "--user=mysql",
                                   "--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.socket}",
                                   f"--pid-file={self.folder}/pid", "--innodb-buffer-pool-size=32M",
                                   "--innodb-flush-log-at-trx-commit=0", "--log-output=TABLE", "--local-infile=1",
                                   "--plugin-load-add=sql_errlog", f"--sql-error-log-filename={self.folder}/errors"])
        harness.wait_for(lambda: self.client("SELECT 1", check=False).returncode == 0, "MariaDB to start", 60)
        self.client("CREATE DATABASE shop", "CREATE USER app@localhost", "CREATE USER app@'127.0.0.1'",
                    "GRANT ALL ON shop.* TO app@localhost", "GRANT ALL ON shop.* TO app@'127.0.0.1'")

    @property
    def pid(self):
        return self.process.pid

    def client(self, *statements, check=True, tcp=False, user="root", database=None, force=False):
        where = ["-h", "127.0.0.1", "-P", str(self.port)] if tcp else ["-S", self.socket]
        return subprocess.run(["mariadb", "--no-defaults", *where, "-u", user, "-N", "-B", *(["-f"] if force else []),
                               *([database] if database else [])], input=";\n".join(statements) + ";\n", check=check,
                              capture_output=True, text=True, errors="replace", timeout=60)

    def mark(self):
        """What is logged from here on counts."""
        self.client("TRUNCATE mysql.general_log", "SET GLOBAL general_log = 1")
        (self.folder / "errors").write_text("")
        shutil.chown(self.folder / "errors", "mysql", "mysql")

    def logged(self):
        """What was run since mark(), without what this class itself does; what could not even be prepared, which is not
        in the general log; and the error numbers."""
        self.client("SET GLOBAL general_log = 0")
        rows = self.client("SELECT thread_id, command_type, HEX(argument) FROM mysql.general_log "
                           "ORDER BY event_time").stdout
        found = []
        for line in rows.splitlines():
            thread, kind, argument = line.split("\t")
            text = bytes.fromhex(argument).decode()
            if kind in ("Query", "Execute") and "general_log" not in text:
                found.append(Logged(int(thread), text))
        errors = re.findall(r" @ \S+ \[.*?\] ERROR (\d+): .* : (.*)", (self.folder / "errors").read_text())
        # What runs a statement that could not be prepared, by the number -1.
        errors = [(number, text) for number, text in errors if (number, text) != ("1243", "4294967295")]
        refused = collections.Counter(text for _, text in errors) - collections.Counter(line.text for line in found)
        return found, [Logged(0, text) for text in refused.elements()], collections.Counter(number for number, _ in errors)


class Redis:
    """A Redis server of its own on loopback and a Unix socket; MONITOR tells what it ran, INFO the errors."""

    # How many arguments behind the command are names, and what is behind them: all names, or pairs of name and value.
    NAMES = {"get": 1, "set": 1, "incr": 1, "lpush": 1, "lrange": 1, "append": 1, "expire": 1, "publish": 1, "blpop": "all",
             "del": "all", "mget": "all", "mset": "pairs", "hset": (1, "pairs"), "hget": 2, "hgetall": 1, "client": 1,
             "command": 1, "subscribe": "all", "unsubscribe": "all", "evalsha": 1, "script": 1, "watch": "all", "zadd": 1,
             "object": 2, "rpush": 1, "lpop": 1, "sadd": 1, "info": 1, "incrby": 1}

    def __init__(self, case, *settings):
        case.need("redis-server", "redis-cli", "redis-benchmark")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="redis-", dir=case.directory))
        self.port = harness.free_port()
        self.socket = str(self.folder / "sock")
        self.process = case.start(["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket",
                                   self.socket, "--save", "", "--dir", str(self.folder), *settings])
        harness.wait_for(lambda: "PONG" in self.cli("PING", check=False), "Redis to start")
        self.monitor = case.start(["redis-cli", "-p", str(self.port), "MONITOR"])
        self.monitor.wait_line(self.monitor.lines, "^OK")
        self.marks = 0
        self.mark()

    @property
    def pid(self):
        return self.process.pid

    def cli(self, *words, commands=None, check=True, unix=False, options=()):
        """One command of its words, or several of one line each."""
        where = ["-s", self.socket] if unix else ["-p", str(self.port)]
        return subprocess.run(["redis-cli", *where, *options, *words], input=commands, check=check, capture_output=True,
                              text=True, errors="replace", timeout=60).stdout

    def settle(self):
        self.marks += 1
        mark = f"mark {self.marks}"
        self.cli("ECHO", mark)
        self.monitor.wait_line(self.monitor.lines, f'"{mark}"')
        return next(i for i, line in enumerate(self.monitor.lines) if f'"{mark}"' in line)

    def mark(self):
        """What is run from here on counts."""
        self.cli("CONFIG", "RESETSTAT")
        self.seen = self.settle() + 1

    def logged(self):
        """The commands since mark(), without what scripts ran, as (database, text without values)."""
        found = []
        for line in self.monitor.lines[self.seen:self.settle()]:
            database, client, rest = re.match(r"[\d.]+ \[(\d+) (\S+)\] (.*)", line).groups()
            if client != "lua":
                words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r'"((?:[^"\\]|\\.)*)"', rest)]
                found.append((database, self.sanitized(words)))
        return found

    @classmethod
    def sanitized(cls, words):
        kept = cls.NAMES.get(words[0].lower(), 0)
        lead, tail = kept if isinstance(kept, tuple) else (0, kept) if isinstance(kept, str) else (kept, "")
        shown = [words[0]]
        for index, word in enumerate(words[1:]):
            name = index < lead or tail == "all" or (tail == "pairs" and (index - lead) % 2 == 0)
            shown.append("?" if not name else f'"{word}"' if " " in word else word)
        return " ".join(shown)

    def statistics(self):
        """What the server counted since mark(): {command: calls}, {error: count}."""
        calls = collections.Counter()
        for name, ran, rejected in re.findall(r"cmdstat_([^:|]+)[^:]*:calls=(\d+).*?rejected_calls=(\d+)",
                                              self.cli("INFO", "commandstats")):
            calls[name] += int(ran) + int(rejected)
        errors = re.findall(r"errorstat_([^:]+):count=(\d+)", self.cli("INFO", "errorstats"))
        return calls, collections.Counter({code: int(count) for code, count in errors})


class Memcached:
    """A Memcached server of its own, on loopback or on a Unix socket; with -vv it logs each command as it was sent."""

    def __init__(self, case, unix=False):
        case.need("memcached")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="memcached-", dir=case.directory))
        self.where = str(self.folder / "sock") if unix else str(harness.free_port())
        self.process = case.start(["memcached", "-u", "root", "-t", "2", "-vv", "-m", "64",
                                   *(["-s", self.where] if unix else ["-l", "127.0.0.1", "-p", self.where, "-U", "0"])])
        harness.wait_for(self.accepts, "memcached to start")
        self.marks = 0
        self.mark()

    @property
    def pid(self):
        return self.process.pid

    def connect(self):
        client = socket.socket(socket.AF_INET if self.where.isdigit() else socket.AF_UNIX)
        try:
            client.connect(("127.0.0.1", int(self.where)) if self.where.isdigit() else self.where)
        except OSError:
            client.close()
            raise
        client.settimeout(20)
        return client

    def accepts(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def settle(self):
        """Where the log is after all that was sent until now."""
        self.marks += 1
        with self.connect() as client:
            client.sendall(f"get mark{self.marks}\r\n".encode())
            client.recv(100)
        self.process.wait_line(self.process.errors, rf"get mark{self.marks}$")
        return next(i for i, line in enumerate(self.process.errors) if line.endswith(f"get mark{self.marks}"))

    def mark(self):
        """What is run from here on counts."""
        self.seen = self.settle() + 1

    def logged(self):
        """The commands since mark(), without values, and the errors that were answered."""
        lines = self.process.errors[self.seen:self.settle()]
        commands = [self.sanitized(found[1]) for line in lines if (found := re.match(r"<\d+ (?!new |connection |get mark)([a-z].*)", line))]
        errors = collections.Counter(found[1] for line in lines if (found := re.match(r">\d+ ((?:\w+_)?ERROR)\b", line)))
        return commands, errors

    @staticmethod
    def sanitized(line):
        words = line.split()
        names = len(words) if words[0] in ("get", "gets") else 0 if words[0] in ("gat", "gats", "verbosity") else 1
        return " ".join([words[0], *(word if index < names else "?" for index, word in enumerate(words[1:]))])


class Mongodb:
    """FerretDB over SQLite, on loopback: a server of MongoDB's protocol."""

    def __init__(self, case):
        case.need("go", "npm")
        self.folder = pathlib.Path(*servers.prepared("mongodb"))
        data = tempfile.mkdtemp(prefix="mongodb-", dir=case.directory)
        self.process = case.start([self.folder / "program", "server", data])
        self.uri = self.process.wait_line(self.process.lines, r"^listening (\S+)", 60)[1]

    @property
    def pid(self):
        return self.process.pid

    def command(self, language, *words):
        """A client's command and environment."""
        if language == "go":
            return [self.folder / "program", *words], None
        if language == "node":
            return ["node", self.folder / "client.js", *words], None
        return ([harness.PYTHON, "-B", self.folder / "client.py", *words],
                {"PYTHONPATH": str(self.folder / "packages"), "PYTHONUNBUFFERED": "1"})


class Clickhouse:
    """A server of its own; the oracle is its table of queries, which has them without the rows that follow them."""

    PASSWORD = "hunter2"

    def __init__(self, case):
        self.binary = shutil.which("clickhouse-server", path=os.environ["PATH"] + ":/usr/sbin")
        if not self.binary:
            case.fail("clickhouse-server is not installed (scripts/install-test-deps.sh --all)")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clickhouse-", dir=case.directory))
        self.port, other = harness.free_port(), harness.free_port()
        (self.folder / "config.xml").write_text(f"""<yandex>
  <logger><level>warning</level><log>{self.folder}/log</log><errorlog>{self.folder}/errors</errorlog></logger>
  <listen_host>127.0.0.1</listen_host><http_port>{self.port}</http_port><tcp_port>{other}</tcp_port>
  <keep_alive_timeout>60</keep_alive_timeout><mark_cache_size>16777216</mark_cache_size>
  <path>{self.folder}/data/</path><tmp_path>{self.folder}/tmp/</tmp_path>
  <users_config>{self.folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>100</flush_interval_milliseconds></query_log>
</yandex>""")
        (self.folder / "users.xml").write_text(f"""<yandex>
  <profiles><default><log_queries>1</log_queries></default><quiet><log_queries>0</log_queries></quiet></profiles>
  <users>
    <default><password/><networks><ip>127.0.0.1</ip></networks><profile>quiet</profile><quota>default</quota></default>
    <app><password>{self.PASSWORD}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
      <quota>default</quota></app>
  </users>
  <quotas><default/></quotas>
</yandex>""")
        self.process = case.start([self.binary, f"--config-file={self.folder}/config.xml"])
        harness.wait_for(lambda: harness.accepts(self.port), f"ClickHouse to start: {self.process}", 60)
        self.run("CREATE DATABASE shop")
        self.run("SELECT 'first'", "app", self.PASSWORD)  # makes the table

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def run(self, statement, user="default", password=""):
        done = subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", self.url, "-H", f"X-ClickHouse-User: {user}",
                               "-H", f"X-ClickHouse-Key: {password}", "--data-binary", statement],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{statement}: {done.stdout} {done.stderr}")
        return done.stdout

    def rows(self):
        """Queries that the application's user sent, once each: as they came to their end, or failed."""
        return [json.loads(line) for line in self.run(
            "SELECT query, query_id, port, exception FROM system.query_log WHERE type != 1 AND user = 'app' ORDER BY event_time "
            "FORMAT JSONEachRow").splitlines()]

    def logged(self):
        """The queries since the server began but for its first one, as (port of the client, text, code of the error)."""
        self.run("SELECT 'last'", "app", self.PASSWORD)
        harness.wait_for(lambda: self.has_table() and any(row["query"] == "SELECT 'last'" for row in self.rows()),
                         "the last query in the log")
        out = []
        for row in self.rows():
            if row["query"] not in ("SELECT 'first'", "SELECT 'last'"):
                code = re.match(r"Code: (\d+)", row["exception"])
                out.append((row["port"], row["query"], code.group(1) if code else ""))
        return out

    def has_table(self):
        return self.run("EXISTS TABLE system.query_log").strip() == "1"


class Cassandra:
    """One node on loopback; the oracle is its audit log."""

    # What Cassandra's own cassandra-env.sh and jvm17-server.options let it reach.
    EXPORTS = ("java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch",
               "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server",
               "java.sql/java.sql", "java.base/java.lang.ref", "jdk.unsupported/sun.misc")
    OPENS = ("java.base/java.lang.module", "java.base/jdk.internal.loader", "java.base/jdk.internal.ref",
             "java.base/jdk.internal.reflect", "java.base/jdk.internal.math", "java.base/jdk.internal.module",
             "java.base/jdk.internal.util.jar", "jdk.management/com.sun.management.internal", "java.base/sun.nio.ch",
             "java.base/java.io", "java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.util",
             "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic", "java.base/java.nio", "java.base/java.net")

    def __init__(self, case):
        case.need("java", "mvn", "go")
        self.program = pathlib.Path(*servers.prepared("cassandra"))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cassandra-", dir=case.directory))
        self.port, storage = harness.free_port(), harness.free_port()
        (self.folder / "cassandra.yaml").write_text(f"""
cluster_name: test
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 4MiB
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:{storage}"
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage}
native_transport_port: {self.port}
endpoint_snitch: SimpleSnitch
authenticator: PasswordAuthenticator
data_file_directories: [{self.folder}/data]
commitlog_directory: {self.folder}/commitlog
saved_caches_directory: {self.folder}/caches
hints_directory: {self.folder}/hints
auto_snapshot: false
memtable_heap_space: 32MiB
memtable_offheap_space: 32MiB
file_cache_size: 16MiB
networking_cache_size: 16MiB
audit_logging_options:
  enabled: true
  excluded_keyspaces: nothing
  logger:
    - class_name: FileAuditLogger
""")
        self.log = self.folder / "audit.log"
        (self.folder / "logback.xml").write_text(f"""<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%msg%n</pattern></encoder></appender>
  <appender name="AUDIT" class="ch.qos.logback.core.FileAppender">
    <file>{self.log}</file><encoder><pattern>%msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.audit" additivity="false" level="INFO"><appender-ref ref="AUDIT"/></logger>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
""")
        self.process = case.start([
            "java", "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            f"-Dcassandra.config=file://{self.folder}/cassandra.yaml", f"-Dlogback.configurationFile=file://{self.folder}/logback.xml",
            f"-Dcassandra.storagedir={self.folder}", "-Dcassandra.superuser_setup_delay_ms=0", "-Dcassandra.ring_delay_ms=1",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Djdk.attach.allowAttachSelf=true",
            *(f"--add-exports={name}=ALL-UNNAMED" for name in self.EXPORTS),
            *(f"--add-opens={name}=ALL-UNNAMED" for name in self.OPENS),
            "-cp", f"{self.program}/target/dependency/*", "org.apache.cassandra.service.CassandraDaemon"])
        harness.wait_for(lambda: harness.accepts(self.port), "Cassandra to start", 180)
        harness.wait_for(self.has_user, "Cassandra's first user", 60, 0.2)

    @property
    def pid(self):
        return self.process.pid

    def has_user(self):
        """The first user is made while connections are accepted already."""
        def ask(opcode, body):
            peer.sendall(struct.pack(">BBhBI", 4, 0, 0, opcode, len(body)) + body)
            header = answers.read(9)
            answers.read(int.from_bytes(header[5:], "big"))
            return header[4]
        with socket.create_connection(("127.0.0.1", self.port), 20) as peer, peer.makefile("rb") as answers:
            startup, login = b"\0\1\0\x0bCQL_VERSION\0\x053.0.0", b"\0cassandra\0cassandra"
            return ask(1, startup) == 3 and ask(15, struct.pack(">I", len(login)) + login) == 16

    def command(self, language, what, *words):
        """A client's command and environment."""
        if language == "go":
            return [self.program / "program", what, "127.0.0.1", str(self.port), *words], None
        return ([harness.PYTHON, "-B", self.program / "client.py", what, "127.0.0.1", str(self.port), *words],
                {"PYTHONPATH": str(self.program / "packages"), "PYTHONUNBUFFERED": "1"})

    def logged(self):
        """What was run: (kind, text, whether it failed), a batch as its statements."""
        found, batches = [], {}
        for line in re.split(r"\n(?=user:)", self.log.read_text().strip()):
            fields = re.match(r"user:.*?\|type:(\w+)\|.*?\|operation:(.*)$", line, re.S)
            if not fields:
                continue
            kind, text = fields.groups()
            batch = re.search(r"\|batch:([-\w]+)\|", line)
            if kind == "BATCH":
                batches[batch[1]] = []
                found.append((kind, batches[batch[1]], False))
            elif batch:
                batches[batch[1]].append(text)
            elif kind == "REQUEST_FAILURE":
                found.append((kind, text, True))
            elif not kind.startswith(("LOGIN", "PREPARE")):
                found.append((kind, text, False))
        return found
