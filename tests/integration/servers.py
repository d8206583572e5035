# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The programs under test: how each is started, where it listens, and what its access log says."""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import subprocess

from harness import BUILD, PROGRAMS, PYTHON, accepts, compiled, free_port, id_of, wait_for


@dataclasses.dataclass
class Logged:
    """One line of a server's own access log."""
    method: str
    target: str
    status: int
    bytes: int
    start: float
    end: float
    header_id: str

    @property
    def id(self):
        return id_of(self.target)


@dataclasses.dataclass
class Server:
    program: object
    port: int
    log: pathlib.Path
    # By query (status=, size=, chunked=), or by path as a file server does.
    by_query: bool = True
    unknown_method: str = "FOO"
    # How far the log's clock may be off: some servers log milliseconds, or a time cached by their event loop.
    clock: float = 0.0005
    chunked: bool = True
    pipelining: bool = True

    @property
    def pid(self):
        return self.program.pid

    def logged(self):
        """The lines that are whole; the server may be writing the next one."""
        text = self.log.read_text() if self.log.exists() else ""
        return [_logged(json.loads(line)) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_logged(self, count, seconds=30):
        """The log, once it has `count` lines: servers log after the last byte."""
        wait_for(lambda: self.log.exists() and self.log.read_bytes().count(b"\n") >= count,
                 f"{count} lines in {self.log}", seconds)
        return self.logged()


def _logged(raw):
    if "msec" in raw:
        start, end = raw["msec"] - raw["time"], raw["msec"]
    elif "start_us" in raw:
        start = raw["start_us"] / 1e6
        end = start + raw["duration_us"] / 1e6
    else:
        start, end = raw["start"], raw["end"]
    return Logged(raw["method"], raw["target"], raw["status"], raw["bytes"], start, end, raw["id"])


@functools.cache
def built(name, variant=""):
    """Compiles a test program once per build folder; a rebuild costs nothing. Of Go's there can be variants, which
    differ in their build id alone."""
    folder = BUILD / "test-programs"
    folder.mkdir(parents=True, exist_ok=True)
    if name == "go":
        command = ["go", "build", f"-ldflags=-X=main.variant={variant}", "-o", str(folder / f"httpprog{variant}"), "."]
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOPROXY": "off",
                       "GOCACHE": str(folder / "go-cache"), "CGO_ENABLED": "0"}
        result = [folder / f"httpprog{variant}"]
    else:
        command = ["javac", "-d", str(folder / "java"), "HttpProgram.java"]
        environment = None
        result = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", folder / "java",
                  "HttpProgram"]
    compiled(command, cwd=PROGRAMS / name, env=environment)
    return result


@functools.cache
def prepared(name):
    """The command of a program that tests/programs/build.sh makes, once per version of its sources."""
    done = subprocess.run([PROGRAMS / "build.sh", name], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"tests/programs/build.sh {name}: {done.stderr[-3000:]}")
    return done.stdout.splitlines()


def web(case, mode, command=None):
    """A server made with one of Go's web frameworks, or with Connect. `command`: another build of it."""
    case.need("go")
    log = _log(case, "web")
    return _printing(case, [*(command or prepared("web")), mode, log], log)


def web_bare(case, program, framework):
    return _printing(case, [program, "bare", framework], case.directory / "none")


def _printing(case, command, log, seconds=30, **how):
    program = case.start(command)
    port = int(program.wait_line(program.lines, r"^listening (\d+)", seconds).group(1))
    return Server(program, port, log, **how)


def _log(case, name):
    return case.directory / f"{name}-{len(list(case.directory.iterdir()))}.log"


def _mode(backend):
    return ("proxy", [f"http://127.0.0.1:{backend}"]) if backend else ("serve", [])


def go(case, backend=None):
    case.need("go")
    log = _log(case, "go")
    mode, tail = _mode(backend)
    return _printing(case, [*built("go"), mode, log, *tail], log)


def go_http2(case, backend=None):
    case.need("go")
    log = _log(case, "go")
    mode, tail = _mode(backend)
    return _printing(case, [*built("go"), mode + "2", log, *tail], log)


def go_relay(case, backend):
    case.need("go")
    return _printing(case, [*built("go"), "relay", f"http://127.0.0.1:{backend}"], case.directory / "none")


def go_to_http2(case, backend):
    """A proxy that is asked in HTTP/1 and asks in HTTP/2."""
    case.need("go")
    log = _log(case, "go")
    return _printing(case, [*built("go"), "proxyto2", log, f"http://127.0.0.1:{backend}"], log)


def go_echo(case):
    case.need("go")
    return _printing(case, [*built("go"), "echo"], case.directory / "none")


def go_grpc_echo(case, program):
    return _printing(case, [program, "echo"], case.directory / "none")


def node(case, backend=None):
    case.need("node")
    log = _log(case, "node")
    mode, tail = _mode(backend)
    return _printing(case, ["node", PROGRAMS / "node_http.js", mode, log, *tail], log,
                     unknown_method="PURGE", clock=0.0015)


def python(case, backend=None):
    log = _log(case, "python")
    mode, tail = _mode(backend)
    return _printing(case, [PYTHON, PROGRAMS / "python_http.py", mode, log, *tail], log)


def aiohttp(case, backend):
    case.need_module("aiohttp")
    log = _log(case, "aiohttp")
    return _printing(case, [PYTHON, PROGRAMS / "app_aiohttp.py", "proxy", log, f"http://127.0.0.1:{backend}"], log)


def java(case, backend=None):
    case.need("java", "javac")
    log = _log(case, "java")
    mode, tail = _mode(backend)
    # This server reads one request, answers, and only then parses what follows: no pipelining.
    return _printing(case, [*built("java"), mode, log, *tail], log, 60, clock=0.0015, pipelining=False)


