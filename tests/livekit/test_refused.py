"""Tokens that LiveKit's server rejects or misreads, and our errors for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from moss_voice_server.testing import LiveKitServer
from tests.livekit.server_api import call, signed, validate
from tests.livekit.signalling import join, refused_status

pytestmark = pytest.mark.livekit


def minted(voice: MossVoiceServerSync, room: str = "room") -> dict[str, Any]:
    """The claims of a token of ours, to be changed and signed again."""
    token = voice.create_participant_token(ParticipantInfo("user-42"), room, ttl=timedelta(minutes=1))
    return jwt.decode(token, options={"verify_signature": False})


# LiveKit forgives 60 s of difference between clocks, for both ends; these are well on one side of it.
TIMES = {
    "valid now": ((-1, +60), 200),
    "expired, within the leeway": ((-120, -30), 200),
    "expired": ((-300, -120), 401),
    "not yet valid, within the leeway": ((+30, +600), 200),
    "not yet valid": ((+300, +600), 401),
}


@pytest.mark.parametrize(("span", "expected"), TIMES.values(), ids=TIMES.keys())
def test_token_counts_in_its_time_only(
    span: tuple[int, int], expected: int, livekit_server: LiveKitServer, voice: MossVoiceServerSync
) -> None:
    """An expired or not yet valid token is refused, to either side of LiveKit's leeway of 60 s."""
    now = int(time.time())
    token = signed(livekit_server, minted(voice), nbf=now + span[0], exp=now + span[1])

    assert expected == validate(livekit_server, token)[0]
    assert (0 if expected == 200 else expected) == refused_status(livekit_server.url, token)


BAD_TOKENS: dict[str, tuple[dict[str, str], str]] = {
    "another secret": ({"api_secret": "another-secret" * 3}, "signature is invalid"),
    "an unknown key": ({"api_key": "APIunknown"}, "invalid API key"),
    "changed claims": ({}, "invalid token"),
}


