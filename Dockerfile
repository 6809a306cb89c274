# overlayd: the daemon, overlayctl, and wireguard-go for nodes whose kernel has no WireGuard.
#
#   docker build --tag overlayd .
#
# Behind a mirror of PyPI: --secret id=pip.conf,src=FILE, and --secret id=ca.crt,src=FILE where that
# names /run/secrets/ca.crt as its `cert`. Nothing of either is in the image.

FROM debian:12.15-slim AS build
# Debian's packages are as new as its stable release, by intent: a version that is named here goes
# from the mirrors with the next security fix. What comes from PyPI is pinned by its hash.
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends python3 python3-venv
WORKDIR /build
COPY image/build-requirements.txt image/requirements.txt ./image/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    python3 -m venv builder \
    && builder/bin/pip install -q --no-cache-dir --require-hashes -r image/build-requirements.txt \
    # without pip, in the place where it is to be: a virtual environment knows its own path
    && python3 -m venv --without-pip /opt/overlayd \
    && builder/bin/pip --python /opt/overlayd/bin/python install -q --no-cache-dir --no-compile \
        --only-binary :all: --require-hashes -r image/requirements.txt
COPY pyproject.toml setup.py README.md LICENSE ./source/
COPY overlayd ./source/overlayd
COPY twisted ./source/twisted
RUN builder/bin/pip wheel -q --no-deps --no-build-isolation --wheel-dir wheels ./source \
    && builder/bin/pip --python /opt/overlayd/bin/python install -q --no-compile --no-deps \
        --no-index wheels/*.whl \
    && find /opt/overlayd/lib -depth -type d \( -name test -o -name tests \) -exec rm -r {} + \
    # The root is read-only where this runs: bytecode, and Twisted's list of its plugins, last.
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/overlayd/lib \
    && /opt/overlayd/bin/twistd --help >/dev/null

FROM debian:12.15-slim
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends python3 wireguard-go \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/cache/debconf/*-old
COPY --from=build /opt/overlayd /opt/overlayd
ENV PATH=/opt/overlayd/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
# Root with no capability but those it is given, which a container's runtime takes away from no one
# else: Kubernetes cannot give a capability to another user, and a file that carries one is refused
# where allowPrivilegeEscalation is false.
USER 0:0
WORKDIR /
ENTRYPOINT ["twistd", "--nodaemon", "--pidfile=", "overlayd"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="overlayd" \
    org.opencontainers.image.description="An encrypted layer-3 overlay network for Kubernetes on WireGuard" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.base.name="docker.io/library/debian:12.15-slim"
