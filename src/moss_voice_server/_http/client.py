"""HTTP: the last line of I/O, sync and async, and the only module that imports httpx2; it sends and decides nothing.

Deadlines are kept by our own clock, because the client's are for one read each: a server that drips a byte a second would
defeat them. The async side cancels; the sync side shortens the socket's time-out before every read.

Nothing that could hold the key or the answer leaves this module inside an exception: faults are values. An interruption
goes through with the client's frames, and all that they hold, cut off.
"""

from __future__ import annotations

import asyncio
import atexit
import errno
import importlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar
from urllib.request import getproxies_environment

import httpx2

from .._credentials.fetch import MAX_BODY, Attempt, Exchange, Failure, Fault, Outcome, Request, Response
from .._duration import format_duration
from .._secret import Sealed, Secret
from ..errors import CredentialsUnavailable

# What we, the client and the standard library import at first use; see _refresh._load for why it must be now.
for _late in ("email.utils", "encodings.idna", "hmac", "json", "anyio._backends._asyncio", "httpcore2._backends.anyio"):
    with suppress(ImportError):
        importlib.import_module(_late)

SyncTransport = httpx2.BaseTransport
AsyncTransport = httpx2.AsyncBaseTransport
Client = TypeVar("Client", httpx2.Client, httpx2.AsyncClient)

_CONNECT_TIMEOUT = 3.0  # seconds
_HEADERS = ("content-encoding", "retry-after", "location", "etag", "cache-control", "date")


# Two drivers, one for each kind of waiting.


def drive(exchange: Exchange, transport: SyncTransport | None) -> Outcome:
    """Runs an exchange on this thread."""
    try:
        attempt = next(exchange)
        while True:
            time.sleep(attempt.delay)
            attempt = exchange.send(send(attempt, transport))
    except StopIteration as finished:
        outcome: Outcome = finished.value
        return outcome


async def drive_async(exchange: Exchange, transport: AsyncTransport | None) -> Outcome:
    """Runs an exchange on this event loop."""
    try:
        attempt = next(exchange)
        while True:
            await asyncio.sleep(attempt.delay)
            attempt = exchange.send(await send_async(attempt, transport))
    except StopIteration as finished:
        outcome: Outcome = finished.value
        return outcome


def drive_on_own_loop(exchange: Exchange, transport: AsyncTransport | None) -> Outcome:
    """Runs an exchange with the async driver on this thread, under a loop of its own: nobody's loop can take it along."""
    if on_a_loop():  # no thread could be started, and a coroutine is waiting for this very call
        if transport is None:
            return drive(exchange, None)
        return Failure(CredentialsUnavailable, "no thread can be started here, and an async transport needs one")
    # Not whatever the application's policy makes: uvloop's looks up names on threads that hold up the end of the process.
    try:
        loop = asyncio.SelectorEventLoop()
    except OSError as error:
        return Failure(CredentialsUnavailable, f"the Moss API could not be asked: {_without_a_connection(error)}")
    try:
        try:
            loop.set_default_executor(_Unjoined())
            return loop.run_until_complete(drive_async(exchange, transport))
        finally:
            _end(loop)
    except Exception:
        raise
    except BaseException as interruption:  # noqa: BLE001  # raised again, bare: asyncio lets it out past `send_async`
        raise _bare(interruption) from None


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Closes the loop; what an interruption has left on it is ended first."""
    try:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(BaseException):  # the interruption once more, which is on its way up already
                loop.run_until_complete(task)
            if task.done() and not task.cancelled():
                task.exception()  # or asyncio would log it as never looked at
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def on_a_loop() -> bool:
    """Whether asyncio runs on this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def on_a_thread(work: Callable[[], None]) -> None:
    """Waits for a call that waits, under whatever runs coroutines here. Cancelled, it leaves the call to itself."""
    import anyio.to_thread  # comes with the client; only those need it who are not on asyncio

    await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


