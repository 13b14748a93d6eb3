"""Handler: a token request from its headers to the response, once for all frameworks.

`TokenEndpoint.handle` reads top to bottom. What differs between frameworks is passed in: how a body is read, and how a function
of the application is called. A host without an event loop passes awaitables that are already done; see `calls`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from time import perf_counter
from typing import Any

from .._admission import wrong_type
from .._credentials.model import Credentials
from .._functions import check_plain, is_nonblocking, wrong_result
from .._random import new_room
from .._secret import Sealed
from .._server import MossVoiceServer, MossVoiceServerSync
from ..endpoint import Admission, Denied, OnToken, RateLimit, ResponseKeys, Server, TokenRequest
from ..errors import CredentialsError, CredentialsNotLoaded, InvalidArgument
from .calls import check_functions
from .cors import Cors
from .decide import TokenParams, decide
from .parse import MAX_BODY, NOTHING, check_headers, parse
from .refusal import Refusal, refusal_of, status_of
from .report import Reporter, audit, log
from .responses import Response, refusal_response, retry_after, token_response

_SERVERS = (MossVoiceServer, MossVoiceServerSync)
DEFAULT_RETRY_AFTER = 5.0  # seconds that a client is asked to wait where nothing better is known


@dataclass(slots=True, eq=False, repr=False)
class Incoming:
    """A token request as a framework delivers it.

    Args:
        request: the framework's own request, for `authorize`.
        method: the HTTP method.
        path: for the log.
        headers: `REQUEST_HEADERS`, as far as they are there.
        read: returns the whole body of at most so many bytes, or raises `Refusal`.
    """

    request: Any
    method: str
    path: str
    headers: Mapping[str, str]
    read: Callable[[int], Awaitable[bytes]]
    started: float = field(default_factory=perf_counter)
    body: bytes | None = None
    identity: str = ""
    reported: bool = False


Call = Callable[..., Awaitable[Any]]
"""`call(function, nonblocking, *arguments)` calls a function of the application, on a thread if it may block."""


class TokenEndpoint(Sealed):
    """One token endpoint: a server, an `authorize` and the `EndpointOptions`.

    Args:
        refusal_status: the 4xx status that an exception of the framework stands for, or `None`.
        generators: whether the framework runs an `authorize` that yields.
        knows: whether the application or the framework has a handler for an exception: then it is not an error.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """

    def __init__(
        self,
        server: Any,
        authorize: Callable[..., Any],
        *,
        refusal_status: Callable[[Exception], int | None] = status_of,
        generators: bool = False,
        knows: Callable[[Exception, Any], bool] = lambda failure, request: False,
        allow_origins: Any = (),
        rate_limiter: RateLimit | None = None,
        on_token: OnToken | None = None,
        response_keys: ResponseKeys = "snake",
    ) -> None:
        is_static = isinstance(server, _SERVERS)
        if not is_static:
            if not callable(server):
                raise wrong_type(
                    "server", "a MossVoiceServer, a MossVoiceServerSync or a function that returns one", server
                )
            check_plain("server", server)
        check_functions(authorize, rate_limiter, on_token, generators=generators)
        if response_keys not in ("snake", "camel", "both"):
            raise InvalidArgument(
                "response_keys is unknown", field="response_keys", remedy="use 'snake', 'camel' or 'both'"
            )
        self._choose_server = server
        self.static_server: Server | None = server if is_static else None
        """The server, unless a function chooses it for each request."""
        self._authorize = authorize
        self._authorizes_nonblocking = is_nonblocking(authorize)
        self._rate_limiter = rate_limiter
        self._limits_nonblocking = rate_limiter is not None and is_nonblocking(rate_limiter)
        self._on_token = on_token
        self._reporter = Reporter(on_token)
        self._refusal_status = refusal_status
        self._knows = knows
        self._keys = response_keys
        self.cors = Cors(allow_origins)

    async def handle(self, incoming: Incoming, call: Call) -> Response:
        """The response to a request.

        Raises:
            Exception: what `authorize` raised, unless it stands for a refusal; the framework or the adapter answers it.
        """
        try:
            response = self.precheck(incoming)
            if response is None:
                incoming.body = await incoming.read(MAX_BODY)
                token_request = parse(incoming.body)
                admission = await call(self._authorize, self._authorizes_nonblocking, incoming.request, token_request)
                response = await self.issue(incoming, token_request, admission, call)
        except Exception as failure:  # noqa: BLE001  # raised again, unless it stands for a refusal
            response = await self.refuse(incoming, failure, call)
        return self.cors.add_headers(response, incoming.headers.get("origin", ""))

    def precheck(self, incoming: Incoming) -> Response | None:
        """The response to a CORS preflight; `None` for a request whose body is to be read.

        Raises:
            Refusal: it is not a token request.
        """
        headers = incoming.headers
        preflight = self.cors.preflight(headers) if incoming.method == "OPTIONS" else None
        if preflight is None:
            check_headers(incoming.method, headers)
            if "sec-fetch-site" in headers:
                self.cors.check_site(headers)
        return preflight

    async def issue(self, incoming: Incoming, token_request: TokenRequest, admission: Any, call: Call) -> Response:
        """The response with a token, as `authorize` has decided.

        Raises:
            Exception: there is no token; `refuse` makes the response.
        """
        if not isinstance(admission, Admission):
            if isinstance(admission, Denied):
                raise admission
            raise wrong_result("authorize", "an Admission", admission, "return an Admission or raise Denied")
        incoming.identity = admission.participant.identity
        if self._rate_limiter is not None:
            await self._limit(self._rate_limiter, admission, call)
        server = self.static_server or self._choose_server(incoming.request)
        if not isinstance(server, _SERVERS):
            raise wrong_result("server", "a server", server, "return a MossVoiceServer or MossVoiceServerSync")
        try:
            params, credentials, token = _mint(server, admission, token_request)
        except CredentialsError:
            status = server.status()
            if status.state in ("expired", "rejected") or status.last_error is not None:
                raise
            if status.state == "empty":  # only constructed: one fetch, which all requests share
                await call(server.refresh, is_nonblocking(server.refresh))
            params, credentials, token = _mint(server, admission, token_request)
        incoming.reported = True
        if self._on_token is not None or audit.isEnabledFor(logging.INFO):
            await self._reporter.issued(incoming, params, credentials.fingerprint, token, call)
        return token_response(self._keys, credentials.url, token, params.room, params.participant)

    async def _limit(self, rate_limiter: RateLimit, admission: Admission, call: Call) -> None:
        key = admission.rate_limit_key or admission.participant.identity
        wait = await call(rate_limiter, self._limits_nonblocking, key)
        if wait is None:
            return
        # True may mean "go on", and would be read as one second to wait; only NaN is not within the infinities.
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not -inf <= wait <= inf:
            raise wrong_result("rate_limiter", "seconds or None", wait, "return the seconds to wait, or 0 or None")
        if wait > 0:
            raise Refusal(429, "rate_limited", headers=retry_after(wait))

    def _unavailable(self, failure: CredentialsError) -> Refusal:
        if isinstance(failure, CredentialsNotLoaded) and self.static_server is not None:
            self.static_server.refresh_in_background()
        wait = retry_after(failure.retry_after or DEFAULT_RETRY_AFTER)
        return Refusal(503, "unavailable", type(failure).__name__, headers=wait)

    async def refuse(self, incoming: Incoming, failure: Exception, call: Call) -> Response:
        """The response to a request that gets no token.

        Raises:
            Exception: the failure itself, if it does not stand for a refusal: it is the application's.
        """
        if incoming.body is None and not isinstance(failure, Refusal):
            raise failure  # the server's, while the body was read
        if isinstance(failure, Refusal):
            refusal: Refusal | None = failure
        elif isinstance(failure, CredentialsError):  # authorize asked a server without credentials for its agent's name
            refusal = self._unavailable(failure)
        else:
            refusal = refusal_of(failure, self._refusal_status(failure))
        if refusal is None:
            refusal = Refusal(403, "refused", type(failure).__name__)
            if not self._knows(failure, incoming.request):
                refusal = Refusal(500, "internal_error")
                reason = failure if isinstance(failure, InvalidArgument) else type(failure).__name__
                log.error("no token was created: %s", reason, exc_info=failure)
            await self._reporter.refused(incoming, refusal, call)
            raise failure
        await self._reporter.refused(incoming, refusal, call)
        response = refusal_response(refusal)
        # Not every server leaves out the body of a response to HEAD (RFC 9110, section 9.3.2).
        return replace(response, body=b"") if incoming.method == "HEAD" else response

    def internal_error(self, origin: str) -> Response:
        """The response to an exception that neither the application nor the framework handles."""
        return self.cors.add_headers(refusal_response(Refusal(500, "internal_error")), origin)

    async def report_if_silent(self, incoming: Incoming, call: Call) -> None:
        """Reports a request that a handler of the application has answered instead of the endpoint."""
        if not incoming.reported:
            answered = Refusal(403, "refused", "an exception handler of the application")
            await self._reporter.refused(incoming, answered, call)


def _mint(server: Server, admission: Admission, token_request: TokenRequest) -> tuple[TokenParams, Credentials, str]:
    """The token, what was decided about it, and the credentials that it is signed with."""
    name = server.get_agent_name() if admission.agents is None else ""
    while True:
        params = decide(admission, token_request, new_room(admission.room_prefix), name)
        try:
            credentials, token = _sign(server, admission, params)
        except InvalidArgument:
            # The client's fault only if the admission alone makes a token; else this raises again.
            _sign(server, admission, decide(admission, NOTHING, params.room, name))
            raise Refusal(422, "invalid_value", "the client's values together with the admission's") from None
        if admission.agents is not None or name == credentials.agent_name:
            return params, credentials, token
        name = credentials.agent_name  # the credentials were rotated in between


def _sign(server: Server, admission: Admission, params: TokenParams) -> tuple[Credentials, str]:
    agent_name, agents = None, params.agents
    if len(agents) == 1 and isinstance(agents[0], str) and agents[0]:
        agent_name, agents = agents[0], ()  # claims has a shorter way for one name
    return server._mint(params.participant, params.room, agent_name, admission.ttl, admission.grants, agents)
