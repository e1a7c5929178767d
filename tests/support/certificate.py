"""Self-signed certificates for loopback, made by the openssl command."""

import ssl
import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> Path:
    """Write a key and a certificate into a folder; return the certificate's path."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    options = {
        "newkey": "ec",
        "pkeyopt": "ec_paramgen_curve:prime256v1",
        "days": "2",
        "subj": "/CN=test",
        "addext": "subjectAltName=IP:127.0.0.1,DNS:fake.test",
        "keyout": str(key),
        "out": str(certificate),
    }
    words = [word for name, value in options.items() for word in (f"-{name}", value)]
    subprocess.run(["openssl", "req", "-x509", "-nodes", *words], check=True, capture_output=True)
    return certificate


def server_context(certificate: Path) -> ssl.SSLContext:
    """Return the TLS context of a server that presents a certificate made here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context