def on_free_port(case, command, log, prepare=lambda port: None, attempts=5, **how):
    """For programs that cannot bind port 0: takes a free one, and another when somebody was quicker."""
    for attempt in range(attempts):
        port = free_port()
        prepare(port)
        program = case.start([str(part).replace("@PORT@", str(port)) for part in command],
                             env=how.get("env"), cwd=how.get("cwd"))
        wait_for(lambda: program.process.poll() is not None or accepts(port), f"port {port} of {program}", 30)
        if program.process.poll() is None:
            options = {k: v for k, v in how.items() if k not in ("env", "cwd")}
            # The probe of the port may leave a line in the log.
            return Server(program, port, log, **options)
        program.stop()
        if attempt == attempts - 1:
            raise AssertionError(f"did not start: {program}")
    raise AssertionError("unreachable")


def _document_root(folder):
    files = folder / "www" / "files"
    files.mkdir(parents=True)
    shared = folder / "www" / "s"
    shared.mkdir()
    (shared / "200").write_bytes(b"hello\n")
    for size in (0, 10, 100_000, 5_000_000):
        (files / str(size)).write_bytes(b"x" * size)
    shutil.copy(PROGRAMS / "php" / "index.php", folder / "www" / "index.php")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def nginx(case, backend=None, workers=1, template="nginx.conf.in"):
    case.need("nginx")
    folder = case.directory / f"nginx-{len(list(case.directory.iterdir()))}"
    folder.mkdir()
    folder.chmod(0o777)
    _document_root(folder)
    template = (PROGRAMS / "nginx" / template).read_text()

    def prepare(port):
        text = template
        for key, value in {"PORT": port, "DIR": folder, "WORKERS": workers,
                           "BACKEND": f"127.0.0.1:{backend or 1}"}.items():
            text = text.replace(f"@{key}@", str(value))
        (folder / "nginx.conf").write_text(text)

    return on_free_port(case, ["nginx", "-c", folder / "nginx.conf"], folder / "access.log", prepare,
                         by_query=False, clock=0.0015, chunked=False)


def nghttpx(case, backend):
    """A proxy that upgrades HTTP/1.1 to HTTP/2 (RFC 7540 section 3.2)."""
    case.need("nghttpx")
    log = _log(case, "nghttpx")
    return on_free_port(
        case, ["nghttpx", "--conf=/dev/null", "--single-process", "--workers=1", "--frontend=127.0.0.1,@PORT@;no-tls",
               f"--backend=127.0.0.1,{backend}", f"--accesslog-file={log}", f"--errorlog-file={log}.errors",
               '--accesslog-format={"id":"","method":"$method","target":"$path","status":$status,'
               '"bytes":$body_bytes_sent,"start":0,"end":$request_time}'], log)


def apache(case):
    case.need("apache2")
    folder = case.directory / "apache"
    folder.mkdir()
    folder.chmod(0o777)
    _document_root(folder)
    template = (PROGRAMS / "apache" / "httpd.conf.in").read_text()

    def prepare(port):
        text = template
        for key, value in {"PORT": port, "DIR": folder, "MODULES": "/usr/lib/apache2/modules"}.items():
            text = text.replace(f"@{key}@", str(value))
        (folder / "httpd.conf").write_text(text)

    return on_free_port(case, ["apache2", "-D", "FOREGROUND", "-f", folder / "httpd.conf"],
                         folder / "access.log", prepare, by_query=False, chunked=False, clock=0.0015)


def gunicorn(case, threads=4):
    case.need("gunicorn")
    case.need_module("flask")
    log = _log(case, "gunicorn")
    kind = ["--worker-class", "gthread", "--threads", str(threads)] if threads else ["--worker-class", "sync"]
    return on_free_port(
        case, ["gunicorn", *kind, "--workers", "1", "--bind", "127.0.0.1:@PORT@", "app_flask:app"], log,
        env={"ACCESS_LOG": str(log), "PYTHONDONTWRITEBYTECODE": "1"}, cwd=PROGRAMS, pipelining=False)


def uvicorn(case):
    case.need("uvicorn")
    case.need_module("fastapi")
    log = _log(case, "uvicorn")
    return on_free_port(case, ["uvicorn", "--port", "@PORT@", "--log-level", "warning", "app_fastapi:app"], log,
                         env={"ACCESS_LOG": str(log), "PYTHONDONTWRITEBYTECODE": "1"}, cwd=PROGRAMS,
                         unknown_method="FOO")


def puma(case):
    case.need("puma")
    log = _log(case, "puma")
    return on_free_port(
        case, ["puma", "--bind", "tcp://127.0.0.1:@PORT@", "--threads", "4:4", "--silent",
               PROGRAMS / "puma" / "config.ru"], log, env={"ACCESS_LOG": str(log)}, unknown_method="PURGE")


def php(case, nginx_server):
    """PHP-FPM on a Unix socket in the folder of an nginx that passes index.php to it."""
    names = [name for name in ("php-fpm8.2", "php-fpm", "php-fpm8.4", "php-fpm8.3") if shutil.which(name)]
    if not names:
        case.fail("php-fpm is not installed (scripts/install-test-deps.sh --all)")
    folder = nginx_server.log.parent
    (folder / "fpm.conf").write_text(
        f"[global]\nerror_log = {folder}/fpm.log\ndaemonize = no\n"
        f"[www]\nuser = nobody\ngroup = nogroup\nlisten = {folder}/php.sock\nlisten.mode = 0666\n"
        "pm = static\npm.max_children = 2\n")
    program = case.start([names[0], "-y", folder / "fpm.conf", "-F"])
    wait_for(lambda: (folder / "php.sock").exists(), f"the socket of {program}")
    return program
