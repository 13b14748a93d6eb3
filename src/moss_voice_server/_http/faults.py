"""Faults: an exception of the HTTP client becomes a `TransportError`."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from .._duration import format_duration
from .deadlines import Progress
from .environment import NO_MORE_FILES, TOO_MANY_FILES, no_proxy_remedy, proxy_variables
from .model import Attempt, Request, TransportError

CONNECT_TIMEOUT = 3.0  # seconds
# The packages whose exceptions come out of the HTTP client.
_CLIENT = sys.stdlib_module_names.union(
    ("builtins", "httpx2", "httpcore2", "anyio", "h11", "h2", "hpack", "socksio", "idna", "truststore")
)


class _Kind(NamedTuple):
    error: type[BaseException]
    message: str
    remedy: str
    retry: bool = True
    phase: str = ""
    """The only phase in which it means this; empty: any."""


_LATER = "retry later; if it persists, check the network between this machine and {peer}"
_HOST = "check the host and port in {setting}"
_URL = "check that {setting} is the URL of {peer}"
_INVALID = ("the request is not valid HTTP", "check its headers for control characters and other than ASCII characters")
# The first one that is found anywhere in the chain of causes applies.
_KINDS = (
    _Kind(
        ssl.SSLCertVerificationError,
        "TLS certificate not trusted ({certificate})",
        "set SSL_CERT_FILE to the file of its certificate authority, or correct the host name in {setting}",
        retry=False,
    ),
    _Kind(socket.gaierror, "host name not found", "check {setting} and the machine's DNS"),
    _Kind(UnicodeError, "invalid host name", "correct {setting}", retry=False, phase="connect"),
    _Kind(OverflowError, "invalid port", "correct {setting}", retry=False, phase="connect"),
    _Kind(ConnectionRefusedError, "connection refused", _HOST),
    _Kind(ssl.SSLError, "TLS error", "check that {setting} names the port of a TLS server"),
    _Kind(httpx2.ProxyError, "the proxy refused the request", "check the proxy's log"),
    _Kind(ConnectionResetError, "connection reset by the server", _LATER),
    _Kind(httpx2.ConnectError, "connection failed", _HOST),
    _Kind(httpx2.LocalProtocolError, *_INVALID, retry=False),
    _Kind(UnicodeError, *_INVALID, retry=False),
    _Kind(httpx2.RemoteProtocolError, "incomplete or invalid HTTP response", _URL),
    _Kind(httpx2.NetworkError, "connection lost", _LATER),
    _Kind(httpx2.DecodingError, "the response could not be decoded", _URL, retry=False),
    _Kind(httpx2.InvalidURL, "invalid URL", "correct {setting}", retry=False),
    _Kind(httpx2.UnsupportedProtocol, "unsupported URL scheme", "correct {setting}", retry=False),
    _Kind(httpx2.TransportError, "the request could not be sent", _LATER),
    _Kind(OSError, "connection lost", _LATER),
)
# Timeouts of the client and of our own clock, by the phase in which they come.
_TIMEOUTS = {
    "connect": (
        "connection timed out after {connect}",
        "check {setting} and the machine's DNS, and whether a firewall blocks the connection",
    ),
    "handshake": (
        "TLS handshake timed out after {connect}",
        "check that {setting} names the port of a TLS server, and whether a firewall blocks the connection",
    ),
}
_TIMEOUT = ("response timed out after {timeout}", _LATER)


def transport_error(error: Exception, attempt: Attempt, progress: Progress, *, own_transport: bool) -> TransportError:
    """What an exception raised while sending means."""
    chain = list(causes(error))
    if any(isinstance(each, OSError) and each.errno in NO_MORE_FILES for each in chain):
        return TOO_MANY_FILES
    kind, found = _classify(error, chain, progress.phase)
    if kind is None:
        who = "the custom transport" if own_transport else "the HTTP client"
        remedy = "correct the transport" if own_transport else "report this error to moss-voice-server"
        return TransportError(f"{who} raised {type(error).__name__}", remedy)
    proxy = "" if own_transport else _proxy(attempt.request, progress)
    message, remedy = _described(kind, found, attempt, proxy if progress.phase == "connect" else "")
    if proxy:
        message += f" (proxy from {proxy})"
        remedy += f"; if {attempt.request.peer.name} needs no proxy, {no_proxy_remedy()}"
    return TransportError(message, remedy, kind.retry)


def _classify(error: Exception, chain: list[BaseException], phase: str) -> tuple[_Kind | None, BaseException]:
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        return _Kind(type(error), *_TIMEOUTS.get(phase, _TIMEOUT)), error
    for each in _KINDS:
        found = next((cause for cause in chain if isinstance(cause, each.error)), None)
        if found is not None and each.phase in ("", phase):
            return each, found
    return None, error


def _described(kind: _Kind, found: BaseException, attempt: Attempt, proxy: str) -> tuple[str, str]:
    """Message and remedy, with the name of what is at fault: the proxy's variable, or the peer's setting."""
    peer = attempt.request.peer
    values = {
        "peer": peer.name,
        "setting": proxy or peer.setting,
        "timeout": format_duration(attempt.timeout),
        "connect": format_duration(min(CONNECT_TIMEOUT, attempt.timeout)),
        "certificate": getattr(found, "verify_message", "") or "verification failed",
    }
    return kind.message.format(**values), kind.remedy.format(**values)


def _proxy(request: Request, progress: Progress) -> str:
    """The variable of the proxy that the connection went to; empty for a direct one."""
    variables = proxy_variables(request)
    if not variables or progress.target is None:
        return ""
    host, port = progress.target
    url = urlsplit(request.url)
    return "" if (host.strip("[]").lower(), port) == (url.hostname, url.port or 443) else variables[0]


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, its causes and contexts, and the members of exception groups."""
    todo, seen = [error], set()
    while todo:
        each = todo.pop(0)
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
            todo += getattr(each, "exceptions", ())


def is_foreign(error: Exception) -> bool:
    """Whether neither the HTTP client nor Python raised it: then a signal handler did, such as that of a task's time limit."""
    return type(error).__module__.partition(".")[0] not in _CLIENT


def strip_traceback(interruption: BaseException) -> BaseException:
    """The same interruption without the client's frames, whose variables hold secrets."""
    interruption.__context__ = interruption.__cause__ = None
    return interruption.with_traceback(None)
