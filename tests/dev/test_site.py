"""Site: the page, its configuration and its token endpoint over real sockets, for this machine only."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server._dev import browser_client as client
from moss_voice_server._dev.browser_client import ClientBundle
from moss_voice_server._dev.local_server import LocalServer, listen
from moss_voice_server._dev.page_config import PageConfig, content_security_policy
from moss_voice_server._dev.site import TOKEN_PATH, Diagnose, Site
from tests.cli.shell import claims
from tests.dev.wire import Reply, ask

pytestmark = pytest.mark.once

LIVEKIT = "ws://127.0.0.1:7880"
SCRIPT = b"the client"
PAGE = Path(client.__file__).parent / "page"
AGENT = "clerk"


CONFIG = PageConfig("local", TOKEN_PATH, LIVEKIT, "http://127.0.0.1:1", AGENT, has_echo=True)


class Here(ClientBundle):
    """A client whose file the test provides."""

    def __init__(self) -> None:
        super().__init__({})
        self.file: Future[bytes | None] = Future()


@contextmanager
def served(
    livekit: str = LIVEKIT,
    *,
    file: bytes | None = SCRIPT,
    client: ClientBundle | None = None,
    diagnose: Diagnose | None = None,
    **changes: Any,
) -> Iterator[str]:
    """A running site; its URL."""
    if client is None:
        client = Here()
        client.file.set_result(file)
    server = MossVoiceServerSync.from_livekit(
        livekit or LIVEKIT, "APIkey", "a-secret-of-more-than-thirty-two-characters"
    )
    with listen(0) as listener:
        port = listener.getsockname()[1]
        site = Site(server, replace(CONFIG, livekit=livekit, **changes), client, port, diagnose=diagnose)
        with LocalServer(site, listener):
            yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One site for the tests that change nothing."""
    with served() as address:
        yield address


def token(url: str, body: Any = None, **headers: str) -> Reply:
    """The response of the token endpoint."""
    return ask(url, "/voice/token", method="POST", body={} if body is None else body, headers=headers)


def test_files(url: str) -> None:
    """Every file of the page is served as what it is; another path is 404, another method 405, and HEAD has no body."""
    kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
    for file in [path for path in PAGE.iterdir() if path.is_file()]:
        kind = f"{kinds[file.suffix]}; charset=utf-8" if file.suffix in kinds else "image/svg+xml"
        reply = ask(url, f"/{file.name}".replace("index.html", ""))
        assert (200, kind, file.read_bytes()) == (reply.status, reply.headers["content-type"], reply.body)
    for path in ("/nothing", "/../site.py", "/vendor/livekit-client.umd.js"):
        assert 404 == ask(url, path).status
    assert (200, b"") == (ask(url, method="HEAD").status, ask(url, method="HEAD").body)
    assert 405 == ask(url, method="POST").status


def test_config(url: str) -> None:
    """The configuration has the fields of `PageConfig`, whether the page can join, and the client with its hash."""
    source = {"src": "livekit-client.umd.js", "integrity": client.INTEGRITY}
    assert {**CONFIG.as_dict(), "client": source} == ask(url, "/config.json").json


def test_headers(url: str) -> None:
    """No caching, no sniffing, no framing, and connections only to us and to LiveKit."""
    headers = ask(url).headers
    del headers["date"]
    assert {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len((PAGE / "index.html").read_bytes())),
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self' ws://127.0.0.1:7880 http://127.0.0.1:7880; media-src blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    } == headers


def test_policy_for_a_server_elsewhere() -> None:
    """The page may connect to the LiveKit server, and with LiveKit Cloud to the servers of its regions."""
    client = Here()
    client.file.set_result(SCRIPT)
    for livekit, sources in {
        "wss://voice.example/path": "wss://voice.example https://voice.example",
        "wss://moss-1.livekit.cloud": "wss://moss-1.livekit.cloud https://moss-1.livekit.cloud "
        "wss://*.livekit.cloud https://*.livekit.cloud",
        "https://livekit.cloud.example:8443": "wss://livekit.cloud.example:8443 https://livekit.cloud.example:8443",
    }.items():
        policy = content_security_policy(replace(CONFIG, livekit=livekit), client)
        assert f"; connect-src 'self' {sources}; " in policy


HOSTS = {
    "as printed": ("127.0.0.1:{port}", 200),
    "localhost": ("localhost:{port}", 200),
    "in capitals": ("LOCALHOST:{port}", 200),
    "another port": ("127.0.0.1:1", 421),
    "a name that leads here": ("rebound.example:{port}", 421),
    "one that only begins like us": ("127.0.0.1:{port}.example", 421),
    "empty": ("", 421),
}


@pytest.mark.parametrize(("host", "status"), HOSTS.values(), ids=HOSTS.keys())
def test_host(host: str, status: int, url: str) -> None:
    """Only our own host is served: no page whose name was rebound to this machine gets a response."""
    headers = {"Host": host.format(port=url.rpartition(":")[2])}
    page, issued = ask(url, headers=headers), ask(url, "/voice/token", method="POST", body={}, headers=headers)
    assert (status, 201 if status == 200 else 421) == (page.status, issued.status)


