"""By hand: a token for a new room with `livekit-api`, for all hand-written routes."""

from __future__ import annotations

import secrets
from datetime import timedelta

from livekit import api

from .session import KEY, SECRET, URL


def answer(identity: str, name: str) -> dict[str, str]:
    """A response with a token for a new room."""
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity(identity)
        .with_name(name)
        .with_ttl(timedelta(minutes=15))
        .with_grants(
            api.VideoGrants(
                room_join=True,
                room=f"room-{secrets.token_hex(16)}",
                can_publish=True,
                can_subscribe=True,
                can_publish_data=True,
            )
        )
        .to_jwt()
    )
    return {"server_url": URL, "participant_token": token}
