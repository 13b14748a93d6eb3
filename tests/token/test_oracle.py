"""For any request our claims are those of livekit-api, and livekit-api and PyJWT verify our tokens.

One difference is intended: with `can_publish=False` livekit-api still grants data, unless set otherwise. We follow the
LiveKit server, where data follows publishing.
"""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from livekit.api import AccessToken, TokenVerifier, VideoGrants

from moss_voice_server import ParticipantInfo
from moss_voice_server.grants import ParticipantGrants
from tests.support.token_requests import REQUESTS, SERVER, Request, theirs
from tests.support.tokens import API_KEY, API_SECRET, claims, header, untimed

pytestmark = pytest.mark.once


def both(request: Request) -> tuple[str, str]:
    """Our token and theirs, made within the same second."""
    while True:
        second = int(time.time())
        pair = request.mint(), theirs(request)
        if second == int(time.time()):
            return pair


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(REQUESTS)
def test_token_is_that_of_livekit_api(request: Request) -> None:
    """Any request makes the claims of livekit-api, times included; livekit-api and PyJWT verify the token."""
    mine, other = both(request)
    assert claims(other) == claims(mine)
    assert header(other) == header(mine)
    # The room config as LiveKit's message.
    assert untimed(other) == untimed(request.mint(request.message))

    verifier = TokenVerifier(API_KEY, API_SECRET)
    assert verifier.verify(other) == verifier.verify(mine)
    assert request.participant.identity == verifier.verify(mine).identity
    for wrong in (TokenVerifier("APIother", API_SECRET), TokenVerifier(API_KEY, "x" * 40)):
        with pytest.raises(jwt.InvalidTokenError):
            wrong.verify(mine)

    required: Any = {"require": ["iss", "sub", "nbf", "exp"], "verify_signature": True, "strict_aud": True}
    who = request.participant.identity
    decoded = jwt.decode(mine, API_SECRET, algorithms=["HS256"], issuer=API_KEY, subject=who, options=required)
    assert claims(mine) == decoded
    assert request.seconds == decoded["exp"] - decoded["nbf"]


def test_intended_difference() -> None:
    """With `can_publish=False` livekit-api grants data; we do not, as in the LiveKit server."""
    their = AccessToken(API_KEY, API_SECRET).with_identity("user-42")
    their = their.with_grants(VideoGrants(room_join=True, room="lobby", can_publish=False))
    grants = ParticipantGrants(can_publish=False)
    mine = SERVER.create_participant_token(ParticipantInfo("user-42"), "lobby", grants=grants)

    granted = claims(their.to_jwt())["video"]
    assert granted["canPublishData"] is True
    assert {**granted, "canPublishData": False} == claims(mine)["video"]
