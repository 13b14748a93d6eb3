"""Broken setups, from the environment to the join: the right check fails, with a remedy."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme
from livekit.protocol import rtc

from moss_voice_server._doctor import Check, LiveKitCredentials, Options
from moss_voice_server.testing import FakeMoss, LiveKitServer, MockResponse
from tests.doctor.conftest import Authority
from tests.doctor.helpers import Expected, assert_found, examined, fails, livekit_environ, moss_secrets, options, warns
from tests.doctor.servers import NO_TOKEN, FakeLiveKit, Reply, livekit, site

pytestmark = pytest.mark.livekit

KEY, SECRET = "APIexample12345", "a-secret-for-tests-that-is-long-enough"
MOSS = {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": "moss-key-0123456789", "MOSS_VOICE_AGENT_ID": "agent"}


class Setup:
    """Builds broken setups."""

    def __init__(
        self,
        moss: FakeMoss,
        server: LiveKitServer,
        authority: Authority,
        folder: Path,
        patch: pytest.MonkeyPatch,
        stack: ExitStack,
    ) -> None:
        self.moss, self.server, self.authority = moss, server, authority
        self.folder, self.patch, self.stack = folder, patch, stack

    def credentials(self, key: str = "", secret: str = "", **changes: Any) -> Options:
        """The real LiveKit server with another key or secret."""
        return options(
            livekit_environ(self.server.url, key or self.server.api_key, secret or self.server.api_secret), **changes
        )

    def tls_site(self, context: ssl.SSLContext) -> str:
        """The host and port of a web server behind TLS."""
        return f"127.0.0.1:{self.stack.enter_context(site(lambda _: Reply(404), context))}"

    def trusted(self) -> None:
        """This process trusts the tests' authority."""
        self.patch.setenv("SSL_CERT_FILE", str(self.authority.file))

    def closed_port(self) -> int:
        """A port that refuses connections."""
        with ExitStack() as stack:
            return stack.enter_context(site(lambda _: Reply()))

    def file(self, text: str) -> str:
        """A file that holds this."""
        path = self.folder / "value"
        path.write_text(text, encoding="utf-8")
        return str(path)


Build = Callable[[Setup], Options]


@pytest.fixture
def setup(
    moss: FakeMoss, livekit_server: LiveKitServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Setup]:
    """The parts of a setup; what it starts ends with the test."""
    with ExitStack() as stack:
        yield Setup(moss, livekit_server, authority, tmp_path, monkeypatch, stack)


def without(name: str) -> dict[str, str]:
    """Moss's variables but one."""
    return {key: value for key, value in MOSS.items() if key != name}


def at_moss(url: str, **changes: Any) -> Options:
    """The URL of the Moss API is this."""
    return options({**MOSS, "MOSS_PLATFORM_API_URL": url}, **changes)


def soon(authority: Authority) -> trustme.LeafCert:
    """A certificate that ends within days."""
    from datetime import datetime, timedelta, timezone

    return authority.ca.issue_cert("127.0.0.1", not_after=datetime.now(timezone.utc) + timedelta(days=3))


def soon_expiring_moss(setup: Setup) -> Options:
    """A Moss API whose certificate ends soon."""
    setup.trusted()
    moss = setup.stack.enter_context(FakeMoss(ssl_context=setup.authority.context(soon(setup.authority))))
    return options(moss.environ)


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


def web(reply: Reply) -> Build:
    """The LiveKit URL leads to a web server that always returns this."""
    return lambda setup: at(f"ws://127.0.0.1:{setup.stack.enter_context(site(lambda _: reply))}")(setup)


def fake(**answers: Any) -> Build:
    """The LiveKit URL leads to a fake LiveKit."""
    return lambda setup: at(
        f"ws://127.0.0.1:{setup.stack.enter_context(livekit(FakeLiveKit(**answers)))}", timeout=1.0
    )(setup)


def dated(seconds: float) -> Build:
    """The LiveKit URL leads to a LiveKit whose clock is this far ahead; the join works."""

    def build(setup: Setup) -> Options:
        date = {"Date": formatdate(time.time() + seconds, usegmt=True)}
        return fake(anonymous=Reply(401, NO_TOKEN, date), frames=(frame(join={}),))(setup)

    return build


def env(environ: dict[str, str]) -> Build:
    """The environment is this."""
    return lambda _: options(environ)


def credentials(**changes: Any) -> Build:
    """The real LiveKit server with another key, secret or clock."""
    return lambda setup: setup.credentials(**changes)


