"""Trusted certificates are named by the environment, as for other programs."""

import subprocess
from pathlib import Path

import pytest

from runner.core.events import Outcome
from tests.support.certificate import make_certificate, server_context
from tests.support.client_requests import ask_once, failure
from tests.support.scripted_server import serve, streamed_reply


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a self-signed certificate."""
    return make_certificate(tmp_path)


def hashed_folder(certificate: Path) -> Path:
    """Return a folder in which OpenSSL finds a certificate: by a digest of its subject."""
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)]
    digest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    folder = certificate.with_name("authorities")
    folder.mkdir()
    (folder / f"{digest}.0").write_bytes(certificate.read_bytes())
    return folder


@pytest.mark.anyio
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_private_authority_named_by_the_environment_is_trusted(
    variable: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or a folder of certificates makes a company's gateway trusted; without it nothing is sent."""
    with serve(streamed_reply("Hello"), server_context(certificate)) as server:
        assert failure(await ask_once(server.url)) == (Outcome.CONNECTION, "tls_certificate")
        assert server.requests == []
        place = certificate if variable == "SSL_CERT_FILE" else hashed_folder(certificate)
        monkeypatch.setenv(variable, str(place))
        assert (await ask_once(server.url)).fold.outcome() is Outcome.OK
