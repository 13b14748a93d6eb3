"""The token endpoint's course, from request to answer, once for all adapters: they read, ask `authorize`, and write.

The course is a generator that yields what is to be done outside: read the body, ask the application. A sync or an async
driver does it and sends the result back.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
from http import HTTPStatus
from types import CoroutineType
from typing import Any

from .._secret import Sealed
from .._server import MossVoiceServer, MossVoiceServerSync
from ..endpoint import Admission, Denied, TokenEvent, TokenRequest
from ..errors import CredentialsError, CredentialsNotLoaded, InvalidArgument
from .decide import Cors, Grant, Reply, created, decide, error, retry_later, screen
from .parse import MAX_BODY, Misread, parse

Server = MossVoiceServer | MossVoiceServerSync
_log = logging.getLogger("moss_voice_server.endpoint")
_audit = logging.getLogger("moss_voice_server.audit")
REQUEST_HEADERS = (
    "content-type",
    "content-length",
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
    "sec-fetch-site",
)
"""The request headers that a course looks at."""
_UNHURRIED = 5.0  # seconds that a client is asked to wait where nothing better is known


# Something to be done outside: a call, which may return an awaitable, and whether it is quick: otherwise it may block.
Step = tuple[Callable[[], Any], bool]
Course = Generator[Step, Any, Reply]


class Endpoint(Sealed):
    """One token endpoint.

    Args:
        server: a server of either class, or a function from the framework's request to one.
        authorize: called with the framework's request and the `TokenRequest`; returns an `Admission`, or refuses.
        origins: whose pages may ask from elsewhere: exact origins; empty: CORS is off.
        limiter: called with the admission's `rate_limit_key`, or else its identity; returns the seconds to wait, or 0 or `None`
            to go on.
        on_token: called with a `TokenEvent` for each token.
        refusal: the status that an exception of the framework's own stands for, 400 to 499, or `None`.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """

    def __init__(
        self,
        server: Server | Callable[[Any], Server],
        authorize: Callable[..., Any],
        *,
        allow_origins: Any = (),
        rate_limiter: Callable[[str], Any] | None = None,
        on_token: Callable[[TokenEvent], object] | None = None,
        refusal: Callable[[Exception], int | None] | None = None,
    ) -> None:
        self.fixed = server if isinstance(server, (MossVoiceServer, MossVoiceServerSync)) else None
        """The server, where it is not a function's choice."""
        if self.fixed is None and not callable(server):
            raise InvalidArgument(
                f"server must be a MossVoiceServer, a MossVoiceServerSync or a function that returns one, not "
                f"{type(server).__name__}",
                field="server",
            )
        for name, value in (("authorize", authorize), ("rate_limiter", rate_limiter), ("on_token", on_token)):
            if not callable(value) and (value is not None or name == "authorize"):
                raise InvalidArgument(f"{name} must be a function, not {type(value).__name__}", field=name)
        self._choose = server
        self._authorize = authorize
        self._quick = is_nonblocking(authorize)
        self._limiter = rate_limiter
        self._limiter_quick = rate_limiter is not None and is_nonblocking(rate_limiter)
        self._on_mint = on_token
        self._on_mint_quick = on_token is not None and is_nonblocking(on_token)
        self._refusal = refusal or status_of
        self._cors = Cors(allow_origins)

    def course(
        self,
        request: Any,
        method: str,
        headers: Mapping[str, str],
        read: Callable[[int], Any],
        authorize: Callable[..., Any] | None = None,
    ) -> Course:
        """The whole way of one request. `read(limit)` returns the body, or a `Misread` where it is longer or breaks off.

        `authorize`, for a framework that calls the application's in a way of its own, takes its place and must be async.
        """
        origin = headers.get("origin", "")
        reply = self._screened(method, origin, headers)
        if reply is None:
            body = yield (lambda: read(MAX_BODY), True)
            token_request = body if isinstance(body, Misread) else parse(body)
            if isinstance(token_request, Misread):
                reply = error(token_request.status, token_request.code)
            else:
                ask = authorize or self._authorize
                quick = self._quick or authorize is not None
                reply = yield from self._granted(request, token_request, (lambda: ask(request, token_request), quick))
        elif method == "HEAD":
            reply = reply._replace(body=b"")  # not every server leaves it out (RFC 9110, section 9.3.2)
        return self._cors.dress(reply, origin)

    def _screened(self, method: str, origin: str, headers: Mapping[str, str]) -> Reply | None:
        """The answer that needs no body; `None`: go on."""
        if method == "OPTIONS":
            asked = (headers.get(f"access-control-request-{what}", "") for what in ("method", "headers"))
            reply = self._cors.preflight(method, origin, *asked)
            if reply is not None:
                return reply
        reply = screen(method, headers.get("content-type", ""), headers.get("content-length", ""))
        if reply is None and headers.get("sec-fetch-site") == "cross-site" and not self._cors.allows(origin):
            reply = error(403, "origin_not_allowed")  # a browser's own word that another site asks
        return reply

    def _granted(self, request: Any, token_request: TokenRequest, ask: Step) -> Course:
        try:
            admission = yield ask
        except Denied as denied:
            admission = denied
        except CredentialsError as failure:  # it asked a server that has none yet, for its agent's name
            return self._unavailable(failure)
        except Exception as failure:  # noqa: BLE001  # the application's: it is logged, and the client is told nothing
            status = self._refusal(failure)
            if status is None:
                _log.error("authorize failed with %s", type(failure).__name__, exc_info=True)
                return error(500, "internal_error")
            if status not in (401, 403):
                _log.info("authorize refused with %s, status %d", type(failure).__name__, status)
                return error(status, "refused")
            admission = Denied(status)
        if isinstance(admission, Denied):
            return error(admission.status, admission.code)
        try:
            if not isinstance(admission, Admission):
                raise InvalidArgument(
                    f"authorize must return an Admission or raise Denied, not return {type(admission).__name__}"
                )
            if self._limiter is not None:
                rate_limiter, key = self._limiter, admission.rate_limit_key or admission.participant.identity
                wait = yield (lambda: rate_limiter(key), self._limiter_quick)
                if isinstance(wait, bool):
                    # "True" may have been meant as "go on", and would be read as a second to wait.
                    raise InvalidArgument(
                        "limiter must return the seconds to wait, or 0 or None, not a bool", field="rate_limiter"
                    )
                if wait:
                    return retry_later(429, "rate_limited", wait)
            grant = decide(admission, token_request, new_room())
            if isinstance(grant, Reply):
                return grant
            url, token = self._mint(request, grant)
            if self._on_mint is not None or _audit.isEnabledFor(logging.INFO):
                yield from self._tell(grant, token)
            return created(url, token)
        except CredentialsError as failure:
            return self._unavailable(failure)
        except Exception as failure:  # noqa: BLE001  # as above
            _log.error(
                "no token could be made: %s", _reason(failure), exc_info=not isinstance(failure, InvalidArgument)
            )
            return error(500, "internal_error")

    def _unavailable(self, failure: CredentialsError) -> Reply:
        if isinstance(failure, CredentialsNotLoaded) and self.fixed is not None:
            self.fixed.refresh_in_background()
        return retry_later(503, "unavailable", failure.retry_after or _UNHURRIED)

    def _mint(self, request: Any, grant: Grant) -> tuple[str, str]:
        server: Any = self.fixed or self._choose(request)  # type: ignore[operator]  # a function, where it is not fixed
        admission = grant.admission
        try:
            while True:
                url = server.get_server_url()
                token = server.create_participant_token(
                    grant.participant, grant.room, ttl=admission.ttl, grants=admission.grants, agents=grant.agents
                )
                # An exchange of credentials in between would send the token to the other LiveKit.
                if url == server.get_server_url():
                    return url, token
        except CredentialsNotLoaded:
            server.refresh_in_background()
            raise

    def _tell(self, grant: Grant, token: str) -> Generator[Step, Any, None]:
        agents = tuple(agent if isinstance(agent, str) else agent.agent_name for agent in grant.agents)
        event = TokenEvent(grant.participant.identity, _hash(grant.room), agents, _hash(token))
        _audit.info(
            "token for %r",
            event.identity,
            extra={
                "moss_identity": event.identity,
                "moss_room_hash": event.room_hash,
                "moss_agents": event.agents,
                "moss_token_hash": event.token_hash,
            },
        )
        on_token = self._on_mint
        if on_token is not None:
            try:
                yield (lambda: on_token(event), self._on_mint_quick)
            except Exception as failure:  # noqa: BLE001  # a failing audit sink is the application's to notice
                _log.error("on_token failed with %s: correct the callback", type(failure).__name__)


