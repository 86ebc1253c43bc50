"""Certificates for servers on loopback."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

__all__ = ["load_certificate", "make_certificate"]


def make_certificate(folder: Path) -> Path:
    """Make a certificate for localhost that vouches for itself; its key is beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not here")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", *key, "-out", "cert.pem", *subject]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


def load_certificate(certificate: Path) -> ssl.SSLContext:
    """Load a certificate that `make_certificate` made, for a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context
