# servekit 1.2.3: generated from servekit.yaml; `servekit build --dry-run DIR` writes it anew.

# What builds the image and is not left in it.
FROM servekit-base:1.2.3-python3.12 AS tools

RUN pip install --no-cache-dir --no-input --root-user-action=ignore uv==0.9.0

# The image.
FROM servekit-base:1.2.3-python3.12

# How packages are installed: arguments of the build, which the container does not get.
ARG UV_SYSTEM_PYTHON=1
ARG UV_COMPILE_BYTECODE=1
ARG PYC_INVALIDATION_MODE=UNCHECKED_HASH
ARG UV_CACHE_DIR=/var/cache/uv
ARG UV_LINK_MODE=copy

# System packages, from build.system_packages.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    apt-get update \
 && apt-get install -y --no-install-recommends ffmpeg \
 && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/ldconfig

# servekit itself, at the version that builds. It changes less often than what a project needs.
RUN --mount=type=bind,from=tools,source=/usr,target=/tools \
    --mount=type=cache,target=/var/cache/uv \
    /tools/local/bin/uv pip install --no-deps servekit==1.2.3

# The project's Python packages. The code is not needed for that, and changes more often.
RUN --mount=type=bind,source=.servekit/install,target=/run/servekit/install \
    --mount=type=bind,from=tools,source=/usr,target=/tools \
    --mount=type=cache,target=/var/cache/uv \
    cd /run/servekit/install/project \
 && /tools/local/bin/uv pip install -r /run/servekit/install/requirements.txt

# The project: what changes most comes last. Code that does not compile is told when it is imported.
WORKDIR /app
COPY --link app/ /app/
RUN python -m compileall -q --invalidation-mode checked-hash /app || true

# How it runs. PORT or SERVEKIT_PORT chooses another port; SIGTERM finishes what runs, then ends it.
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=10s --start-period=600s \
    CMD ["python", "-P", "-m", "servekit.server.healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["python", "-P", "-m", "servekit.server"]
