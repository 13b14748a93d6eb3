"""`token`: its output, the claims, the source of the credentials, and its errors."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jwt
import pytest

from moss_voice_server.testing import FakeMoss
from tests.cli.shell import PROGRAM, Shell, claims

pytestmark = pytest.mark.once

MORE_GRANTS = ("canUpdateOwnMetadata", "canSubscribeMetrics", "canManageAgentSession")
ALL_GRANTS = {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True}


def test_token_alone(moss_shell: Shell, moss: FakeMoss) -> None:
    """The token is alone on standard output; the random identity and room are on standard error."""
    status, out, err = moss_shell("token")
    said = claims(out)

    assert (0, 1) == (status, out.count("\n"))
    assert re.fullmatch("guest-[0-9a-f]{32}", said["sub"])
    assert re.fullmatch("room-[0-9a-f]{32}", said["video"]["room"])  # 128 bits
    assert (
        f"moss-voice-server: identity {said['sub']} (random)\nmoss-voice-server: room {said['video']['room']} (random)\n"
        f"moss-voice-server: agent {moss.credentials['voice_agent_name']} (from Moss)\n" == err
    )
    jwt.decode(out.strip(), moss.credentials["voice_agent_api_secret"], algorithms=["HS256"])


def test_agent_by_default(moss_shell: Shell, moss: FakeMoss) -> None:
    """The token names the voice agent, unless another agent, none, or a room configuration with agents is given."""
    moss_name = moss.credentials["voice_agent_name"]
    config = '{"agents": [{"agent_name": "two"}]}'
    for arguments, names in (
        ([], [moss_name]),
        (["--agent", "one"], ["one"]),
        (["--no-agent"], []),
        (["--room-config", config], ["two"]),
        (["--room-config", '{"max_participants": 2}'], [moss_name]),
        (["--agent-metadata", "m"], [moss_name]),
    ):
        said = claims(moss_shell("token", *arguments).out)
        agents = said.get("roomConfig", {}).get("agents", [])
        assert names == [agent["agentName"] for agent in agents], arguments
        assert ("m" if "m" in arguments else None) == (agents[0].get("metadata") if agents else None)


def test_json(moss_shell: Shell, moss: FakeMoss) -> None:
    """`--json` prints one object with all that a client needs, and nothing on standard error."""
    status, out, err = moss_shell("token", "--json", "--ttl", "5m")
    answer = json.loads(out)
    said = claims(answer["participant_token"])

    assert (0, "") == (status, err)
    assert {
        "server_url": moss.credentials["voice_agent_url"],
        "participant_token": answer["participant_token"],
        "room_name": said["video"]["room"],
        "participant_identity": said["sub"],
        "agents": [moss.credentials["voice_agent_name"]],
        "expires_at": datetime.fromtimestamp(said["nbf"] + 300, timezone.utc).isoformat().replace("+00:00", "Z"),
    } == answer


def test_closed_standard_error(livekit_shell: Shell) -> None:
    """Without standard error the token is still alone on standard output."""
    program = ("/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *PROGRAM)
    status, out, _ = livekit_shell("token", program=program)
    assert (0, 1, "APIkey") == (status, out.count("\n"), claims(out)["iss"])


SAID: dict[str, tuple[list[str], dict[str, Any]]] = {
    "texts": (["--name", "Zoë", "--metadata", '{"a": 1}'], {"name": "Zoë", "metadata": '{"a": 1}'}),
    "attributes": (["--attribute", "plan=gold", "--attribute", "a=b=c"], {"attributes": {"plan": "gold", "a": "b=c"}}),
    "no publish": (["--no-publish"], {"video": {**ALL_GRANTS, "canPublish": False, "canPublishData": False}}),
    "data only": (["--no-publish", "--publish-data"], {"video": {**ALL_GRANTS, "canPublish": False}}),
    "no data": (["--no-publish-data"], {"video": {**ALL_GRANTS, "canPublishData": False}}),
    "no subscribe": (["--no-subscribe"], {"video": {**ALL_GRANTS, "canSubscribe": False}}),
    "ttl": (["--ttl", "1h30m"], {}),
    "sources": (
        ["--source", "microphone", "--source", "screen_share"],
        {"video": {**ALL_GRANTS, "canPublishSources": ["microphone", "screen_share"]}},
    ),
    "grants": (
        ["--hidden", "--update-own-metadata", "--subscribe-metrics", "--manage-agent-session"],
        {"video": {**ALL_GRANTS, **dict.fromkeys(("hidden", *MORE_GRANTS), True)}},
    ),
    "agent": (["--agent", "helper"], {"roomConfig": {"agents": [{"agentName": "helper"}]}}),
    "agents": (
        ["--agent", "one", "--agent", "two", "--agent-metadata", "m", "--agent-deployment", "staging"],
        {
            "roomConfig": {
                "agents": [
                    {"agentName": "one", "metadata": "m", "deployment": "staging"},
                    {"agentName": "two", "metadata": "m", "deployment": "staging"},
                ]
            }
        },
    ),
    "room config": (
        ["--agent", "one", "--room-config", ' {"max_participants": 2, "agents": [{"agent_name": "two"}]}'],
        {"roomConfig": {"maxParticipants": 2, "agents": [{"agentName": "one"}, {"agentName": "two"}]}},
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), SAID.values(), ids=SAID.keys())
def test_claims(arguments: list[str], expected: dict[str, Any], livekit_shell: Shell) -> None:
    """Each option is the claim that LiveKit reads."""
    status, out, _ = livekit_shell("token", "--room", "support", *arguments)
    said = claims(out)

    assert (0, 5400 if "--ttl" in arguments else 900) == (status, said["exp"] - said["nbf"])
    if "video" in expected:
        expected = {"video": {**expected["video"], "room": "support"}}
    assert expected == {name: said[name] for name in expected}
    extra = {"iss", "sub", "nbf", "exp", "video"} | set(expected)
    assert extra == set(said)


def test_room_config_from_a_file(livekit_shell: Shell, tmp_path: Path) -> None:
    """`--room-config` names a file, where it does not begin with a brace."""
    file = tmp_path / "room.json"
    file.write_text('{"empty_timeout": 30, "metadata": "ü"}', encoding="utf-8")

    said = claims(livekit_shell("token", "--room-config", str(file)).out)
    assert {"emptyTimeout": 30, "metadata": "ü"} == said["roomConfig"]


# The option that the error names, and a pattern of what follows.
WRONG: dict[str, tuple[list[str], str]] = {
    "blank identity": (["--identity", " "], "--identity: "),
    "empty room": (["--room", ""], "--room: is empty: "),
    "control character": (["--name", "a\nb"], r"--name: .*U\+000A"),
    "bytes that are not text": (["--metadata", "\udcff"], "--metadata: .*surrogate"),
    "attribute twice": (["--attribute", "a=b", "--attribute", "a=c"], "--attribute: .*twice"),
    "ttl out of range": (["--ttl", "30s"], "--ttl: .*1 minute to 24 hours"),
    "unknown source": (["--source", "mic"], "--source: .*microphone"),
    "metadata without agent": (["--no-agent", "--agent-metadata", "m"], "--agent-metadata: .*--agent NAME"),
    "deployment without agent": (["--no-agent", "--agent-deployment", "d"], "--agent-deployment: .*--agent NAME"),
    "agent's metadata": (["--agent", "a", "--agent-metadata", "\udcff"], "--agent-metadata: .*surrogate"),
    "deployment": (["--agent", "a", "--agent-deployment", "a_b"], "--agent-deployment: .*underscore"),
    "room config without a file": (["--room-config", "no/such/file"], "--room-config: .*no/such/file.*No such file"),
    "room config that is not JSON": (["--room-config", '{"S3CRET":}'], "--room-config: .*line 1, column 11"),
    "field of the room config": (
        ["--room-config", '{"max_participants": "S3CRET"}'],
        "--room-config: max_participants ",
    ),
    "field below it": (
        ["--room-config", '{"agents": [{"agent_name": 3}]}'],
        r"--room-config: agents\[0\].agent_name must be ",
    ),
    "duration": (["--ttl", "S3CRET"], "--ttl: .*90s.*--help"),
    "pair": (["--attribute", "S3CRET"], "--attribute: .*KEY=VALUE.*--help"),
}


@pytest.mark.parametrize(("arguments", "pattern"), WRONG.values(), ids=WRONG.keys())
def test_wrong_argument(arguments: list[str], pattern: str, moss_shell: Shell, moss: FakeMoss) -> None:
    """One line that names the option but shows no value, exit status 2, before anything is sent."""
    status, out, err = moss_shell("token", *arguments)

    assert (2, "", 1, 0) == (status, out, err.count("\n"), moss.count)
    assert re.match(f"moss-voice-server: error: argument {pattern}", err)
    assert "S3CRET" not in err


def test_wrong_room_config_file(shell: Shell, tmp_path: Path) -> None:
    """A file without a JSON object is an error."""
    for content in (b"[]", b"\xff", b""):
        (tmp_path / "room.json").write_bytes(content)
        status, out, err = shell("token", "--room-config", str(tmp_path / "room.json"))
        assert (2, "", True) == (status, out, "argument --room-config: " in err)
