"""Faults: an exception of the HTTP client becomes a `TransportError`."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpx2

from .._duration import format_duration
from .environment import NO_MORE_FILES, TOO_MANY_FILES, proxy_variables
from .model import Attempt, TransportError

CONNECT_TIMEOUT = 3.0  # seconds


class _Kind(NamedTuple):
    error: type[BaseException]
    message: str
    remedy: str
    retry: bool = True
    before_sending: bool = False


_LATER = "retry later; if it persists, check the network between this machine and {peer}"
# The first one that is found anywhere in the chain of causes applies.
_KINDS = (
    _Kind(
        ssl.SSLCertVerificationError,
        "TLS certificate not trusted ({certificate})",
        "set SSL_CERT_FILE to the file of its certificate authority, or correct the host name in {setting}",
        retry=False,
        before_sending=True,
    ),
    _Kind(socket.gaierror, "host name not found", "check {setting} and the machine's DNS", before_sending=True),
    _Kind(ConnectionRefusedError, "connection refused", "check the host and port in {setting}", before_sending=True),
    _Kind(ssl.SSLError, "TLS error", "check that {setting} names the port of a TLS server"),
    _Kind(httpx2.ProxyError, "the proxy refused the request", "check the proxy's log", before_sending=True),
    _Kind(
        httpx2.ConnectTimeout,
        "connection timed out after {connect}",
        "check the machine's DNS, and whether a firewall blocks the connection",
        before_sending=True,
    ),
    _Kind(httpx2.PoolTimeout, "no connection was free within {timeout}", "retry later", before_sending=True),
    _Kind(httpx2.TimeoutException, "response timed out after {timeout}", _LATER),
    _Kind(httpx2.ConnectError, "connection failed", "check the host and port in {setting}", before_sending=True),
    _Kind(
        httpx2.LocalProtocolError,
        "the request is not valid HTTP",
        "check the project ID, the keys and {setting} for control characters",
        retry=False,
        before_sending=True,
    ),
    _Kind(
        httpx2.RemoteProtocolError, "incomplete or invalid HTTP response", "check that {setting} is the URL of {peer}"
    ),
    _Kind(httpx2.NetworkError, "connection lost", _LATER),
    _Kind(
        httpx2.DecodingError,
        "the response could not be decoded",
        "check that {setting} is the URL of {peer}",
        retry=False,
    ),
    _Kind(httpx2.InvalidURL, "invalid URL", "correct {setting}", retry=False, before_sending=True),
    _Kind(httpx2.UnsupportedProtocol, "unsupported URL scheme", "correct {setting}", retry=False, before_sending=True),
    _Kind(httpx2.TransportError, "the request could not be sent", _LATER),
    _Kind(TimeoutError, "response timed out after {timeout}", _LATER),
    _Kind(OSError, "connection lost", _LATER),
)


def transport_error(error: Exception, attempt: Attempt, *, own_transport: bool) -> TransportError:
    """What an exception raised while sending means."""
    chain = list(causes(error))
    if any(isinstance(each, OSError) and each.errno in NO_MORE_FILES for each in chain):
        return TOO_MANY_FILES
    for kind in _KINDS:
        found = next((each for each in chain if isinstance(each, kind.error)), None)
        if found is not None:
            return _described(kind, found, attempt, own_transport=own_transport)
    who = "the custom transport" if own_transport else "the HTTP client"
    remedy = "correct the transport" if own_transport else "report this error to moss-voice-server"
    return TransportError(f"{who} raised {type(error).__name__}", remedy, cause=type(error).__name__)


def _described(kind: _Kind, found: BaseException, attempt: Attempt, *, own_transport: bool) -> TransportError:
    peer = attempt.request.peer
    values = {
        "peer": peer.name,
        "setting": peer.setting,
        "timeout": format_duration(attempt.timeout),
        "connect": format_duration(min(CONNECT_TIMEOUT, attempt.timeout)),
        "certificate": getattr(found, "verify_message", "") or "verification failed",
    }
    message, remedy = kind.message.format(**values), kind.remedy.format(**values)
    proxies = [] if own_transport else proxy_variables(attempt.request)
    if proxies:
        message += f" (a proxy is set in {' and '.join(proxies)})"
        remedy += f"; check {', '.join([*proxies, 'NO_PROXY'])}"
    return TransportError(message, remedy, kind.retry, kind.error.__name__, not kind.before_sending)


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


def strip_traceback(interruption: BaseException) -> BaseException:
    """The same interruption without the client's frames, whose variables hold secrets."""
    interruption.__context__ = interruption.__cause__ = None
    return interruption.with_traceback(None)