def test_guest_and_room(url: str) -> None:
    """Each call is a new guest in a new room, with the requested name, and with the voice agent."""
    first, second = (token(url, {"participant_name": "Ada"}) for _ in range(2))
    said = [claims(reply.json["participant_token"]) for reply in (first, second)]

    assert [201, 201] == [first.status, second.status]
    assert (LIVEKIT, "Ada") == (first.json["server_url"], said[0]["name"])
    assert 2 == len({each["sub"] for each in said}) == len({each["video"]["room"] for each in said})
    assert [{"agentName": AGENT}] == said[0]["roomConfig"]["agents"]


def test_agents(url: str) -> None:
    """A guest may name the voice agent and no other; with the page's query the token names no agent."""
    assert 403 == token(url, {"room_config": {"agents": [{"agent_name": "other"}]}}).status
    assert 403 == token(url, {"participant_identity": "boss"}).status
    named = token(url, {"room_config": {"agents": [{"agent_name": AGENT}]}})
    automatic = ask(url, "/voice/token?dispatch=automatic", method="POST", body={})
    assert [{"agentName": AGENT}] == claims(named.json["participant_token"])["roomConfig"]["agents"]
    assert "roomConfig" not in claims(automatic.json["participant_token"])


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:8"])
def test_page_of_a_developer(origin: str, url: str) -> None:
    """A page on another port of this machine may ask: preflight and response allow it."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = ask(url, "/voice/token", method="OPTIONS", headers=asked)
    reply = token(url, Origin=origin, **{"Sec-Fetch-Site": "same-site"})
    assert [204, 201] == [preflight.status, reply.status]
    assert [origin, origin] == [each.headers["access-control-allow-origin"] for each in (preflight, reply)]


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost.app.example", "null"])
def test_page_of_a_stranger(origin: str, url: str) -> None:
    """A page of another machine is refused, and cannot read the response."""
    reply = token(url, Origin=origin, **{"Sec-Fetch-Site": "cross-site"})
    assert (403, "origin_not_allowed") == (reply.status, reply.json["error"])
    assert "access-control-allow-origin" not in reply.headers


CHECKS: list[Mapping[str, Any]] = [{"name": "endpoint.cors", "status": "fail", "detail": "d", "remedy": "r", "ms": 1.0}]


def test_diagnosis() -> None:
    """Our own page, and no other one, gets the findings about the developer's endpoint, with its header passed on."""
    seen: list[str] = []

    def diagnose(authorization: str) -> list[Mapping[str, Any]]:
        seen.append(authorization)
        return CHECKS

    def post(url: str, body: Any, **headers: str) -> Reply:
        return ask(url, "/diagnose", method="POST", body=body, headers=headers)

    with served(diagnose=diagnose, mode="endpoint", token_url="http://127.0.0.1:8000/voice/token", livekit="") as url:
        own = post(url, {"authorization": "Bearer t"}, Origin=url)
        refused = [
            post(url, {"authorization": "t"}, Origin="http://localhost:5173").status,
            post(url, {"authorization": "t"}).status,
            post(url, {}, Origin=url).status,
            post(url, {"authorization": "t" * 20_000}, Origin=url).status,
        ]
        policy = ask(url).headers["content-security-policy"]
    assert (200, CHECKS, ["Bearer t"]) == (own.status, own.json, seen)
    assert [403, 403, 400, 400] == refused
    assert "; connect-src 'self' http://127.0.0.1:8000 wss: https: " in policy


def test_client_that_cannot_be_had() -> None:
    """Without it the page loads the file from the CDN, with our hash."""
    with served(file=None) as url:
        config, page, script = ask(url, "/config.json").json, ask(url), ask(url, "/livekit-client.umd.js")
        # Without an endpoint of the developer's own there is nothing to diagnose.
        assert 405 == ask(url, "/diagnose", method="POST", body={"authorization": ""}, headers={"Origin": url}).status
    assert {"src": client.CDN, "integrity": client.INTEGRITY} == config["client"]
    assert f"; script-src 'self' {client.CDN}; " in page.headers["content-security-policy"]
    assert 404 == script.status


def test_client_that_is_on_its_way() -> None:
    """While npm fetches it, a browser waits, and the page may still use the CDN."""
    coming = Here()
    with served(client=coming) as url:
        config, page = ask(url, "/config.json").json, ask(url)
        replies: list[Reply] = []
        browser = threading.Thread(target=lambda: replies.append(ask(url, "/livekit-client.umd.js")))
        browser.start()
        assert "livekit-client.umd.js" == config["client"]["src"]
        assert client.CDN in page.headers["content-security-policy"]
        assert [] == replies
        coming.file.set_result(SCRIPT)
        browser.join()
    assert [(200, SCRIPT)] == [(reply.status, reply.body) for reply in replies]
