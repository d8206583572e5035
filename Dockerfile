# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# zerospan's image: docker build --tag zerospan:0.1.0 .
# The base by tag; who wants the same bytes again gives --build-arg DEBIAN=debian:12@sha256:...
ARG DEBIAN=debian:12

FROM ${DEBIAN} AS build
WORKDIR /zerospan
COPY scripts scripts
RUN apt-get update && scripts/install-deps.sh && \
    apt-get install --yes --no-install-recommends binutils ca-certificates
COPY . .
RUN cmake --preset release -DZEROSPAN_TESTS=OFF && cmake --build build/release --target zerospan && \
    deploy/image/rootfs.sh build/release/zerospan /rootfs

FROM scratch
COPY --from=build /rootfs /
ENTRYPOINT ["/usr/bin/zerospan"]
CMD ["run"]
