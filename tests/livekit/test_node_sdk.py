"""LiveKit's SDK for Node verifies our tokens and reads the same claims."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import jwt
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from tests.livekit import node_sdk

pytestmark = pytest.mark.livekit

KEY, SECRET = "APInode", "a-secret-of-more-than-thirty-two-bytes"
SOURCES = ("camera", "microphone", "screen_share", "screen_share_audio")
ROOM_CONFIG = {
    "name": "preset",
    "empty_timeout": 60,
    "departure_timeout": 30,
    "max_participants": 7,
    "min_playout_delay": 10,
    "max_playout_delay": 100,
    "sync_streams": True,
    "metadata": "the room's own",
    "tags": {"team": "blue"},
    "agents": [{"agent_name": "clerk", "restart_policy": "JRP_NEVER"}],
}
ADA = ParticipantInfo("user-42", "Ada", '{"plan": "gold"}', {"language": "en", "level": "3"})
EVERY_GRANT = ParticipantGrants(True, False, True, SOURCES, True, True, True, True)
CLERK = AgentDispatch("clerk", '{"k": "v"}', deployment="canary", attributes={"language": "cs"})

# Arguments of `create_participant_token` beside the room.
REQUESTS: dict[str, dict[str, Any]] = {
    "identity only": {},
    "every field": {"participant": ADA, "ttl": timedelta(hours=6)},
    "letters of all kinds": {
        "participant": ParticipantInfo("Žofie-🎻", 'Ada "the" O\'Neil \\', "\u2028\n\t\x00\x7f</script>", {"š": '"\\'}),
        "room_name": "Küche-🍳",
    },
    "empty texts": {"participant": ParticipantInfo("user-42", "", "", {})},
    "listener": {"grants": ParticipantGrants(can_publish=False)},
    "every grant": {"grants": EVERY_GRANT},
    "one agent": {"agent_name": "clerk"},
    "several agents": {"agent_name": "clerk", "agents": ["interpreter", CLERK, AgentDispatch("", metadata="m")]},
    "room config": {"room_config": ROOM_CONFIG},
}


def test_node_verifies_our_tokens() -> None:
    """Node's `TokenVerifier` reads the claims that PyJWT reads; it rejects another secret, issuer, payload and time."""
    voice = MossVoiceServerSync.from_livekit("wss://livekit.example", KEY, SECRET)
    default: dict[str, Any] = {"participant": ParticipantInfo("user-42"), "room_name": "room"}
    tokens = [voice.create_participant_token(**{**default, **request}) for request in REQUESTS.values()]
    header, _, signature = tokens[0].split(".")
    expired = jwt.decode(tokens[0], SECRET, algorithms=["HS256"]) | {"exp": int(time.time()) - 60}
    questions = [
        *({"verify": token, "key": KEY, "secret": SECRET} for token in tokens),
        {"verify": tokens[0], "key": KEY, "secret": SECRET[::-1]},
        {"verify": tokens[0], "key": "APIother", "secret": SECRET},
        {"verify": f"{header}.{tokens[1].split('.')[1]}.{signature}", "key": KEY, "secret": SECRET},
        {"verify": jwt.encode(expired, SECRET, algorithm="HS256"), "key": KEY, "secret": SECRET},
    ]
    answers = node_sdk.ask(node_sdk.installed(), questions)

    assert [{"claims": jwt.decode(token, SECRET, algorithms=["HS256"])} for token in tokens] == answers[:-4]
    assert [["error"]] * 4 == [list(answer) for answer in answers[-4:]]
