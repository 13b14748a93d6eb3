"""Broken setups, from the environment to the join: what is wrong, and the check that finds it."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from livekit.protocol import rtc

from moss_voice_server._doctor import Options
from moss_voice_server.testing import FakeMoss, LiveKitServer, MockResponse
from tests.doctor.conftest import Authority
from tests.doctor.helpers import Expected, fails, livekit_environ, options, warns
from tests.doctor.servers import NO_TOKEN, FakeLiveKit, livekit, reply, site
from tests.support.sockets import closed_port

KEY, SECRET = "APIexample12345", "a-secret-for-tests-that-is-long-enough"
MOSS = {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": "moss-key-0123456789", "MOSS_VOICE_AGENT_ID": "agent"}


@dataclass
class Setup:
    """The parts of a setup; what it starts ends with `stack`."""

    moss: FakeMoss
    server: LiveKitServer
    authority: Authority
    folder: Path
    patch: pytest.MonkeyPatch
    stack: ExitStack

    def tls_site(self, context: ssl.SSLContext) -> str:
        """The host and port of a web server behind TLS."""
        return f"127.0.0.1:{self.stack.enter_context(site(lambda _: reply(404), context))}"

    def trust(self) -> None:
        self.patch.setenv("SSL_CERT_FILE", str(self.authority.file))


Build = Callable[[Setup], Options]


def without(name: str) -> dict[str, str]:
    """Moss's variables but one."""
    return {key: value for key, value in MOSS.items() if key != name}


def at_moss(url: str, **changes: Any) -> Options:
    """The URL of the Moss API is this."""
    return options({**MOSS, "MOSS_PLATFORM_API_URL": url}, **changes)


def soon_expiring_moss(setup: Setup) -> Options:
    """A Moss API whose certificate ends soon."""
    setup.trust()
    end = datetime.now(timezone.utc) + timedelta(days=3)
    context = setup.authority.context(setup.authority.ca.issue_cert("127.0.0.1", not_after=end))
    return options(setup.stack.enter_context(FakeMoss(ssl_context=context)).environ)


def broken_trust(setup: Setup) -> Options:
    """A trust store that does not exist."""
    setup.patch.setenv("SSL_CERT_FILE", str(setup.folder / "no-such-file"))
    return at_moss(f"https://{setup.tls_site(setup.authority.context())}")


def off(seconds: float) -> Callable[[], float]:
    """A clock that is this far ahead."""
    return lambda: time.time() + seconds


def frame(**message: Any) -> bytes:
    """One `livekit.SignalResponse`."""
    return rtc.SignalResponse(**message).SerializeToString()


def answering(answer: MockResponse | int, **changes: Any) -> Build:
    """The Moss API returns this."""

    def build(setup: Setup) -> Options:
        setup.moss.set_default(answer)
        return options(setup.moss.environ, **changes)

    return build


def at(url: str, **changes: Any) -> Build:
    """The LiveKit URL is this."""
    return lambda setup: options(livekit_environ(url, KEY, SECRET), **changes)


def web(answer: MockResponse) -> Build:
    """The LiveKit URL leads to a web server that always returns this."""
    return lambda setup: at(f"ws://127.0.0.1:{setup.stack.enter_context(site(lambda _: answer))}")(setup)


def fake(**answers: Any) -> Build:
    """The LiveKit URL leads to a fake LiveKit."""
    return lambda setup: at(
        f"ws://127.0.0.1:{setup.stack.enter_context(livekit(FakeLiveKit(**answers)))}", timeout=1.0
    )(setup)


def dated(seconds: float) -> Build:
    """The LiveKit URL leads to a LiveKit whose clock is this far ahead; the join works."""

    def build(setup: Setup) -> Options:
        date = {"Date": formatdate(time.time() + seconds, usegmt=True)}
        return fake(anonymous=reply(401, NO_TOKEN, date), frames=(frame(join={}),))(setup)

    return build


def env(environ: dict[str, str]) -> Build:
    """The environment is this."""
    return lambda _: options(environ)


