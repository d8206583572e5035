#!/usr/bin/env bash
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Installs what zerospan's tests need on Debian 12: the test libraries, and the programs that are
# traced. With --all also those that only `make test-all` uses; with --vm only those of `make vmtest`; with --parents only
# what `make bench-parents` needs besides, of which none is a must. No daemon is started.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

if [ "${1:-}" = --vm ]; then
  apt_install qemu-system-x86 qemu-system-arm busybox-static kmod zstd
  exit
fi

here=$(dirname "$0")
if [ "${1:-}" = --parents ]; then
  apt_install gunicorn python3-flask uvicorn python3-fastapi python3-asyncpg python3-uvloop puma ruby-pg php-fpm php-curl php-pgsql \
    haproxy libgrpc++-dev libpq-dev libcurl4-openssl-dev pkg-config python3-venv
  apt_install_unless mvn maven
  apt_install_unless npm npm
  apt_install_unless cargo cargo-web
  exit
fi

apt_install libgtest-dev libgmock-dev libbenchmark-dev libnghttp2-dev libclang-rt-19-dev clang-format-16 \
  libgrpc++-dev protobuf-compiler-grpc pkg-config python3 python3-requests python3-aiohttp python3-grpcio \
  python3-protobuf nghttp2-client curl wrk procps util-linux openssl \
  postgresql-15 pgbouncer python3-psycopg2 python3-psycopg mariadb-server python3-pymysql redis-server python3-redis \
  memcached python3-pymemcache python3-pylibmc mosquitto mosquitto-clients python3-paho-mqtt python3-yaml python3-jsonschema
apt_install_unless nginx nginx-light
apt_install_unless nghttpx nghttp2-proxy
apt_install_unless go golang-go
apt_install_unless node nodejs
apt_install_unless javac default-jdk-headless

# The test programs need Go 1.24 for HTTP/2 without TLS, the OpenTelemetry Collector a newer one. A
# toolchain is a Go module too: fetched by version, and checked against the checksum database. `make`
# puts this folder on PATH.
go_version=1.25.0
go_target=${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}/go
oldest=$({ echo "go$go_version"; GOTOOLCHAIN=local go env GOVERSION; } | sort -V | head -n 1)
if [ "$oldest" != "go$go_version" ] && [ ! -x "$go_target/bin/go" ]; then
  echo "Fetching Go $go_version" >&2
  work=$(mktemp -d)
  trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
  module=golang.org/toolchain@v0.0.1-go$go_version.linux-$(go env GOARCH)
  (cd "$work" && GOFLAGS=-modcacherw GOPATH="$work" go mod download "$module")
  chmod +x "$work/pkg/mod/$module"/bin/* "$work/pkg/mod/$module"/pkg/tool/*/*
  mkdir -p "$(dirname "$go_target")"
  mv "$work/pkg/mod/$module" "$go_target"
fi

build=$here/../tests/programs/build.sh
for program in grpc/cpp grpc/python sql/go; do
  PATH=$go_target/bin:$PATH "$build" "$program" > /dev/null
done
PATH=$go_target/bin:$PATH /usr/bin/python3 -B "$here/../tests/parents/build.py" go > /dev/null

if [ "${1:-}" = --all ]; then
  "$0" --parents
  PATH=$go_target/bin:$PATH /usr/bin/python3 -B "$here/../tests/parents/build.py" node java > /dev/null
  apt_install_unless apache2 apache2
  apt_install bind9 dnsmasq-base bind9-dnsutils python3-dnspython musl-tools iproute2 bubblewrap prometheus
  apt_install clickhouse-server rabbitmq-server python3-pika python3-venv gunicorn python3-flask uvicorn python3-fastapi puma php-fpm valgrind
  apt_install_unless mvn maven
  apt_install_unless npm npm
  apt_install_unless cargo cargo-web
  for program in grpc/go grpc/node grpc/java sql/java sql/node sql/python sql/rust web etcd redis amqp_go kafka kafka_go kube-apiserver helm \
    mongodb nats dns cassandra clickhouse aws calls search otel_go otel_java otel_node otel_python; do
    PATH=$go_target/bin:$PATH "$build" "$program" > /dev/null
  done
fi