class _Unjoined(ThreadPoolExecutor):
    """Looks up names on daemon threads: a name look-up that hangs must hold up neither the loop's end nor the process's."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # as every executor does
                future.set_exception(error)
            else:
                future.set_result(result)

        try:
            threading.Thread(target=work, name="moss-voice-server-lookup", daemon=True).start()
        except RuntimeError:  # no thread can be started here: then on this one
            work()
        return future


# Two senders, the same but for the waiting.


def send(attempt: Attempt, transport: SyncTransport | None) -> Response | Fault:
    """One request."""
    deadline = time.monotonic() + attempt.timeout
    body = _Body(deadline)
    marker = _sending.set(True)
    try:
        with (
            _made(httpx2.Client, attempt, transport and _Borrowed(transport)) as client,
            client.stream("GET", attempt.request.url, **_request(attempt, _Deadline(deadline))) as response,
        ):
            if body.wanted(response):
                body.take(response.iter_bytes())
            return body.answer(response)
    except Exception as error:  # noqa: BLE001  # whatever it is: it becomes a value, and its frames stay here
        return _fault(error, attempt, transport is None)
    except BaseException as interruption:  # noqa: BLE001  # raised again, bare
        raise _bare(interruption) from None
    finally:
        _sending.reset(marker)


async def send_async(attempt: Attempt, transport: AsyncTransport | None) -> Response | Fault:
    """One request."""
    body = _Body(time.monotonic() + attempt.timeout)
    opened = _Opened()
    marker = _sending.set(True)

    async def exchange() -> Response:
        async with (
            _made(httpx2.AsyncClient, attempt, transport and _BorrowedAsync(transport)) as client,
            client.stream("GET", attempt.request.url, **_request(attempt, opened)) as response,
        ):
            if body.wanted(response):
                await body.take_async(response.aiter_bytes())
            return body.answer(response)

    try:
        return await asyncio.wait_for(exchange(), attempt.timeout)
    except Exception as error:  # noqa: BLE001  # whatever it is: it becomes a value, and its frames stay here
        return _fault(error, attempt, transport is None)
    except BaseException as interruption:  # noqa: BLE001  # raised again, bare
        raise _bare(interruption) from None
    finally:
        await opened.aclose()
        _sending.reset(marker)


def _made(client: Callable[..., Client], attempt: Attempt, transport: Any) -> Client:
    with _undisturbed():
        return client(**_client(attempt, transport))


def _client(attempt: Attempt, transport: Any) -> dict[str, Any]:
    timeout = httpx2.Timeout(attempt.timeout, connect=min(_CONNECT_TIMEOUT, attempt.timeout))
    # Plain http never leaves this machine, so it must not go to a proxy, which would see the key.
    trust_env = not _is_plain(attempt)
    return {"timeout": timeout, "follow_redirects": False, "transport": transport, "trust_env": trust_env}


def _is_plain(attempt: Attempt) -> bool:
    return attempt.request.url.startswith("http:")


def _request(attempt: Attempt, trace: _Deadline | _Opened) -> dict[str, Any]:
    name, key = attempt.request.secret_header
    headers = {**dict(attempt.request.headers), name: key.reveal()}
    return {"headers": headers, "extensions": {"trace": trace}}


# Making a client takes OpenSSL a few hundredths of a second, in which it reads the trust store. A child that is forked
# meanwhile waits for ever for the locks that are held; its exit moves the place in the file from which the parent goes on
# reading, since they share it. A process that exits meanwhile crashes. So both wait, within bounds.

_LONGEST_WAIT = (
    5.0  # seconds for a fork, or for the next client: far more than it takes, for machines that are far too busy
)
_LONGEST_DELAY = 1.0  # seconds for an exit
_gate = threading.Lock()
_forking = threading.local()


@contextmanager
def _undisturbed() -> Iterator[None]:
    gate = _gate
    passed = gate.acquire(timeout=_LONGEST_WAIT)
    try:
        yield
    finally:
        if passed:
            gate.release()


def _before_fork() -> None:
    _forking.passed = _gate.acquire(timeout=_LONGEST_WAIT)


def _after_fork_in_parent() -> None:
    if _forking.passed:
        _gate.release()


def _after_fork_in_child() -> None:
    global _gate  # noqa: PLW0603  # whoever may hold the old one has stayed behind
    _gate = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(lambda: _gate.acquire(timeout=_LONGEST_DELAY))  # and nobody passes it any more


class _Body(Sealed):
    """Collects an answer's body, up to a size and a time. Sealed, because it is a local variable where errors pass."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._bytes = bytearray()
        self._too_long = False

    def wanted(self, response: httpx2.Response) -> bool:
        """Only the body of a success is read; and none that is compressed, since a small one can become a huge one."""
        return response.is_success and response.headers.get("content-encoding", "identity").lower() == "identity"

    def take(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            if self._full(chunk):
                break

    async def take_async(self, chunks: AsyncIterable[bytes]) -> None:
        async for chunk in chunks:
            if self._full(chunk):
                break

    def _full(self, chunk: bytes) -> bool:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        self._too_long = len(self._bytes) + len(chunk) > MAX_BODY
        if not self._too_long:
            self._bytes += chunk
        return self._too_long

    def answer(self, response: httpx2.Response) -> Response:
        headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
        return Response(response.status_code, headers, Secret(bytes(self._bytes)), self._too_long)


class _Deadline:
    """The client's trace extension, used to get at each step of a connection before it begins and each stream once made."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.started", "start_tls.started")):
            info["timeout"] = min(info["timeout"], self._left())
        elif event.endswith(("connect_tcp.complete", "start_tls.complete")) and info.get("return_value") is not None:
            stream = info["return_value"]
            stream.read = self._bounded(stream.read)

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def _bounded(self, read: Callable[[int, float | None], bytes]) -> Callable[[int, float | None], bytes]:
        def bounded(max_bytes: int, timeout: float | None = None) -> bytes:
            if time.monotonic() > self._deadline:  # bytes that are there already would be read in no time
                raise TimeoutError
            return read(max_bytes, self._left())

        return bounded


class _Opened:
    """The same for the async client, used to close what it forgets when it is cancelled in the middle of a TLS handshake."""

    def __init__(self) -> None:
        self._streams: list[Any] = []

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("connect_tcp.complete") and info.get("return_value") is not None:
            self._streams.append(info["return_value"])

    async def aclose(self) -> None:
        for stream in self._streams:
            with suppress(Exception):
                await stream.aclose()


# For those who look at what any server answers.


def ask(
    method: str, url: str, headers: Secret[dict[str, str]], body: bytes | None = None, *, timeout: float
) -> Response | Fault:
    """One request of any kind, its answer whatever it is: every header, and the body of errors too. No redirects.

    Wrap the headers, since they may hold a token. The texts of faults speak of the Moss API: go by `Fault.cause`.
    """
    attempt = Attempt(Request(url, (("Accept-Encoding", "identity"),), ("", Secret(""))), 0.0, timeout)
    deadline = time.monotonic() + timeout
    taken = _Body(deadline)
    marker = _sending.set(True)
    try:
        with (
            # To load the trusted authorities takes longer than a request: not for one that needs none.
            httpx2.Client(**_client(attempt, None), verify=not _is_plain(attempt)) as client,
            client.stream(
                method,
                url,
                headers={**dict(attempt.request.headers), **headers.reveal()},
                content=body,
                extensions={"trace": _Deadline(deadline)},
            ) as response,
        ):
            if response.headers.get("content-encoding", "identity").lower() == "identity":
                taken.take(response.iter_bytes())
            return taken.answer(response)._replace(headers=dict(response.headers))
    except Exception as error:  # noqa: BLE001  # whatever it is: it becomes a value, and its frames stay here
        return _fault(error, attempt, True)
    except BaseException as interruption:  # noqa: BLE001  # raised again, bare
        raise _bare(interruption) from None
    finally:
        _sending.reset(marker)


def trust() -> ssl.SSLContext:
    """What the client trusts: its TLS settings, SSL_CERT_FILE and SSL_CERT_DIR included.

    Raises:
        OSError: these name something that cannot be read.
    """
    return httpx2.create_ssl_context()


class _Borrowed(httpx2.BaseTransport):
    """A transport that was handed in: used for many fetches, and not ours to close."""

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._transport.handle_request(request)


class _BorrowedAsync(httpx2.AsyncBaseTransport):
    """The same for an async transport."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._transport.handle_async_request(request)


# Faults: an exception of the client becomes a text of ours and a yes or no.


class _Kind(NamedTuple):
    error: type[BaseException]
    text: str
    retry: bool


# The first that is found anywhere in the chain of causes counts.
_KINDS = (
    _Kind(ssl.SSLCertVerificationError, "its TLS certificate is not trusted: {certificate}", False),
    _Kind(socket.gaierror, "its host name cannot be looked up: check api_url and the machine's DNS", True),
    _Kind(ConnectionRefusedError, "the connection was refused: check api_url's host and port", True),
    _Kind(ssl.SSLError, "the TLS handshake failed: is there a TLS server at api_url's port?", True),
    _Kind(httpx2.ProxyError, "the proxy refused", True),
    _Kind(
        httpx2.ConnectTimeout,
        "no connection within {connect}: check the machine's DNS and whether a firewall is in the way",
        True,
    ),
    _Kind(httpx2.TimeoutException, "no whole answer within {timeout}", True),
    _Kind(httpx2.ConnectError, "the connection could not be made", True),
    _Kind(httpx2.LocalProtocolError, "the request is not valid HTTP: check the project id and key for damage", False),
    _Kind(httpx2.RemoteProtocolError, "the answer broke off or is not HTTP", True),
    _Kind(httpx2.NetworkError, "the connection broke off", True),
    _Kind(httpx2.DecodingError, "the answer cannot be decoded", False),
    _Kind(httpx2.InvalidURL, "api_url is not a valid address", False),
    _Kind(
        httpx2.UnsupportedProtocol,
        "api_url, or the proxy's address in the environment, has a scheme that is not supported",
        False,
    ),
    _Kind(httpx2.TransportError, "the HTTP client could not send the request", True),
    _Kind(asyncio.TimeoutError, "no whole answer within {timeout}", True),
    _Kind(TimeoutError, "no whole answer within {timeout}", True),
)


def _fault(error: Exception, attempt: Attempt, own_transport: bool) -> Fault:
    chain = list(_causes(error))
    proxy = " (a proxy is set in the environment: check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY)"
    hint = proxy if own_transport and not _is_plain(attempt) and set(getproxies_environment()) - {"no"} else ""
    # The client wraps what happens on the wire. What is bare came while it was made: a trust store that cannot be read.
    bare = own_transport and isinstance(error, OSError) and not isinstance(error, TimeoutError)
    for each in chain:
        if isinstance(each, OSError) and (bare or each.errno in _NO_MORE_FILES):
            return Fault(_without_a_connection(each), False)
    for kind in _KINDS:
        found = next((each for each in chain if isinstance(each, kind.error)), None)
        if found is not None:
            text = kind.text.format(
                timeout=format_duration(attempt.timeout),
                connect=format_duration(min(_CONNECT_TIMEOUT, attempt.timeout)),
                certificate=getattr(found, "verify_message", "") or "verification failed",
            )
            return Fault(text + hint, kind.retry, kind.error.__name__)
    whose = "the HTTP client" if own_transport else "the transport that was handed in"
    return Fault(f"{whose} failed with {type(error).__name__}{hint}", False)


_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)


def _without_a_connection(error: OSError) -> str:
    if error.errno in _NO_MORE_FILES:
        return "too many files are open in this process: raise its limit (ulimit -n), or look for what leaves them open"
    return "TLS could not be set up: check SSL_CERT_FILE and SSL_CERT_DIR"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all behind it, those of a group as well."""
    todo, seen = [error], set()
    while todo:
        each = todo.pop(0)
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
            todo += getattr(each, "exceptions", ())


def _bare(interruption: BaseException) -> BaseException:
    """The same interruption without the client's frames, whose variables hold the key."""
    interruption.__context__ = interruption.__cause__ = None
    return interruption.with_traceback(None)


# The client's DEBUG log shows whole headers, the answer's too. During our requests it shows the events' names.

_sending: ContextVar[bool] = ContextVar("moss_voice_server_sending", default=False)


class _NamesOnly(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if _sending.get():
            record.msg, record.args = str(record.msg).partition(" ")[0], None
        return True


for _part in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore2.{_part}").addFilter(_NamesOnly())
