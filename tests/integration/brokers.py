# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Message brokers, with what they store as oracles."""

import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile

import harness
import servers


class Kafka:
    """One broker of Kafka 3.9 that is its own controller (KRaft)."""

    def __init__(self, case):
        case.need("mvn", "java")
        (program,) = servers.prepared("kafka")
        self.program = pathlib.Path(program)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kafka-", dir=case.directory))
        self.port = harness.free_port()
        controller = harness.free_port()
        settings = self.folder / "server.properties"
        settings.write_text(f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={self.folder}/data
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
""")
        self.run("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c", settings)
        self.process = case.start([*self.java("256m"), "kafka.Kafka", settings])
        harness.wait_for(lambda: harness.accepts(self.port), "Kafka to start", 60)

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def java(self, memory="128m"):
        # Its own log is on standard output; without a binding there is none.
        return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", f"-Xmx{memory}", "-cp",
                f"{self.program}/target/dependency/*"]

    def run(self, *command):
        done = subprocess.run([*self.java(), *(str(part) for part in command)], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def batches(self, topic):
        """The batches that the broker has stored, without control batches: {(partition, first offset): messages}."""
        found = {}
        logs = sorted((self.folder / "data").glob(f"{topic}-[0-9]*/*.log"))
        for log in logs:
            dumped = self.run("kafka.tools.DumpLogSegments", "--files", log)
            partition = int(log.parent.name.rsplit("-", 1)[1])
            for first, count, control in re.findall(
                    r"^baseOffset: (\d+) .*? count: (\d+) .*? isControl: (\w+)", dumped, re.M):
                if control == "false":
                    found[partition, int(first)] = int(count)
        return found

    def client(self, library):
        """The command of tests/programs/kafka_client.py, and its environment."""
        return ([harness.PYTHON, harness.PROGRAMS / "kafka_client.py", library, self.address],
                {"PYTHONPATH": str(self.program / "packages"), "PYTHONUNBUFFERED": "1"})


class Rabbitmq:
    """One node of RabbitMQ, with a port mapper of its own. The oracle is what it counts."""

    PASSWORD = "secret-password"

    def __init__(self, case):
        self.server = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        case.need(self.server, "epmd")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="rabbitmq-", dir=case.directory))
        self.port, self.metrics, mapper, distribution = (harness.free_port() for _ in range(4))
        (folder / "plugins").write_text("[rabbitmq_prometheus].\n")
        (folder / "rabbitmq.conf").write_text(f"""
listeners.tcp.1 = 127.0.0.1:{self.port}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {self.metrics}
default_user = tester
default_pass = {self.PASSWORD}
""")
        # Else Erlang starts one that nobody ends.
        case.start(["epmd", "-address", "127.0.0.1", "-port", mapper])
        harness.wait_for(lambda: harness.accepts(mapper), "epmd to start")
        program = case.start([self.server], env={
            "HOME": str(folder), "RABBITMQ_NODENAME": f"test{self.port}@localhost", "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"), "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"})
        harness.wait_for(lambda: harness.accepts(self.port) and harness.accepts(self.metrics), "RabbitMQ to start", 90)
        self.pid = next(int(entry) for entry in os.listdir("/proc") if entry.isdigit() and
                        self.is_node(int(entry), program.pid))

    @staticmethod
    def is_node(pid, session):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text() == "beam.smp\n" and os.getsid(pid) == session
        except (FileNotFoundError, ProcessLookupError):
            return False

    @property
    def address(self):
        return f"amqp://tester:{self.PASSWORD}@127.0.0.1:{self.port}/%2F"

    def counts(self):
        """{name: how many messages}: received, confirmed, delivered, acknowledged, ..."""
        found = collections.Counter()
        for name, value in re.findall(r"^rabbitmq_global_messages_(\w+)_total\{[^}]*\} (\d+)$",
                                      harness.scrape(self.metrics), re.M):
            found[name] += int(value)
        return found


class Mosquitto:
    """Mosquitto 2.0. The oracle is its log, which has each packet."""

    PASSWORD = "secret-password"

    def __init__(self, case):
        case.need("mosquitto", "mosquitto_passwd")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="mosquitto-", dir=case.directory))
        self.port = harness.free_port()
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "tester", self.PASSWORD], check=True)
        (folder / "acl").write_text("user tester\ntopic readwrite open/#\n")
        settings = folder / "mosquitto.conf"
        settings.write_text(f"""
user root
listener {self.port} 127.0.0.1
allow_anonymous false
password_file {passwords}
acl_file {folder}/acl
log_dest stderr
log_type all
max_queued_messages 0
max_inflight_messages 0
""")
        self.process = case.start(["mosquitto", "-c", settings])
        harness.wait_for(lambda: harness.accepts(self.port), "Mosquitto to start")

    @property
    def pid(self):
        return self.process.pid

    def publishes(self):
        """{"publish" or "deliver": {"topic size": packets}}."""
        found = {"publish": collections.Counter(), "deliver": collections.Counter()}
        for way, topic, size in re.findall(
                r"(Received|Sending|Denied) PUBLISH (?:from|to) \S+ \(.*?'(.*?)', \.\.\. \((\d+) bytes\)\)",
                "\n".join(self.process.errors)):
            found["deliver" if way == "Sending" else "publish"][f"{topic} {size}"] += 1
        return found


class Nats:
    """NATS's server 2.12. The oracle is what it counts."""

    PASSWORD = "secret-password"

    def __init__(self, case):
        case.need("go")
        (program,) = servers.prepared("nats")
        self.client = pathlib.Path(program) / "program"
        folder = pathlib.Path(tempfile.mkdtemp(prefix="nats-", dir=case.directory))
        self.port, self.monitor = harness.free_port(), harness.free_port()
        settings = folder / "server.conf"
        settings.write_text(f"""
listen: 127.0.0.1:{self.port}
http: 127.0.0.1:{self.monitor}
authorization {{
  users = [{{ user: tester, password: "{self.PASSWORD}", permissions: {{ publish: {{ deny: "closed.>" }} }} }}]
}}
""")
        self.process = case.start([pathlib.Path(program) / "nats-server", "-c", settings])
        harness.wait_for(lambda: harness.accepts(self.port) and harness.accepts(self.monitor), "NATS's server to start")

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return f"nats://tester:{self.PASSWORD}@127.0.0.1:{self.port}"

    def counts(self):
        """(messages from clients, messages to clients)."""
        counted = json.loads(harness.scrape(self.monitor, "/varz"))
        return counted["in_msgs"], counted["out_msgs"]


def printed(lines):
    """What the clients print: {word: Counter of the rest}."""
    told = collections.defaultdict(collections.Counter)
    for line in lines:
        word, _, rest = line.partition(" ")
        told[word][rest] += 1
    return told
