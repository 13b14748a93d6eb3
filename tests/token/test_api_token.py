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
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import ApiGrants
from tests.support.tokens import API_KEY, API_SECRET, URL, claims, header

SERVER = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
FLAGS = [each.name for each in fields(ApiGrants) if each.name != "room"]


def expected(grants: ApiGrants) -> dict[str, Any]:
    """livekit-api's claims for the same grants, without the times."""
    flags: dict[str, Any] = {name: getattr(grants, name) or None for name in FLAGS if not name.startswith("sip")}
    video = VideoGrants(room=grants.room or "", **flags)
    token = AccessToken(API_KEY, API_SECRET).with_grants(video)
    if grants.sip_admin or grants.sip_call:
        token = token.with_sip_grants(SIPGrants(grants.sip_admin, grants.sip_call))
    return without_times(token.to_jwt())


def without_times(token: str) -> dict[str, Any]:
    """The claims without `nbf` and `exp`."""
    return {name: value for name, value in claims(token).items() if name not in ("nbf", "exp")}


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"room": st.sampled_from(["lobby", 'quo"te', "é\u2028"])} | dict.fromkeys(FLAGS, st.booleans())
    )
)
def test_claims_are_those_of_livekit_api(arguments: dict[str, Any]) -> None:
    """Any grants: the same claims, the same header, a signature that both verifiers accept."""
    token = SERVER.create_api_token(ApiGrants(**arguments))

    assert without_times(token) == expected(ApiGrants(**arguments))
    assert header(token) == {"alg": "HS256", "typ": "JWT"}
    verified = TokenVerifier(API_KEY, API_SECRET).verify(token)
    assert verified.video is not None
    assert verified.video.room == arguments["room"]
    assert jwt.decode(token, API_SECRET, algorithms=["HS256"], issuer=API_KEY) == claims(token)


def test_grants_without_a_room() -> None:
    """Without a room there is no claim for one."""
    grants = ApiGrants(room_list=True, room_create=True)

    assert without_times(SERVER.create_api_token(grants)) == expected(grants)


@pytest.mark.parametrize("server_class", [MossVoiceServer, MossVoiceServerSync])
def test_both_classes_create_api_tokens(server_class: Any) -> None:
    """A plain method in either class, valid for a minute by default."""
    token = server_class.from_livekit(URL, API_KEY, API_SECRET).create_api_token(ApiGrants(room_list=True))

    assert claims(token)["exp"] - claims(token)["nbf"] in (60, 61)


def test_ttl_within_its_range() -> None:
    """10 seconds to 10 minutes."""
    ttl: Any
    for ttl in [10, 600, timedelta(seconds=10), timedelta(minutes=10)]:
        token = SERVER.create_api_token(ApiGrants(room_list=True), ttl=ttl)
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl

        assert claims(token)["exp"] - claims(token)["nbf"] in (seconds, seconds + 1)


def test_ttl_that_is_refused() -> None:
    """Everything else is refused by name."""
    ttl: Any
    for ttl in [9.9, 601, 0, -1, True, None, "60", float("nan"), timedelta(hours=1)]:
        with pytest.raises(InvalidArgument) as caught:
            SERVER.create_api_token(ApiGrants(room_list=True), ttl=ttl)

        assert caught.value.field == "ttl"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"room_admin": True}, "room"),
    ({"room_admin": True, "room": ""}, "room"),
    ({"room_admin": True, "room": "  "}, "room"),
    ({"room": "a\nb"}, "room"),
    ({"room": "x" * 257}, "room"),
    ({"room": 7}, "room"),
    *(({name: value}, name) for name in FLAGS for value in (1, None, "true")),
]


def test_grants_that_are_refused() -> None:
    """A wrong type, a room that LiveKit would refuse, and `room_admin` without a room."""
    for arguments, field in REFUSED:
        with pytest.raises(InvalidArgument) as caught:
            ApiGrants(**arguments)

        assert caught.value.field == field


def test_grants_of_another_type_are_refused() -> None:
    """Only an `ApiGrants` is signed."""
    grants: Any
    for grants in [None, {"room_list": True}, VideoGrants(room_list=True), ApiGrants]:
        with pytest.raises(InvalidArgument) as caught:
            SERVER.create_api_token(grants)

        assert caught.value.field == "grants"
