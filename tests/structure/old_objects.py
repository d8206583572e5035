# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""An object that is built once more for old kernels has the data of the other one, at the same places, because the agent opens both by one
skeleton (docs/decisions/0016-kernels-before-5-13.md). Arguments: the old objects; the others are beside them."""

import struct
import sys

from bpf_stack import sections

OLD = "_old.bpf.o"
STT_OBJECT = 1


def data(path):
    """{variable or map, or section: where it is}, of what libbpf makes maps of."""
    with open(path, "rb") as file:
        elf = file.read()
    parts = sections(elf)
    names = {index: name for name, (index, *_) in parts.items()}
    _, _, table, size, link, _ = parts[".symtab"]
    strings = next(offset for index, _, offset, *_ in parts.values() if index == link)
    found = {name: part[3] for name, part in parts.items() if name.startswith((".rodata", ".data", ".bss"))}
    for at in range(table, table + size, 24):
        name, info, _, section, value, length = struct.unpack_from("<IBBHQQ", elf, at)
        if info & 15 == STT_OBJECT:
            variable = elf[strings + name:elf.index(b"\0", strings + name)].decode()
            # Maps are found by their names.
            found[variable] = names[section] if names[section] == ".maps" else (names[section], value, length)
    return found


def main():
    status = 0
    for old in sys.argv[1:]:
        here, there = data(old), data(old.removesuffix(OLD) + ".bpf.o")
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                print(f"{old}: {name} is {here.get(name, 'missing')}, in the other object {there.get(name, 'missing')}")
                status = 1
    print(f"{len(sys.argv) - 1} objects compared")
    return status if len(sys.argv) > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
