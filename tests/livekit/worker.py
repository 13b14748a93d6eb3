"""An agent worker reduced to the protocol: registers at LiveKit's `/agent`, takes every job, and notes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from livekit.protocol import agent
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from moss_voice_server.testing import LiveKitServer
from tests.livekit.server_api import signed

PATIENCE = 10.0  # seconds within which a job must have come; it usually takes some milliseconds


class Worker:
    """A registered worker and the jobs that it was given, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._jobs: list[agent.Job] = []
        self._news = threading.Condition()

    def register(self, agent_name: str, deployment: str) -> None:
        """Register, and return only when the server will find this worker."""
        self._send(
            register=agent.RegisterWorkerRequest(
                type=agent.JT_ROOM, agent_name=agent_name, version="1", deployment=deployment
            )
        )
        self._receive("register")
        # The server confirms before it has entered the worker into its table; it answers a ping afterwards.
        self._send(ping=agent.WorkerPing(timestamp=1))
        self._receive("pong")

    def serve(self) -> None:
        """Take every job that is offered, until the connection ends."""
        try:
            while True:
                message = agent.ServerMessage.FromString(self._socket.recv(decode=False))
                if message.HasField("availability"):
                    job_id = message.availability.job.id
                    self._send(
                        availability=agent.AvailabilityResponse(
                            job_id=job_id, available=True, participant_identity=f"agent-{job_id}"
                        )
                    )
                elif message.HasField("assignment"):
                    with self._news:
                        self._jobs.append(message.assignment.job)
                        self._news.notify_all()
        except ConnectionClosed:
            pass

    def job(self, room: str) -> agent.Job:
        """The job that this worker was given in `room`; waits for it."""
        with self._news:
            came = self._news.wait_for(lambda: self.jobs(room), PATIENCE)
            assert came, f"no job within {PATIENCE:g} s"
            return self.jobs(room)[0]

    def jobs(self, room: str) -> list[agent.Job]:
        """All jobs so far in `room`."""
        return [job for job in self._jobs if job.room.name == room]

    def _send(self, **message: object) -> None:
        self._socket.send(agent.WorkerMessage(**message).SerializeToString())  # type: ignore[arg-type]

    def _receive(self, kind: str) -> agent.ServerMessage:
        deadline = time.monotonic() + PATIENCE
        while True:
            frame = self._socket.recv(timeout=max(0.0, deadline - time.monotonic()), decode=False)
            message = agent.ServerMessage.FromString(frame)
            if message.WhichOneof("message") == kind:
                return message


@contextmanager
def worker(server: LiveKitServer, agent_name: str = "", deployment: str = "") -> Iterator[Worker]:
    """A worker of this name (empty: one that takes automatic dispatches) for as long as the context lasts.

    Register workers before the first room is opened on a server: it keeps the list of names for a while, and only its
    own notice, for which no test can wait, resets it.
    """
    with connect(
        f"{server.url}/agent?protocol=1",
        additional_headers={"Authorization": f"Bearer {signed(server, {'video': {'agent': True}})}"},
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        proxy=None,
    ) as socket:
        one = Worker(socket)
        one.register(agent_name, deployment)
        thread = threading.Thread(target=one.serve, daemon=True)
        thread.start()
        try:
            yield one
        finally:
            socket.close()
            thread.join(PATIENCE)
