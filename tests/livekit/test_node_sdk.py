"""LiveKit's SDK for Node verifies our tokens and reads the same claims."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from tests.clients.npm import installed

pytestmark = pytest.mark.livekit

NODE = Path(__file__).parent / "node"
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
CLERK = AgentDispatch("clerk", '{"k": "v"}', deployment="canary", attributes={"language": "cs"})

# Arguments of `create_participant_token` beside the room.
REQUESTS: list[dict[str, Any]] = [
    {},
    {
        "participant": ParticipantInfo("Žofie-🎻", 'Ada "the" O\'Neil \\', "\u2028\n\t\x00\x7f</script>", {"š": '"\\'}),
        "room_name": "Küche-🍳",
        "ttl": timedelta(hours=6),
    },
    {"participant": ParticipantInfo("user-42", "", "", {}), "grants": ParticipantGrants(can_publish=False)},
    {"grants": ParticipantGrants(True, False, True, SOURCES, True, True, True, True)},
    {"agent_name": "clerk", "agents": ["interpreter", CLERK, AgentDispatch("", metadata="m")]},
    {"room_config": ROOM_CONFIG},
]


def test_node_verifies_our_tokens() -> None:
    """Node's `TokenVerifier` reads the claims that PyJWT reads; it rejects another secret, issuer, payload and time."""
    voice = MossVoiceServerSync.from_livekit("wss://livekit.example", KEY, SECRET)
    default: dict[str, Any] = {"participant": ParticipantInfo("user-42"), "room_name": "room"}
    tokens = [voice.create_participant_token(**{**default, **request}) for request in REQUESTS]
    header, _, signature = tokens[0].split(".")
    expired = jwt.decode(tokens[0], SECRET, algorithms=["HS256"]) | {"exp": int(time.time()) - 60}
    questions = [
        *({"verify": token, "key": KEY, "secret": SECRET} for token in tokens),
        {"verify": tokens[0], "key": KEY, "secret": SECRET[::-1]},
        {"verify": tokens[0], "key": "APIother", "secret": SECRET},
        {"verify": f"{header}.{tokens[1].split('.')[1]}.{signature}", "key": KEY, "secret": SECRET},
        {"verify": jwt.encode(expired, SECRET, algorithm="HS256"), "key": KEY, "secret": SECRET},
    ]
    command = ["node", str(NODE / "tokens.mjs")]
    done = subprocess.run(
        command,
        cwd=installed(NODE),
        input=json.dumps(questions),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    answers = json.loads(done.stdout)

    assert [{"claims": jwt.decode(token, SECRET, algorithms=["HS256"])} for token in tokens] == answers[:-4]
    assert [["error"]] * 4 == [list(answer) for answer in answers[-4:]]
