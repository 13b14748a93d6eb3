"""Server: the two classes, `MossVoiceServer` (async) and `MossVoiceServerSync`, over one base."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from . import _clock
from ._arguments import (
    arguments_from_env,
    caller_stacklevel,
    check_callback,
    for_subclasses,
    hide,
    new_cache,
    not_none,
    process_environ,
)
from ._secret import Sealed, Secret
from ._token.claims import API_DEFAULT_TTL, DEFAULT_TTL, payload
from ._validation import plain_str
from .errors import InvalidArgument, WeakSecretWarning
from .grants import AgentDispatch, ApiGrants, ConnectionDetails, ParticipantGrants, ParticipantInfo, RoomConfig

if TYPE_CHECKING:
    from httpx2 import AsyncBaseTransport, BaseTransport
    from typing_extensions import Self

    from ._clock import Clock
    from ._credentials.cache import CredentialsCache
    from ._credentials.model import Credentials
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
        arguments = hide(project_id, project_key, voice_agent_id, api_url)
        del project_id, project_key, voice_agent_id, api_url
        # Imported late: the imports of the three public names take half the time without what only a new server needs.
        from .credentials import RefreshPolicy

        if refresh is not None and not isinstance(refresh, RefreshPolicy):
            raise InvalidArgument(f"refresh must be a RefreshPolicy, not {type(refresh).__name__}", field="refresh")
        self._check_transport(transport)
        check_callback(on_change)
        self._use(new_cache(self, arguments, refresh or RefreshPolicy(), transport, on_change))

    def _check_transport(self, transport: object) -> None:
        if transport is not None and (isinstance(transport, type) or not hasattr(transport, self._transport_method)):
            raise InvalidArgument(
                f"transport must be an httpx2 transport with {self._transport_method}, not {type(transport).__name__}",
                field="transport",
            )

    @staticmethod
    def _run(flow: Flow[Any], transport: Any) -> Any:
        """Sends what the flow asks for, on a thread of its own; each class in its way."""
        raise NotImplementedError

    def __repr__(self) -> str:
        if not hasattr(self, "_cache"):  # a traceback shows it while the constructor runs
            return super().__repr__()
        credentials = self._cache.fast_path[2]
        agent = f", agent {credentials.agent_name!r}" if credentials is not None and credentials.agent_name else ""
        return f"<{type(self).__name__}: {self.status().state}{agent}>"

    __str__ = __repr__

    def _use(self, cache: CredentialsCache[Credentials] | StaticCredentials, clock: Clock | None = None) -> None:
        self._cache = cache
        self._clock: Clock = clock or _clock.current
        self._warned = ""

    @classmethod
    def from_livekit(cls, url: str, api_key: str, api_secret: str, agent_name: str = "") -> Self:
        """Creates a server with static credentials, for a self-hosted LiveKit server or tests. It never uses the network.

        Args:
            url: LiveKit's URL, `wss://…` or `https://…`; `ws://` and `http://` for this machine only.
            api_key: LiveKit API key, the `iss` of the tokens.
            api_secret: LiveKit API secret. Fewer than 32 bytes cause a `WeakSecretWarning`.
            agent_name: the voice agent's name, which `get_agent_name` returns.

        Raises:
            InvalidArgument: `field` names the invalid argument.
        """
        hidden_url, key, secret, agent = hide(url, api_key, api_secret, agent_name)
        del url, api_key, api_secret, agent_name
        from ._credentials.model import validated
        from ._credentials.static import StaticCredentials

        server = cls.__new__(cls)
        server._use(StaticCredentials(validated(hidden_url, key, secret, agent)))
        server._warn_if_weak()
        return server

    @classmethod
    def lazy_from_env(cls, environ: Mapping[str, str] | None = None, **arguments: object) -> Self:
        """The same as `from_env`, but fetches nothing yet; for module level, where the network is not needed.

        The token endpoints of FastAPI and ASGI fetch the credentials when the application starts. Elsewhere, call
        `refresh()`. Until then, creating a token raises `CredentialsNotLoaded`, and an endpoint returns 503.

        Raises:
            InvalidArgument: `field` names the variable that is missing, damaged, set twice or unreadable.
        """
        hidden, passed = process_environ(environ), Secret(arguments)
        del environ, arguments
        return cls(**arguments_from_env(hidden, passed))

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
        """Creates a signed token (JWT, HS256) with which one participant joins one room. Never waits and does no I/O.

        Args:
            participant: who joins.
            room_name: the room, 1 to 256 bytes of UTF-8. LiveKit creates it when the first participant joins.
            agent_name: the agent to dispatch. `None` or `""`: LiveKit dispatches every unnamed worker (automatic
                dispatch). A named agent keeps unnamed workers out of the room.
            ttl: how long the token can be used to join, a `timedelta` or seconds, from 1 minute to 24 hours. It does not
                end a session: LiveKit refreshes the tokens of connected participants.
            grants: what the participant may do; `None`: publish, subscribe and send data.
            agents: more agents to dispatch, by name or as `AgentDispatch`, after `agent_name`.
            room_config: LiveKit's room configuration, a mapping in snake_case or a `livekit.protocol` message; its agents
                come last. LiveKit reads it, and all agents, only when the room is new.

        Raises:
            InvalidArgument: LiveKit would reject or misread this; `field` names what to correct.
            CredentialsNotLoaded: the server was constructed, and has not fetched its credentials yet.
            CredentialsUnavailable: the credentials expired, or the first refresh has not succeeded yet. A refresh has
                been started, unless one failed a moment ago; see `retry_after`.
            CredentialsRejected: the Moss API rejected the request repeatedly, or the latest one where none are usable.
            CredentialsInvalid: the latest response is not usable, and neither are the cached credentials.

        Source: livekit.io docs, "Tokens & grants"; livekit/protocol `auth/grants.go`.
        """
        now = self._clock.time()
        wall, mono, credentials = self._cache.fast_path
        if credentials is None or now >= wall or self._clock.monotonic() >= mono:
            credentials = self._cache.get()
        signer = credentials.signer
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

        The token controls rooms: keep it in the backend, and do not return it to a client.

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
        wall, mono, credentials = self._cache.fast_path
        if credentials is None or now >= wall or self._clock.monotonic() >= mono:
            credentials = self._cache.get()
        return credentials

    def get_server_url(self) -> str:
        """The LiveKit URL that clients connect to.

        Raises:
            CredentialsNotLoaded: the server has not fetched its credentials yet.
            CredentialsError: the first refresh failed or is in progress; as for `create_participant_token`.
        """
        return self._cache.peek().url

    def get_agent_name(self) -> str:
        """The voice agent's name; "" if a server with static credentials has none.

        Raises:
            CredentialsNotLoaded: the server has not fetched its credentials yet.
            CredentialsError: the first refresh failed or is in progress; as for `create_participant_token`.
        """
        return self._cache.peek().agent_name

    def status(self) -> CredentialsStatus:
        """The state of the credentials, for health checks. Starts no refresh."""
        return self._cache.status()

    def refresh_in_background(self) -> None:
        """Starts a refresh, if one is due, and returns at once; `status()` shows its result.

        For a server that was only constructed, in code that cannot wait. A token endpoint does so at its first request.
        """
        self._cache.refresh_in_background()

    def receive_webhook(
        self, body: bytes, authorization: str | None, *, webhook_keys: Mapping[str, str] | None = None
    ) -> WebhookEvent:
        """The event in a webhook request, once LiveKit's signature, its validity period and the body's hash are verified.

        The signature may be made with the current API key, or with the previous one for an hour after a rotation. An unknown
        key starts a refresh of the credentials in the background, at most once in 5 seconds. Respond with 503 to
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
                "the LiveKit API secret has fewer than 32 bytes, the minimum for HS256 (RFC 7518, section 3.2): create a longer "
                "one for anything but local tests",
                WeakSecretWarning,
                stacklevel=caller_stacklevel(),
            )


