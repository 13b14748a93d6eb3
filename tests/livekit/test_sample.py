"""A sample of all requests: each token joins the real server, at the limits of its size too."""

from __future__ import annotations

from secrets import token_hex

import pytest
from hypothesis import HealthCheck, given, settings

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._token.claims import MAX_TOKEN
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch
from moss_voice_server.testing import LiveKitServer
from tests.livekit.server_api import validate
from tests.livekit.signalling import join
from tests.support.token_requests import REQUESTS, Request

pytestmark = [pytest.mark.livekit, pytest.mark.once]


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(request_=REQUESTS)
def test_every_accepted_token_joins(
    livekit_server: LiveKitServer, voice: MossVoiceServerSync, request_: Request
) -> None:
    """200 made-up requests: the server admits each participant, under the identity and into a room of that name."""
    room = f"{token_hex(8)}-{request_.room}"[:60]
    whole = request_._replace(room=room)
    assert validate(livekit_server, whole.mint(server=voice))[0] == 200
    # Without an egress service the server waits for one, for seconds, before it admits the participant.
    config = {name: value for name, value in (request_.room_config or {}).items() if name != "egress"}
    token = whole._replace(room_config=config if request_.room_config else None).mint(server=voice)
    with join(livekit_server.url, token) as signal:
        assert signal.joined.room.name == room
        assert signal.joined.participant.identity == request_.participant.identity


@pytest.mark.parametrize("size", [MAX_TOKEN - 2000, MAX_TOKEN + 2000])
def test_the_largest_token(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str, size: int) -> None:
    """A token just below our limit joins; one above it is refused before LiveKit could answer 431."""
    half = (size * 3 // 4 - 400) // 2
    agents = [AgentDispatch("one", "x" * half), AgentDispatch("two", "x" * half)]
    if size > MAX_TOKEN:
        with pytest.raises(InvalidArgument) as caught:
            voice.create_participant_token(ParticipantInfo("ada"), room, agents=agents)
        assert caught.value.field == "agents"
        return
    token = voice.create_participant_token(ParticipantInfo("ada"), room, agents=agents)

    assert MAX_TOKEN - 4000 < len(token) <= MAX_TOKEN
    assert validate(livekit_server, token)[0] == 200
