#!/usr/bin/env bash
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Installs what zerospan's tests need on Debian 12: the test libraries, and the programs that are
# traced. With --all also those that only `make test-all` uses. No daemon is started.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

apt_install libgtest-dev libgmock-dev libbenchmark-dev libclang-rt-19-dev clang-format-16 \
  python3 python3-requests python3-aiohttp curl wrk procps util-linux openssl
apt_install_unless nginx nginx-light
apt_install_unless go golang-go
apt_install_unless node nodejs
apt_install_unless javac default-jdk-headless

if [ "${1:-}" = --all ]; then
  apt_install_unless apache2 apache2
  apt_install gunicorn python3-flask uvicorn python3-fastapi puma php-fpm valgrind
fi
