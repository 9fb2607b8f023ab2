# The images of Sluice, one target each: `broker` and `operator`.
#
#   docker build --target broker --build-arg REVISION="$(git rev-parse HEAD)" -t sluice-broker .
#   docker build --target operator --build-arg REVISION="$(git rev-parse HEAD)" -t sluice-operator .
#
# docs/operations.md says how the broker's image is run; the operator's is run by charts/sluice. The images that they are made
# of can be replaced, for a registry of one's own or none at all: BUILD_IMAGE has Rust and a C compiler, RUNTIME_IMAGE has
# glibc and libgcc and needs no shell. The targets `broker-prebuilt` and `operator-prebuilt` are the same images and compile
# nothing: their context is a folder with the executables in `bin`, and for the broker an empty folder `data`.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BUILD_IMAGE} AS broker-compiled
WORKDIR /source
COPY . .
RUN cargo build --locked --release -p sluice-broker -p sluice-cli \
    && mkdir -p /out/bin /out/data \
    && cp target/release/sluice-broker target/release/sluicectl /out/bin/

# All of the broker's image but its files.
FROM ${RUNTIME_IMAGE} AS broker-runtime
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
FROM broker-runtime AS broker-prebuilt
COPY --chown=0:0 bin/ /usr/local/bin/
COPY --chown=65532:65532 data/ /var/lib/sluice/
VOLUME /var/lib/sluice

FROM broker-runtime AS broker
COPY --from=broker-compiled --chown=0:0 /out/bin/ /usr/local/bin/
COPY --from=broker-compiled --chown=65532:65532 /out/data/ /var/lib/sluice/
VOLUME /var/lib/sluice

FROM ${BUILD_IMAGE} AS operator-compiled
WORKDIR /source
COPY . .
RUN cargo build --locked --release -p sluice-operator \
    && mkdir -p /out/bin \
    && cp target/release/sluice-operator /out/bin/

# All of the operator's image but its one file. It writes nothing.
FROM ${RUNTIME_IMAGE} AS operator-runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sluice-operator" \
      org.opencontainers.image.description="The Kubernetes operator of Sluice, a message broker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
# Probes and metrics.
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/sluice-operator"]
CMD ["run"]

FROM operator-runtime AS operator-prebuilt
COPY --chown=0:0 bin/ /usr/local/bin/

FROM operator-runtime AS operator
COPY --from=operator-compiled --chown=0:0 /out/bin/ /usr/local/bin/