@pytest.mark.parametrize(("changes", "text"), BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_bad_token_is_rejected(changes: dict[str, str], text: str, livekit_server: LiveKitServer) -> None:
    """A token with another secret, key or payload gets 401."""
    server = livekit_server
    keys = {"url": server.url, "api_key": server.api_key, "api_secret": server.api_secret, **changes}
    voice = MossVoiceServerSync.from_livekit(**keys)
    token, other = (voice.create_participant_token(ParticipantInfo(who), "room") for who in ("user-42", "admin"))
    if not changes:
        header, _, signature = token.split(".")
        token = f"{header}.{other.split('.')[1]}.{signature}"

    status, said = validate(server, token)
    assert (401, True) == (status, not changes or text in said)
    assert 401 == refused_status(server.url, token)


def mint(**arguments: Any) -> Callable[[MossVoiceServerSync], str]:
    """A call of `create_participant_token` with these arguments."""
    call = {"participant": ParticipantInfo("user-42"), "room_name": "room", **arguments}
    return lambda voice: voice.create_participant_token(**call)


# What to call, the field that our error names, the claims that such a token would have, and LiveKit's answer to them.
REFUSED: dict[str, tuple[Callable[[MossVoiceServerSync], str], str, dict[str, Any], int]] = {
    "empty identity": (mint(participant=ParticipantInfo("")), "identity", {"sub": ""}, 400),
    "identity over 256 bytes": (mint(participant=ParticipantInfo("é" * 129)), "identity", {"sub": "é" * 129}, 400),
    "empty room": (mint(room_name=""), "room_name", {"video": {"roomJoin": True, "room": ""}}, 400),
    "room over 256 bytes": (
        mint(room_name="é" * 129),
        "room_name",
        {"video": {"roomJoin": True, "room": "é" * 129}},
        400,
    ),
    "metadata that is no text": (
        mint(participant=ParticipantInfo("user-42", metadata={"plan": "gold"})),  # type: ignore[arg-type]
        "metadata",
        {"metadata": {"plan": "gold"}},
        401,
    ),
    "attribute that is no text": (
        mint(participant=ParticipantInfo("user-42", attributes={"level": 3})),  # type: ignore[dict-item]
        "attributes['level']",
        {"attributes": {"level": 3}},
        401,
    ),
    "attributes that are no mapping": (
        mint(participant=ParticipantInfo("user-42", attributes=["level"])),  # type: ignore[arg-type]
        "attributes",
        {"attributes": ["level"]},
        401,
    ),
    "metadata over 512 KiB": (
        mint(participant=ParticipantInfo("user-42", metadata="m" * (512 * 1024 + 1))),
        "metadata",
        {"metadata": "m" * (512 * 1024 + 1)},
        500,
    ),
    "attributes over 64 KiB": (
        mint(participant=ParticipantInfo("user-42", attributes={"key": "v" * (64 * 1024 - 2)})),
        "attributes",
        {"attributes": {"key": "v" * (64 * 1024 - 2)}},
        500,
    ),
}


@pytest.mark.parametrize(("call_ours", "field", "claims", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_server_rejects_the_same_values(
    call_ours: Callable[[MossVoiceServerSync], str],
    field: str,
    claims: dict[str, Any],
    expected: int,
    livekit_server: LiveKitServer,
    voice: MossVoiceServerSync,
) -> None:
    """The server rejects, later and with less detail, the values that our library rejects."""
    with pytest.raises(InvalidArgument) as refused:
        call_ours(voice)
    token = signed(livekit_server, minted(voice), **claims)

    assert field == refused.value.field
    assert expected == refused_status(livekit_server.url, token)


def test_lone_surrogate(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """LiveKit reads half a surrogate pair as U+FFFD, so that two users could become one: our library rejects it."""
    with pytest.raises(InvalidArgument) as refused:
        voice.create_participant_token(ParticipantInfo("user-\ud83c"), room)
    token = signed(livekit_server, minted(voice, room), sub="user-\ud83c")

    assert "identity" == refused.value.field
    with join(livekit_server.url, token) as signal:
        assert "user-\ufffd" == signal.joined.participant.identity


def test_attribute_that_is_none(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """LiveKit reads an attribute that is None as an empty text: our library rejects it."""
    with pytest.raises(InvalidArgument) as refused:
        voice.create_participant_token(ParticipantInfo("user-42", attributes={"plan": None}), room)  # type: ignore[dict-item]
    token = signed(livekit_server, minted(voice, room), attributes={"plan": None})

    assert "attributes['plan']" == refused.value.field
    with join(livekit_server.url, token) as signal:
        assert {"plan": ""} == dict(signal.joined.participant.attributes)


@pytest.mark.parametrize("source", ["MICROPHONE", "mic", "unknown"])
def test_misspelled_source(source: str, livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """A publish source that LiveKit does not know, or in capitals, matches no track: our library rejects it."""
    with pytest.raises(InvalidArgument) as refused:
        ParticipantGrants(can_publish_sources=(source,))
    claims = minted(voice, room)
    claims["video"]["canPublishSources"] = [source]

    assert "can_publish_sources" == refused.value.field
    with join(livekit_server.url, signed(livekit_server, claims)) as signal:
        signal.ask(add_track={"cid": "1", "source": "MICROPHONE"})
        answer = signal.wait_for("track_published", "request_response")
    assert "request_response" == answer.WhichOneof("message")


@pytest.mark.parametrize("deployment", ["blue_green", "blue green", "b" * 65])
def test_bad_deployment(deployment: str, livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """LiveKit silently drops a dispatch with a bad deployment name: our library rejects it."""
    with pytest.raises(InvalidArgument) as refused:
        AgentDispatch("agent", deployment=deployment)
    agents = [{"agentName": "agent", "deployment": deployment}]
    token = signed(livekit_server, minted(voice, room), roomConfig={"agents": agents})

    assert "deployment" == refused.value.field
    with join(livekit_server.url, token):
        assert {"agent_dispatches": []} == call(livekit_server, "AgentDispatchService", "ListDispatch", room)
