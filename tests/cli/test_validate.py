"""Validate: what the answers of a server to `/rtc/validate` mean; against a scripted server on a real socket."""

from __future__ import annotations

import socket
import threading

import pytest

from moss_voice_server._cli._validate import Verdict, ask, is_local
from moss_voice_server.testing import Answer, FakeMoss
from tests.cli.shell import PATIENCE

TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"


def says(status: int, text: str) -> Answer:
    """An answer with this text."""
    return Answer(status, body=text.encode())


ANSWERS = {
    "accepted": (says(200, "success"), "accepts the token (GET /rtc/validate)"),
    "unknown key": (
        says(401, "invalid API key: APIabc"),
        "refuses the token (HTTP 401): it does not know the API key: check --api-key",
    ),
    "wrong secret": (
        says(401, f"invalid token: {TOKEN}, error: token signature is invalid: signature is invalid"),
        "refuses the token (HTTP 401): the secret does not belong to the API key: check --api-secret",
    ),
    "expired": (
        says(401, "token has invalid claims: token is expired"),
        "refuses the token (HTTP 401): it takes the token for expired: set this machine's clock",
    ),
    "not yet valid": (
        says(401, "token has invalid claims: token is not valid yet"),
        "refuses the token (HTTP 401): it takes the token for not yet valid: set this machine's clock",
    ),
    "another reason": (
        says(401, f"no {TOKEN}"),
        "refuses the token (HTTP 401): check --api-key and --api-secret",
    ),
    "a web server": (says(200, "<html>"), "does not answer as LiveKit does (HTTP 200): check --livekit-url"),
    "no such page": (
        says(404, "404 page not found"),
        "does not answer as LiveKit does (HTTP 404): check --livekit-url",
    ),
    "no text": (says(401, "\xff"), "refuses the token (HTTP 401): check --api-key and --api-secret"),
    "too busy": (says(503, "node has exceeded its configured limit"), "is over its limits (HTTP 503): try again later"),
    "no HTTP": (Answer(raw=b"\x16\x03\x01"), "cannot be asked: what it answers is not HTTP"),
    "broken off": (
        Answer(401, body=b"invalid API key", content_length=99),
        "refuses the token (HTTP 401): it does not know the API key: check --api-key",
    ),
    "reset": (Answer(reset="request"), "cannot be asked: the connection failed (ConnectionResetError)"),
}


@pytest.mark.parametrize(("answer", "text"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answer(answer: Answer, text: str, moss: FakeMoss) -> None:
    """Each answer has its verdict, in words of ours: a server's may hold the token."""
    moss.script(answer)
    assert Verdict(text.startswith("accepts"), text) == ask(moss.url.replace("http", "ws"), TOKEN)


def test_request(moss: FakeMoss) -> None:
    """The token is sent as a header, never in the address, to `/rtc/validate` below the server's path."""
    moss.script(says(200, "success\n"))

    assert ask(f"{moss.url}/base/", TOKEN).accepted
    (request,) = moss.requests
    assert ("GET", "/base/rtc/validate", f"Bearer {TOKEN}") == (
        request.method,
        request.path,
        request.headers["Authorization"],
    )


def test_redirect_is_not_followed(moss: FakeMoss) -> None:
    """The token goes nowhere else."""
    with FakeMoss() as elsewhere:
        moss.script(Answer.redirect(f"{elsewhere.url}/rtc/validate"))
        verdict = ask(moss.url, TOKEN)

    assert (False, 0) == (verdict.accepted, elsewhere.count)
    assert "does not answer as LiveKit does (HTTP 302): check --livekit-url" == verdict.text


def test_loopback_uses_no_proxy(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is left aside for this machine itself."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    moss.script(says(200, "success"))

    assert ask(moss.url, TOKEN).accepted


def test_nobody_there(moss: FakeMoss) -> None:
    """A closed port is told as such."""
    moss.close()
    text = "cannot be asked: the connection was refused: check its host and port, and that it runs"
    assert Verdict(False, text) == ask(moss.url, TOKEN)


def test_no_tls_there() -> None:
    """TLS spoken to a plain port, which answers in plain HTTP as LiveKit's does, is told as such."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        verdict = ask(f"wss://127.0.0.1:{listener.getsockname()[1]}", TOKEN)
        thread.join()
    assert Verdict(False, "cannot be asked: the TLS handshake failed: is it ws:// and not wss://?") == verdict


def test_silence(moss: FakeMoss) -> None:
    """A server that says nothing is given up."""
    moss.script(Answer(hang=True))
    assert Verdict(False, "cannot be asked: no answer within 0.05 seconds") == ask(moss.url, TOKEN, 0.05)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("ws://127.0.0.1:7880", True),
        ("ws://localhost", True),
        ("ws://[::1]:1", True),
        ("wss://127.0.0.1.example", False),
    ],
)
def test_is_local(url: str, local: bool) -> None:
    """Only the very names of loopback are local."""
    assert local == is_local(url)
