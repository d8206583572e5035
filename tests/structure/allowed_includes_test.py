# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The check of the includes finds what it is for."""

import pathlib
import tempfile
import unittest

import allowed_includes

GOOD = {
    "bpf/abi/abi.h": "",
    "bpf/abi/protocols.def": "",
    "bpf/lib/gate.h": '#include "bpf/abi/abi.h"\n',
    "agent/core/CMakeLists.txt": "zerospan_library(core SOURCES core.cc)",
    "agent/core/core.h": "",
    "agent/model/CMakeLists.txt": "zerospan_library(model SOURCES model.cc DEPENDS core)",
    "agent/model/model.h": '#include "agent/core/core.h"\n',
    "agent/kernel/CMakeLists.txt": "zerospan_library(kernel SOURCES kernel.cc DEPENDS model)",
    "agent/kernel/kernel.h": "",
    "agent/kernel/kernel.cc": '#include <bpf/libbpf.h>\n#include "bpf/abi/abi.h"\n#include "agent/core/core.h"\n',
    "agent/config/CMakeLists.txt": "zerospan_library(config SOURCES config.cc DEPENDS core)",
    "agent/config/config.h": '#include <CLI/CLI.hpp>\n',
    "agent/protocols/registry.cc": '#include "bpf/abi/protocols.def"\n',
    "agent/app/CMakeLists.txt": "zerospan_library(app SOURCES app.cc DEPENDS kernel config) # glue\n"
                                "zerospan_test(app_test SOURCES app_test.cc DEPENDS app exporter)",
    "agent/app/app.cc": '#include "agent/config/config.h"\n#include "agent/kernel/kernel.h"\n',
    "agent/app/app_test.cc": '#include "exporter/exporter.h"\n',
    "exporter/CMakeLists.txt": "zerospan_library(exporter SOURCES exporter.cc DEPENDS model)",
    "exporter/exporter.h": "",
    "tests/structure/gate_test.cc": '#include "bpf/lib/gate.h"\n',
}


class AllowedIncludes(unittest.TestCase):
    def violations(self, changes):
        with tempfile.TemporaryDirectory() as root:
            for name, text in {**GOOD, **changes}.items():
                file = pathlib.Path(root) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return allowed_includes.check(root)[0]

    def assert_found(self, file, text, part):
        found = self.violations({file: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(file, found[0])
        self.assertIn(part, found[0])

    def test_good(self):
        self.assertEqual(self.violations({}), [])

    def test_not_linked(self):
        self.assert_found("agent/core/core.cc", '#include "agent/model/model.h"\n', "links nothing of agent/model")

    def test_a_tests_links_are_not_its_folders(self):
        self.assert_found("agent/app/app.cc", '#include "exporter/exporter.h"\n', "links nothing of exporter")

    def test_abi(self):
        self.assert_found("agent/model/model.cc", '#include "bpf/abi/abi.h"\n', "only agent/kernel")

    def test_inside_of_bpf(self):
        self.assert_found("agent/kernel/kernel.h", '#include "bpf/lib/gate.h"\n', "only bpf/abi is for C++")

    def test_kernel_side(self):
        self.assert_found("bpf/lib/gate.h", '#include "agent/core/core.h"\n', "includes only bpf/")

    def test_config(self):
        found = self.violations({
            "agent/kernel/CMakeLists.txt": "zerospan_library(kernel SOURCES kernel.cc DEPENDS model config)",
            "agent/kernel/kernel.h": '#include "agent/config/config.h"\n'})
        self.assertEqual(len(found), 1, found)
        self.assertIn("only agent/app", found[0])

    def test_libraries(self):
        for header in ("bpf/bpf.h", "grpcpp/channel.h", "curl/curl.h", "libelf.h", "gelf.h", "spdlog/logger.h",
                       "CLI/CLI.hpp", "yaml-cpp/parser.h"):
            self.assert_found("agent/model/model.cc", f"#include <{header}>\n", header)

    def test_missing_file(self):
        found = self.violations({"agent/core/core.cc": '#include "agent/core/none.h"\n'})
        self.assertEqual(len(found), 1, found)
        self.assertIn("not there", found[0])

    def test_helper_of_tests(self):
        found = self.violations({"agent/core/test_core.h": "",
                                 "agent/model/model.cc": '#include "agent/core/test_core.h"\n'})
        self.assertEqual(len(found), 1, found)
        self.assertIn("a helper of tests", found[0])

    def test_cycle(self):
        found = self.violations({"agent/core/CMakeLists.txt": "zerospan_library(core SOURCES core.cc DEPENDS model)"})
        self.assertEqual(len(found), 1, found)
        self.assertIn("core -> model -> core", found[0])


if __name__ == "__main__":
    unittest.main()
