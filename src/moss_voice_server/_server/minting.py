"""Minting: creates tokens with the cached credentials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._duration import timedelta
from .._secret import Sealed
from .._token.claims import API_DEFAULT_TTL, DEFAULT_TTL, payload
from .._validation import plain_str
from ..grants import AgentDispatch, ApiGrants, ConnectionDetails, ParticipantGrants, ParticipantInfo, RoomConfig

if TYPE_CHECKING:
    from .._clock import Clock
    from .._credentials.cache import CredentialsCache
    from .._credentials.model import Credentials, StaticCredentials


class Minter(Sealed):
    """Mints with the cached credentials and a clock."""

    _cache: CredentialsCache[Credentials] | StaticCredentials
    _clock: Clock

    def create_participant_token(
        self,
        participant: ParticipantInfo,
        room_name: str,
        agent_name: str | None = None,
        *,
        ttl: timedelta | float = DEFAULT_TTL,
        grants: ParticipantGrants | None = None,
        agents: Iterable[AgentDispatch | str] = (),
        room_config: RoomConfig | None = None,
    ) -> str:
        """Creates a signed token (JWT, HS256) with which one participant joins one room.

        Does no I/O, except where threads do not run between requests (AWS Lambda, Cloud Run, Azure Functions, uWSGI without
        threads): there a due refresh takes up to 2.5 seconds.

        Args:
            participant: who joins.
            room_name: the room, 1 to 256 bytes of UTF-8. LiveKit creates it when the first participant joins.
            agent_name: the agent to dispatch. `None` or `""`: LiveKit dispatches every unnamed worker (automatic
                dispatch). A named agent keeps unnamed workers out of the room.
            ttl: how long the token can be used to join, a `timedelta` or seconds, from 1 minute to 24 hours. It does not
                end a session: LiveKit refreshes the tokens of connected participants.
            grants: what the participant may do; `None`: publish, subscribe and send data.
            agents: more agents to dispatch, by name or as `AgentDispatch`, after `agent_name`.
            room_config: LiveKit's room configuration, a mapping in snake_case or a `livekit.protocol` message; its agents
                come last. LiveKit reads it, and all agents, only when the room is new.

        Raises:
            InvalidArgument: LiveKit would reject or misread this; `field` names what to correct.
            CredentialsNotLoaded: the server was constructed, and has not fetched its credentials yet.
            CredentialsUnavailable: the credentials expired, or the first refresh has not succeeded yet. A refresh has
                been started, unless one failed a moment ago; see `retry_after`.
            CredentialsRejected: the Moss API rejected the request repeatedly, or the latest one where none are usable.
            CredentialsInvalid: the latest response is not usable, and neither are the cached credentials.

        Source: livekit.io docs, "Tokens & grants"; livekit/protocol `auth/grants.go`.
        """
        now = self._clock.time()
        wall, mono, credentials = self._cache.fast_path
        if credentials is None or now >= wall or self._clock.monotonic() >= mono:
            credentials = self._cache.get()
        signer = credentials.signer
        return signer.sign(
            payload(signer.head, now, participant, room_name, agent_name, ttl, grants, agents, room_config)
        )

    def create_connection_details(
        self,
        participant: ParticipantInfo,
        room_name: str,
        agent_name: str | None = None,
        *,
        ttl: timedelta | float = DEFAULT_TTL,
        grants: ParticipantGrants | None = None,
        agents: Iterable[AgentDispatch | str] = (),
        room_config: RoomConfig | None = None,
    ) -> ConnectionDetails:
        """A join token together with the URL that it is valid for, even while the credentials are rotated.

        Arguments and errors as for `create_participant_token`.
        """
        credentials, token = self._mint(participant, room_name, agent_name, ttl, grants, agents, room_config)
        return ConnectionDetails(credentials.url, token, plain_str(room_name) or "", plain_str(participant.name) or "")

    def _mint(
        self,
        participant: ParticipantInfo,
        room_name: str,
        agent_name: str | None,
        ttl: timedelta | float,
        grants: ParticipantGrants | None,
        agents: Iterable[AgentDispatch | str],
        room_config: RoomConfig | None = None,
    ) -> tuple[Credentials, str]:
        """A join token, and the credentials that it is signed with."""
        now = self._clock.time()
        credentials = self._usable(now)
        signer = credentials.signer
        return credentials, signer.sign(
            payload(signer.head, now, participant, room_name, agent_name, ttl, grants, agents, room_config)
        )

    def create_api_token(self, grants: ApiGrants, *, ttl: timedelta | float = API_DEFAULT_TTL) -> str:
        """A signed token for LiveKit's server API. Does I/O as little as `create_participant_token`.

        The token controls rooms: keep it in the backend, and do not return it to a client.

        Args:
            grants: what the token permits.
            ttl: how long it can be used, a `timedelta` or seconds, from 10 seconds to 10 minutes.

        Raises:
            InvalidArgument: `grants` is not an `ApiGrants`, or `ttl` is out of range.
            CredentialsError: as for `create_participant_token`.

        Source: livekit.io docs, "Server APIs"; livekit/protocol `auth/grants.go`.
        """
        from .._token.api_claims import api_payload

        now = self._clock.time()
        signer = self._usable(now).signer
        return signer.sign(api_payload(signer.head, now, grants, ttl))

    def _usable(self, now: float) -> Credentials:
        """The credentials to sign with; `create_participant_token` has the same lines inline, to save the call."""
        wall, mono, credentials = self._cache.fast_path
        if credentials is None or now >= wall or self._clock.monotonic() >= mono:
            credentials = self._cache.get()
        return credentials

    def get_server_url(self) -> str:
        """The LiveKit URL that clients connect to.

        Raises:
            CredentialsNotLoaded: the server has not fetched its credentials yet.
            CredentialsError: the first refresh failed or is in progress; as for `create_participant_token`.
        """
        return self._cache.peek().url

    def get_agent_name(self) -> str:
        """The voice agent's name; "" if a server with static credentials has none.

        Raises:
            CredentialsNotLoaded: the server has not fetched its credentials yet.
            CredentialsError: the first refresh failed or is in progress; as for `create_participant_token`.
        """
        return self._cache.peek().agent_name
