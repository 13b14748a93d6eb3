"""Worker: the agent's side of LiveKit's `/agent`: registers under a name, takes jobs (livekit/protocol `livekit_agent.proto`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from livekit.protocol import agent, models
from websockets.asyncio.client import connect

from moss_voice_server._token.signing import Signer
from moss_voice_server._urls import LOOPBACK

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from moss_voice_server._secret import Secret

_TOKEN_TTL = 600  # seconds; looked at when the worker connects, and never again
_TIMEOUT = 10.0  # seconds for connecting, and for leaving


class Job(NamedTuple):
    """One room to go to."""

    id: str
    url: str
    token: str


class Worker:
    """One connection of a worker; `serve` keeps it for as long as the server does.

    Args:
        url: the LiveKit server, ws or wss.
        api_key, api_secret: with which the worker says who it is.
        name: sent for by this name only.
        registered: called when the server will find this worker.
        take: called with each job.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: Secret[str],
        name: str,
        *,
        registered: Callable[[], None],
        take: Callable[[Job], None],
    ) -> None:
        self._url = ("ws" + url[4:] if url.startswith("http") else url).rstrip("/")
        self._api_key = api_key
        self._signer = Signer(api_key, api_secret)
        self._name = name
        self._registered = registered
        self._take = take

    async def serve(self) -> None:
        """Connect, register, and take every job until the connection ends.

        Raises:
            OSError, websockets.exceptions.WebSocketException: it could not connect, or the connection broke.
        """
        async with connect(
            f"{self._url}/agent?protocol=1",
            additional_headers={"Authorization": f"Bearer {self._token()}"},
            open_timeout=_TIMEOUT,
            close_timeout=_TIMEOUT,
            proxy=None if urlsplit(self._url).hostname in LOOPBACK else True,
        ) as socket:
            await _send(
                socket,
                register=agent.RegisterWorkerRequest(
                    type=agent.JT_ROOM,
                    agent_name=self._name,
                    version="1",
                    # What the token of each job allows; without the metadata there would be no `lk.agent.state`.
                    allowed_permissions=models.ParticipantPermission(
                        can_subscribe=True,
                        can_publish=True,
                        can_publish_data=True,
                        can_update_metadata=True,
                        agent=True,
                    ),
                ),
            )
            async for frame in socket:
                await self._answer(socket, agent.ServerMessage.FromString(_bytes(frame)))

    async def _answer(self, socket: ClientConnection, message: agent.ServerMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "register":
            # The server confirms before it has entered the worker into its table; it answers a ping afterwards.
            await _send(socket, ping=agent.WorkerPing(timestamp=1))
        elif kind == "pong":
            self._registered()
        elif kind == "availability":
            job_id = message.availability.job.id
            await _send(
                socket,
                availability=agent.AvailabilityResponse(
                    job_id=job_id,
                    available=True,
                    participant_identity=f"agent-{job_id}",
                    participant_name=self._name.capitalize(),
                ),
            )
        elif kind == "assignment":
            given = message.assignment
            # The server names another address only where it knows a better one.
            self._take(Job(given.job.id, given.url or self._url, given.token))

    def _token(self) -> str:
        now = int(time.time())
        # `agent` lets its holder register, and nothing else: livekit-server pkg/service/agentservice.go.
        claims = {"iss": self._api_key, "nbf": now, "exp": now + _TOKEN_TTL, "video": {"agent": True}}
        return self._signer.sign(json.dumps(claims).encode())


async def _send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(agent.WorkerMessage(**message).SerializeToString())


def _bytes(frame: str | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode()