class MossVoiceServer(_Server):
    """Fetches a Moss voice agent's LiveKit credentials, keeps them fresh, and creates join tokens. Async.

    One object serves a whole application: any thread, any event loop (asyncio or trio), and the children of a process that
    forks may use it. It cannot be pickled; another process creates its own.

    Args:
        project_id: the Moss project's ID (`MOSS_PROJECT_ID`).
        project_key: the project's key (`MOSS_PROJECT_KEY`); secret.
        voice_agent_id: the voice agent's ID (`MOSS_VOICE_AGENT_ID`).
        api_url: the Moss API's URL, https; `None`: `MOSS_PLATFORM_API_URL`, else `https://service.usemoss.dev`.
        refresh: when credentials are refreshed and expire, and how often and how long a refresh may try.
        transport: an `httpx2` async transport, for proxies, private certificate authorities and tests. It is used on an
            event loop of this package, so it must not be bound to another one. It is not closed.
        on_change: a plain function that is called with a `CredentialsStatus` when it changes, on any thread.

    The constructor fetches nothing: use `create`, `from_env` or `async with`.

    Raises:
        InvalidArgument: an argument is empty or damaged; `field` names it.
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
        """Fetches the credentials and returns a server that can create tokens. Arguments as for the class.

        Raises:
            InvalidArgument: an argument is empty or damaged; `field` names it.
            CredentialsUnavailable: the Moss API was not reached within 3 attempts and 8 seconds (see `RefreshPolicy`).
            CredentialsRejected: the Moss API rejected the project's credentials or the voice agent's ID.
            CredentialsInvalid: the response is not usable.
        """
        arguments = hide(project_id, project_key, voice_agent_id, api_url)
        del project_id, project_key, voice_agent_id, api_url
        options = not_none(refresh=refresh, transport=transport, on_change=on_change)
        server = cls(*for_subclasses(arguments), **options)
        await server.refresh()
        return server

    @classmethod
    async def from_env(cls, environ: Mapping[str, str] | None = None, **arguments: object) -> Self:
        """`create` with arguments from environment variables.

        The variables are `MOSS_PROJECT_ID`, `MOSS_PROJECT_KEY`, `MOSS_VOICE_AGENT_ID`, and optionally
        `MOSS_PLATFORM_API_URL`. For each, `<NAME>_FILE` can name a file that contains the value (Docker and Kubernetes
        secrets).

        Args:
            environ: the variables; `None`: `os.environ`.
            arguments: arguments of `create`; they have priority over the variables.

        Raises:
            InvalidArgument: `field` names the variable that is missing, damaged, set twice or unreadable.
            CredentialsError: as for `create`.
        """
        hidden, passed = process_environ(environ), Secret(arguments)
        del environ, arguments
        return await cls.create(**arguments_from_env(hidden, passed))

    async def refresh(self) -> None:
        """Fetches the credentials now, for example after a key was rotated.

        All callers that wait share one refresh. After a failure, calls raise it again for a moment instead of asking: 1
        second, doubled by each failure up to 30; 1 to 5 seconds after a rejection. The cached credentials stay in use.

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
        """Stops refreshing; the cached credentials stay in use until they expire. May be called twice."""
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
    """Fetches a Moss voice agent's LiveKit credentials, keeps them fresh, and creates join tokens. Sync.

    The same as `MossVoiceServer`, for Flask, Django and scripts; `transport` is an `httpx2` sync transport.
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
        """Fetches the credentials and returns a server that can create tokens. See `MossVoiceServer.create`."""
        arguments = hide(project_id, project_key, voice_agent_id, api_url)
        del project_id, project_key, voice_agent_id, api_url
        options = not_none(refresh=refresh, transport=transport, on_change=on_change)
        server = cls(*for_subclasses(arguments), **options)
        server.refresh()
        return server

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **arguments: object) -> Self:
        """`create` with arguments from environment variables. See `MossVoiceServer.from_env`."""
        hidden, passed = process_environ(environ), Secret(arguments)
        del environ, arguments
        return cls.create(**arguments_from_env(hidden, passed))

    def refresh(self) -> None:
        """Fetches the credentials now. See `MossVoiceServer.refresh`."""
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
        """Stops refreshing. See `MossVoiceServer.aclose`."""
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
