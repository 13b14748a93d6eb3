"""Claims in words: rows out of claims, for a given time."""

from __future__ import annotations

from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._cli._claims import Row, decode, describe

NOON = 1_800_000_000  # 2027-01-15 08:00:00 UTC


def test_rows_of_a_token() -> None:
    """Every claim of a token is a row, in the token's order, times both absolute and relative, grants in words."""
    server = MossVoiceServerSync.from_livekit("ws://127.0.0.1:7880", "key", "s" * 32)
    claims = decode(server.create_participant_token(ParticipantInfo("user-42", name="Zoë"), "room"))

    assert [
        Row("iss", "key", "API key"),
        Row("nbf", "2027-01-15 08:00:00 UTC", "valid from now on"),
        Row("exp", "2027-01-15 08:15:00 UTC", "expires in 15 minutes"),
        Row("sub", "user-42", "identity: who joins"),
        Row("video", "", ""),
        Row("  roomJoin", "true", "may join"),
        Row("  canPublish", "true", "may send audio, video"),
        Row("  canSubscribe", "true", "may hear and see"),
        Row("  canPublishData", "true", "may send data"),
        Row("  room", "room", "this room only"),
        Row("name", "Zoë", "shown to the others"),
    ] == list(describe({**claims, "nbf": NOON, "exp": NOON + 900}, NOON + 0.4))


@pytest.mark.parametrize(
    ("claim", "offset", "words"),
    [
        ("nbf", 0, "valid from now on"),
        ("nbf", -120, "valid since 2 minutes"),
        ("nbf", 7200, "valid in 2 hours"),
        ("exp", 60, "expires in 60 seconds"),
        ("exp", 119, "expires in 2 minutes"),
        ("exp", 3600, "expires in 60 minutes"),
        ("exp", 86400, "expires in 24 hours"),
        ("exp", 1, "expires now"),
        ("exp", -2, "expired 2 seconds ago"),
        ("exp", -5400, "expired 2 hours ago"),
    ],
)
def test_times(claim: str, offset: int, words: str) -> None:
    """A time is told in the largest unit of which there are two."""
    assert [words] == [row.words for row in describe({claim: NOON + offset}, NOON)]


@pytest.mark.parametrize(
    ("claims", "rows"),
    [
        (
            {"video": {"canPublish": False}},
            [Row("video", "", ""), Row("  canPublish", "false", "sends no audio, video")],
        ),
        ({"attributes": {"a": "ü"}}, [Row("attributes", "", ""), Row("  a", "ü", "")]),
        ({"unknown": [1, {"a": None}]}, [Row("unknown", '[1, {"a": null}]', "")]),
    ],
    ids=["refused grant", "attributes", "unknown"],
)
def test_other_claims(claims: dict[str, Any], rows: list[Row]) -> None:
    """What is refused is said so; what is not known is shown as it is."""
    assert rows == list(describe(claims, NOON))
