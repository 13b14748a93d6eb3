"""Faults of this machine: proxies and trust stores from the environment, and the limit of open files."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._http import drivers
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsUnavailable
from moss_voice_server.testing import FakeMoss
from tests.faults.conftest import Authority, fails, instant
from tests.faults.table import MARK, fake
from tests.support.errors import caught
from tests.support.servers import SYNC, ServerClass
from tests.support.sockets import good, tls


@pytest.fixture
def secure(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMoss]:
    """A Moss API over TLS that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with fake(ssl_context=tls(good(authority.ca))) as api:
        yield api


class Bad(NamedTuple):
    """Variables that prevent a fetch, what the error names, and what its remedy names."""

    environ: dict[str, str]
    message: str
    remedy: str
    is_sent: bool = False
    """Whether something is sent, and tried again."""


DEAD = f"http://user:{MARK}@127.0.0.1:1"
NO_HOST = "host and port in {};"
BAD = {
    "dead proxy": Bad({"https_proxy": DEAD}, "refused (proxy from https_proxy)", NO_HOST.format("https_proxy"), True),
    "dead proxy for all": Bad({"ALL_PROXY": DEAD}, "refused (proxy from ALL_PROXY)", NO_HOST.format("ALL_PROXY"), True),
    "dead proxy, its remedy": Bad({"HTTPS_PROXY": DEAD}, "HTTPS_PROXY", "add its host to NO_PROXY", True),
    "quotation marks of an env file": Bad(
        {"HTTPS_PROXY": DEAD, "NO_PROXY": '"127.0.0.1"'}, "", "remove the quotation marks from NO_PROXY", True
    ),
    **{
        f"proxy: {name}": Bad({variable: value}, f"{variable} {message}", variable, message.startswith("("))
        for variable in ("HTTPS_PROXY", "all_proxy")
        for name, value, message in (
            ("a word as port", "http://proxy:port", "is not a valid proxy URL"),
            ("another scheme", "ftp://proxy:1", "is not a valid proxy URL"),
            ("quotation marks", '"http://proxy:3128"', "is not a valid proxy URL"),
            ("half an IPv6 address", "http://[::1", "is not a valid proxy URL"),
            ("SOCKS without its package", "socks5://proxy:1080", "names a SOCKS proxy, and the package socksio"),
        )
    },
    # Sent: as a name that DNS does not know, or as a port that the system reduces.
    **{
        f"proxy: {name}": Bad({"HTTPS_PROXY": value}, "(proxy from HTTPS_PROXY)", "HTTPS_PROXY", True)
        for name, value in (("a port too high", "http://127.0.0.1:99999"), ("a blank", "http://pro xy:3128"))
    },
    "proxy: no host": Bad({"HTTPS_PROXY": "http://"}, "HTTPS_PROXY", "HTTPS_PROXY", True),
    **{
        f"{variable}: {name}": Bad({variable: name}, f"{variable} cannot be read", variable)
        for variable, name in (
            *(("SSL_CERT_FILE", name) for name in ("missing", "empty", "no certificate", "directory")),
            ("SSLKEYLOGFILE", "directory"),  # any file will do for a log that is written
        )
    },
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_variable_is_named(
    server_class: ServerClass, secure: FakeMoss, bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable, without its value, and does not blame the server; what cannot pass is not retried."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "no certificate").write_text("no certificate\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "socksio", None)
    for name, value in bad.environ.items():
        monkeypatch.setenv(name, value)
    error = fails(server_class, secure.arguments)

    assert CredentialsUnavailable is type(error)
    assert bad.message in str(error)
    assert bad.remedy in error.remedy
    assert ("attempts" in str(error)) is bad.is_sent
    assert [] == [value for value in bad.environ.values() if ":" in value and value in str(error)]
    assert 0 == secure.count


def test_proxy_that_refuses(
    server_class: ServerClass, secure: FakeMoss, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets a CONNECT request, with neither the key nor the path."""
    monkeypatch.setenv("HTTPS_PROXY", moss.url)
    moss.set_default(403)
    error = fails(server_class, secure.arguments, refresh=RefreshPolicy(attempts=1))

    assert "the proxy refused" in str(error)
    assert ["CONNECT"] == [request.method for request in moss.requests]
    assert "X-Project-Key" not in moss.requests[0].headers
    assert "voice" not in moss.requests[0].path


@pytest.mark.parametrize("entry", ["*", "example.com, 127.0.0.1"])
def test_no_proxy(server_class: ServerClass, secure: FakeMoss, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY and SSL_CERT_FILE are obeyed."""
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    monkeypatch.setenv("NO_PROXY", entry)

    assert "fresh" == server_class.create(**secure.arguments).status().state


def test_plain_http_uses_no_proxy(server_class: ServerClass, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is allowed only because it stays on this machine: a proxy would see the key. Nor does it need a trust store."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with FakeMoss() as proxy:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert "fresh" == server_class.create(**moss.arguments).status().state
        assert 0 == proxy.count


def test_custom_transport_ignores_the_environment(
    server_class: ServerClass, authority: Authority, secure: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a proxy nor a trust store of the environment applies to it."""
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    trusting = ssl.create_default_context(cafile=str(authority.file))
    kind = httpx2.HTTPTransport if server_class.kind is MossVoiceServerSync else httpx2.AsyncHTTPTransport
    transport = kind(verify=trusting, trust_env=False)
    assert "fresh" == server_class.create(**secure.arguments, transport=transport).status().state


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that only Unix has")
@pytest.mark.parametrize("what", ["trust store", "socket"])
def test_too_many_open_files(moss: FakeMoss, secure: FakeMoss, what: str) -> None:
    """Neither a certificate nor Moss is at fault: the remedy names the limit, and with files to open it works."""
    import resource

    api = secure if what == "trust store" else moss
    server = instant(SYNC, api.arguments)
    SYNC.refresh(server)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull, "rb") as lowest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), before[1]))
    try:
        error = caught(SYNC.refresh, server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert CredentialsUnavailable is type(error)
    assert "too many open files" in str(error)
    assert "ulimit" in error.remedy
    SYNC.refresh(server)
    assert 2 == api.count


def test_too_many_open_files_for_a_loop(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where an async transport gets its loop. Not by the system's limit: CPython would report half a loop."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def story() -> None:
        monkeypatch.setattr(drivers, "_Loop", refuse)
        await MossVoiceServer(**moss.arguments, transport=httpx2.AsyncHTTPTransport(verify=False)).refresh()

    error = caught(asyncio.run, story())
    assert CredentialsUnavailable is type(error)
    assert "too many open files" in str(error)
