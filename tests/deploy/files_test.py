#!/usr/bin/env -S /usr/bin/python3 -B
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0
"""What can be said of deploy/ without an API server, in a second: files_test.py SOURCE ZEROSPAN. The rest is in
tests/integration/test_deploy.py."""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import yaml

ROOT, BINARY = pathlib.Path(sys.argv[1]), sys.argv[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/zerospan"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def check_config(text):
    """zerospan's complaint about a configuration file; it is read before what `check` is asked for."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([BINARY, "check", "--config", file.name, "--exe", "/bin/true"], capture_output=True, text=True)
        return done.stderr if file.name in done.stderr else ""


class Deploy(unittest.TestCase):
    def test_yaml(self):
        files = [file for file in DEPLOY.rglob("*.yaml") if "templates" not in file.parts]
        self.assertGreater(len(files), 15)
        for file in files:
            with self.subTest(file=file):
                for each in yaml.safe_load_all(file.read_text()):
                    self.assertIsInstance(each, dict)

    def test_configuration(self):
        text = (DEPLOY / "daemonset/base/zerospan.yaml").read_text()
        self.assertEqual("", check_config(text))
        self.assertEqual(VALUES["config"], yaml.safe_load(text))
        self.assertIn("lisen", check_config(text.replace("listen:", "lisen:")))

    def test_grace_is_longer_than_the_deadline(self):
        deadline = int(re.fullmatch(r"(\d+)s", VALUES["config"]["shutdown_deadline"])[1])
        self.assertLess(deadline, VALUES["terminationGracePeriodSeconds"])

    def test_sections(self):
        """The schema knows all sections of the configuration."""
        titles = re.findall(r"^###? `?([\w.]+)`?$", (ROOT / "docs/config.md").read_text(), re.M)
        sections = {title.split(".")[0] for title in titles}
        self.assertGreater(len(sections), 10)
        self.assertEqual(set(), sections - {"(top level)"} - set(SCHEMA["properties"]["config"]["properties"]))

    def test_values(self):
        jsonschema.Draft7Validator.check_schema(SCHEMA)
        jsonschema.validate(VALUES, SCHEMA)
        # All that there is to set is in values.yaml.
        self.assertEqual(set(SCHEMA["properties"]) - {"global"}, set(VALUES))
        for key in ("image", "serviceAccount", "rbac", "networkPolicy", "monitoring"):
            self.assertEqual(set(SCHEMA["properties"][key]["properties"]), set(VALUES[key]))

    def test_wrong_values(self):
        for path, value in (
                ("image.repository", ""), ("image.tag", "a b"), ("image.pullPolicy", "always"), ("image.digest", "sha256:0"),
                ("image.pullSecrets", ["name"]), ("endpoint", "collector:4318"), ("endpoint", 4318), ("config", "log: {}"),
                ("config.logs", {}), ("config.metrics.listen", "localhost:9465"), ("config.metrics.listen", "0.0.0.0:80"),
                ("config.shutdown_deadline", 5), ("config.sdk_spans", "none"), ("env", {"A": "b"}),
                ("env", [{"name": "A", "value": 1}]), ("env", [{"value": "b"}]), ("privileged", "true"), ("uprobes", 1),
                ("serviceAccount.name", ""), ("serviceAccount.annotations", {"a": 1}), ("rbac.create", None),
                ("resources.limits.memory", "256MB"), ("resources.request", {}), ("tolerations", [{"operator": "exists"}]),
                ("tolerations", [{"effect": "NoRun"}]), ("nodeSelector", {"a": True}), ("maxUnavailable", "0%"),
                ("maxUnavailable", 1.5), ("terminationGracePeriodSeconds", "10s"), ("networkPolicy", True),
                ("monitoring.rules", False), ("monitoring.podMonitors", True), ("replicas", 1)):
            with self.subTest(path=path, value=value):
                values = copy.deepcopy(VALUES)
                *parents, last = path.split(".")
                target = values
                for key in parents:
                    target = target[key]
                target[last] = value
                self.assertRaises(jsonschema.ValidationError, jsonschema.validate, values, SCHEMA)

    def test_one_version(self):
        version = re.search(r"project\(zerospan VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual([version, version], [chart["version"], chart["appVersion"]])
        self.assertIn(f"image: zerospan:{version}\n", (DEPLOY / "daemonset/base/daemonset.yaml").read_text())
        tested = re.search(r"otlpreceiver v([\d.]+)", (ROOT / "tests/deploy/collector.yaml").read_text())[1]
        for name in ("node", "gateway"):
            self.assertIn(f"opentelemetry-collector-contrib:{tested}\n",
                          (DEPLOY / f"daemonset/overlays/example-collector/{name}.yaml").read_text())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
