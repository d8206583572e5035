#!/usr/bin/env python3
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0
"""Compares our OTLP wire definitions with the official descriptors.

Usage: check_descriptors.py OUR_DESCRIPTOR_SET (protoc --include_imports --descriptor_set_out).

Each message, field, enum and method of ours must exist officially with the same full name, number, type and label;
messages and enums must be complete, but for the official fields listed in NOT_USED. The official descriptors come from
the Python package opentelemetry-proto, installed once into ${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}/opentelemetry-proto-VERSION.
"""

import os
import pathlib
import subprocess
import sys

VERSION = "1.45.2"

# Official fields that traces do not use: references into the profiling signal's string table.
NOT_USED = {
    "opentelemetry.proto.common.v1.AnyValue.string_value_strindex",
    "opentelemetry.proto.common.v1.KeyValue.key_strindex",
}

MODULES = (
    "opentelemetry.proto.common.v1.common_pb2",
    "opentelemetry.proto.resource.v1.resource_pb2",
    "opentelemetry.proto.trace.v1.trace_pb2",
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
)


def environment():
    """Runs this script again inside a virtual environment that has the package."""
    cache = pathlib.Path(os.environ.get("ZEROSPAN_CACHE") or pathlib.Path.home() / ".cache/zerospan")
    venv = cache / f"opentelemetry-proto-{VERSION}"
    python = venv / "bin/python"
    marker = venv / "complete"
    if not marker.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True, stdout=sys.stderr)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"opentelemetry-proto=={VERSION}"], check=True,
                       stdout=sys.stderr)
        marker.touch()
    os.execv(python, [python, *sys.argv, "--inside"])


def members(file, package):
    """Every definition of a FileDescriptorProto: full name -> what must be equal."""
    found = {}

    def enum(prefix, item):
        found[f"{prefix}.{item.name}"] = "enum"
        for value in item.value:
            found[f"{prefix}.{item.name}.{value.name}"] = ("value", value.number)

    def message(prefix, item):
        name = f"{prefix}.{item.name}"
        found[name] = ("message", tuple(sorted((r.start, r.end) for r in item.reserved_range)))
        for field in item.field:
            oneof = item.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
            found[f"{name}.{field.name}"] = ("field", field.number, field.type, field.label, field.type_name, oneof,
                                            field.json_name)
        for nested in item.nested_type:
            message(name, nested)
        for nested in item.enum_type:
            enum(name, nested)

    for item in file.message_type:
        message(package, item)
    for item in file.enum_type:
        enum(package, item)
    for service in file.service:
        for method in service.method:
            found[f"/{package}.{service.name}/{method.name}"] = (method.input_type, method.output_type,
                                                                method.client_streaming, method.server_streaming)
    return found


def json_name(name):
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def main():
    import importlib

    from google.protobuf import descriptor_pb2

    ours = descriptor_pb2.FileDescriptorSet()
    ours.ParseFromString(pathlib.Path(sys.argv[1]).read_bytes())
    our_members = {}
    for file in ours.file:
        our_members.update(members(file, file.package))
    official_members = {}
    for module in MODULES:
        file = descriptor_pb2.FileDescriptorProto()
        importlib.import_module(module).DESCRIPTOR.CopyToProto(file)
        for item in file.message_type:  # descriptors embedded in Python carry no JSON names
            stack = [item]
            while stack:
                current = stack.pop()
                stack.extend(current.nested_type)
                for field in current.field:
                    field.json_name = field.json_name or json_name(field.name)
        official_members.update(members(file, file.package))

    wrong = []
    for name, value in sorted(our_members.items()):
        if name not in official_members:
            wrong.append(f"{name}: not in the official definitions")
        elif official_members[name] != value:
            wrong.append(f"{name}: ours {value}, official {official_members[name]}")
    for name in sorted(official_members.keys() - our_members.keys() - NOT_USED):
        wrong.append(f"{name}: official, but missing in ours")
    for line in wrong:
        print(line)
    print(f"{len(our_members)} definitions compared with opentelemetry-proto {VERSION}, {len(wrong)} differ")
    return 1 if wrong or len(our_members) < 60 else 0


if __name__ == "__main__":
    if sys.argv[-1] != "--inside":
        environment()
    sys.exit(main())
