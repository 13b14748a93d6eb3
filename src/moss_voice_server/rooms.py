"""Rooms: list, fill, end and cap the calls of one LiveKit project, through its server API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from ._http import drivers
from ._livekit_api import agents, operations
from ._livekit_api.access import access
from ._livekit_api.models import Dispatch, DispatchStatus, EndedRooms, Participant, Room
from ._secret import Sealed

if TYPE_CHECKING:
    from ._server import MossVoiceServer, MossVoiceServerSync

__all__ = ["AsyncRooms", "Dispatch", "DispatchStatus", "EndedRooms", "Participant", "Room", "Rooms"]


class Rooms(Sealed):
    """The rooms of a server's LiveKit project: `server.rooms` of a `MossVoiceServerSync`.

    Each call sends a new API token, valid for one minute, with only the grants that it needs. It takes at most 8 seconds,
    retries included, unless it says otherwise. Calls honor the variables HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and
    SSL_CERT_DIR; the server's `transport` is for the Moss API only. The object may be used from any thread and after a fork.

    Raises:
        InvalidArgument: an argument that LiveKit would reject.
        CredentialsError: the server has no usable credentials.
        LiveKitUnavailable: LiveKit could not be reached, or returned an error that should pass.
        LiveKitRejected: LiveKit rejected the API token or the request. After a 401 the credentials are refreshed in the
            background, and the call is repeated once if they changed.

    Source: livekit.io docs, "Server APIs"; livekit/protocol `livekit_room.proto`, `livekit_agent_dispatch.proto`.
    """

    def __init__(self, server: MossVoiceServerSync) -> None:
        self._server = server

    def list(self, names: Iterable[str] | None = None) -> tuple[Room, ...]:
        """The rooms that exist now.

        Args:
            names: only the rooms with these names; `None`: all.
        """
        return drivers.run(operations.list_rooms(access(self._server), names))

    def participants(self, room: str) -> tuple[Participant, ...]:
        """The participants in a room, agents included.

        Raises:
            RoomNotFound: there is no such room.
        """
        return drivers.run(operations.list_participants(access(self._server), room))

    def ensure_agent(
        self,
        room: str,
        agent: str | None = None,
        *,
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        wait: timedelta | float | None = None,
    ) -> Dispatch:
        """Makes sure that exactly one dispatch of the agent is live in the room. Creates the room if it does not exist.

        Any number of processes may call this at once: all get the same dispatch. A new room gets only this agent, and no
        automatic dispatch. A dispatch whose agent is not in the room 20 seconds later is replaced: no worker accepted the
        job, or the agent has left.

        Args:
            room: the room's name.
            agent: the agent's name; `None`: the server's voice agent.
            metadata: any text for the agent's job. A dispatch that is live already keeps its own.
            attributes: any texts by name for the agent's job; likewise.
            wait: how long to wait until the agent is in the room, a `timedelta` or seconds, at most a day; `None`: return as
                soon as it is dispatched.

        Raises:
            AgentNotDispatched: the agent's job failed, or the agent did not join within `wait`; the text says
                whether a worker accepted the job.
            RoomNotFound: the room was ended in the meantime.
        """
        wanted = agents.wanted(room, agent, self._server.get_agent_name, metadata, attributes, wait)
        return drivers.run(agents.ensure(access(self._server), wanted))

    def remove(self, room: str, identity: str) -> None:
        """Disconnects a participant. One who is not in the room is success.

        On LiveKit Cloud this revokes the participant's tokens that were minted before now or within the next minute. A
        self-hosted LiveKit server revokes nothing: a token that is still valid lets the participant join again.
        """
        drivers.run(operations.remove(access(self._server), room, identity))

    def end(self, room: str) -> None:
        """Disconnects everyone and deletes the room. A room that does not exist is success.

        Tokens are revoked as by `remove`, but not those of participants who have never joined: their next join creates the
        room again.
        """
        drivers.run(operations.end_room(access(self._server), room))

    def end_older_than(self, age: timedelta | float, prefix: str, *, dry_run: bool = False) -> EndedRooms:
        """Ends every room that is older and whose name has the prefix: the upper limit for the length of a call.

        LiveKit has no such limit. Run this regularly; it needs no store, and any number of replicas may run it at once.
        A room that cannot be ended does not stop the others. This takes at most 8 seconds for each room.

        Args:
            age: a `timedelta` or seconds, since the room was created.
            prefix: how the names of the rooms begin. Not empty: an unset variable must not end every call.
            dry_run: end nothing, and return the names of the rooms that would be ended.
        """
        return drivers.run(operations.end_older_than(access(self._server), age, prefix, dry_run=dry_run))


class AsyncRooms(Sealed):
    """The rooms of a server's LiveKit project: `server.rooms` of a `MossVoiceServer`.

    The same as `Rooms`, with coroutines, under asyncio and trio, on any number of event loops.
    """

    def __init__(self, server: MossVoiceServer) -> None:
        self._server = server

    async def list(self, names: Iterable[str] | None = None) -> tuple[Room, ...]:
        """The rooms that exist now. See `Rooms.list`."""
        return await drivers.run_async(operations.list_rooms(access(self._server), names))

    async def participants(self, room: str) -> tuple[Participant, ...]:
        """The participants in a room, agents included. See `Rooms.participants`."""
        return await drivers.run_async(operations.list_participants(access(self._server), room))

    async def ensure_agent(
        self,
        room: str,
        agent: str | None = None,
        *,
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        wait: timedelta | float | None = None,
    ) -> Dispatch:
        """Makes sure that exactly one dispatch of the agent is live in the room. See `Rooms.ensure_agent`."""
        wanted = agents.wanted(room, agent, self._server.get_agent_name, metadata, attributes, wait)
        return await drivers.run_async(agents.ensure(access(self._server), wanted))

    async def remove(self, room: str, identity: str) -> None:
        """Disconnects a participant. See `Rooms.remove`."""
        await drivers.run_async(operations.remove(access(self._server), room, identity))

    async def end(self, room: str) -> None:
        """Disconnects everyone and deletes the room. See `Rooms.end`."""
        await drivers.run_async(operations.end_room(access(self._server), room))

    async def end_older_than(self, age: timedelta | float, prefix: str, *, dry_run: bool = False) -> EndedRooms:
        """Ends every room that is older and whose name has the prefix. See `Rooms.end_older_than`."""
        return await drivers.run_async(operations.end_older_than(access(self._server), age, prefix, dry_run=dry_run))
