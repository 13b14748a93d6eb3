"""The table of claims: rows out of claims, for a given time."""

from __future__ import annotations

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._cli._claims_table import Row, describe
from moss_voice_server._jwt import read

NOON = 1_800_000_000  # 2027-01-15 08:00:00 UTC


def test_rows_of_a_token() -> None:
    """Every claim of a token is a row, in the token's order, times both absolute and relative, grants in words."""
    server = MossVoiceServerSync.from_livekit("ws://127.0.0.1:7880", "key", "s" * 32)
    claims = read(server.create_participant_token(ParticipantInfo("user-42", name="Zoë"), "room")).claims
    claims = {**claims, "nbf": NOON, "exp": NOON + 900, "unknown": [1, {"a": None}]}
    claims["video"]["canPublish"] = False

    assert [
        Row("iss", "key", "API key"),
        Row("nbf", "2027-01-15 08:00:00 UTC", "valid now"),
        Row("exp", "2027-01-15 08:15:00 UTC", "expires in 15 minutes"),
        Row("sub", "user-42", "identity: who joins"),
        Row("video", "", ""),
        Row("  roomJoin", "true", "can join"),
        Row("  canPublish", "false", "cannot publish"),
        Row("  canSubscribe", "true", "can hear and see others"),
        Row("  canPublishData", "true", "can send data"),
        Row("  room", "room", "only this room"),
        Row("name", "Zoë", "display name"),
        Row("unknown", '[1, {"a": null}]', ""),
    ] == list(describe(claims, NOON + 0.4))


def test_times() -> None:
    """Times are relative to now."""
    for claim, offset, words in [
        ("nbf", 0, "valid now"),
        ("nbf", -120, "became valid 2 minutes ago"),
        ("nbf", 7200, "valid in 2 hours"),
        ("exp", 119, "expires in 119 seconds"),
        ("exp", 1, "expires now"),
        ("exp", -2, "expired 2 seconds ago"),
        ("exp", -3 * 365 * 86400, "expired 3 years ago"),
    ]:
        assert [words] == [row.meaning for row in describe({claim: NOON + offset}, NOON)]
