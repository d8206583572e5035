# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""A DaemonSet's container as a node would run it, by bubblewrap in place of a container runtime: the image's root file
system, read-only, the volumes of the manifest, its environment, its capabilities and none more, network, UTS, IPC and
cgroup namespaces of its own, and the host's processes. There is no AppArmor or seccomp profile and no memory limit."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

import harness


class Network:
    """A network namespace with nothing but loopback, until the test ends."""

    def __init__(self, case):
        self.case = case
        holder = case.start(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"])
        holder.wait_line(holder.lines, "^up$")
        self.inside = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]

    def start(self, command):
        return self.case.start([*self.inside, *command])

    def get(self, port, path):
        """HTTP status and body."""
        done = subprocess.run([*self.inside, "curl", "--silent", "--max-time", "10", "--write-out", "\n%{http_code}",
                               f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body


class HostNetwork:
    """No namespace of its own."""

    def __init__(self, case):
        self.case = case

    def start(self, command):
        return self.case.start(command)


def of_kind(objects, kind, name):
    return next(each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)


def _expand(text, variables):
    return re.sub(r"\$\(([A-Za-z_]\w*)\)", lambda found: variables.get(found[1], found[0]), text)


def environment(container, fields, more):
    """The container's variables: `fields` are what the downward API says, `more` is set besides."""
    variables = {}
    for entry in container["env"]:
        field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        variables[entry["name"]] = fields[field] if field else _expand(entry["value"], variables)
    return {**variables, **more}


def write_config_map(case, name, data):
    """The folder of a ConfigMap's volume, as the kubelet makes and changes it: all of it at once, by a link."""
    folder = case.directory / f"volume-{name}"
    folder.mkdir(exist_ok=True)
    fresh = pathlib.Path(tempfile.mkdtemp(prefix="..", dir=folder))
    fresh.chmod(0o755)
    for key, text in data.items():
        (fresh / key).write_text(text)
        if not (folder / key).is_symlink():
            (folder / key).symlink_to(f"..data/{key}")
    (folder / "..data_tmp").symlink_to(fresh.name)
    (folder / "..data_tmp").rename(folder / "..data")
    return folder


def start(network, objects, name, rootfs, fields, more, capabilities=None, account=None):
    """The running program of DaemonSet `name`. `capabilities`: in place of its own; `account`: a folder with a service
    account's token, as the kubelet mounts it."""
    spec = of_kind(objects, "DaemonSet", name)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert spec["hostPID"] and security["readOnlyRootFilesystem"]
    command = ["bwrap", "--unshare-uts", "--unshare-ipc", "--unshare-cgroup", "--ro-bind", rootfs, "/", "--proc", "/proc",
               "--ro-bind", "/sys", "/sys", "--dev", "/dev", "--hostname", "a-pod", "--clearenv"]
    for mount in container["volumeMounts"]:
        (volume,) = [each for each in spec["volumes"] if each["name"] == mount["name"]]
        if "configMap" in volume:
            map_name = volume["configMap"]["name"]
            source = write_config_map(network.case, map_name, of_kind(objects, "ConfigMap", map_name)["data"])
        else:
            source = volume["hostPath"]["path"]
        assert mount["readOnly"]
        command += ["--ro-bind", source, mount["mountPath"]]
    if account:
        command += ["--tmpfs", "/run", "--ro-bind", account, "/run/secrets/kubernetes.io/serviceaccount"]
    if security["privileged"]:
        command += ["--cap-add", "ALL"]
    else:
        assert security["capabilities"]["drop"] == ["ALL"]
        added = security["capabilities"]["add"] if capabilities is None else capabilities
        command += ["--cap-drop", "ALL", *(word for each in added for word in ("--cap-add", "CAP_" + each))]
    for key, value in environment(container, fields, more).items():
        command += ["--setenv", key, value]
    return network.start([*command, "/usr/bin/zerospan", *container["args"]])


def end(program, seconds):
    """SIGTERM for the container's own program, as a runtime sends it; its exit code."""
    (child,) = pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGTERM)
    return program.wait_exit(seconds)


def probed(network, objects, name, probe):
    """What the kubelet would get from `livenessProbe` or `readinessProbe`."""
    (container,) = of_kind(objects, "DaemonSet", name)["spec"]["template"]["spec"]["containers"]
    get = container[probe]["httpGet"]
    (port,) = [each["containerPort"] for each in container["ports"] if each["name"] == get["port"]]
    return network.get(port, get["path"])


def wait_ready(network, objects, name, program):
    harness.wait_for(lambda: program.process.poll() is not None or
                     probed(network, objects, name, "readinessProbe")[0] == 200, f"{program} to be ready", 60, 0.1)
