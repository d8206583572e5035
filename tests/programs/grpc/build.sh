#!/bin/sh
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Builds the gRPC test program of one language (cpp, go, java, node, python), once per version of its
# sources, into ${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}, and prints the command that runs it, one word a
# line. Several callers at once wait for the first.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
language=$1
[ -d "$here/$language" ] || { echo "build.sh: no folder $here/$language" >&2; exit 2; }
cache=${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}
version=$(cd "$here" && find build.sh calls.proto "$language" -type f -print0 | sort -z | xargs -0 sha256sum |
  sha256sum | cut -c 1-12)
target=$cache/grpc-$language-$version

build() {
  case $language in
    cpp)
      protoc --cpp_out=. --grpc_out=. --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" calls.proto
      # shellcheck disable=SC2046
      c++ -std=c++17 -O1 -I. -o calls cpp/calls.cc calls.pb.cc calls.grpc.pb.cc \
        $(pkg-config --cflags --libs grpc++ protobuf) ;;
    go)
      mv go/* .
      go build -o bin/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
      module=zerospan.test/grpc
      protoc --plugin=bin/protoc-gen-go --plugin=bin/protoc-gen-go-grpc --go_out=. --go_opt=module=$module \
        --go-grpc_out=. --go-grpc_opt=module=$module calls.proto
      CGO_ENABLED=0 go build -o program .
      rm -rf bin calls
      mv program calls ;;
    java)
      mv java/* .
      mvn --batch-mode --quiet package
      mv target/calls-1.jar target/dependency/ ;;
    node)
      mv node/* .
      npm install --no-audit --no-fund --no-package-lock --ignore-scripts ;;
    python)
      mv python/* .
      protoc --python_out=. --grpc_out=. --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" calls.proto ;;
  esac
}

mkdir -p "$cache"
exec 9> "$target.lock"
flock 9
if [ ! -d "$target" ]; then
  work=$(mktemp -d "$cache/grpc-build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp -r "$here/calls.proto" "$here/$language" "$work"
  (cd "$work" && build) >&2
  chmod 755 "$work"
  mv "$work" "$target"
fi
case $language in
  cpp | go) echo "$target/calls" ;;
  java) printf '%s\n' java -Xshare:auto -XX:TieredStopAtLevel=1 -Xmx256m -cp "$target/target/dependency/*" Calls ;;
  node) printf '%s\n' node "$target/calls.js" ;;
  python) printf '%s\n' /usr/bin/python3 -B "$target/calls.py" ;;
esac
