"""Server: the two faces, `MossVoiceServer` (async) and `MossVoiceServerSync`, over one base."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from . import _clock
from ._credentials.config import config
from ._credentials.environment import default_api_url, from_environment
from ._secret import Sealed, Secret
from ._token.claims import API_DEFAULT_TTL, DEFAULT_TTL, payload
from ._validation import plain_str
from .errors import InvalidArgument, WeakSecretWarning
from .grants import AgentDispatch, ApiGrants, ConnectionDetails, ParticipantGrants, ParticipantInfo, RoomConfig

if TYPE_CHECKING:
    from types import FrameType

    from httpx2 import AsyncBaseTransport, BaseTransport
    from typing_extensions import Self

    from ._clock import Clock
    from ._credentials.cache import CredentialsCache
    from ._credentials.model import Credentials
    from ._credentials.runtime import Runtime
    from ._credentials.static import StaticCredentials
    from ._http.flow import Flow
    from ._session_reports.iterate import Reader
    from ._token.signing import Signer
    from .credentials import CredentialsStatus, RefreshPolicy
    from .rooms import AsyncRooms, Rooms
    from .transcripts import SessionReport
    from .webhooks import WebhookEvent

    OnChange = Callable[[CredentialsStatus], object]


class _Server(Sealed):
    """What both classes share: everything but the waiting."""

    _cache: CredentialsCache[Credentials] | StaticCredentials
    _transport_method: str

    def __init__(
        self,
        project_id: str,
        project_key: str,
        voice_agent_id: str,
        api_url: str | None = None,
        *,
        refresh: RefreshPolicy | None = None,
        transport: BaseTransport | AsyncBaseTransport | None = None,
        on_change: OnChange | None = None,
    ) -> None:
        # Hidden from here on: a traceback that shows variables must not show the key, under whatever name it was passed.
        arguments = _hidden(project_id, project_key, voice_agent_id, api_url)
        del project_id, project_key, voice_agent_id, api_url
        # Imported late: the imports of the three public names take half the time without what only a new server needs.
        from .credentials import RefreshPolicy

        if refresh is not None and not isinstance(refresh, RefreshPolicy):
            raise InvalidArgument(f"refresh must be a RefreshPolicy, not {type(refresh).__name__}", field="refresh")
        self._check_transport(transport)
        _check_callback(on_change)
        self._use(_new_cache(self, arguments, refresh or RefreshPolicy(), transport, on_change))

    def _check_transport(self, transport: object) -> None:
        if transport is not None and (isinstance(transport, type) or not hasattr(transport, self._transport_method)):
            raise InvalidArgument(
                f"transport must be an httpx2 transport with {self._transport_method}, not {type(transport).__name__}",
                field="transport",
            )

    @staticmethod
    def _run(flow: Flow[Any], transport: Any) -> Any:
        raise NotImplementedError

    def _use(self, cache: CredentialsCache[Credentials] | StaticCredentials, clock: Clock | None = None) -> None:
        self._cache = cache
        self._clock: Clock = clock or _clock.current
        self._warned = ""

    @classmethod
    def from_livekit(cls, url: str, api_key: str, api_secret: str, agent_name: str = "") -> Self:
        """A server for LiveKit credentials that you have: a self-hosted LiveKit, tests. No network, nothing to renew.

        Args:
            url: `wss://…` or `https://…`; `ws://` and `http://` for this machine only.
            api_key: LiveKit API key, the token's `iss`.
            api_secret: LiveKit API secret. Under 32 bytes is a `WeakSecretWarning`.
            agent_name: what `get_agent_name` returns.

        Raises:
            InvalidArgument: names the argument that is wrong.
        """
        hidden_url, key, secret, agent = _hidden(url, api_key, api_secret, agent_name)
        del url, api_key, api_secret, agent_name
        from ._credentials.model import validated
        from ._credentials.static import StaticCredentials

        server = cls.__new__(cls)
        server._use(StaticCredentials(validated(hidden_url, key, secret, agent)))
        server._warn_if_weak()
        return server

    @classmethod
    def lazy_from_env(cls, environ: Mapping[str, str] | None = None, **keywords: Any) -> Self:
        """What `from_env` reads, without fetching: for module level, where the network should not be needed yet.

        The token endpoints of FastAPI and ASGI fetch when the application starts; elsewhere call `refresh()` then. Until
        credentials are there, minting raises `CredentialsNotLoaded` and an endpoint answers 503.

        Raises:
            InvalidArgument: names the variable that is missing, given twice or unreadable.
        """
        hidden, options = _environment(environ), Secret(keywords)
        del environ, keywords
        return cls(**_from_environment(hidden, options))

    def create_participant_token(
        self,
        participant: ParticipantInfo,
        room_name: str,
        agent_name: str | None = None,
        *,
        ttl: timedelta | float = DEFAULT_TTL,
        grants: ParticipantGrants | None = None,
        agents: Iterable[AgentDispatch | str] = (),
        room_config: RoomConfig | None = None,
    ) -> str:
        """A signed token (JWT, HS256) with which one participant joins one room. Never waits and never does I/O.

        Args:
            participant: who joins.
            room_name: which room, 1 to 256 bytes of UTF-8. LiveKit makes it when the first participant arrives.
            agent_name: the agent to send for. `None` or `""`: LiveKit's own rules apply, which send for the workers that
                registered without a name. Naming an agent keeps those out of the room.
            ttl: how long the token can be used to join, a `timedelta` or seconds, from 1 minute to 24 hours. It does not
                end a session: LiveKit renews the tokens of those who are in.
            grants: what the participant may do; `None`: publish, subscribe and send data.
            agents: more agents to send for, by name or as `AgentDispatch`, after `agent_name`.
            room_config: LiveKit's room configuration, a mapping in snake_case or a `livekit.protocol` message; its agents
                come last. LiveKit reads it, and all agents, only when the room is new.

        Raises:
            InvalidArgument: LiveKit would refuse or misread this; `field` names what to correct.
            CredentialsNotLoaded: the object was constructed and never fetched.
            CredentialsUnavailable: the credentials are older than the hard age, or there are none yet; a fetch has been
                started, unless one failed a moment ago: see `retry_after`.
            CredentialsRejected: the Moss API has refused repeatedly, or refused the latest fetch where none serve.
            CredentialsInvalid: the latest answer could not be used, and there are no credentials that serve.

        Source: livekit.io docs, "Tokens & grants"; livekit/protocol `auth/grants.go`.
        """
        now = self._clock.time()
        wall, mono, held = self._cache.fast_path
        if held is None or now >= wall or self._clock.monotonic() >= mono:
            held = self._cache.get()
        signer = held.signer
        return signer.sign(
            payload(signer.head, now, participant, room_name, agent_name, ttl, grants, agents, room_config)
        )

    def create_connection_details(
        self,
        participant: ParticipantInfo,
        room_name: str,
        agent_name: str | None = None,
        *,
        ttl: timedelta | float = DEFAULT_TTL,
        grants: ParticipantGrants | None = None,
        agents: Iterable[AgentDispatch | str] = (),
        room_config: RoomConfig | None = None,
    ) -> ConnectionDetails:
        """A join token together with the URL that it is valid for, even while the credentials are rotated.

        Arguments and errors as for `create_participant_token`.
        """
        now = self._clock.time()
        credentials = self._usable(now)
        signer = credentials.signer
        token = signer.sign(
            payload(signer.head, now, participant, room_name, agent_name, ttl, grants, agents, room_config)
        )
        return ConnectionDetails(credentials.url, token, plain_str(room_name) or "", plain_str(participant.name) or "")

    def create_api_token(self, grants: ApiGrants, *, ttl: timedelta | float = API_DEFAULT_TTL) -> str:
        """A signed token for LiveKit's server API. Never waits and never does I/O.

        Whoever has this token controls rooms: it never leaves the backend. Do not return it to a client.

        Args:
            grants: what the token permits.
            ttl: how long it can be used, a `timedelta` or seconds, from 10 seconds to 10 minutes.

        Raises:
            InvalidArgument: `grants` is not an `ApiGrants`, or `ttl` is out of range.
            CredentialsError: as for `create_participant_token`.

        Source: livekit.io docs, "Server APIs"; livekit/protocol `auth/grants.go`.
        """
        from ._token.api_claims import api_payload

        now = self._clock.time()
        signer = self._usable(now).signer
        return signer.sign(api_payload(signer.head, now, grants, ttl))

    def _usable(self, now: float) -> Credentials:
        """The credentials to sign with; `create_participant_token` has the same lines inline, to save the call."""
        wall, mono, held = self._cache.fast_path
        if held is None or now >= wall or self._clock.monotonic() >= mono:
            held = self._cache.get()
        return held

    def get_server_url(self) -> str:
        """The LiveKit address that the client connects to.

        Raises:
            CredentialsNotLoaded: nothing has been fetched yet.
            CredentialsError: the fetch failed, or is still under way; as for `create_participant_token`.
        """
        return self._cache.peek().url

    def get_agent_name(self) -> str:
        """The voice agent's name.

        Raises:
            CredentialsNotLoaded: nothing has been fetched yet.
            CredentialsError: the fetch failed, or is still under way; as for `create_participant_token`.
        """
        return self._cache.peek().agent_name

    def status(self) -> CredentialsStatus:
        """How the credentials are, for health pages and tests; starts nothing."""
        return self._cache.status()

    def refresh_in_background(self) -> None:
        """Begins to fetch the credentials in the background, if that is due, and returns at once; `status()` tells.

        For a server that was only constructed, where nobody can wait: the token endpoint does so at its first request.
        """
        self._cache.refresh_in_background()

    def receive_webhook(
        self, body: bytes, authorization: str | None, *, webhook_keys: Mapping[str, str] | None = None
    ) -> WebhookEvent:
        """The event in a webhook request, once LiveKit's signature, its validity period and the body's hash are verified.

        The signature may be made with the current API key, or with the previous one for an hour after a rotation. An unknown
        key starts a refresh of the credentials in the background, at most once in 10 seconds. Respond with 503 to
        `unknown_key`, so that LiveKit sends the webhook again, and with 401 to all others. Does no I/O in either class.

        Args:
            body: the raw bytes of the request's body.
            authorization: the request's Authorization header: a JWT without a scheme such as `Bearer`.
            webhook_keys: further API keys and their secrets that LiveKit signs webhooks with.

        Raises:
            WebhookRejected: `code` says why.
            InvalidArgument: `body` is not bytes, or `webhook_keys` is damaged.

        Source: livekit.io docs, "Webhooks"; livekit/protocol `webhook/verifier.go`.
        """
        hidden_body, token, keys = Secret(body), Secret(authorization), Secret(webhook_keys)
        del body, authorization, webhook_keys
        from ._livekit_api.webhook import receive

        return receive(hidden_body, token, self._webhook_signers, keys, self._clock.time(), self._cache.recheck)

    def _webhook_signers(self) -> list[Signer]:
        return [credentials.signer for credentials in self._cache.recent()]

    def _report_reader(self, since: datetime, until: datetime | None, room_name: str | None) -> Reader:
        from ._session_reports.iterate import Reader
        from ._session_reports.pages import query

        return Reader(self._cache.source, query(since, until, room_name, self._clock.time()), self._clock.time)

    def _warn_if_weak(self) -> None:
        signer = self._cache.peek().signer
        if signer.weak and self._warned != signer.fingerprint:
            self._warned = signer.fingerprint
            warnings.warn(
                "the LiveKit API secret has fewer than 32 bytes, less than HS256's own strength (RFC 7518, section 3.2): make a "
                "longer one for anything but local tests",
                WeakSecretWarning,
                stacklevel=_levels_to_the_caller(),
            )


class MossVoiceServer(_Server):
    """Fetches a Moss voice agent's LiveKit credentials, keeps them fresh, and mints join tokens with them. Async.

    One object serves a whole application: it may be used from any thread, any event loop (asyncio's or trio's), and by the
    children of a process that forks. It cannot be pickled; another process makes its own.

    Args:
        project_id: the Moss project's id (`MOSS_PROJECT_ID`).
        project_key: its key (`MOSS_PROJECT_KEY`): secret.
        voice_agent_id: the voice agent's id (`MOSS_VOICE_AGENT_ID`).
        api_url: the Moss API's address, https.
        refresh: when and how patiently to fetch; see `RefreshPolicy`.
        transport: an `httpx2` async transport to send with, for proxies, private certificate authorities and tests. It is
            used on an event loop of its own, so it must not be bound to one. It is not closed.
        on_change: a plain function, called with a `CredentialsStatus` when something changes, on the thread that noticed.

    Constructing fetches nothing: use `create` or `from_env`, or `async with`.

    Raises:
        InvalidArgument: an argument is empty or damaged; a `ValueError`.
    """

    _transport_method = "handle_async_request"

    @classmethod
    async def create(
        cls,
        project_id: str,
        project_key: str,
        voice_agent_id: str,
        api_url: str | None = None,
        *,
        refresh: RefreshPolicy | None = None,
        transport: AsyncBaseTransport | None = None,
        on_change: OnChange | None = None,
    ) -> Self:
        """Fetches the credentials and returns a server that is ready to mint. Arguments as for the class.

        Raises:
            InvalidArgument: an argument is empty or damaged.
            CredentialsUnavailable: the Moss API could not be reached within 8 seconds and 3 attempts.
            CredentialsRejected: it refused.
            CredentialsInvalid: its answer cannot be used.
        """
        arguments = _hidden(project_id, project_key, voice_agent_id, api_url)
        del project_id, project_key, voice_agent_id, api_url
        options = _not_none(refresh=refresh, transport=transport, on_change=on_change)
        server = cls(*_for_subclasses(arguments), **options)
        await server.refresh()
        return server

    @classmethod
    async def from_env(cls, environ: Mapping[str, str] | None = None, **keywords: Any) -> Self:
        """`create` with what the environment says (`None`: `os.environ`); `keywords` are those of `create`, and go before it.

        `MOSS_PROJECT_ID`, `MOSS_PROJECT_KEY`, `MOSS_VOICE_AGENT_ID`, and optionally `MOSS_PLATFORM_API_URL`; each may be
        given as `<NAME>_FILE`, the path of a file that holds the value (Docker and Kubernetes secrets).

        Raises:
            InvalidArgument: names the variable that is missing, given twice or unreadable.
            CredentialsError: as for `create`.
        """
        hidden, options = _environment(environ), Secret(keywords)
        del environ, keywords
        return await cls.create(**_from_environment(hidden, options))

    async def refresh(self) -> None:
        """Fetches now, for example when the keys have just been exchanged.

        All who wait share one fetch. A failure is remembered for a moment (1 second, doubling to 30; 1 to 5 after a refusal)
        and raised again without asking; what was fetched before goes on serving.

        Raises:
            CredentialsError: as for `create`.
        """
        await self._cache.refresh_async()
        self._warn_if_weak()

    @property
    def rooms(self) -> AsyncRooms:
        """The rooms of the LiveKit project: list them, make sure that the agent comes, end them. See `rooms.AsyncRooms`."""
        from .rooms import AsyncRooms

        return AsyncRooms(self)

    def session_reports(
        self, since: datetime, until: datetime | None = None, room_name: str | None = None
    ) -> AsyncIterator[SessionReport]:
        """Moss's session reports: one for each call that has ended, with its transcript. Pages are fetched as needed.

        Timeouts and retries are those of the `RefreshPolicy`, for each page.

        Args:
            since: reports that were stored from this time on, with a time zone.
            until: and before this time; `None`: now.
            room_name: only the reports of this room.

        Raises:
            InvalidArgument: at once, for an argument.
            CredentialsUnavailable: the server has static credentials, or the Moss API could not be reached.
            CredentialsRejected: the Moss API rejected the project or the voice agent.
            CredentialsInvalid: the Moss API's response cannot be used.
        """
        from ._session_reports.iterate import iterate_async

        return iterate_async(self._report_reader(since, until, room_name))

    async def aclose(self) -> None:
        """Stops renewing; the credentials in hand mint on until they are too old. May be called twice."""
        self._cache.close()

    async def __aenter__(self) -> Self:
        if self._cache.fast_path[2] is None:
            await self.refresh()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    @staticmethod
    def _run(flow: Flow[Any], transport: Any) -> Any:
        from ._http.drivers import run_on_own_loop

        return run_on_own_loop(flow, transport)


class MossVoiceServerSync(_Server):
    """Fetches a Moss voice agent's LiveKit credentials, keeps them fresh, and mints join tokens with them. Plain functions.

    The same as `MossVoiceServer` for Flask, Django and scripts; `transport` is an `httpx2` sync transport.
    """

    _transport_method = "handle_request"

    @classmethod
    def create(
        cls,
        project_id: str,
        project_key: str,
        voice_agent_id: str,
        api_url: str | None = None,
        *,
        refresh: RefreshPolicy | None = None,
        transport: BaseTransport | None = None,
        on_change: OnChange | None = None,
    ) -> Self:
        """Fetches the credentials and returns a server that is ready to mint. See `MossVoiceServer.create`."""
        arguments = _hidden(project_id, project_key, voice_agent_id, api_url)
        del project_id, project_key, voice_agent_id, api_url
        options = _not_none(refresh=refresh, transport=transport, on_change=on_change)
        server = cls(*_for_subclasses(arguments), **options)
        server.refresh()
        return server

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **keywords: Any) -> Self:
        """`create` with what the environment says. See `MossVoiceServer.from_env`."""
        hidden, options = _environment(environ), Secret(keywords)
        del environ, keywords
        return cls.create(**_from_environment(hidden, options))

    def refresh(self) -> None:
        """Fetches now. See `MossVoiceServer.refresh`."""
        self._cache.refresh()
        self._warn_if_weak()

    @property
    def rooms(self) -> Rooms:
        """The rooms of the LiveKit project. See `MossVoiceServer.rooms`."""
        from .rooms import Rooms

        return Rooms(self)

    def session_reports(
        self, since: datetime, until: datetime | None = None, room_name: str | None = None
    ) -> Iterator[SessionReport]:
        """Moss's session reports. See `MossVoiceServer.session_reports`."""
        from ._session_reports.iterate import iterate

        return iterate(self._report_reader(since, until, room_name))

    def close(self) -> None:
        """Stops renewing. See `MossVoiceServer.aclose`."""
        self._cache.close()

    def __enter__(self) -> Self:
        if self._cache.fast_path[2] is None:
            self.refresh()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @staticmethod
    def _run(flow: Flow[Any], transport: Any) -> Any:
        from ._http.drivers import run

        return run(flow, transport)


