"""Base: what the async and the sync server share, from the constructor to webhooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import _clock
from .._secret import Secret
from .._validation import invalid
from ..errors import WeakSecretWarning
from .arguments import (
    arguments_from_env,
    caller_stacklevel,
    check_callback,
    hide,
    new_cache,
    process_environ,
)
from .minting import Minter

if TYPE_CHECKING:
    from datetime import datetime

    from httpx2 import AsyncBaseTransport, BaseTransport
    from typing_extensions import Self

    from .._clock import Clock
    from .._credentials.cache import CredentialsCache
    from .._credentials.model import Credentials, StaticCredentials
    from .._http.flow import Flow
    from .._session_reports.models import SessionReport
    from ..credentials import CredentialsStatus, RefreshPolicy
    from ..webhooks import WebhookEvent

    OnChange = Callable[[CredentialsStatus], object]


class BaseServer(Minter):
    """What both classes share: everything but the waiting."""

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
        from ..credentials import RefreshPolicy

        if refresh is not None and not isinstance(refresh, RefreshPolicy):
            raise invalid("refresh", f"must be a RefreshPolicy, not {type(refresh).__name__}")
        self._check_transport(transport)
        if on_change is not None:
            check_callback(on_change)
        self._use(new_cache(self, arguments, refresh or RefreshPolicy(), transport, on_change))

    def _check_transport(self, transport: object) -> None:
        if transport is not None and (isinstance(transport, type) or not hasattr(transport, self._transport_method)):
            kind = type(transport).__name__
            raise invalid("transport", f"must be an httpx2 transport with {self._transport_method}, not {kind}")

    @staticmethod
    def _run(flow: Flow[Any], transport: Any) -> Any:
        """Sends what the flow requests, on a separate thread; each class in its way."""
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
        self._clock = clock or _clock.current
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
        from .._credentials.model import StaticCredentials, validated

        server = cls.__new__(cls)
        server._use(StaticCredentials(validated(hidden_url, key, secret, agent)))
        server._warn_if_weak()
        return server

    @classmethod
    def lazy_from_env(cls, environ: Mapping[str, str] | None = None, **arguments: object) -> Self:
        """The same as `from_env`, but fetches nothing yet: for code at module level, which must not need the network.

        The token endpoints fetch the credentials when an ASGI application starts, or at the first request. Elsewhere, call
        `refresh()`: until then, creating a token raises `CredentialsNotLoaded`.

        Raises:
            InvalidArgument: `field` names the variable that is missing, damaged, set twice or unreadable.
        """
        hidden, passed = process_environ(environ), Secret(arguments)
        del environ, arguments
        return cls(**arguments_from_env(hidden, passed))

    def status(self) -> CredentialsStatus:
        """The state of the credentials, for health checks. Starts no refresh."""
        return self._cache.status()

    def refresh_in_background(self) -> None:
        """Starts a refresh, if one is due, and does not wait for it; `status()` shows its result.

        For a server that was only constructed, in code that cannot wait. Where threads do not run between requests (AWS
        Lambda, Cloud Run, Azure Functions, uWSGI without threads), the refresh takes up to 2.5 seconds of this call.
        """
        self._cache.refresh_in_background()

    def receive_webhook(
        self, body: bytes, authorization: str | None, *, webhook_keys: Mapping[str, str] | None = None
    ) -> WebhookEvent:
        """The event in a webhook request, once LiveKit's signature, its validity period and the body's hash are verified.

        The signature may be made with the current API key, or with the previous one for an hour after a rotation. An unknown
        key starts a refresh of the credentials in the background, at most once in 5 seconds. Respond with 503 to
        `unknown_key`, so that LiveKit sends the webhook again, and with 401 to all others. Does no I/O, except
        where threads do not run between requests: there that refresh takes up to 2.5 seconds.

        Args:
            body: the raw bytes of the request's body.
            authorization: the request's Authorization header: a JWT without a scheme such as `Bearer`.
            webhook_keys: further API keys and their secrets that LiveKit signs webhooks with.

        Raises:
            WebhookRejected: `code` says why.
            InvalidArgument: `body` is not bytes, `authorization` is not a str, or `webhook_keys` is damaged.

        Source: livekit.io docs, "Webhooks"; livekit/protocol `webhook/verifier.go`.
        """
        hidden_body, token, keys = Secret(body), Secret(authorization), Secret(webhook_keys)
        del body, authorization, webhook_keys
        from .._livekit_api.webhook import receive

        signers = [credentials.signer for credentials in self._cache.recent()]
        return receive(hidden_body, token, signers, keys, self._clock.time(), self._cache.recheck)

    def _report_pages(
        self, since: datetime, until: datetime | None, room_name: str | None
    ) -> Iterator[list[SessionReport]]:
        from .._session_reports.iterate import pages
        from .._session_reports.pages import query

        return pages(self._cache.source, query(since, until, room_name, self._clock.time()), self._clock.time)

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
