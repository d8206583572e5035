#!/usr/bin/env bash
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Installs what building zerospan needs on Debian 12; with --arm64 only what building it there for arm64 needs more. Quick when
# everything is there.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

if [ "${1:-}" = --arm64 ]; then
  apt_install g++-aarch64-linux-gnu
  exit
fi

apt_install make cmake ninja-build ccache pkg-config g++ clang-19 llvm-19 bpftool \
  libbpf-dev libelf-dev zlib1g-dev libzstd-dev libzydis-dev \
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler libcurl4-openssl-dev \
  libspdlog-dev libfmt-dev libexpected-dev prometheus-cpp-dev libcli11-dev libyaml-cpp-dev \
  nlohmann-json3-dev libxxhash-dev libre2-dev
