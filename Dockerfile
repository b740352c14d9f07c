# The image: one static-enough binary on distroless, not root, read-only root file system.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY README.md LICENSE ./
RUN cargo build --locked --release --no-default-features

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/tagrelay /usr/local/bin/tagrelay
USER 65532:65532
VOLUME /var/lib/tagrelay
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/tagrelay"]
CMD ["run", "--config", "/etc/tagrelay/tagrelay.yaml"]
