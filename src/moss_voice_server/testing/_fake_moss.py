"""FakeMoss: the Moss API for one voice agent, with queued responses and recorded requests."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ._fake_server import FakeServer
from ._moss_api import MossApi, error_body
from ._request import RecordedRequest
from ._response import MockResponse

if TYPE_CHECKING:
    import ssl

    from ._memory import MemoryTransport

IN_MEMORY_URL = "https://fake-moss.invalid"  # RFC 6761: never resolved


class FakeMoss(FakeServer):
    """The Moss API for one voice agent: on a loopback port from `start` (or `with`) to `close`, and in memory.

    Pass it to the code under test as `MossVoiceServer.create(**moss.arguments)` or through `moss.environ`. Without any
    socket: `create(**moss.arguments, transport=moss.transport())`.

    By default it responds as the API does. The right project and voice agent get the credentials, the runtime
    configuration and the session reports. A wrong project ID or key gets 401, an unknown voice agent or path 404, and
    another method 405.

    Args:
        project_id, project_key, voice_agent_id: what it accepts; random by default.
        url, api_key, api_secret, agent_name: the first credentials. Key and secret are random by default, the secret
            longer than 32 bytes.
        ssl_context: a server context with its certificate; the URL is then https.
        clock: where `RecordedRequest.time` comes from.
        kept_requests: how many of the newest requests and session reports are kept; `None`: all.

    Attributes, which can be set at any time:
        etag: `True`: responses carry an ETag, and If-None-Match gets 304.
        max_age: whole seconds for Cache-Control; `None`: no header.
    """

    def __init__(
        self,
        *,
        project_id: str | None = None,
        project_key: str | None = None,
        voice_agent_id: str | None = None,
        url: str = "wss://example.livekit.cloud",
        api_key: str | None = None,
        api_secret: str | None = None,
        agent_name: str = "example-agent",
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
        kept_requests: int | None = None,
    ) -> None:
        self.etag = False
        self.max_age: float | None = None
        self._api = MossApi(
            project_id or f"project-{secrets.token_hex(8)}",
            project_key or f"moss-key-{secrets.token_hex(16)}",
            voice_agent_id or f"voice-agent-{secrets.token_hex(8)}",
            _credentials(url, api_key, api_secret, agent_name),
            kept_requests,
        )
        super().__init__(self._respond, error_body, clock, kept_requests, ssl_context)
        self._scheme = "http" if ssl_context is None else "https"

    async def __aenter__(self) -> FakeMoss:
        return self.start()

    async def __aexit__(self, *_exc: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The `api_url` to use: `https://fake-moss.invalid` until the first start, for `transport()`; then the socket's."""
        return f"{self._scheme}://127.0.0.1:{self._port}" if self._port else IN_MEMORY_URL

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `MossVoiceServer.create` for this API."""
        return {
            "project_id": self._api.project_id,
            "project_key": self._api.project_key,
            "voice_agent_id": self._api.voice_agent_id,
            "api_url": self.url,
        }

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of `MossVoiceServer.from_env` for this API."""
        names = ("MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID", "MOSS_PLATFORM_API_URL")
        return dict(zip(names, self.arguments.values(), strict=True))

    @property
    def credentials(self) -> dict[str, str]:
        """The four fields of the response."""
        return dict(self._api.credentials)

    def rotate(
        self,
        api_key: str | None = None,
        api_secret: str | None = None,
        url: str | None = None,
        agent_name: str | None = None,
    ) -> dict[str, str]:
        """Replace the credentials at once and return them: a new random key and secret unless given.

        The URL and the agent's name stay unless given. A response that has started keeps the old ones.
        """
        old = self._api.credentials
        self._api.credentials = _credentials(
            old["voice_agent_url"] if url is None else url,
            api_key,
            api_secret,
            old["voice_agent_name"] if agent_name is None else agent_name,
        )
        return self.credentials

    @property
    def session_reports(self) -> list[dict[str, Any]]:
        """Every session report, as the API lists it: `id`, `room_name`, `created_at`, `report`; oldest first."""
        return self._api.reports()

    def add_session_report(
        self, room_name: str, report: Mapping[str, Any], created_at: datetime | None = None
    ) -> dict[str, Any]:
        """Store a session report, as Moss's manager does when a call ends, and return it as the API lists it.

        Args:
            room_name: the room of the call.
            report: LiveKit's session report; the transcript is `report["chat_history"]["items"]`.
            created_at: an aware datetime; the present by default.
        """
        return self._api.add_report(room_name, dict(report), created_at)

    @property
    def count(self) -> int:
        """How many requests arrived."""
        return self._count

    @property
    def in_flight(self) -> int:
        """How many responses wait for `release`; one whose client has left is soon not counted any more."""
        with self._changed:
            return sum(each.response.hang and not each.released.is_set() for each in self._open)

    @property
    def bytes_sent(self) -> int:
        """How many bytes were sent; the client of a socket may have read fewer."""
        return self._bytes_sent

    def wait_for(self, count: int, timeout: float = 20.0) -> tuple[RecordedRequest, ...]:
        """Block until `count` requests arrived in all, and return them. In a coroutine: `asyncio.to_thread(moss.wait_for, 1)`.

        Raises:
            AssertionError: fewer arrived within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout):
                raise AssertionError(f"FakeMoss: {self._count} of {count} requests arrived within {timeout:g} s")
            return tuple(self._requests)

    def wait_idle(self, timeout: float = 20.0) -> None:
        """Block until every response is sent, or its client has left.

        Raises:
            AssertionError: one is not, after `timeout` seconds.
        """
        with self._changed:
            is_idle = self._changed.wait_for(lambda: not self._open, timeout)
            left = len(self._open)
        if not is_idle:
            raise AssertionError(
                f"FakeMoss: {left} responses were not finished after {timeout:g} s, "
                f"{self.in_flight} of them waiting for release()"
            )

    def transport(
        self,
        *,
        sleep: Callable[[float], object] | None = None,
        async_sleep: Callable[[float], Awaitable[object]] | None = None,
        limit: float = 30.0,
    ) -> MemoryTransport:
        """An httpx2 transport for `httpx2.Client` and `httpx2.AsyncClient` that responds in memory.

        It uses the same queue and records the same requests. Every host and port leads here, also before `start`. After
        `close` it raises `httpx2.ConnectError`.

        Args:
            sleep, async_sleep: called with the seconds of each delay, instead of waiting.
            limit: seconds after which a delay becomes a `httpx2.ReadTimeout`, as after the client's read timeout.
        """
        from ._memory import MemoryTransport

        return MemoryTransport(self, sleep, async_sleep, limit)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "started" if self._is_started else "not started"
        url = f" {self.url}" if self._port else ""
        return f"<FakeMoss {state}{url}, {self.count} requests, {self.in_flight} waiting>"

    def _respond(self, request: RecordedRequest) -> MockResponse:
        self._api.etag, self._api.max_age = self.etag, self.max_age
        return self._api.respond(request)


def _credentials(url: str, api_key: str | None, api_secret: str | None, agent_name: str) -> dict[str, str]:
    return {
        "voice_agent_url": url,
        "voice_agent_api_key": f"API{secrets.token_hex(6)}" if api_key is None else api_key,
        "voice_agent_api_secret": secrets.token_urlsafe(36) if api_secret is None else api_secret,
        "voice_agent_name": agent_name,
    }
