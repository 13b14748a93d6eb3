"""Server: the two classes, `MossVoiceServer` (async) and `MossVoiceServerSync`, over one base."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._secret import Secret
from .arguments import arguments_from_env, for_subclasses, hide, not_none, process_environ
from .base import BaseServer

if TYPE_CHECKING:
    from datetime import datetime

    from httpx2 import AsyncBaseTransport, BaseTransport
    from typing_extensions import Self

    from .._http.flow import Flow
    from ..credentials import RefreshPolicy
    from ..rooms import AsyncRooms, Rooms
    from ..transcripts import SessionReport
    from .base import OnChange

__all__ = ["MossVoiceServer", "MossVoiceServerSync"]


class MossVoiceServer(BaseServer):
    """The async server: fetches a Moss voice agent's LiveKit credentials, keeps them fresh, and creates join tokens.

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

        All callers that wait share one refresh. For a moment after a failure, calls raise it again without a request: 1
        second, doubled by each failure up to 30; 1 to 5 seconds after a rejection. The cached credentials stay in use.

        Raises:
            CredentialsError: as for `create`.
        """
        await self._cache.refresh_async()
        self._warn_if_weak()

    @property
    def rooms(self) -> AsyncRooms:
        """The rooms of the LiveKit project: list them, make sure that the agent comes, end them. See `rooms.AsyncRooms`."""
        from ..rooms import AsyncRooms

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
        from .._session_reports.iterate import iterate_async

        return iterate_async(self._report_pages(since, until, room_name))

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
        from .._http.drivers import run_on_own_loop

        return run_on_own_loop(flow, transport)


class MossVoiceServerSync(BaseServer):
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
        from ..rooms import Rooms

        return Rooms(self)

    def session_reports(
        self, since: datetime, until: datetime | None = None, room_name: str | None = None
    ) -> Iterator[SessionReport]:
        """Moss's session reports. See `MossVoiceServer.session_reports`."""
        return (report for page in self._report_pages(since, until, room_name) for report in page)

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
        from .._http.drivers import run

        return run(flow, transport)
