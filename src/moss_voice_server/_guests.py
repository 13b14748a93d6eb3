"""Guests: an `authorize` for endpoints without authentication."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from ._admission import Admission, AllowedRooms
from ._random import new_guest
from ._validation import label
from .errors import InvalidArgument
from .grants import AgentDispatch, ParticipantGrants, ParticipantInfo
from .identity import client_address

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .endpoint import TokenRequest


class AdmissionOptions(TypedDict, total=False):
    """The arguments of `Admission` that `allow_guests` takes."""

    room_prefix: str
    allowed_rooms: AllowedRooms
    agents: Collection[AgentDispatch | str] | None
    allowed_agents: Collection[str]
    client_may_set: Collection[str]
    ttl: timedelta | float
    grants: ParticipantGrants | None
    rate_limit_key: str | None


def allow_guests(
    name: str | None = None, **admission: Unpack[AdmissionOptions]
) -> Callable[[object, TokenRequest], Admission]:
    """An `authorize` that admits everyone, as `guest-` and 128 random bits, each in a new room. It logs a WARNING.

    Everyone on the internet can then use your agent's minutes. Set a `rate_limiter`, which counts guests by
    `client_address`, and consider what the agent can be made to do.

    Args:
        name: the display name of every guest.
        admission: the arguments of `Admission`, except `participant` and `room`.

    Raises:
        InvalidArgument: as `Admission`, at once and not at the first request.
    """
    for refused in ("room", "participant"):
        if refused in admission:
            raise InvalidArgument(
                f"guests cannot share one {refused}",
                field=refused,
                remedy=f"omit {refused}, or write your own authorize",
            )
    if name is not None:
        name = label("name", name, blank=True)
    Admission(ParticipantInfo("guest-0", name), **admission)
    logging.getLogger("moss_voice_server").warning(
        "GUESTS ARE ADMITTED: the token endpoint issues tokens to everyone, without authentication"
    )
    return Guests(name, dict(admission))


class Guests:
    """What `allow_guests` returns."""

    is_nonblocking = True

    def __init__(self, name: str | None, admission: dict[str, Any]) -> None:
        self._name = name
        self._admission = admission

    def __call__(self, request: object, token_request: TokenRequest, /) -> Admission:
        """Admits the next guest."""
        options = {"rate_limit_key": client_address(request), **self._admission}
        return Admission(ParticipantInfo(new_guest(), self._name), **options)
