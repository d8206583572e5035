#!/bin/sh
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Builds the OpenTelemetry Collector of a manifest (default: manifest.yaml here) from its Go modules, once per content of
# the manifest, below ${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}, and prints the program's path. Cold it takes five minutes
# or more on two cores; several callers at once wait for the first.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
manifest=${1:-$here/manifest.yaml}
cache=${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}
version=$(sed -n 's|.*receiver/otlpreceiver v\([0-9.]*\)}.*|\1|p' "$manifest")
target=$cache/otelcol-$version-$(sha256sum < "$manifest" | cut -c 1-12)

mkdir -p "$cache"
exec 9> "$target.lock"
flock 9
if [ -x "$target/otelcol" ]; then
  echo "$target/otelcol"
  exit 0
fi
command -v go > /dev/null || {
  echo "build_collector.sh: the collector is built with Go, and no 'go' is in PATH; install Go 1.25 or later" >&2
  exit 1
}

work=$(mktemp -d "$cache/otelcol-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
{
  GOBIN=$work/bin go install "go.opentelemetry.io/collector/cmd/builder@v$version"
  # The builder only generates the sources: its own tidy fails on test-only modules that proxies need not serve.
  cp "$manifest" "$work/manifest.yaml"
  (cd "$work" && ./bin/builder --config manifest.yaml --skip-compilation) || [ -f "$work/build/go.mod" ]
  cd "$work/build"
  go mod tidy -e
  go build -p 2 -trimpath -ldflags='-s -w' -o otelcol .
} >&2
mkdir -p "$target"
mv "$work/build/otelcol" "$target/otelcol"
echo "$target/otelcol"
