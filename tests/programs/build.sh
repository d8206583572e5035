#!/bin/sh
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Builds a test program that needs more than a compiler, by the name of its folder here, once per version of its sources, into
# ${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}, and prints the command that runs it, one word a line.
# Several callers at once wait for the first.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
name=$1
[ -d "$here/$name" ] || { echo "build.sh: no folder $here/$name" >&2; exit 2; }
cache=${ZEROSPAN_CACHE:-$HOME/.cache/zerospan}
version=$(cd "$here" && find build.sh grpc/calls.proto "$name" -type f -print0 | sort -z | xargs -0 sha256sum |
  sha256sum | cut -c 1-12)
target=$cache/program-$(echo "$name" | tr / -)-$version

build() {
  case $name in
    grpc/cpp)
      protoc --cpp_out=. --grpc_out=. --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" calls.proto
      # shellcheck disable=SC2046
      c++ -std=c++17 -O1 -I. -o calls grpc/cpp/calls.cc calls.pb.cc calls.grpc.pb.cc \
        $(pkg-config --cflags --libs grpc++ protobuf) ;;
    grpc/go)
      mv grpc/go/* .
      go build -o bin/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
      module=zerospan.test/grpc
      protoc --plugin=bin/protoc-gen-go --plugin=bin/protoc-gen-go-grpc --go_out=. --go_opt=module=$module \
        --go-grpc_out=. --go-grpc_opt=module=$module calls.proto
      CGO_ENABLED=0 go build -o program .
      rm -rf bin calls
      mv program calls ;;
    grpc/java | sql/java)
      mv "$name"/* .
      mvn --batch-mode --quiet package
      mv target/*-1.jar target/dependency/ ;;
    grpc/node | sql/node)
      mv "$name"/* .
      npm install --no-audit --no-fund --no-package-lock --ignore-scripts ;;
    grpc/python)
      mv grpc/python/* .
      protoc --python_out=. --grpc_out=. --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" calls.proto ;;
    sql/go | go_grpc | web | etcd | redis | amqp_go | kafka_go)
      mv "$name"/* .
      CGO_ENABLED=0 go build -o program . ;;
    sql/rust)
      mv sql/rust/* .
      cargo build --release --locked --quiet
      mv target/release/program .
      rm -rf target ;;
    otel_java)
      mv otel_java/* .
      mvn --batch-mode --quiet package ;;
    otel_node)
      mv otel_node/* .
      npm install --no-audit --no-fund --no-package-lock --ignore-scripts ;;
    kafka)
      mv kafka/* .
      mvn --batch-mode --quiet package
      mv target/messages-1.jar target/dependency/
      /usr/bin/python3 -m venv tool
      tool/bin/pip install --quiet --target packages --requirement requirements.txt
      rm -rf tool ;;
    mongodb)
      mv mongodb/* .
      CGO_ENABLED=0 go build -o program .
      /usr/bin/python3 -m venv tool
      tool/bin/pip install --quiet --target packages --requirement requirements.txt
      rm -rf tool
      npm install --no-audit --no-fund --no-package-lock --ignore-scripts ;;
    cassandra)
      mv cassandra/* .
      CGO_ENABLED=0 go build -o program .
      mvn --batch-mode --quiet package
      /usr/bin/python3 -m venv tool
      tool/bin/pip install --quiet --target packages --requirement requirements.txt
      rm -rf tool ;;
    dns)
      mv dns/* .
      CGO_ENABLED=0 go build -o lookup-go .
      cc -O1 -o lookup-glibc lookup.c
      musl-gcc -static -O1 -o lookup-musl lookup.c
      javac Lookup.java ;;
    nats)
      mv nats/* .
      CGO_ENABLED=0 go build -o program .
      CGO_ENABLED=0 go build -o nats-server github.com/nats-io/nats-server/v2 ;;
    search)
      mv search/* .
      for product in elasticsearch opensearch; do
        (cd $product && mvn --batch-mode --quiet package && mv target/$product-server-1.jar target/dependency/)
      done
      /usr/bin/python3 -m venv tool
      tool/bin/pip install --quiet --target packages --requirement requirements.txt
      rm -rf tool
      npm install --no-audit --no-fund --no-package-lock --ignore-scripts ;;
    calls | clickhouse)
      mv "$name"/* .
      /usr/bin/python3 -m venv tool
      tool/bin/pip install --quiet --target packages --requirement requirements.txt
      rm -rf tool
      npm install --no-audit --no-fund --no-package-lock --ignore-scripts ;;
    helm)
      mv helm/* .
      CGO_ENABLED=0 go build -trimpath -o program helm.sh/helm/v4/cmd/helm ;;
    kube-apiserver)
      mv kube-apiserver/* .
      CGO_ENABLED=0 go build -trimpath -o program .
      CGO_ENABLED=0 go build -trimpath -o bin/kubectl ./kubectl ;;
    otel_go)
      mv otel_go/* .
      # What the linker leaves out is what zerospan does not find.
      CGO_ENABLED=0 go build -tags server,batch,propagator -o server .
      CGO_ENABLED=0 go build -tags server,client,batch,propagator -o both .
      CGO_ENABLED=0 go build -tags client,batch -o client .
      CGO_ENABLED=0 go build -tags server,simple,propagator -o simple . ;;
    aws | otel_python | sql/python)
      mv "$name"/* .
      /usr/bin/python3 -m venv tool
      tool/bin/pip install --quiet --target packages --requirement requirements.txt
      rm -rf tool ;;
  esac
}

mkdir -p "$cache"
exec 9> "$target.lock"
flock 9
if [ ! -d "$target" ]; then
  work=$(mktemp -d "$cache/program-build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/grpc" "$work/$(dirname "$name")"
  cp "$here/grpc/calls.proto" "$work"
  cp -r "$here/$name" "$work/$(dirname "$name")"
  (cd "$work" && build) >&2
  chmod 755 "$work"
  mv "$work" "$target"
fi
case $name in
  grpc/cpp | grpc/go) echo "$target/calls" ;;
  grpc/java) printf '%s\n' java -Xshare:auto -XX:TieredStopAtLevel=1 -Xmx256m -cp "$target/target/dependency/*" Calls ;;
  grpc/node) printf '%s\n' node "$target/calls.js" ;;
  grpc/python) printf '%s\n' /usr/bin/python3 -B "$target/calls.py" ;;
  sql/java) printf '%s\n' java -Xshare:auto -XX:TieredStopAtLevel=1 -Xmx256m -cp "$target/target/dependency/*" Sql ;;
  sql/node) printf '%s\n' node "$target/sql.js" ;;
  sql/go | sql/rust | go_grpc | web | etcd | redis | amqp_go | kafka_go | helm | kube-apiserver) echo "$target/program" ;;
  aws | calls | cassandra | clickhouse | dns | kafka | mongodb | nats | otel_go | otel_java | otel_node | otel_python | search | sql/python) echo "$target" ;;
esac
