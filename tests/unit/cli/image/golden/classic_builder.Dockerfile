# servekit 1.2.3: generated from servekit.yaml; `servekit build --dry-run DIR` writes it anew.

# What builds the image and is not left in it.
FROM python:3.12-slim AS tools

RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/ldconfig /var/lib/apt/lists/*

# The image.
FROM python:3.12-slim

# How packages are installed: arguments of the build, which the container does not get.
ARG UV_SYSTEM_PYTHON=1
ARG UV_COMPILE_BYTECODE=1
ARG PYC_INVALIDATION_MODE=UNCHECKED_HASH
ARG UV_NO_CACHE=1
ARG SSL_CERT_FILE=/run/servekit/ca.pem
ARG PIP_CERT=/run/servekit/ca.pem
ARG REQUESTS_CA_BUNDLE=/run/servekit/ca.pem
ARG CURL_CA_BUNDLE=/run/servekit/ca.pem
COPY .servekit/ca.pem /run/servekit/ca.pem
COPY .servekit/install/ /run/servekit/install/

# Bytecode is compiled below, and never while the container runs.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SERVEKIT_HOST=0.0.0.0 \
    SERVEKIT_LOG_FORMAT=json

# The server runs as this user, below an init process that ends what a model leaves running. (useradd is not
# on every base, and notes the date, so that no two images would be the same.)
RUN echo servekit:x:10001: >> /etc/group \
 && echo servekit:x:10001:10001::/home/servekit:/usr/sbin/nologin >> /etc/passwd \
 && mkdir -p /home/servekit \
 && chown 10001:10001 /home/servekit
COPY --from=tools /usr/bin/tini /usr/bin/tini

# What servekit needs to serve: the same for all projects, so it comes before what is a project's own.
# Importing it compiles what it uses of the standard library.
RUN pip install --no-cache-dir uv==0.9.0 \
 && uv pip install "fastapi>=0.120" "uvloop>=0.22; sys_platform != 'win32'" \
 && pip uninstall --yes uv \
 && PYTHONDONTWRITEBYTECODE= python -c "import argparse, ctypes, difflib, fastapi, jsonschema_rs, msgspec, prometheus_client, psutil, python_multipart, structlog, urllib3, uvicorn.main, uvloop, yaml"

# System packages, from build.system_packages.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ffmpeg \
 && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/ldconfig /var/lib/apt/lists/*

# servekit itself, at the version that builds. It changes less often than what a project needs.
COPY .servekit/servekit-1.2.3-py3-none-any.whl /run/servekit/servekit-1.2.3-py3-none-any.whl
RUN pip install --no-cache-dir uv==0.9.0 \
 && uv pip install --no-deps /run/servekit/servekit-1.2.3-py3-none-any.whl \
 && pip uninstall --yes uv

# The project's Python packages. The code is not needed for that, and changes more often.
RUN pip install --no-cache-dir uv==0.9.0 \
 && cd /run/servekit/install/project \
 && uv pip install -r /run/servekit/install/requirements.txt \
 && pip uninstall --yes uv

# The project: what changes most comes last. Code that does not compile is told when it is imported.
WORKDIR /app
COPY app/ /app/
RUN python -m compileall -q --invalidation-mode checked-hash /app || true

# How it runs. PORT or SERVEKIT_PORT chooses another port; SIGTERM finishes what runs, then ends it.
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=10s --start-period=600s \
    CMD ["python", "-P", "-m", "servekit.server.healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["python", "-P", "-m", "servekit.server"]
