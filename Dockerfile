# The images of Sluice, one target each: `broker`.
#
#   docker build --target broker --build-arg REVISION="$(git rev-parse HEAD)" -t sluice-broker .
#
# docs/operations.md says how the image is run. The images that it is made of can be replaced, for a registry of one's own or
# none at all: BUILD_IMAGE has Rust and a C compiler, RUNTIME_IMAGE has glibc and libgcc and needs no shell. The target
# `broker-prebuilt` is the same image and compiles nothing: its context is a folder with the executables in `bin` and an
# empty folder `data`.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BUILD_IMAGE} AS compiled
WORKDIR /source
COPY . .
RUN cargo build --locked --release -p sluice-broker -p sluice-cli \
    && mkdir -p /out/bin /out/data \
    && cp target/release/sluice-broker target/release/sluicectl /out/bin/

# All of the image but its files.
FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sluice-broker" \
      org.opencontainers.image.description="A message broker that speaks the protocol of Apache RocketMQ 5" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# By the environment, which flags may overrule.
ENV SLUICE_PROFILE=container \
    SLUICE_DATA_DIR=/var/lib/sluice
# A number: Kubernetes cannot tell that a name is not root's.
USER 65532:65532
# Clients, the admin API, health and metrics.
EXPOSE 8081 8082 5557
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/sluice-broker"]

# The folder for data belongs to the broker, so that a volume made from it does.
FROM runtime AS broker-prebuilt
COPY --chown=0:0 bin/ /usr/local/bin/
COPY --chown=65532:65532 data/ /var/lib/sluice/
VOLUME /var/lib/sluice

FROM runtime AS broker
COPY --from=compiled --chown=0:0 /out/bin/ /usr/local/bin/
COPY --from=compiled --chown=65532:65532 /out/data/ /var/lib/sluice/
VOLUME /var/lib/sluice