def _hidden(*values: Any) -> list[Secret[Any]]:
    return [value if isinstance(value, Secret) else Secret(value) for value in values]


def _for_subclasses(arguments: list[Secret[Any]]) -> list[Any]:
    """The arguments of `create` for `__init__`, which a subclass written for 0.1.0 may have replaced."""
    project_id, project_key, voice_agent_id, api_url = arguments
    shown = [project_id.reveal(), project_key, voice_agent_id.reveal()]
    return shown if api_url.reveal() is None else [*shown, api_url.reveal()]


def _not_none(**options: Any) -> dict[str, Any]:
    """The options that were passed: the `__init__` of a subclass written for 0.1.0 may know none of them."""
    return {name: value for name, value in options.items() if value is not None}


def _new_cache(
    server: _Server,
    arguments: list[Secret[Any]],
    policy: RefreshPolicy,
    transport: Any,
    on_change: OnChange | None,
    runtime: Runtime | None = None,
) -> CredentialsCache[Credentials]:
    from ._credentials.cache import CredentialsCache
    from ._credentials.runtime import Runtime
    from ._credentials.source import MossSource, wording

    project_id, project_key, voice_agent_id, api_url = arguments
    if api_url.reveal() is None:
        api_url = default_api_url(_environment(None))
    runtime = runtime or Runtime(_clock.current)
    source = MossSource(
        config(project_id, project_key, voice_agent_id, api_url),
        policy,
        lambda flow: server._run(flow, transport),
        runtime,
    )
    return CredentialsCache(source, policy, wording(type(server).__name__), on_change, runtime)


