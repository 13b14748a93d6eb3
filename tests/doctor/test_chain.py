"""Broken set-ups from the environment to the join: each is named by the right check, with a remedy."""

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

from moss_voice_server._doctor import Check, Plan
from moss_voice_server.testing import Answer, FakeMoss, LiveKitServer
from tests.doctor.bench import Named, assert_named, examined, fails, given, livekit_environ, moss_secrets, plan, warns
from tests.doctor.conftest import Authority
from tests.doctor.sites import NO_TOKEN, Fake, Reply, livekit, site

pytestmark = pytest.mark.livekit

KEY, SECRET = "APIexample12345", "a-secret-for-tests-that-is-long-enough"
MOSS = {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": "moss-key-0123456789", "MOSS_VOICE_AGENT_ID": "agent"}


class World:
    """What a broken set-up is built of."""

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

    def answering(self, answer: Answer | int, **changes: Any) -> Plan:
        """A Moss API that says this."""
        self.moss.always(answer)
        return plan(self.moss.environ, **changes)

    def credentials(self, key: str = "", secret: str = "", **changes: Any) -> Plan:
        """The real LiveKit server with another key or secret."""
        return plan(
            livekit_environ(self.server.url, key or self.server.api_key, secret or self.server.api_secret), **changes
        )

    def at(self, url: str, **changes: Any) -> Plan:
        """LiveKit's address is this."""
        return plan(livekit_environ(url, KEY, SECRET), **changes)

    def web(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> Plan:
        """LiveKit's address leads to a web server that always answers the same."""
        port = self.stack.enter_context(site(lambda _: replies[0], tls))
        return self.at(f"ws{'s' if tls and not replies[0].body else ''}://127.0.0.1:{port}")

    def fake(self, **answers: Any) -> Plan:
        """LiveKit's address leads to a LiveKit of cardboard."""
        return self.at(f"ws://127.0.0.1:{self.stack.enter_context(livekit(Fake(**answers)))}", timeout=1.0)

    def tls_site(self, context: ssl.SSLContext) -> str:
        """The host and port of a web server behind TLS."""
        return f"127.0.0.1:{self.stack.enter_context(site(lambda _: Reply(404), context))}"

    def trusted(self) -> None:
        """This process trusts the tests' authority."""
        self.patch.setenv("SSL_CERT_FILE", str(self.authority.file))

    def closed_port(self) -> int:
        """A port on which nobody listens."""
        with ExitStack() as stack:
            return stack.enter_context(site(lambda _: Reply()))

    def file(self, text: str) -> str:
        """A file that holds this."""
        path = self.folder / "value"
        path.write_text(text, encoding="utf-8")
        return str(path)


@pytest.fixture
def world(
    moss: FakeMoss,
    livekit_server: LiveKitServer,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Everything that a set-up may need; what it starts ends with the test."""
    with ExitStack() as stack:
        yield World(moss, livekit_server, authority, tmp_path, monkeypatch, stack)


def without(name: str) -> dict[str, str]:
    """Moss's variables but one."""
    return {key: value for key, value in MOSS.items() if key != name}


def at_moss(url: str, **changes: Any) -> Plan:
    """The Moss API's address is this."""
    return plan({**MOSS, "MOSS_PLATFORM_API_URL": url}, **changes)


def dated(seconds: float) -> dict[str, Any]:
    """What a LiveKit answers whose clock is so far ahead; the join works."""
    date = {"Date": formatdate(time.time() + seconds, usegmt=True)}
    return {"anonymous": Reply(401, NO_TOKEN, date), "frames": (frame(join={}),)}


def soon(authority: Authority) -> trustme.LeafCert:
    """A certificate that ends within days."""
    from datetime import datetime, timedelta, timezone

    return authority.ca.issue_cert("127.0.0.1", not_after=datetime.now(timezone.utc) + timedelta(days=3))


def soon_expiring_moss(world: World) -> Plan:
    """A Moss API whose certificate ends soon."""
    world.trusted()
    moss = world.stack.enter_context(FakeMoss(ssl_context=world.authority.context(soon(world.authority))))
    return plan(moss.environ)


def broken_trust(world: World) -> Plan:
    """A trust store that is not there."""
    world.patch.setenv("SSL_CERT_FILE", str(world.folder / "no-such-file"))
    return at_moss(f"https://{world.tls_site(world.authority.context())}")


def off(seconds: float) -> Callable[[], float]:
    """A clock that is so far ahead."""
    return lambda: time.time() + seconds


def frame(**message: Any) -> bytes:
    """One `livekit.SignalResponse`."""
    return rtc.SignalResponse(**message).SerializeToString()


# What most set-ups are broken by: what the Moss API answers, LiveKit's address, and what answers there.


def answering(answer: Answer | int) -> Callable[[World], Plan]:
    """A Moss API that says this."""
    return lambda world: world.answering(answer)


def at(url: str) -> Callable[[World], Plan]:
    """LiveKit's address is this."""
    return lambda world: world.at(url)


def web(reply: Reply) -> Callable[[World], Plan]:
    """LiveKit's address leads to a web server that always answers this."""
    return lambda world: world.web(reply)


def fake(**answers: Any) -> Callable[[World], Plan]:
    """LiveKit's address leads to a LiveKit of cardboard."""
    return lambda world: world.fake(**answers)


CHAIN: dict[str, tuple[Callable[[World], Plan], Named]] = {
    # Environment
    "nothing is set": (
        lambda world: plan({}),
        fails("environment", "no credentials are set", "set MOSS_PROJECT_ID, .* or LIVEKIT_URL"),
    ),
    "a variable is missing": (
        lambda world: plan(without("MOSS_PROJECT_KEY")),
        fails("environment", "MOSS_PROJECT_KEY is not set", "set it, or MOSS_PROJECT_KEY_FILE"),
    ),
    "a variable is misspelled": (
        lambda world: plan({**without("MOSS_VOICE_AGENT_ID"), "MOSS_VOICEAGENT_ID": "agent"}),
        fails("environment", r"VOICE_AGENT_ID is not set \(but MOSS_VOICEAGENT_ID is: misspelled\?\)", "set it"),
    ),
    "a variable's file cannot be read": (
        lambda world: plan({**without("MOSS_PROJECT_KEY"), "MOSS_PROJECT_KEY_FILE": str(world.folder / "none")}),
        fails("environment", r"names a file that cannot be read \(FileNotFoundError\)", "check its path"),
    ),
    "a variable is set twice": (
        lambda world: plan({**MOSS, "MOSS_PROJECT_KEY_FILE": world.file("key")}),
        fails("environment", "both MOSS_PROJECT_KEY and MOSS_PROJECT_KEY_FILE are set", "keep one"),
    ),
    "a key ends with a line end": (
        lambda world: plan({**MOSS, "MOSS_PROJECT_KEY": "moss-key-0123456789\n"}),
        fails("environment", "MOSS_PROJECT_KEY.* white space", "strip it"),
    ),
    "the Moss API's address is not https": (
        lambda world: at_moss("http://moss.example"),
        fails("environment", "MOSS_PLATFORM_API_URL.* must begin with https", ".+"),
    ),
    "LiveKit's secret is missing": (
        lambda world: plan({"LIVEKIT_URL": "wss://host.example", "LIVEKIT_API_KEY": KEY}),
        fails("environment", "LIVEKIT_API_SECRET is not set", "LIVEKIT_API_SECRET_FILE"),
    ),
    "LiveKit's key is misspelled": (
        lambda world: plan({"LIVEKIT_URL": "wss://h.example", "LIVEKIT_APIKEY": KEY, "LIVEKIT_API_SECRET": SECRET}),
        fails("environment", r"LIVEKIT_API_KEY is not set \(but LIVEKIT_APIKEY is", "set it"),
    ),
    "LiveKit's secret is in an empty file": (
        lambda world: plan(
            {"LIVEKIT_URL": "wss://h.example", "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET_FILE": world.file("\n")}
        ),
        fails("environment", "LIVEKIT_API_SECRET_FILE names an empty file", "write the value"),
    ),
    # The Moss API
    "the Moss API's name is unknown": (
        # Longer than a name may be, so that the look-up fails on this machine and nobody else is asked.
        lambda world: at_moss(f"https://{'a' * 64}.example"),
        fails("moss.dns", "no such name", "MOSS_PLATFORM_API_URL and this machine's DNS"),
    ),
    "nobody listens at the Moss API": (
        lambda world: at_moss(f"http://127.0.0.1:{world.closed_port()}"),
        fails("moss.answer", "nobody listens there", "check host and port in MOSS_PLATFORM_API_URL"),
    ),
    "https to a plain port": (
        lambda world: at_moss(world.moss.url.replace("http:", "https:"), timeout=0.5),
        fails("moss.tls", "no TLS|no TLS handshake", "plain"),
    ),
    "nobody listens behind https": (
        lambda world: at_moss(f"https://127.0.0.1:{world.closed_port()}"),
        fails("moss.tls", "nobody listens there", "check host and port in MOSS_PLATFORM_API_URL"),
    ),
    "a certificate that nobody trusts": (
        lambda world: at_moss(f"https://{world.tls_site(world.authority.context())}"),
        fails("moss.tls", "certificate is not trusted", "SSL_CERT_FILE"),
    ),
    "a certificate that ends soon": (
        soon_expiring_moss,
        warns("moss.tls", "which ends on 20", "renew the certificate"),
    ),
    "a trust store that cannot be read": (
        broken_trust,
        fails("moss.tls", "SSL_CERT_FILE or SSL_CERT_DIR names something", "correct the variable"),
    ),
    "Moss refuses the project's key": (
        answering(401),
        fails("moss.answer", "rejected the project ID and key .HTTP 401", "check MOSS_PROJECT_ID and MOSS"),
    ),
    "Moss keeps the agent from the project": (
        answering(403),
        fails("moss.answer", "denied this project access to the voice agent", "check MOSS_PROJECT_ID and"),
    ),
    "Moss does not know the agent": (
        answering(404),
        fails("moss.answer", "voice agent not found", "check MOSS_VOICE_AGENT_ID"),
    ),
    "Moss fails": (answering(500), fails("moss.answer", "HTTP 500", "retry later")),
    "Moss answers with a page": (
        answering(Answer(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"})),
        fails("moss.answer", "the answer is not JSON", "MOSS_PLATFORM_API_URL. is the URL of the Moss API"),
    ),
    "Moss redirects": (
        answering(Answer.redirect("https://other.example/")),
        fails("moss.answer", "a redirect to other.example", "MOSS_PLATFORM_API_URL. to the URL of the API itself"),
    ),
    "Moss leaves a field out": (
        answering(Answer(json={"voice_agent_url": "wss://host.example"})),
        fails("moss.answer", "lacks the field voice_agent_api_key", "MOSS_PLATFORM_API_URL. is the URL"),
    ),
    "Moss names an address without TLS": (
        lambda world: world.answering(Answer(json={**world.moss.credentials, "voice_agent_url": "ws://host.example"})),
        fails("moss.answer", "voice_agent_url must begin with wss", ".+"),
    ),
    "Moss hangs": (
        lambda world: world.answering(Answer(hang=True), timeout=0.3),
        fails("moss.answer", "no whole answer within 0.3 s", "health and log"),
    ),
    # Credentials
    "a short secret": (
        lambda world: world.credentials(secret="hushhush"),
        warns("credentials", "secret of 8 bytes, under the 32", "make a longer one"),
    ),
    "a key with white space": (
        lambda world: world.credentials(key=f"{KEY} "),
        fails("credentials", "LIVEKIT_API_KEY begins or ends with white space", "copy it again"),
    ),
    "key and secret look swapped": (
        lambda world: world.credentials(key="s" * 43, secret=KEY),
        warns("credentials", "the two are swapped", "exchange key and secret"),
    ),
    # LiveKit's address
    "LiveKit's address has another scheme": (
        at("ftp://host.example"),
        fails("livekit.url", "must begin with wss://", "LIVEKIT_URL"),
    ),
    "LiveKit's address has no scheme": (
        at("localhost:7880"),
        fails("livekit.url", "is not an address with a host and, optionally, a port from 1 to 65535$", "LIVEKIT_URL"),
    ),
    "nobody listens at LiveKit's IPv6 address": (
        at("ws://[::1]:1"),
        fails("livekit.server", r"^\[::1\]:1: nobody listens there", "check host and port in LIVEKIT_URL"),
    ),
    "LiveKit's address is plain, and elsewhere": (
        at("ws://host.example:7880"),
        fails("livekit.url", "would send secrets in the clear", "LIVEKIT_URL: wss://"),
    ),
    "LiveKit's address ends with /rtc": (
        at("wss://host.example/rtc"),
        fails("livekit.url", "ends with /rtc, which clients add", "take that away from LIVEKIT_URL"),
    ),
    "LiveKit's name is unknown": (
        at(f"wss://{'a' * 64}.example"),
        fails("livekit.dns", "no such name", "check LIVEKIT_URL"),
    ),
    "nobody listens at LiveKit's address": (
        lambda world: world.at(f"ws://127.0.0.1:{world.closed_port()}"),
        fails("livekit.server", "nobody listens there", "check host and port in LIVEKIT_URL"),
    ),
    "wss to a plain port": (
        lambda world: world.at(world.server.url.replace("ws:", "wss:")),
        fails("livekit.tls", "no TLS there", "it is a plain port, perhaps"),
    ),
    "ws to a TLS port": (
        lambda world: world.at(f"ws://{world.tls_site(world.authority.context())}"),
        fails("livekit.server", "not HTTP|broke off|no whole answer", ".+"),
    ),
    "a web server that is not LiveKit": (
        web(Reply(200, "<html>It works!</html>", {"Content-Type": "text/html"})),
        fails("livekit.server", "HTTP 200, where LiveKit answers 401: another web server", "a proxy must pass /rtc"),
    ),
    "a web server without that path": (
        web(Reply(404, "not found")),
        fails("livekit.server", "HTTP 404, where LiveKit answers 401", "check host, port and path"),
    ),
    "a redirect in place of LiveKit": (
        web(Reply(301, "moved", {"Location": "https://host.example/"})),
        fails("livekit.server", "HTTP 301, a redirect", "set LIVEKIT_URL to LiveKit's own address"),
    ),
    "a proxy without a LiveKit behind it": (
        web(Reply(502, "bad gateway")),
        fails("livekit.server", "a proxy answers, and LiveKit behind it does not", "start LiveKit"),
    ),
    "a log-in before LiveKit": (
        web(Reply(401, "who are you?")),
        fails("livekit.server", "asks for a log-in of its own", "pass /rtc without one"),
    ),
    "a TLS port that says so": (
        web(Reply(400, "Client sent an HTTP request to an HTTPS server.\n")),
        fails("livekit.server", "the port speaks TLS", "write wss://"),
    ),
    "LiveKit is not ready": (
        fake(root=Reply(406, "Not Ready")),
        warns("livekit.server", "not ready", "load and the log"),
    ),
    # The token
    "an unknown API key": (
        lambda world: world.credentials(key="APIunknown"),
        fails("token", "does not know the API key", "the same LiveKit project"),
    ),
    "another secret": (
        lambda world: world.credentials(secret="another-secret" * 3),
        fails("token", "the secret does not belong to the API key", "copy key and secret again"),
    ),
    "a proxy that drops the token": (
        fake(validate=Reply(401, NO_TOKEN)),
        fails("token", "takes the Authorization header away", "pass the Authorization header"),
    ),
    "rooms are not made by joining": (
        fake(validate=Reply(404, "requested room does not exist")),
        warns("token", "room.auto_create is off", "create each room first"),
    ),
    "LiveKit is over its limits": (
        fake(validate=Reply(503, "node has exceeded its configured limit")),
        fails("token", "over its limits", "try again later"),
    ),
    "the wrong region": (
        fake(validate=Reply(451, "")),
        fails("token", "may not be used from this region", "own region"),
    ),
    "an answer that LiveKit never gives": (
        fake(validate=Reply(418, "teapot")),
        fails("token", "HTTP 418: LiveKit does not answer so", "between here and LiveKit"),
    ),
    "a server of before 1.9.10": (
        fake(v1=Reply(404, "404 page not found"), frames=(frame(join={}),)),
        warns("token.v1", "older than 1.9.10", "update LiveKit"),
    ),
    "something answers on the new path": (
        fake(v1=Reply(200, "hello"), frames=(frame(join={}),)),
        warns("token.v1", "which LiveKit does not answer", "pass /rtc/v1"),
    ),
    # The clock, by another clock than this machine's
    "the clock is 2 minutes ahead": (
        lambda world: world.credentials(now=off(+120)),
        fails("token", "not yet valid: the clocks differ", "set the clocks"),
    ),
    "the clock is 20 minutes behind": (
        lambda world: world.credentials(now=off(-1200)),
        fails("token", "expired: the clocks differ", "set the clocks"),
    ),
    "the clock is 2 minutes behind": (
        lambda world: world.credentials(now=off(-120)),
        warns("clock", "clock is 2 minutes behind LiveKit's; tokens end so much earlier", "NTP"),
    ),
    "LiveKit's Date is 2 minutes behind": (
        lambda world: world.fake(**dated(-120)),
        fails("clock", "clock is 2 minutes ahead of LiveKit's", "NTP"),
    ),
    "LiveKit's Date is 45 seconds ahead": (
        lambda world: world.fake(**dated(+45)),
        warns("clock", "clock is 4[456] s behind LiveKit's; LiveKit allows for 60 s", "NTP"),
    ),
    # The join
    "a proxy that does not pass WebSockets": (
        fake(join=Reply(200, "hello")),
        fails("join", "HTTP 200: something between does not let WebSockets pass", "Upgrade"),
    ),
    "no WebSocket at /rtc": (
        fake(join=Reply(404, "not found")),
        fails("join", "HTTP 404: there is no WebSocket", "Upgrade"),
    ),
    "the join is refused after all": (
        fake(join=Reply(401, "no")),
        fails("join", "HTTP 401: LiveKit refuses the token", "another answer than /rtc/validate"),
    ),
    "LiveKit cannot open a session": (
        fake(join=Reply(500, "connection closed by media")),
        fails("join", "HTTP 500: LiveKit cannot open a session", "its log"),
    ),
    "a WebSocket on which nothing comes": (
        fake(),
        fails("join", "LiveKit said nothing within 1 s", "Upgrade"),
    ),
    "a WebSocket that ends at once": (
        fake(frames=None),
        fails("join", "sent away again$", "LiveKit's log"),
    ),
    "a full room": (
        fake(frames=(frame(leave={"reason": "JOIN_FAILURE"}),)),
        fails("join", "the room is full", "max_participants"),
    ),
    "sent away for another reason": (
        fake(frames=(frame(leave={"reason": "SERVER_SHUTDOWN"}),)),
        fails("join", r"sent away again \(reason 3\)", "LiveKit's log"),
    ),
}


@pytest.mark.parametrize(("build", "expected"), CHAIN.values(), ids=CHAIN.keys())
def test_broken_set_up_is_named(build: Callable[[World], Plan], expected: Named, world: World) -> None:
    """Every broken set-up is named by the check of the link that is broken, with words on it and a remedy."""
    checks = examined(build(world), *moss_secrets(world.moss), SECRET)

    assert_named(checks, expected)


def test_whole_chain_is_well(moss: FakeMoss) -> None:
    """With nothing broken no check fails or warns."""
    checks = examined(plan(moss.environ), *moss_secrets(moss))

    assert [] == [check for check in checks.values() if check.status in ("warn", "fail")]
    assert {
        "environment",
        "moss.answer",
        "credentials",
        "livekit.url",
        "livekit.server",
        "token",
        "token.v1",
        "clock",
        "join",
    } == {check.name for check in checks.values() if check.status == "ok"}


def test_swapped_key_and_secret_are_named_by_the_server_as_well(livekit_server: LiveKitServer) -> None:
    """Key and secret in each other's place: the shape is suspicious, and the refusal says what it comes from."""
    swapped = livekit_environ(livekit_server.url, livekit_server.api_secret, livekit_server.api_key)
    checks = examined(plan(swapped), livekit_server.api_secret)

    assert_named(checks, Named("credentials", "warn", "the two are swapped", "exchange"))
    assert_named(checks, Named("token", "fail", "does not know the API key; .* swapped", "exchange"), alone=False)


def test_options_go_before_the_environment(livekit_server: LiveKitServer) -> None:
    """LiveKit credentials that are given leave the environment and the Moss API alone."""
    server = livekit_server
    checks = examined(plan(MOSS, given=given(server.url, server.api_key, server.api_secret)))

    assert ("ok", "skip", "ok") == tuple(checks[name].status for name in ("environment", "moss.answer", "join"))


def test_moss_goes_before_livekit(moss: FakeMoss) -> None:
    """With both sets of variables the Moss API is asked, and the other is said to be left out."""
    environ = {**moss.environ, **livekit_environ("wss://host.example", KEY, SECRET)}
    checks = examined(plan(environ), *moss_secrets(moss))

    assert "LIVEKIT_... are set too, and not used" in checks["environment"].detail
    assert "ok" == checks["join"].status


def test_clock_of_moss_counts_where_livekit_tells_none(world: World) -> None:
    """A Moss API that refuses still tells the time."""
    date = {"Date": formatdate(time.time() + 120, usegmt=True)}
    checks = examined(world.answering(Answer(401, headers=date)), *moss_secrets(world.moss))

    assert ("fail", "warn") == (checks["moss.answer"].status, checks["clock"].status)
    assert "2 minutes behind the Moss API's" in checks["clock"].detail


def test_clock_of_livekit_counts_more(world: World) -> None:
    """Where the two differ LiveKit's clock decides, because it judges the tokens; the other is told."""
    world.moss.always(Answer(headers={"Date": formatdate(time.time() + 600, usegmt=True)}))
    checks = examined(plan(world.moss.environ), *moss_secrets(world.moss))

    assert "ok" == checks["clock"].status
    assert "10 minutes behind the Moss API's" in checks["clock"].detail


def test_moss_behind_tls_is_well(world: World) -> None:
    """A Moss API with a certificate that is trusted: its end is told."""
    world.trusted()
    moss = world.stack.enter_context(FakeMoss(ssl_context=world.authority.context(), url=world.server.url))
    checks = examined(plan(moss.environ), *moss_secrets(moss))

    assert "a trusted certificate until 3000-01-01" in checks["moss.tls"].detail
    assert ("ok", "ok") == (checks["moss.tls"].status, checks["moss.answer"].status)


def test_proxy_is_told(world: World) -> None:
    """With a proxy in the environment neither look-up nor handshake is judged from here; the request is."""
    world.patch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{world.closed_port()}")
    checks = examined(at_moss("https://moss.example"))

    assert ("skip", "skip", "fail") == tuple(checks[f"moss.{part}"].status for part in ("dns", "tls", "answer"))
    assert "a proxy is set in the environment" in checks["moss.dns"].detail


def test_what_lies_behind_a_break_is_left_out() -> None:
    """After a link that is broken nothing more is tried, and each check that is left out says so."""
    checks = examined(plan({}))

    assert {"skip"} == {check.status for name, check in checks.items() if name != "environment"}
    assert {"not reached: see above"} == {check.detail for name, check in checks.items() if name != "environment"}


def test_checks_come_one_by_one(world: World) -> None:
    """A check is there as soon as it is known: the first before anybody is asked."""
    from moss_voice_server._doctor import examine

    checks: Iterator[Check] = examine(plan(world.moss.environ))

    assert ("environment", 0) == (next(checks).name, world.moss.count)
    assert ["moss.dns", "moss.tls", "moss.answer"] == [next(checks).name for _ in range(3)]
    assert 1 == world.moss.count
