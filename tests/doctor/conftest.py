"""Fixtures of the doctor's tests: a real LiveKit server, a fake Moss, a certificate authority, an environment without proxies."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.doctor.helpers import moss_of
from tests.livekit.conftest import livekit_binary, livekit_server, room

__all__ = ["authority", "livekit_binary", "livekit_server", "moss", "no_proxies", "room"]


class Authority(NamedTuple):
    """A certificate authority, and its certificate in a file."""

    ca: trustme.CA
    file: Path

    def context(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """A server's TLS settings with a certificate; by default a good one for 127.0.0.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or self.ca.issue_cert("127.0.0.1")).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Made once."""
    made = Authority(trustme.CA(), tmp_path_factory.mktemp("authority") / "ca.pem")
    made.ca.cert_pem.write_to_path(str(made.file))
    return made


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no trust store from the developer's environment."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name)


@pytest.fixture
def moss(livekit_server: LiveKitServer) -> Iterator[FakeMoss]:
    """A Moss whose voice agent lives on the real LiveKit server."""
    with moss_of(livekit_server) as fake:
        yield fake