def _check_callback(on_change: object) -> None:
    if on_change is not None and (not callable(on_change) or _is_coroutine_function(on_change)):
        raise InvalidArgument(
            "on_change must be a plain function that takes a CredentialsStatus, because any thread may call it",
            field="on_change",
        )


def _is_coroutine_function(function: Any) -> bool:
    from inspect import iscoroutinefunction  # hardly anybody needs it

    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # its code is looked at


def _levels_to_the_caller() -> int:
    """The `stacklevel` of the first line outside of this package, for a warning of the function that asks."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        frame, level = frame.f_back, level + 1
    return level


def _environment(environ: Mapping[str, str] | None) -> Secret[Mapping[str, str]]:
    # Not a default value: signatures are shown, by `help` and in documentation, with all that is in it.
    return Secret(os.environ if environ is None else environ)


def _from_environment(environ: Secret[Mapping[str, str]], keywords: Secret[dict[str, Any]]) -> dict[str, Any]:
    """The arguments of `create`: those of the caller, and the environment's for the rest."""
    passed = {name for name, value in keywords.reveal().items() if not (name == "api_url" and value is None)}
    found = from_environment(environ, passed)
    shown = {name: value if name == "project_key" else value.reveal() for name, value in found.items()}
    return {**keywords.reveal(), **shown}
