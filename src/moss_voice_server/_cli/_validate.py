"""Validate: ask a LiveKit server whether it accepts a token, without joining; see livekit-server pkg/service/rtcservice.go."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import BaseHandler, HTTPRedirectHandler, ProxyHandler, Request, build_opener

from .._urls import LOOPBACK

_LONGEST = 4096  # bytes of an answer that are looked at; LiveKit's own is one word or one line
_REASONS = {
    "invalid API key": "it does not know the API key: check --api-key",
    "signature is invalid": "the secret does not belong to the API key: check --api-secret",
    "token is expired": "it takes the token for expired: set this machine's clock",
    "not valid yet": "it takes the token for not yet valid: set this machine's clock",
}


class Verdict(NamedTuple):
    """Whether the server accepts the token, and what to tell the user."""

    accepted: bool
    text: str


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the token elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def is_local(url: str) -> bool:
    """Whether a server's address leads to this very machine."""
    return urlsplit(url).hostname in LOOPBACK


def ask(url: str, token: str, timeout: float = 5.0) -> Verdict:
    """What the LiveKit server at `url` (ws, wss, http or https, already checked) says to a holder of `token`.

    `timeout` is in seconds, for connecting and for each read.
    Never shows what the server wrote: LiveKit up to 1.13.5 repeats the whole token when it refuses one.
    """
    handlers: list[BaseHandler] = [_NoRedirect()]
    if is_local(url):
        handlers.append(ProxyHandler({}))  # no proxy can reach what is local here
    address = ("http" + url[2:] if url.startswith("ws") else url).rstrip("/") + "/rtc/validate"
    request = Request(address, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - the scheme was checked
    try:
        with build_opener(*handlers).open(request, timeout=timeout) as answer:
            return _judge(answer.status, answer.read(_LONGEST))
    except HTTPError as error:
        with error:
            return _judge(error.code, _body(error))
    except (OSError, HTTPException) as error:
        return Verdict(False, f"cannot be asked: {_why(error, timeout)}")


def _body(error: HTTPError) -> bytes:
    try:
        return error.read(_LONGEST)
    except (OSError, HTTPException):
        return b""


def _judge(status: int, body: bytes) -> Verdict:
    text = body.decode("utf-8", "replace")
    if status == 200 and text.strip() == "success":
        return Verdict(True, "accepts the token (GET /rtc/validate)")
    if status == 401:
        reason = next((words for mark, words in _REASONS.items() if mark in text), "check --api-key and --api-secret")
        return Verdict(False, f"refuses the token (HTTP 401): {reason}")
    if status == 503:
        return Verdict(False, "is over its limits (HTTP 503): try again later")
    return Verdict(False, f"does not answer as LiveKit does (HTTP {status}): check --livekit-url")


def _why(error: Exception, timeout: float) -> str:
    cause: object = error.reason if isinstance(error, URLError) else error
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (ConnectionRefusedError, "the connection was refused: check its host and port, and that it runs"),
        (socket.gaierror, "its host name cannot be looked up: check it, and this machine's network"),
        (TimeoutError, f"no answer within {timeout:g} seconds"),
        (ssl.SSLCertVerificationError, "its TLS certificate is not trusted"),
        (ssl.SSLError, "the TLS handshake failed: is it ws:// and not wss://?"),
        (HTTPException, "what it answers is not HTTP"),
    )
    return next(
        (text for kind, text in kinds if isinstance(cause, kind)), f"the connection failed ({type(cause).__name__})"
    )
