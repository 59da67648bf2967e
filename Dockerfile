# Container images: `docker build --target <target> .`
#
#   api, dispatch, migrate, notify, recheck, send   a Lambda container image of that function
#   dev                                             the environment of a developer (.devcontainer)
#
# template.yaml deploys zip files, which start faster and need no registry. The images are for
# accounts that accept images only, and for tests. infra/local/containers builds and starts them.
# Without --platform the images are for the architecture of the machine that builds them.

# Debian, on which CI and `make demo` run too. Its glibc is newer than that of AL2023, so
# infra/local/lambda refuses a binary that would not start there.
FROM rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS rust
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

FROM rust AS build
WORKDIR /src
COPY . .
# The caches stay on the machine that builds, so that a change compiles only what it concerns.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    rm -rf target/lambda \
    && infra/local/lambda \
    && cp -r target/lambda /functions

FROM public.ecr.aws/lambda/provided:al2023@sha256:c6a2e7cb103884b785ebce3ce826c7cfd68e9843d8d5e6773a53e902ced83a19 AS runtime
# The entry point of the base image requires the name of a handler. The functions ignore it.
CMD ["bootstrap"]

FROM runtime AS api
COPY --from=build /functions/api/bootstrap /var/runtime/bootstrap

FROM runtime AS dispatch
COPY --from=build /functions/dispatch/bootstrap /var/runtime/bootstrap

FROM runtime AS migrate
COPY --from=build /functions/migrate/bootstrap /var/runtime/bootstrap

FROM runtime AS notify
COPY --from=build /functions/notify/bootstrap /var/runtime/bootstrap

FROM runtime AS recheck
COPY --from=build /functions/recheck/bootstrap /var/runtime/bootstrap

FROM runtime AS send
COPY --from=build /functions/send/bootstrap /var/runtime/bootstrap

FROM rust AS dev
WORKDIR /tmp/setup
# The set-up of every developer names the system packages, so that they are listed once. Its Python
# environment is made again in the work tree, which is mounted over the image.
COPY Cargo.toml ./
COPY infra/local/setup infra/local/requirements.txt infra/local/
# Versions are not pinned, because Debian removes earlier ones from its archive.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends shellcheck \
    && infra/local/setup \
    && rustup component add clippy rustfmt rust-analyzer \
    && useradd --uid 1000 --create-home --shell /bin/bash dev \
    && rm -rf /tmp/setup/* /root/.cache /var/lib/apt/lists/*
WORKDIR /workspace
USER 1000
