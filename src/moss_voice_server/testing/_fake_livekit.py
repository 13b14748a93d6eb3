"""FakeLiveKit: LiveKit's server API for tests, with rooms in memory; it serves no calls and needs no LiveKit server."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moss_voice_server._secret import Secret
from moss_voice_server._token.signing import Signer

from ._fake_server import FakeServer
from ._livekit_api import LiveKitApi, error_body
from ._livekit_config import random_keys


class FakeLiveKit(FakeServer):
    """LiveKit's server API on a loopback port, from `start` (or `with`) to `close`::

        with FakeLiveKit(agents=["support-agent"]) as livekit:
            server = MossVoiceServerSync.from_livekit(livekit.url, livekit.api_key, livekit.api_secret, "support-agent")
            livekit.join("support-1", "user-42")
            server.rooms.ensure_agent("support-1")
            server.rooms.end("support-1")
            assert livekit.rooms == ()

    It checks tokens and grants as LiveKit does. It returns LiveKit's own errors, or queued responses.

    Keyword arguments:
        agents: the names of the agents whose workers run: a dispatch brings the agent into the room at once. `""` is the
            unnamed worker.
        api_key, api_secret: the project's key and secret; random by default.
        clock: seconds since 1970, for the times of rooms and dispatches and for the validity of tokens;
            `None`: the `time` module's.
    """

    def __init__(
        self,
        *,
        agents: Iterable[str] = (),
        api_key: str | None = None,
        api_secret: str | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        # `time.time` is looked up at each call, for tools that freeze the time.
        clock = clock or (lambda: time.time())  # noqa: PLW0108
        self._api = LiveKitApi(Secret(random_keys(api_key, api_secret)), set(agents), clock)
        super().__init__(self._api.respond, error_body, time.monotonic)

    @property
    def url(self) -> str:
        """The LiveKit URL, with its loopback port. It raises RuntimeError before the first start."""
        if not self._port:
            raise RuntimeError("FakeLiveKit has no URL yet: use `with FakeLiveKit() as livekit:`, or call start()")
        return f"ws://127.0.0.1:{self._port}"

    @property
    def api_key(self) -> str:
        """The API key."""
        return next(iter(self._api.keys.reveal()))

    @property
    def api_secret(self) -> str:
        """The API secret."""
        return next(iter(self._api.keys.reveal().values()))

    def rotate(self, api_key: str | None = None, api_secret: str | None = None) -> None:
        """Replace key and secret: the old ones are rejected from now on. Random unless given."""
        self._api.keys = Secret(random_keys(api_key, api_secret))

    def add_room(self, name: str, *, created_at: float | None = None, metadata: str = "") -> None:
        """Create a room; `created_at` in seconds since 1970, by default now."""
        now = self._api.clock() if created_at is None else created_at
        created: dict[str, Any] = {"creation_time": str(int(now)), "creation_time_ms": str(int(now * 1000))}
        self._api.room(name, metadata=metadata, **created)

    def join(
        self,
        room: str,
        identity: str,
        *,
        kind: str = "standard",
        name: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Put a participant into a room, which is created if it does not exist."""
        fields = {"kind": kind.upper(), "name": name, "metadata": metadata, "attributes": dict(attributes or {})}
        self._api.participant(room, identity, **fields)

    def leave(self, room: str, identity: str) -> None:
        """Take a participant out of a room, as when a client or an agent disconnects."""
        with self._api.lock:
            self._api.rooms[room].participants.pop(identity, None)

    @property
    def rooms(self) -> tuple[str, ...]:
        """The names of the rooms that exist."""
        with self._api.lock:
            return tuple(self._api.rooms)

    def participants(self, room: str) -> tuple[str, ...]:
        """The identities of those in a room; empty for a room that does not exist."""
        with self._api.lock:
            return tuple(self._api.rooms[room].participants) if room in self._api.rooms else ()

    def dispatches(self, room: str) -> tuple[str, ...]:
        """The agent names of the room's dispatches; `""` is an automatic one."""
        with self._api.lock:
            found = self._api.rooms[room].dispatches.values() if room in self._api.rooms else ()
            return tuple(str(each["agent_name"]) for each in found)

    def webhook(self, event: str, room: str = "", identity: str = "") -> tuple[bytes, str]:
        """The body and the Authorization header of a webhook request, signed as LiveKit signs it.

        Args:
            event: `room_started`, `participant_joined`, …
            room: the name of the event's room; empty for none.
            identity: the identity of the event's participant; empty for none.
        """
        now = int(self._api.clock())
        fields: dict[str, object] = {"event": event, "id": f"EV_{secrets.token_hex(6)}", "createdAt": str(now)}
        if room:
            fields["room"] = {"sid": f"RM_{secrets.token_hex(6)}", "name": room, "turnPassword": secrets.token_hex(16)}
        if identity:
            fields["participant"] = {"identity": identity, "state": "ACTIVE", "kind": "STANDARD"}
        body = json.dumps(fields).encode()
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        claims = {"iss": self.api_key, "nbf": now, "exp": now + 300, "sha256": digest}
        return body, Signer(self.api_key, Secret(self.api_secret)).sign(json.dumps(claims).encode())

    @property
    def calls(self) -> tuple[str, ...]:
        """The methods that were called, such as `CreateRoom`, oldest first."""
        return tuple(request.path.rpartition("/")[2] for request in self.requests)

    def __repr__(self) -> str:
        state = self.url if self._is_started else "not started"
        return f"<FakeLiveKit {state}, {len(self.rooms)} rooms, {len(self.requests)} requests>"
