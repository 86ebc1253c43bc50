# servekit 1.2.3: generated from servekit.yaml; `servekit build --dry-run DIR` writes it anew.

# What builds the image and is not left in it.
FROM python:3.11-slim AS tools

RUN pip install --no-cache-dir --no-input --root-user-action=ignore uv==0.9.0
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/ldconfig

# The image.
FROM nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04

# How packages are installed: arguments of the build, which the container does not get.
ARG UV_COMPILE_BYTECODE=1
ARG PYC_INVALIDATION_MODE=UNCHECKED_HASH
ARG UV_CACHE_DIR=/var/cache/uv
ARG UV_LINK_MODE=copy

# This Ubuntu has no Python newer than 3.10. This is a build of Python that runs anywhere, in an environment
# of its own because it does not let itself be installed into.
ARG UV_PYTHON_INSTALL_DIR=/opt/python
ARG VIRTUAL_ENV=/opt/venv
ENV PATH=/opt/venv/bin:$PATH
RUN --mount=type=bind,from=tools,source=/usr,target=/tools \
    --mount=type=cache,target=/var/cache/uv \
    /tools/local/bin/uv venv --managed-python --python 3.11 /opt/venv

# Bytecode is compiled below, and never while the container runs.
# The GPU's driver comes from the host; these variables ask its container toolkit for it.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SERVEKIT_HOST=0.0.0.0 \
    SERVEKIT_LOG_FORMAT=json \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# The server runs as this user, below an init process that ends what a model leaves running. (useradd is not
# on every base, and notes the date, so that no two images would be the same.)
RUN echo servekit:x:10001: >> /etc/group \
 && echo servekit:x:10001:10001::/home/servekit:/usr/sbin/nologin >> /etc/passwd \
 && mkdir -p /home/servekit \
 && chown 10001:10001 /home/servekit
COPY --link --from=tools /usr/bin/tini-static /usr/bin/tini

# What servekit needs to serve: the same for all projects, so it comes before what is a project's own.
# Importing it compiles what it uses of the standard library.
RUN --mount=type=bind,from=tools,source=/usr,target=/tools \
    --mount=type=cache,target=/var/cache/uv \
    /tools/local/bin/uv pip install "fastapi>=0.120" "uvloop>=0.22; sys_platform != 'win32'" \
 && PYTHONDONTWRITEBYTECODE= python -c "import argparse, ctypes, difflib, fastapi, jsonschema_rs, msgspec, prometheus_client, psutil, python_multipart, structlog, urllib3, uvicorn.main, uvloop, yaml"

# servekit itself, at the version that builds. It changes less often than what a project needs.
RUN --mount=type=bind,from=tools,source=/usr,target=/tools \
    --mount=type=cache,target=/var/cache/uv \
    /tools/local/bin/uv pip install --no-deps servekit==1.2.3

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
