"""API tokens: the claims are livekit-api's for every set of grants, and PyJWT and livekit-api verify the signature."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.api import AccessToken, SIPGrants, TokenVerifier, VideoGrants

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.grants import ApiGrants
from tests.support.errors import refused
from tests.support.tokens import API_KEY, API_SECRET, URL, claims, header, untimed

SERVER = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
FLAGS = [each.name for each in fields(ApiGrants) if each.name != "room"]


def expected(grants: ApiGrants) -> dict[str, Any]:
    """livekit-api's claims for the same grants, without the times."""
    flags: dict[str, Any] = {name: getattr(grants, name) or None for name in FLAGS if not name.startswith("sip")}
    token = AccessToken(API_KEY, API_SECRET).with_grants(VideoGrants(room=grants.room or "", **flags))
    if grants.sip_admin or grants.sip_call:
        token = token.with_sip_grants(SIPGrants(grants.sip_admin, grants.sip_call))
    return untimed(token.to_jwt())


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"room": st.sampled_from(["lobby", 'quo"te', "é\u2028"])} | dict.fromkeys(FLAGS, st.booleans())
    )
)
def test_claims_are_those_of_livekit_api(arguments: dict[str, Any]) -> None:
    """Any grants: the same claims, the same header, a signature that both verifiers accept."""
    token = SERVER.create_api_token(ApiGrants(**arguments))

    assert untimed(token) == expected(ApiGrants(**arguments))
    assert header(token) == {"alg": "HS256", "typ": "JWT"}
    verified = TokenVerifier(API_KEY, API_SECRET).verify(token)
    assert verified.video is not None
    assert verified.video.room == arguments["room"]
    assert jwt.decode(token, API_SECRET, algorithms=["HS256"], issuer=API_KEY) == claims(token)


@pytest.mark.parametrize("server_class", [MossVoiceServer, MossVoiceServerSync])
def test_both_classes_create_api_tokens(server_class: Any) -> None:
    """A plain method in either class, valid for a minute by default; without a room there is no claim for one."""
    grants = ApiGrants(room_list=True, room_create=True)
    token = server_class.from_livekit(URL, API_KEY, API_SECRET).create_api_token(grants)

    assert claims(token)["exp"] - claims(token)["nbf"] in (60, 61)
    assert untimed(token) == expected(grants)


def test_ttl() -> None:
    """10 seconds to 10 minutes; everything else is refused by name."""
    ttl: Any
    for ttl, seconds in [(10, 10), (600, 600), (timedelta(seconds=10), 10), (timedelta(minutes=10), 600)]:
        token = SERVER.create_api_token(ApiGrants(room_list=True), ttl=ttl)
        assert claims(token)["exp"] - claims(token)["nbf"] in (seconds, seconds + 1)
    for ttl in [9.9, 601, True, None, "60", float("nan"), timedelta(hours=1)]:
        assert "ttl" == refused(SERVER.create_api_token, ApiGrants(room_list=True), ttl=ttl)[0]


REFUSED: list[tuple[dict[str, Any], str]] = [
    *(({"room_admin": True, "room": room}, "room") for room in (None, "", "  ")),
    *(({"room": room}, "room") for room in ("a\nb", "x" * 257, 7)),
    *(({name: value}, name) for name in FLAGS for value in (1, None, "true")),
]


def test_grants_that_are_refused() -> None:
    """A wrong type, a room that LiveKit would refuse, and `room_admin` without a room; only an `ApiGrants` is signed."""
    for arguments, field in REFUSED:
        assert field == refused(ApiGrants, **arguments)[0]
    for grants in [None, {"room_list": True}, VideoGrants(room_list=True), ApiGrants]:
        assert "grants" == refused(SERVER.create_api_token, grants)[0]
