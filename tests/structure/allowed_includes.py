# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""Proves from the sources that the includes follow the allowed arrows.

    allowed_includes.py PROJECT_FOLDER

A folder may include itself and what its CMake target links (zerospan_library's DEPENDS, and target_link_libraries),
directly or through others; some libraries and bpf/ may be seen by certain folders only; there are no cycles. Tests, fuzz
targets and benchmarks are held to the same rules, except that they may also include what their own target links.
"""

import collections
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
OURS = ("agent/", "exporter/", "symbols/", "bpf/", "tests/")
TEST_FILE = re.compile(r"(_test|_fuzz|_bench|/testing|/fuzz_\w+|/test_\w+|_for_test|/fake_\w+)\.(cc|h)$|^(?:.*/)?fuzz_\w+\.cc$")

# A library's headers, and the only folders whose files may include them.
LIBRARIES = (
    (re.compile(r"^bpf/"), ("agent/kernel", "bpf", "tests/structure", "tests/propagation")),
    (re.compile(r"^grpc(pp)?/"), ("exporter/transport", "tests/receiver", "tests/programs/grpc", "tests/parents/cpp")),
    (re.compile(r"^curl/"), ("exporter/transport", "agent/k8s/api", "tests/parents/cpp")),
    (re.compile(r"^(libelf|gelf|elfutils/|dwarf)"), ("agent/discovery",)),
    (re.compile(r"^Zydis/"), ("symbols/probe",)),
    (re.compile(r"^(zlib|zstd)\.h"), ("symbols/elf", "exporter")),
    (re.compile(r"^spdlog/"), ("agent/selfobs",)),
    (re.compile(r"^prometheus/"), ("agent/selfobs",)),
    (re.compile(r"^CLI/"), ("agent/config", "tests")),
    (re.compile(r"^yaml-cpp/"), ("agent/config",)),
)
ABI_USERS = ("agent/kernel", "bpf", "tests/structure")
PROTOCOL_TABLE = ("bpf/abi/protocols.def", "agent/protocols")


def cmake_calls(text):
    """The calls of a CMakeLists.txt as lists of words, comments removed."""
    text = re.sub(r"#[^\n]*", "", text)
    for match in re.finditer(r"(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)", text):
        yield match.group(1), match.group(2).split()


def words_after(words, keyword, keywords=("SOURCES", "SOURCE", "DEPENDS", "CORPUS")):
    if keyword not in words:
        return []
    taken = []
    for word in words[words.index(keyword) + 1:]:
        if word in keywords:
            break
        taken.append(word)
    return taken


class Project:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.folder_of = {}  # target: folder
        self.links = collections.defaultdict(set)  # target: targets
        self.target_of = {}  # source file: its target
        self.targets_in = collections.defaultdict(set)  # folder: libraries
        for top in ("agent", "exporter", "symbols", "bpf"):
            for file in sorted(self.root.glob(f"{top}/**/CMakeLists.txt")):
                self.read_cmake(file)

    def read_cmake(self, file):
        folder = file.parent.relative_to(self.root).as_posix()
        for name, words in cmake_calls(file.read_text()):
            if not words:
                continue
            target = words[0]
            if name in ("zerospan_library", "add_library", "add_executable", "zerospan_test", "zerospan_fuzz",
                        "zerospan_bench"):
                self.folder_of[target] = folder
                self.links[target].update(words_after(words, "DEPENDS"))
                sources = words_after(words, "SOURCES") + words_after(words, "SOURCE")
                if name in ("add_library", "add_executable"):
                    sources = [word for word in words[1:] if word.endswith(".cc")]
                for source in sources:
                    self.target_of.setdefault(f"{folder}/{source}", set()).add(target)
                if name in ("zerospan_library", "add_library"):
                    self.targets_in[folder].add(target)
            elif name == "target_link_libraries":
                self.links[target].update(word for word in words[1:] if word not in ("PUBLIC", "PRIVATE", "INTERFACE"))

    def closure(self, targets):
        seen = set()
        todo = list(targets)
        while todo:
            target = todo.pop()
            if target not in seen:
                seen.add(target)
                todo.extend(self.links.get(target, ()))
        return seen

    def allowed_folders(self, file, folder):
        targets = set(self.target_of.get(file, ()))
        if not targets:  # a header, or a helper of tests
            targets = {t for t, at in self.folder_of.items() if at == folder}
            if not TEST_FILE.search(file):
                targets &= self.targets_in[folder]
        return {self.folder_of[t] for t in self.closure(targets) if t in self.folder_of} | {folder}

    def sources(self):
        for top in ("agent", "exporter", "symbols", "bpf"):
            for file in sorted(self.root.glob(f"{top}/**/*")):
                if file.suffix in (".cc", ".h", ".c") and file.is_file():
                    yield file.relative_to(self.root).as_posix(), file.read_text()
        for file in sorted(self.root.glob("tests/**/*.cc")):
            yield file.relative_to(self.root).as_posix(), file.read_text()


def within(folder, folders):
    return any(folder == allowed or folder.startswith(allowed + "/") for allowed in folders)


def check(root):
    """The violations, each a sentence."""
    project = Project(root)
    violations = []
    seen = 0
    for file, text in project.sources():
        folder = file.rpartition("/")[0]
        is_test = bool(TEST_FILE.search(file)) or file.startswith("tests/")
        for quoted, angled in INCLUDE.findall(text):
            seen += 1
            if angled:
                for pattern, folders in LIBRARIES:
                    if pattern.match(angled) and not within(folder, folders):
                        violations.append(f"{file} includes <{angled}>: only {', '.join(folders)} may")
                continue
            if not quoted.startswith(OURS):
                continue  # generated, or a system header in quotes
            if not (project.root / quoted).is_file():
                violations.append(f'{file} includes "{quoted}", which is not there')
            target_folder = quoted.rpartition("/")[0]
            if quoted == PROTOCOL_TABLE[0] and folder == PROTOCOL_TABLE[1]:
                continue
            if target_folder == "bpf" or target_folder.startswith("bpf/"):
                if target_folder == "bpf/abi" and not within(folder, ABI_USERS):
                    violations.append(f'{file} includes "{quoted}": only {", ".join(ABI_USERS)} may')
                elif target_folder != "bpf/abi" and not folder.startswith("bpf") and not file.startswith("tests/"):
                    violations.append(f'{file} includes "{quoted}": of bpf/ only bpf/abi is for C++')
                continue
            if folder.startswith("bpf"):
                violations.append(f'{file} includes "{quoted}": the kernel side includes only bpf/')
                continue
            if target_folder == "agent/config" and folder not in ("agent/config", "agent/app"):
                violations.append(f'{file} includes "{quoted}": only agent/app sees agent/config')
            if target_folder == "tests" or target_folder.startswith("tests/"):
                if not file.startswith("tests/"):
                    violations.append(f'{file} includes "{quoted}", a test')
                continue
            if file.startswith("tests/"):
                continue
            if TEST_FILE.search(quoted) and not is_test:
                violations.append(f'{file} includes "{quoted}", a helper of tests')
            if target_folder != folder and target_folder not in project.allowed_folders(file, folder):
                violations.append(f'{file} includes "{quoted}", but its target links nothing of {target_folder}')
    # Includes follow the links, so links without a cycle are includes without one. (CMake itself allows cycles.)
    cycle = find_cycle(project.links)
    if cycle:
        violations.append("targets link each other in a cycle: " + " -> ".join(cycle))
    return violations, seen


def find_cycle(links):
    done = set()

    def visit(target, path):
        if target in path:
            return path[path.index(target):] + [target]
        if target in done:
            return None
        for following in sorted(links.get(target, ())):
            cycle = visit(following, path + [target])
            if cycle:
                return cycle
        done.add(target)
        return None

    for target in sorted(links):
        cycle = visit(target, [])
        if cycle:
            return cycle
    return None


def main():
    violations, seen = check(sys.argv[1])
    for violation in violations:
        print(violation)
    print(f"{seen} includes, {len(violations)} not allowed")
    return 1 if violations or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
