# The images of Sluice, one target each: `broker`.
#
#   docker build --target broker --build-arg REVISION="$(git rev-parse HEAD)" -t sluice-broker .
#
# docs/operations.md says how the image is run. Everything that it is made of can be replaced, for a registry of one's own or
# none at all: BUILD_IMAGE has Rust and a C compiler, RUNTIME_IMAGE glibc and libgcc and needs no shell. With
# EXECUTABLES=prebuilt nothing is compiled: the context is a folder with the executables in `bin` and an empty folder `data`.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=docker.io/library/debian:bookworm-slim
ARG EXECUTABLES=compiled

FROM ${BUILD_IMAGE} AS compiled
WORKDIR /source
COPY . .
RUN cargo build --locked --release -p sluice-broker -p sluice-cli \
    && mkdir -p /out/bin /out/data \
    && cp target/release/sluice-broker target/release/sluicectl /out/bin/

FROM scratch AS prebuilt
COPY bin/ /out/bin/
COPY data/ /out/data/

FROM ${EXECUTABLES} AS executables

FROM ${RUNTIME_IMAGE} AS broker
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sluice-broker" \
      org.opencontainers.image.description="A message broker that speaks the protocol of Apache RocketMQ 5" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=executables /out/bin/ /usr/local/bin/
# Belongs to the broker, so that a volume made from it does.
COPY --from=executables --chown=65532:65532 /out/data/ /var/lib/sluice/
# By the environment, which flags may overrule.
ENV SLUICE_PROFILE=container \
    SLUICE_DATA_DIR=/var/lib/sluice
# A number: Kubernetes cannot tell that a name is not root's.
USER 65532:65532
VOLUME /var/lib/sluice
# Clients, the admin API, health and metrics.
EXPOSE 8081 8082 5557
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/sluice-broker"]
