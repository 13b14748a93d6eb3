"""From the Moss API to LiveKit: tokens of fetched credentials are accepted, also during and after a rotation."""

from __future__ import annotations

from pathlib import Path

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.livekit.signalling import refused_status

pytestmark = pytest.mark.livekit

ADA = ParticipantInfo("user-42", "Ada")


def test_no_participant_is_refused_during_a_rotation(livekit_binary: Path, room: str) -> None:
    """While LiveKit knows the old and the new keys, tokens from before and after `refresh()` are accepted. Then only the
    new ones are, on the same URL.
    """
    with (
        LiveKitServer(livekit_binary) as livekit,
        FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret) as moss,
        MossVoiceServerSync.create(**moss.arguments) as voice,
    ):
        url, pid, before = livekit.url, livekit.pid, voice.create_participant_token(ADA, room)
        old = {livekit.api_key: livekit.api_secret}
        rotated = moss.rotate()
        new = {rotated["voice_agent_api_key"]: rotated["voice_agent_api_secret"]}
        livekit.restart(keys=old | new)
        not_yet = voice.create_participant_token(ADA, room)
        voice.refresh()
        after = voice.create_participant_token(ADA, room)
        assert [0, 0, 0] == [refused_status(url, token) for token in (before, not_yet, after)]

        livekit.restart(keys=new)
        assert [401, 401, 0] == [refused_status(url, token) for token in (before, not_yet, after)]
        assert (url, *new.items()) == (livekit.url, (livekit.api_key, livekit.api_secret))
        assert pid != livekit.pid
