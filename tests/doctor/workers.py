"""Agents: workers that take their jobs and join the rooms, without media; and ones that never join."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from moss_voice_server.testing import LiveKitServer
from tests.livekit.server_api import signed
from tests.livekit.signalling import join
from tests.livekit.worker import Worker, worker

_LOOK = 0.02  # seconds between two looks at the jobs


@contextmanager
def agent(server: LiveKitServer, name: str = "", *, joins: bool = True) -> Iterator[Worker]:
    """A worker of this name; `joins`: its agent comes into each room that it gets a job for."""
    ended = threading.Event()
    with worker(server, name) as registered, ExitStack() as rooms:
        thread = threading.Thread(target=_serve, args=(server, registered, rooms, ended), daemon=True)
        if joins:
            thread.start()
        try:
            yield registered
        finally:
            ended.set()
            if joins:
                thread.join(10)


def _serve(server: LiveKitServer, registered: Worker, rooms: ExitStack, ended: threading.Event) -> None:
    done: set[str] = set()
    while not ended.wait(_LOOK):
        for job in [job for job in list(registered._jobs) if job.id not in done]:
            done.add(job.id)
            claims = {"sub": f"agent-{job.id}", "kind": "agent", "video": {"roomJoin": True, "room": job.room.name}}
            rooms.enter_context(join(server.url, signed(server, claims)))
