# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""The deepest stack of each BPF program in the given objects: 512 bytes for a program and all that it calls are what kernels up to 6.12
allow, and what uprobes must keep to on later ones. Those give a program that needs more a stack for each processor, which two uprobes
share there when one is preempted in the other (docs/decisions/0015-programs-that-are-preempted.md)."""

import struct
import sys

STACK_BYTES, FRAME_BYTES = 512, 32  # kernel/bpf/verifier.c: MAX_BPF_STACK, and round_up_stack_depth() without a private stack
# include/uapi/linux/bpf.h
BPF_MOV_REGISTER, BPF_ADD_CONSTANT, BPF_CALL, BPF_LOAD_ADDRESS = 0xBF, 0x07, 0x85, 0x18
BPF_LDX, BPF_ST, BPF_STX = 1, 2, 3
BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC = 1, 4
FRAME_POINTER = 10


def sections(elf):
    """{name: (index, type, offset, size, link, info)} of a 64-bit little-endian file."""
    start, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<3H", elf, 0x3A)
    found = [struct.unpack_from("<2I4Q2I", elf, start + i * size) for i in range(count)]
    strings = found[names][4]
    return {elf[strings + each[0]:elf.index(b"\0", strings + each[0])].decode(): (i, each[1], each[4], each[5], each[6], each[7])
            for i, each in enumerate(found)}


def functions(elf):
    """{(section's index, offset): [name, bytes of stack, what it calls]}."""
    parts = sections(elf)
    code = {index: (offset, size) for index, kind, offset, size, *_ in parts.values() if kind == 1}
    _, _, table, size, link, _ = parts[".symtab"]
    strings = next(offset for index, _, offset, *_ in parts.values() if index == link)
    symbols = []
    for at in range(table, table + size, 24):
        name, info, _, section, value, length = struct.unpack_from("<IBBHQQ", elf, at)
        symbols.append((section, value))
        if info & 15 == 2:  # STT_FUNC
            text = elf[strings + name:elf.index(b"\0", strings + name)].decode()
            symbols[-1] = (section, value, text, length)
    targets = {}
    for _, kind, offset, size, _, section in parts.values():
        if kind == 9:  # SHT_REL
            for at in range(offset, offset + size, 16):
                place, info = struct.unpack_from("<2Q", elf, at)
                targets[section, place] = symbols[info >> 32][:2]
    found = {}
    for symbol in symbols:
        if len(symbol) == 4:
            section, value, name, length = symbol
            found[section, value] = [name, *frame(elf, code[section][0], section, value, length, targets)]
    return found


def frame(elf, base, section, value, length, targets):
    depth, calls, copies = 0, [], set()
    for at in range(value, value + length, 8):
        opcode, registers, offset, constant = struct.unpack_from("<BBhi", elf, base + at)
        to, source = registers & 15, registers >> 4
        # The stack's address is in r10, and in copies of it that something is subtracted from.
        address = {BPF_LDX: source, BPF_ST: to, BPF_STX: to}.get(opcode & 7)
        if address == FRAME_POINTER:
            depth = max(depth, -offset)
        elif opcode == BPF_ADD_CONSTANT and to in copies:
            depth = max(depth, -constant)
        if opcode == BPF_MOV_REGISTER and source == FRAME_POINTER:
            copies.add(to)
        elif opcode & 7 in (0, 1, 4, 7) and opcode != BPF_ADD_CONSTANT:
            copies.discard(to)
        if opcode == BPF_CALL and source == BPF_PSEUDO_CALL:
            other, start = targets.get((section, at), (section, None))
            # Relative to the next instruction, in instructions; with a relocation, to the symbol's.
            calls.append((other, at + 8 + 8 * constant if start is None else start + 8 * (constant + 1)))
        elif opcode == BPF_LOAD_ADDRESS and (section, at) in targets and (source == BPF_PSEUDO_FUNC or source == 0):
            calls.append((targets[section, at][0], targets[section, at][1] + constant))  # a call-back's, or data's
    return depth, calls


def deepest(found, function):
    """(bytes, [names]) of the worst way down."""
    name, depth, calls = found[function]
    below = max((deepest(found, each) for each in calls if each in found and each != function), default=(0, []))
    return -(-max(depth, 1) // FRAME_BYTES) * FRAME_BYTES + below[0], [name, *below[1]]


def main():
    failed = 0
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            elf = file.read()
        found = functions(elf)
        text = sections(elf)[".text"][0]
        entries = [each for each in found if each[0] != text]
        if not entries:
            print(f"{path}: no program is in there")
            failed += 1
        for entry in entries:
            size, names = deepest(found, entry)
            print(f"{size:4}  {' > '.join(names)}")
            if size > STACK_BYTES:
                print(f"{path}: {names[0]} needs {size} bytes of stack, of {STACK_BYTES}: move what is large into bpf/maps/scratch.h, or "
                      "bpf/maps/rooms.h for uprobes")
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