def credentials(key: str = "", secret: str = "", **changes: Any) -> Build:
    """The real LiveKit server with another key, secret or clock."""
    return lambda setup: options(
        livekit_environ(setup.server.url, key or setup.server.api_key, secret or setup.server.api_secret), **changes
    )


BROKEN: dict[str, tuple[Build, Expected]] = {
    # Environment
    "nothing is set": (env({}), fails("environment", "set MOSS_PROJECT_ID, .* or LIVEKIT_URL")),
    "a variable is missing": (env(without("MOSS_PROJECT_KEY")), fails("environment", "MOSS_PROJECT_KEY is not set")),
    "a variable is misspelled": (
        env({**without("MOSS_VOICE_AGENT_ID"), "MOSS_VOICEAGENT_ID": "agent"}),
        fails("environment", "MOSS_VOICEAGENT_ID is: misspelled"),
    ),
    "a key ends with a newline": (
        env({**MOSS, "MOSS_PROJECT_KEY": "moss-key-0123456789\n"}),
        fails("environment", "MOSS_PROJECT_KEY.* white ?space"),
    ),
    "LiveKit's secret is missing": (
        env({"LIVEKIT_URL": "wss://host.example", "LIVEKIT_API_KEY": KEY}),
        fails("environment", "LIVEKIT_API_SECRET is not set"),
    ),
    "LiveKit's secret is in an empty file": (
        env({"LIVEKIT_URL": "wss://h.example", "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET_FILE": os.devnull}),
        fails("environment", "LIVEKIT_API_SECRET_FILE"),
    ),
    # The Moss API
    "the Moss API's name is unknown": (
        # No resolver knows a name that ends with .invalid (RFC 6761, section 6.4).
        lambda setup: at_moss("https://moss.invalid"),
        fails("moss.dns", "MOSS_PLATFORM_API_URL .*DNS"),
    ),
    "closed port of the Moss API": (
        lambda setup: at_moss(f"http://127.0.0.1:{closed_port()}"),
        fails("moss.response", "refused .*MOSS_PLATFORM_API_URL"),
    ),
    "https to a plain port": (
        lambda setup: at_moss(setup.moss.url.replace("http:", "https:"), timeout=0.5),
        fails("moss.tls", "plain|has the same effect"),
    ),
    "closed port behind https": (
        lambda setup: at_moss(f"https://127.0.0.1:{closed_port()}"),
        fails("moss.tls", "refused .*MOSS_PLATFORM_API_URL"),
    ),
    "an untrusted certificate": (
        lambda setup: at_moss(f"https://{setup.tls_site(setup.authority.context())}"),
        fails("moss.tls", "SSL_CERT_FILE"),
    ),
    "a certificate that ends soon": (soon_expiring_moss, warns("moss.tls", "expires on 20")),
    "a trust store that cannot be read": (broken_trust, fails("moss.tls", "SSL_CERT_FILE or SSL_CERT_DIR")),
    "Moss refuses the project's key": (
        answering(401),
        fails("moss.response", "HTTP 401.*MOSS_PROJECT_ID and MOSS_PROJECT_KEY"),
    ),
    "Moss answers with a page": (
        answering(MockResponse(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"})),
        fails("moss.response", "JSON.*MOSS_PLATFORM_API_URL"),
    ),
    "Moss hangs": (answering(MockResponse(hang=True), timeout=0.3), fails("moss.response", "0.3 s")),
    # Credentials
    "a short secret": (credentials(secret="hushhush"), warns("credentials", "8 bytes; HS256 needs 32")),
    "a key with whitespace": (credentials(key=f"{KEY} "), fails("environment", "LIVEKIT_API_KEY .*whitespace")),
    "key and secret look swapped": (credentials(key="s" * 43, secret=KEY), warns("credentials", "swap key and secret")),
    # the LiveKit URL
    "the LiveKit URL has no scheme": (
        at("localhost:7880"),
        fails("livekit.url", "65535.*LIVEKIT_URL|wss.*LIVEKIT_URL|scheme.*LIVEKIT_URL"),
    ),
    "closed port at an IPv6 address": (at("ws://[::1]:1"), fails("livekit.server", r"^\[::1\]:1: .*LIVEKIT_URL")),
    "the LiveKit URL is plain, and elsewhere": (at("ws://host.example:7880"), fails("livekit.url", "wss.*LIVEKIT_URL")),
    "the LiveKit URL ends with /rtc": (at("wss://host.example/rtc"), fails("livekit.url", "/rtc.*LIVEKIT_URL")),
    "LiveKit's name is unknown": (at("wss://livekit.invalid"), fails("livekit.dns", "DNS .*LIVEKIT_URL")),
    "wss to a plain port": (
        lambda setup: at(setup.server.url.replace("ws:", "wss:"))(setup),
        fails("livekit.tls", "plain"),
    ),
    "ws to a TLS port": (
        lambda setup: at(f"ws://{setup.tls_site(setup.authority.context())}")(setup),
        fails("livekit.server", "HTTP|lost|timed out|reset"),
    ),
    "a web server that is not LiveKit": (
        web(reply(200, "<html>It works!</html>", {"Content-Type": "text/html"})),
        fails("livekit.server", "HTTP 200.*another web server"),
    ),
    "a redirect in place of LiveKit": (
        web(reply(301, "moved", {"Location": "https://host.example/"})),
        fails("livekit.server", "HTTP 301, a redirect.*LIVEKIT_URL"),
    ),
    "a proxy without a LiveKit behind it": (web(reply(502, "bad gateway")), fails("livekit.server", "HTTP 502.*proxy")),
    "a login in front of LiveKit": (web(reply(401, "who are you?")), fails("livekit.server", "login")),
    "a TLS port that says so": (
        web(reply(400, "Client sent an HTTP request to an HTTPS server.\n")),
        fails("livekit.server", "wss://"),
    ),
    "LiveKit is not ready": (fake(root=reply(406, "Not Ready")), warns("livekit.server", "HTTP 406")),
    # The token
    "an unknown API key": (credentials(key="APIunknown"), fails("token", "API key.*LiveKit project")),
    "another secret": (credentials(secret="another-secret" * 3), fails("token", "secret does not belong")),
    "a proxy that drops the token": (fake(validate=reply(401, NO_TOKEN)), fails("token", "Authorization header")),
    "rooms are not made by joining": (
        fake(validate=reply(404, "requested room does not exist")),
        warns("token", "room.auto_create"),
    ),
    "LiveKit is over its limits": (
        fake(validate=reply(503, "node has exceeded its configured limit")),
        fails("token", "HTTP 503.*limit"),
    ),
    "an answer that LiveKit never gives": (fake(validate=reply(418, "teapot")), fails("token", "HTTP 418.*proxy")),
    "a server of before 1.9.10": (
        fake(v1=reply(404, "404 page not found"), frames=(frame(join={}),)),
        warns("token.v1", "1.9.10"),
    ),
    # The clock, by another clock than this machine's
    "the clock is 2 minutes ahead": (credentials(now=off(+120)), fails("token", "not yet valid.*clock")),
    "the clock is 20 minutes behind": (credentials(now=off(-1200)), fails("token", "expired.*clock")),
    "the clock is 2 minutes behind": (credentials(now=off(-120)), warns("clock", "2 minutes behind LiveKit's")),
    "LiveKit's Date is 2 minutes behind": (dated(-120), fails("clock", "2 minutes ahead of LiveKit's")),
    # The join
    "a proxy that does not pass WebSockets": (fake(join=reply(200, "hello")), fails("join", "HTTP 200.*WebSockets")),
    "LiveKit cannot open a session": (
        fake(join=reply(500, "connection closed by media")),
        fails("join", "HTTP 500.*log"),
    ),
    "a WebSocket on which nothing comes": (fake(), fails("join", "within 1 s")),
    "a WebSocket that ends at once": (fake(frames=None), fails("join", "right after the join ->")),
    "a full room": (fake(frames=(frame(leave={"reason": "JOIN_FAILURE"}),)), fails("join", "room.max_participants")),
    "sent away for another reason": (
        fake(frames=(frame(leave={"reason": "SERVER_SHUTDOWN"}),)),
        fails("join", "reason 3"),
    ),
}