CHAIN: dict[str, tuple[Build, Expected]] = {
    # Environment
    "nothing is set": (env({}), fails("environment", "set MOSS_PROJECT_ID, .* or LIVEKIT_URL")),
    "a variable is missing": (env(without("MOSS_PROJECT_KEY")), fails("environment", "MOSS_PROJECT_KEY is not set")),
    "a variable is misspelled": (
        env({**without("MOSS_VOICE_AGENT_ID"), "MOSS_VOICEAGENT_ID": "agent"}),
        fails("environment", "MOSS_VOICEAGENT_ID is: misspelled"),
    ),
    "a variable's file cannot be read": (
        lambda setup: options({**without("MOSS_PROJECT_KEY"), "MOSS_PROJECT_KEY_FILE": str(setup.folder / "none")}),
        fails("environment", "MOSS_PROJECT_KEY_FILE"),
    ),
    "a variable is set twice": (
        lambda setup: options({**MOSS, "MOSS_PROJECT_KEY_FILE": setup.file("key")}),
        fails("environment", "MOSS_PROJECT_KEY and MOSS_PROJECT_KEY_FILE"),
    ),
    "a key ends with a newline": (
        env({**MOSS, "MOSS_PROJECT_KEY": "moss-key-0123456789\n"}),
        fails("environment", "MOSS_PROJECT_KEY.* white ?space"),
    ),
    "the URL of the Moss API is not https": (
        lambda setup: at_moss("http://moss.example"),
        fails("environment", "MOSS_PLATFORM_API_URL.*https"),
    ),
    "LiveKit's secret is missing": (
        env({"LIVEKIT_URL": "wss://host.example", "LIVEKIT_API_KEY": KEY}),
        fails("environment", "LIVEKIT_API_SECRET is not set"),
    ),
    "LiveKit's key is misspelled": (
        env({"LIVEKIT_URL": "wss://h.example", "LIVEKIT_APIKEY": KEY, "LIVEKIT_API_SECRET": SECRET}),
        fails("environment", "LIVEKIT_APIKEY is: misspelled"),
    ),
    "LiveKit's secret is in an empty file": (
        lambda setup: options(
            {"LIVEKIT_URL": "wss://h.example", "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET_FILE": setup.file("\n")}
        ),
        fails("environment", "LIVEKIT_API_SECRET_FILE"),
    ),
    # The Moss API
    "the Moss API's name is unknown": (
        # No resolver knows a name that ends with .invalid (RFC 6761, section 6.4).
        lambda setup: at_moss("https://moss.invalid"),
        fails("moss.dns", "MOSS_PLATFORM_API_URL .*DNS"),
    ),
    "closed port of the Moss API": (
        lambda setup: at_moss(f"http://127.0.0.1:{setup.closed_port()}"),
        fails("moss.response", "refused .*MOSS_PLATFORM_API_URL"),
    ),
    "https to a plain port": (
        lambda setup: at_moss(setup.moss.url.replace("http:", "https:"), timeout=0.5),
        fails("moss.tls", "plain|has the same effect"),
    ),
    "closed port behind https": (
        lambda setup: at_moss(f"https://127.0.0.1:{setup.closed_port()}"),
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
    "Moss keeps the agent from the project": (answering(403), fails("moss.response", "HTTP 403.*MOSS_PROJECT_ID")),
    "Moss does not know the agent": (answering(404), fails("moss.response", "HTTP 404.*MOSS_VOICE_AGENT_ID")),
    "Moss fails": (answering(500), fails("moss.response", "HTTP 500")),
    "Moss answers with a page": (
        answering(MockResponse(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"})),
        fails("moss.response", "JSON.*MOSS_PLATFORM_API_URL"),
    ),
    "Moss redirects": (
        answering(MockResponse.redirect("https://other.example/")),
        fails("moss.response", "other.example"),
    ),
    "Moss leaves a field out": (
        answering(MockResponse(json={"voice_agent_url": "wss://host.example"})),
        fails("moss.response", "voice_agent_api_key"),
    ),
    "Moss returns a URL without TLS": (
        lambda setup: answering(MockResponse(json={**setup.moss.credentials, "voice_agent_url": "ws://host.example"}))(
            setup
        ),
        fails("moss.response", "voice_agent_url .*wss"),
    ),
    "Moss hangs": (answering(MockResponse(hang=True), timeout=0.3), fails("moss.response", "0.3 s")),
    # Credentials
    "a short secret": (credentials(secret="hushhush"), warns("credentials", "8 bytes; HS256 needs 32")),
    "a key with whitespace": (credentials(key=f"{KEY} "), fails("environment", "LIVEKIT_API_KEY .*whitespace")),
    "key and secret look swapped": (credentials(key="s" * 43, secret=KEY), warns("credentials", "swap key and secret")),
    # the LiveKit URL
    "the LiveKit URL has another scheme": (at("ftp://host.example"), fails("livekit.url", "wss.*LIVEKIT_URL")),
    "the LiveKit URL has no scheme": (
        at("localhost:7880"),
        fails("livekit.url", "65535.*LIVEKIT_URL|wss.*LIVEKIT_URL|scheme.*LIVEKIT_URL"),
    ),
    "closed port at an IPv6 address": (at("ws://[::1]:1"), fails("livekit.server", r"^\[::1\]:1: .*LIVEKIT_URL")),
    "the LiveKit URL is plain, and elsewhere": (at("ws://host.example:7880"), fails("livekit.url", "wss.*LIVEKIT_URL")),
    "the LiveKit URL ends with /rtc": (at("wss://host.example/rtc"), fails("livekit.url", "/rtc.*LIVEKIT_URL")),
    "LiveKit's name is unknown": (at("wss://livekit.invalid"), fails("livekit.dns", "DNS .*LIVEKIT_URL")),
    "closed port of LiveKit": (
        lambda setup: at(f"ws://127.0.0.1:{setup.closed_port()}")(setup),
        fails("livekit.server", "refused .*LIVEKIT_URL"),
    ),
    "wss to a plain port": (
        lambda setup: at(setup.server.url.replace("ws:", "wss:"))(setup),
        fails("livekit.tls", "plain"),
    ),
    "ws to a TLS port": (
        lambda setup: at(f"ws://{setup.tls_site(setup.authority.context())}")(setup),
        fails("livekit.server", "HTTP|lost|timed out|reset"),
    ),
    "a web server that is not LiveKit": (
        web(Reply(200, "<html>It works!</html>", {"Content-Type": "text/html"})),
        fails("livekit.server", "HTTP 200.*another web server"),
    ),
    "a web server without that path": (
        web(Reply(404, "not found")),
        fails("livekit.server", "HTTP 404.*another web server"),
    ),
    "a redirect in place of LiveKit": (
        web(Reply(301, "moved", {"Location": "https://host.example/"})),
        fails("livekit.server", "HTTP 301.*LIVEKIT_URL"),
    ),
    "a proxy without a LiveKit behind it": (web(Reply(502, "bad gateway")), fails("livekit.server", "HTTP 502.*proxy")),
    "a login in front of LiveKit": (web(Reply(401, "who are you?")), fails("livekit.server", "login")),
    "a TLS port that says so": (
        web(Reply(400, "Client sent an HTTP request to an HTTPS server.\n")),
        fails("livekit.server", "wss://"),
    ),
    "LiveKit is not ready": (fake(root=Reply(406, "Not Ready")), warns("livekit.server", "HTTP 406")),
    # The token
    "an unknown API key": (credentials(key="APIunknown"), fails("token", "API key.*LiveKit project")),
    "another secret": (credentials(secret="another-secret" * 3), fails("token", "secret does not belong")),
    "a proxy that drops the token": (fake(validate=Reply(401, NO_TOKEN)), fails("token", "Authorization header")),
    "rooms are not made by joining": (
        fake(validate=Reply(404, "requested room does not exist")),
        warns("token", "room.auto_create"),
    ),
    "LiveKit is over its limits": (
        fake(validate=Reply(503, "node has exceeded its configured limit")),
        fails("token", "HTTP 503.*limit"),
    ),
    "the wrong region": (fake(validate=Reply(451, "")), fails("token", "HTTP 451.*region")),
    "an answer that LiveKit never gives": (fake(validate=Reply(418, "teapot")), fails("token", "HTTP 418.*proxy")),
    "a server of before 1.9.10": (
        fake(v1=Reply(404, "404 page not found"), frames=(frame(join={}),)),
        warns("token.v1", "1.9.10"),
    ),
    "something answers on the new path": (
        fake(v1=Reply(200, "hello"), frames=(frame(join={}),)),
        warns("token.v1", "HTTP 200"),
    ),
    # The clock, by another clock than this machine's
    "the clock is 2 minutes ahead": (credentials(now=off(+120)), fails("token", "not yet valid.*clock")),
    "the clock is 20 minutes behind": (credentials(now=off(-1200)), fails("token", "expired.*clock")),
    "the clock is 2 minutes behind": (credentials(now=off(-120)), warns("clock", "2 minutes behind LiveKit's")),
    "LiveKit's Date is 2 minutes behind": (dated(-120), fails("clock", "2 minutes ahead of LiveKit's")),
    "LiveKit's Date is 45 seconds ahead": (dated(+45), warns("clock", "4[456] seconds behind LiveKit's")),
    # The join
    "a proxy that does not pass WebSockets": (fake(join=Reply(200, "hello")), fails("join", "HTTP 200.*WebSockets")),
    "no WebSocket at /rtc": (fake(join=Reply(404, "not found")), fails("join", "HTTP 404.*WebSocket")),
    "the join is refused after all": (fake(join=Reply(401, "no")), fails("join", "HTTP 401.*/rtc/validate")),
    "LiveKit cannot open a session": (
        fake(join=Reply(500, "connection closed by media")),
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


@pytest.mark.parametrize(("build", "expected"), CHAIN.values(), ids=CHAIN.keys())
def test_broken_setup_is_named(build: Callable[[Setup], Options], expected: Expected, setup: Setup) -> None:
    """The check of the broken link fails, no earlier one does, and it names the cause and the setting."""
    checks = examined(build(setup), *moss_secrets(setup.moss), SECRET)

    assert_found(checks, expected)


def test_working_setup(moss: FakeMoss) -> None:
    """No check of a working setup fails or warns."""
    checks = examined(options(moss.environ), *moss_secrets(moss))

    assert [] == [check for check in checks.values() if check.status in ("warn", "fail")]
    assert {
        "environment",
        "moss.response",
        "credentials",
        "livekit.url",
        "livekit.server",
        "token",
        "token.v1",
        "clock",
        "join",
    } == {check.name for check in checks.values() if check.status == "ok"}


def test_swapped_key_and_secret_are_recognized_twice(livekit_server: LiveKitServer) -> None:
    """Swapped key and secret: one check warns about their shape, and the failed check names the cause."""
    swapped = livekit_environ(livekit_server.url, livekit_server.api_secret, livekit_server.api_key)
    checks = examined(options(swapped), livekit_server.api_secret)

    assert_found(checks, warns("credentials", "swap key and secret"))
    assert_found(checks, fails("token", "API key.*swap key and secret"), alone=False)


def test_options_take_precedence(livekit_server: LiveKitServer) -> None:
    """LiveKit credentials that are given leave the environment and the Moss API alone."""
    server = livekit_server
    checks = examined(options(MOSS, credentials=LiveKitCredentials(server.url, server.api_key, server.api_secret)))

    assert ("ok", "skip", "ok") == tuple(checks[name].status for name in ("environment", "moss.response", "join"))


def test_moss_takes_precedence_over_livekit(moss: FakeMoss) -> None:
    """With both sets of variables the Moss API is used, and a check mentions the other set."""
    environ = {**moss.environ, **livekit_environ("wss://host.example", KEY, SECRET)}
    checks = examined(options(environ), *moss_secrets(moss))

    assert "LIVEKIT_... are set too" in checks["environment"].detail
    assert "ok" == checks["join"].status


def test_clock_of_moss(setup: Setup) -> None:
    """A Moss API that rejects the project still has a Date header."""
    date = {"Date": formatdate(time.time() + 120, usegmt=True)}
    checks = examined(answering(MockResponse(401, headers=date))(setup), *moss_secrets(setup.moss))

    assert ("fail", "warn") == (checks["moss.response"].status, checks["clock"].status)
    assert "2 minutes behind the Moss API's" in checks["clock"].detail


def test_clock_of_livekit_counts_more(setup: Setup) -> None:
    """LiveKit's clock decides, because LiveKit checks the tokens; the other difference is shown."""
    setup.moss.set_default(MockResponse(headers={"Date": formatdate(time.time() + 600, usegmt=True)}))
    checks = examined(options(setup.moss.environ), *moss_secrets(setup.moss))

    assert "ok" == checks["clock"].status
    assert "10 minutes behind the Moss API's" in checks["clock"].detail


def test_moss_behind_tls(setup: Setup) -> None:
    """A Moss API with a trusted certificate: its expiry is shown."""
    setup.trusted()
    moss = setup.stack.enter_context(FakeMoss(ssl_context=setup.authority.context(), url=setup.server.url))
    checks = examined(options(moss.environ), *moss_secrets(moss))

    assert "until 3000-01-01" in checks["moss.tls"].detail
    assert ("ok", "ok") == (checks["moss.tls"].status, checks["moss.response"].status)


def test_proxy(setup: Setup) -> None:
    """With a proxy in the environment neither lookup nor handshake is checked; the request is."""
    setup.patch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{setup.closed_port()}")
    checks = examined(at_moss("https://moss.example"))

    assert ("skip", "skip", "fail") == tuple(checks[f"moss.{part}"].status for part in ("dns", "tls", "response"))
    assert "a proxy is set in the environment" in checks["moss.dns"].detail


def test_checks_behind_a_failure_are_skipped() -> None:
    """After a failure the remaining checks are skipped."""
    checks = examined(options({}))

    assert {"skip"} == {check.status for name, check in checks.items() if name != "environment"}
    assert {"not reached: see above"} == {check.detail for name, check in checks.items() if name != "environment"}


def test_checks_are_yielded(setup: Setup) -> None:
    """Each check is yielded as soon as it is done: the first before any request."""
    from moss_voice_server._doctor import examine

    checks: Iterator[Check] = examine(options(setup.moss.environ))

    assert ("environment", 0) == (next(checks).name, setup.moss.count)
    assert ["moss.dns", "moss.tls", "moss.response"] == [next(checks).name for _ in range(3)]
    assert 1 == setup.moss.count