def run(course: Course) -> Reply:
    """Drives a course where calls block."""
    return _drive(course, lambda step: _settled(step[0]()))


def _drive(course: Course, do: Callable[[Step], Any]) -> Reply:
    try:
        step = next(course)
        while True:
            try:
                result = do(step)
            except Exception as failure:  # noqa: BLE001  # the course knows what to make of it
                step = course.throw(failure)
            else:
                step = course.send(result)
    except StopIteration as finished:
        reply: Reply = finished.value
        return reply


def _settled(result: Any) -> Any:
    """The result of an async function, for a caller who cannot wait for it otherwise."""
    if type(result) in _PLAIN or not inspect.isawaitable(result):
        return result
    import asyncio
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    async def awaited() -> Any:
        return await result

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited())
    # This thread's loop is taken: by whoever called a sync framework from a coroutine, or by another of gevent's greenlets.
    settle = partial(copy_context().run, asyncio.run, awaited())
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        # Python's own threads are greenlets here, and on this very thread; gevent's pool has real ones.
        return sys.modules["gevent"].get_hub().threadpool.apply(settle)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(settle).result()


_PLAIN = frozenset({bytes, Admission, int, float, type(None)})


async def run_async(course: Course, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> Reply:
    """Drives a course on an event loop; calls that may block go to `in_thread`."""
    try:
        step = next(course)
        while True:
            try:
                call, quick = step
                result = call() if quick else await in_thread(call)
                kind = type(result)
                # The kinds first that nearly every result has: `isawaitable` takes long to say no.
                if kind is CoroutineType or (kind not in _PLAIN and inspect.isawaitable(result)):
                    result = await result
            except Exception as failure:  # noqa: BLE001  # the course knows what to make of it
                step = course.throw(failure)
            else:
                step = course.send(result)
    except StopIteration as finished:
        reply: Reply = finished.value
        return reply


def is_nonblocking(function: Callable[..., Any]) -> bool:
    """Whether a function can be called on an event loop: it is async, or says that it does not block."""
    call = getattr(function, "__call__", None)  # noqa: B004  # an object whose __call__ is async
    asynchronous = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
    return asynchronous or getattr(function, "is_nonblocking", False) is True


_REFUSALS = frozenset(status.value for status in HTTPStatus if 400 <= status < 500)


def status_of(failure: Exception) -> int | None:
    """What a framework's own HTTP exception says, if it refuses: Starlette's `status_code`, Werkzeug's `code`.

    Clients of other services have exceptions with these attributes, too (urllib's `code`, OpenAI's `status_code`). Those are the
    application's trouble and not its word, so what only a framework's exceptions have is looked for as well.
    """
    status = None
    if hasattr(failure, "detail"):
        status = getattr(failure, "status_code", None)
    elif hasattr(failure, "get_response"):
        status = getattr(failure, "code", None)
    return status if isinstance(status, int) and status in _REFUSALS else None


def new_room() -> str:
    """A room that nobody can guess."""
    return f"room-{os.urandom(16).hex()}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _reason(failure: Exception) -> str:
    return str(failure) if isinstance(failure, InvalidArgument) else type(failure).__name__
