"""A worker's side of LiveKit's `/agent` protocol: register under a name, accept jobs (livekit/protocol `livekit_agent.proto`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from livekit.protocol import agent, models
from websockets.asyncio.client import ClientConnection, connect

from moss_voice_server._token.signing import Signer
from moss_voice_server._urls import LOOPBACK

_DISPLAY_NAME = "Echo"  # in the room
_TOKEN_TTL = 600  # seconds; checked when the worker connects, and never again
_TIMEOUT = 10.0  # seconds for connecting, and for closing


class Job(NamedTuple):
    id: str
    url: str
    token: str


@dataclass(frozen=True, repr=False)
class Worker:
    url: str  # the LiveKit server's URL: ws or wss, without a trailing slash
    signer: Signer
    agent_name: str  # dispatches that name it reach this worker; "": automatic dispatch does
    load: float  # from 0 to 1; LiveKit prefers workers with a lower load
    on_registered: Callable[[], None]  # called when LiveKit can dispatch this worker
    on_job: Callable[[Job], None]
    on_termination: Callable[[str], None]
    """Called with the ID of a job that LiveKit ends, for example because its dispatch was deleted."""

    async def serve(self) -> None:
        """Connect, register, and accept every job until the connection closes or fails."""
        async with connect(
            f"{self.url}/agent?protocol=1",
            additional_headers={"Authorization": f"Bearer {self._token()}"},
            open_timeout=_TIMEOUT,
            close_timeout=_TIMEOUT,
            proxy=None if urlsplit(self.url).hostname in LOOPBACK else True,
        ) as socket:
            await _send(
                socket,
                register=agent.RegisterWorkerRequest(
                    type=agent.JT_ROOM,
                    agent_name=self.agent_name,
                    version="1",
                    # The grants in each job's token; `lk.agent.state` needs can_update_metadata.
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
                message = agent.ServerMessage.FromString(frame if isinstance(frame, bytes) else frame.encode())
                await self._answer(socket, message)

    async def _answer(self, socket: ClientConnection, message: agent.ServerMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "register":
            await _send(socket, update_worker=agent.UpdateWorkerStatus(status=agent.WS_AVAILABLE, load=self.load))
            # LiveKit confirms before the worker is in its table; it answers a ping afterwards.
            await _send(socket, ping=agent.WorkerPing(timestamp=1))
        elif kind == "pong":
            self.on_registered()
        elif kind == "availability":
            job_id = message.availability.job.id
            await _send(
                socket,
                availability=agent.AvailabilityResponse(
                    job_id=job_id,
                    available=True,
                    participant_identity=f"agent-{job_id}",
                    participant_name=_DISPLAY_NAME,
                ),
            )
        elif kind == "assignment":
            assigned = message.assignment
            # LiveKit sends a URL only where another one than ours is better.
            self.on_job(Job(assigned.job.id, assigned.url or self.url, assigned.token))
        elif kind == "termination":
            self.on_termination(message.termination.job_id)

    def _token(self) -> str:
        now = int(time.time())
        # `agent` permits to register, and nothing else: livekit-server pkg/service/agentservice.go.
        end = now + _TOKEN_TTL
        return self.signer.sign(f'{self.signer.head}{now},"exp":{end},"video":{{"agent":true}}}}'.encode())


async def _send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(agent.WorkerMessage(**message).SerializeToString())
