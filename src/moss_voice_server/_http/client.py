"""Client: sends one request, sync or async, and returns the response or a transport error.

No redirects, no compressed bodies, and a deadline for the whole. No exception leaves this module with the client's frames,
whose variables hold secrets: faults become values, and an interruption goes through without its traceback.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

import anyio
import httpx2

from .._clock import elapsed
from .._secret import Sealed
from .body import BodyReader
from .deadlines import Deadline, OpenedStreams
from .environment import setup_error
from .faults import CONNECT_TIMEOUT, is_foreign, strip_traceback, transport_error
from .forks import fork_guard
from .model import Answer, Attempt, Request, TransportError
from .observers import hidden
from .threads import run_in_thread

# Imported now, and not at first use by the HTTP client or the standard library: see `prepare` of `_credentials/source.py`.
for _late in ("email.utils", "encodings.idna", "hmac", "json", "anyio._backends._asyncio", "httpcore2._backends.anyio"):
    with suppress(ImportError):
        importlib.import_module(_late)

SyncTransport = httpx2.BaseTransport
AsyncTransport = httpx2.AsyncBaseTransport
Client = TypeVar("Client", httpx2.Client, httpx2.AsyncClient)


def send(attempt: Attempt, transport: SyncTransport | None = None) -> Answer:
    """Sends a request now; the attempt's delay is the caller's to wait for."""
    deadline = elapsed() + attempt.timeout
    trace = Deadline(deadline)
    with hidden():
        try:
            return _exchange(attempt, transport, trace, BodyReader(attempt.request, deadline))
        except Exception as error:  # noqa: BLE001  # whatever it is becomes a value
            if transport is None and is_foreign(error):
                raise strip_traceback(error) from None
            return transport_error(error, attempt, trace, own_transport=transport is not None)
        except BaseException as interruption:  # noqa: BLE001  # raised again
            raise strip_traceback(interruption) from None


async def send_async(attempt: Attempt, transport: AsyncTransport | None = None) -> Answer:
    """The same for a coroutine on asyncio or trio.

    Without a transport, the sync client sends on a thread: it reports faults in the same words, loads the trust store off
    the event loop, and works where another package has replaced the loop's connect function.
    """
    if not uses_async_client(transport):
        return await run_in_thread(lambda: send(attempt))
    trace = OpenedStreams()
    body = BodyReader(attempt.request, elapsed() + attempt.timeout)
    with hidden():
        try:
            with anyio.fail_after(attempt.timeout):
                return await _exchange_async(attempt, transport, trace, body)
        except Exception as error:  # noqa: BLE001  # whatever it is becomes a value
            return transport_error(error, attempt, trace, own_transport=transport is not None)
        except BaseException as interruption:  # noqa: BLE001  # raised again
            raise strip_traceback(interruption) from None
        finally:
            await trace.aclose()


def uses_async_client(transport: AsyncTransport | None) -> bool:
    """Whether a coroutine sends with `httpx2.AsyncClient`: with a transport, or if a test has replaced that class."""
    kind = httpx2.AsyncClient
    is_original = isinstance(kind, type) and kind.__module__.partition(".")[0] == "httpx2"
    return transport is not None or not is_original


def _exchange(attempt: Attempt, transport: SyncTransport | None, trace: Deadline, body: BodyReader) -> Answer:
    client = _new_client(httpx2.Client, attempt, transport)
    if isinstance(client, TransportError):
        return client
    # A custom transport is used for many requests, and closed by its owner.
    with (
        client if transport is None else nullcontext(),
        client.stream(**_arguments(attempt.request, trace)) as response,
    ):
        if body.is_wanted(response):
            body.read(response.iter_bytes())
        return body.response(response)


async def _exchange_async(
    attempt: Attempt, transport: AsyncTransport | None, trace: OpenedStreams, body: BodyReader
) -> Answer:
    client = _new_client(httpx2.AsyncClient, attempt, transport)
    if isinstance(client, TransportError):
        return client
    async with (
        client if transport is None else nullcontext(),
        client.stream(**_arguments(attempt.request, trace)) as response,
    ):
        if body.is_wanted(response):
            await body.read_async(response.aiter_bytes())
        return body.response(response)


def _new_client(kind: Callable[..., Client], attempt: Attempt, transport: Any) -> Client | TransportError:
    request = attempt.request
    timeout = httpx2.Timeout(attempt.timeout, connect=min(CONNECT_TIMEOUT, attempt.timeout))
    with fork_guard():
        try:
            return kind(
                timeout=timeout,
                follow_redirects=False,
                transport=transport,
                # Plain HTTP never leaves this machine: it goes to no proxy, which would see the secrets, and needs no
                # trust store, which takes longer to load than the request itself.
                trust_env=not request.is_plain,
                verify=not request.is_plain,
            )
        except Exception as error:  # noqa: BLE001  # whatever it is becomes a value
            return setup_error(error, request, own_transport=transport is not None)


def _arguments(request: Request, trace: Deadline | OpenedStreams) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": {"Accept-Encoding": "identity", **dict(request.headers)},
        "auth": _SecretHeaders(request),
        "content": request.body and request.body.reveal(),
        "extensions": {"trace": trace},
    }


class _SecretHeaders(Sealed, httpx2.Auth):
    """Adds the secret headers to a copy of the request: tracers that wrap the client's `send` record those of the original."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """The copy, which is sent instead."""
        yield httpx2.Request(
            request.method,
            request.url,
            headers=[
                *request.headers.raw,
                *((name.encode(), value.reveal().encode()) for name, value in self._request.secret_headers),
            ],
            stream=request.stream,
            extensions=request.extensions,
        )
