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
import subprocess

import harness


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


def sanitized(text):
    out, gap = "", False
    for token in TOKEN.finditer(text):
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
        self.folder = case.directory / "postgresql"
        self.folder.mkdir()
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
        self.seen = len(self.entries())

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

    def mark(self):
        """What is logged from here on counts."""
        self.seen = len(self.entries())

    def logged(self):
        """The statements that the server logged since mark(), in each session's order."""
        found = collections.defaultdict(list)
        for entry in self.entries()[self.seen:]:
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
