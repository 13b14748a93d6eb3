"""LiveKitApi: what LiveKit's server API answers about rooms, participants and dispatches that exist in memory only."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

from .. import _jwt
from .._secret import Secret
from ._request import RecordedRequest
from ._response import MockResponse

_PREFIX = "/twirp/livekit."
_ROOM = "RoomService/"
_DISPATCH = "AgentDispatchService/"


@dataclass(eq=False)
class FakeRoom:
    """A room and who is in it, as LiveKit's JSON."""

    fields: dict[str, Any]
    participants: dict[str, dict[str, Any]] = field(default_factory=dict)
    dispatches: dict[str, dict[str, Any]] = field(default_factory=dict)


class TwirpError(Exception):
    """An error response of LiveKit's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = MockResponse(status, json={"code": code, "msg": message})


class LiveKitApi:
    """A LiveKit project in memory; a request in, a response out. Safe from any thread."""

    def __init__(self, keys: Secret[dict[str, str]], agents: set[str], clock: Callable[[], float]) -> None:
        self.keys = keys
        self.agents = agents
        self.clock = clock
        self.lock = threading.RLock()
        self.rooms: dict[str, FakeRoom] = {}
        self._methods: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
            f"{_ROOM}CreateRoom": (self._create_room, "roomCreate"),
            f"{_ROOM}DeleteRoom": (self._delete_room, "roomCreate"),
            f"{_ROOM}ListRooms": (self._list_rooms, "roomList"),
            f"{_ROOM}ListParticipants": (self._list_participants, "roomAdmin"),
            f"{_ROOM}RemoveParticipant": (self._remove_participant, "roomAdmin"),
            f"{_DISPATCH}CreateDispatch": (self._create_dispatch, "roomAdmin"),
            f"{_DISPATCH}ListDispatch": (self._list_dispatch, "roomAdmin"),
            f"{_DISPATCH}DeleteDispatch": (self._delete_dispatch, "roomAdmin"),
        }

    def respond(self, request: RecordedRequest) -> MockResponse:
        date = {"Date": formatdate(self.clock(), usegmt=True)}
        try:
            method, grant = self._methods.get(request.path.removeprefix(_PREFIX), (None, ""))
            if method is None or request.method != "POST":
                raise TwirpError(404, "bad_route", f"no handler for path {request.path!r}")
            fields = json.loads(request.body)
            self._authorize(request, grant, fields.get("room"))
            with self.lock:
                return MockResponse(json=method(fields), headers=date)
        except TwirpError as error:
            return replace(error.response, headers=date)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            return MockResponse(
                400, json={"code": "malformed", "msg": "the json request could not be decoded"}, headers=date
            )

    def _authorize(self, request: RecordedRequest, grant: str, room: Any) -> None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        try:
            token = _jwt.read(text)
        except _jwt.InvalidToken:
            raise TwirpError(401, "unauthenticated", "invalid authorization token") from None
        secret = self.keys.reveal().get(str(token.claims.get("iss")))
        signed = scheme == "Bearer" and secret is not None and _jwt.is_signed(token, secret)
        if not signed or not token.claims.get("nbf", 0) - 60 <= self.clock() < token.claims.get("exp", 0) + 60:
            raise TwirpError(401, "unauthenticated", "invalid authorization token")
        video = token.claims.get("video", {})
        if video.get(grant) is not True or (grant == "roomAdmin" and video.get("room") != room):
            raise TwirpError(401, "unauthenticated", "permissions denied")

    def room(self, name: str, agents: list[dict[str, Any]] | None = None, **fields: Any) -> FakeRoom:
        """The room; created if it does not exist, with these agents, or with an automatic dispatch."""
        with self.lock:
            if name not in self.rooms:
                now = self.clock()
                self.rooms[name] = FakeRoom(
                    {
                        "sid": f"RM_{secrets.token_hex(6)}",
                        "name": name,
                        "creation_time": str(int(now)),
                        "creation_time_ms": str(int(now * 1000)),
                        "turn_password": secrets.token_hex(16),
                        "metadata": "",
                        **fields,
                    }
                )
                for agent in agents or [{}]:
                    self.dispatch(name, agent)
            return self.rooms[name]

    def participant(self, room: str, identity: str, **fields: Any) -> dict[str, Any]:
        """A participant who joins the room now."""
        with self.lock:
            joined = {
                "sid": f"PA_{secrets.token_hex(6)}",
                "identity": identity,
                "state": "ACTIVE",
                "kind": "STANDARD",
                "name": "",
                "metadata": "",
                "attributes": {},
                "joined_at": str(int(self.clock())),
                **fields,
            }
            self.room(room).participants[identity] = joined
            return joined

    def dispatch(self, room: str, agent: dict[str, Any]) -> dict[str, Any]:
        """A new dispatch; where a worker has the agent's name, the agent joins at once."""
        with self.lock:
            ad, now = f"AD_{secrets.token_hex(6)}", str(int(self.clock() * 1e9))
            name, jobs = str(agent.get("agent_name", "")), []
            if name in self.agents:
                identity = f"agent-{secrets.token_hex(6)}"
                attributes = {"lk.agent_name": name} if name else {}
                self.participant(room, identity, kind="AGENT", attributes=attributes)
                state = {"status": "JS_RUNNING", "started_at": now, "participant_identity": identity}
                jobs = [{"id": f"AJ_{secrets.token_hex(6)}", "dispatch_id": ad, "state": state}]
            created = {
                "id": ad,
                "agent_name": name,
                "room": room,
                "metadata": agent.get("metadata", ""),
                "attributes": agent.get("attributes", {}),
                "state": {"jobs": jobs, "created_at": now, "deleted_at": "0"},
            }
            self.rooms[room].dispatches[ad] = created
            return created

    def _create_room(self, fields: dict[str, Any]) -> dict[str, Any]:
        return _shown(self.room(fields["name"], fields.get("agents"), metadata=fields.get("metadata", "")))

    def _delete_room(self, fields: dict[str, Any]) -> dict[str, Any]:
        if self.rooms.pop(fields["room"], None) is None:
            raise TwirpError(404, "not_found", "requested room does not exist")
        return {}

    def _list_rooms(self, fields: dict[str, Any]) -> dict[str, Any]:
        names = fields.get("names") or list(self.rooms)
        return {"rooms": [_shown(self.rooms[name]) for name in names if name in self.rooms]}

    def _list_participants(self, fields: dict[str, Any]) -> dict[str, Any]:
        room = self.rooms.get(fields["room"])
        return {"participants": list(room.participants.values()) if room else []}

    def _remove_participant(self, fields: dict[str, Any]) -> dict[str, Any]:
        room = self.rooms.get(fields["room"])
        if room is None or room.participants.pop(fields["identity"], None) is None:
            raise TwirpError(404, "not_found", "participant does not exist")
        return {}

    def _create_dispatch(self, fields: dict[str, Any]) -> dict[str, Any]:
        self.room(fields["room"])
        return self.dispatch(fields["room"], fields)

    def _list_dispatch(self, fields: dict[str, Any]) -> dict[str, Any]:
        room = self.rooms.get(fields["room"])
        if room is None:
            raise TwirpError(503, "unavailable", "no response from servers")
        return {"agent_dispatches": list(room.dispatches.values())}

    def _delete_dispatch(self, fields: dict[str, Any]) -> dict[str, Any]:
        room = self.rooms.get(fields["room"])
        deleted = room.dispatches.pop(fields["dispatch_id"], None) if room else None
        if room is None or deleted is None:
            raise TwirpError(404, "not_found", "dispatch ID not found")
        for job in deleted["state"]["jobs"]:
            room.participants.pop(job["state"]["participant_identity"], None)
        return deleted


def _shown(room: FakeRoom) -> dict[str, Any]:
    return {**room.fields, "num_participants": len(room.participants), "num_publishers": 0}


def error_body(status: int) -> dict[str, str]:
    """The JSON body of an error that is queued without one."""
    return {"code": "unavailable" if status >= 500 else "unknown", "msg": ""}
