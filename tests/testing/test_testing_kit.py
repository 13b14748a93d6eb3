"""The testing kit: fixtures, the frozen clock, and assertions about tokens."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from moss_voice_server.testing import FakeMoss, FrozenClock, assert_token, decode_token


def test_fixtures_are_found(fake_moss: FakeMoss, moss_server: MossVoiceServerSync) -> None:
    """pytest finds the fixtures without a conftest, and the server uses the fake."""
    assert_token(
        moss_server.create_participant_token(ParticipantInfo("ada"), "hall"),
        api_key=fake_moss.credentials["voice_agent_api_key"],
        api_secret=fake_moss.credentials["voice_agent_api_secret"],
    )


def test_clock_moves_credentials_and_tokens(frozen_clock: FrozenClock, fake_moss: FakeMoss) -> None:
    """A server that is created under the frozen clock uses its time for tokens and for the age of credentials."""
    server = MossVoiceServerSync.create(**fake_moss.arguments)
    first = decode_token(server.create_participant_token(ParticipantInfo("ada"), "hall"))
    frozen_clock.advance(7200)
    state = server.status().state
    server.close()
    second = decode_token(server.create_participant_token(ParticipantInfo("ada"), "hall"))
    assert ("stale", 7200) == (state, second["nbf"] - first["nbf"])


def test_clock_after_the_with() -> None:
    """After the `with` new servers have the real time again; one given by hand is frozen inside as well."""
    with FrozenClock(at=1_000_000):
        inside = MossVoiceServerSync.from_livekit("wss://lk.example", "APIkey", "s" * 32)
    outside = MossVoiceServer.from_livekit("wss://lk.example", "APIkey", "s" * 32)
    tokens = [decode_token(each.create_participant_token(ParticipantInfo("ada"), "hall")) for each in (inside, outside)]
    assert tokens[0]["nbf"] == 1_000_000 < tokens[1]["nbf"]


def test_assert_token_with_all_arguments(moss_server: MossVoiceServerSync) -> None:
    """A token passes when all arguments match."""
    said: dict[str, Any]
    agents: list[AgentDispatch | str] = ["plain", AgentDispatch("other", "metadata", "blue", {"key": "value"})]
    grants = ParticipantGrants(can_publish=False, can_publish_sources=("microphone",), hidden=True)
    token = moss_server.create_participant_token(
        ParticipantInfo("ada", "Ada", "notes", {"plan": "gold"}), "hall", ttl=60, grants=grants, agents=agents
    )
    said = {"identity": "ada", "room": "hall", "name": "Ada", "metadata": "notes", "attributes": {"plan": "gold"}}
    assert "ada" == assert_token(token, **said, agents=agents, grants=grants, ttl=60)["sub"]
    # `None` and empty mean that the claim is absent.
    token = moss_server.create_participant_token(ParticipantInfo("ada"), "hall")
    assert_token(token, name=None, metadata=None, attributes=None, agents=(), grants=None, ttl=900)


def test_all_differences_are_listed(moss_server: MossVoiceServerSync) -> None:
    """The error lists each difference with both values, and nothing else."""
    token = moss_server.create_participant_token(ParticipantInfo("ada"), "hall")
    with pytest.raises(AssertionError) as caught:
        assert_token(token, identity="bob", room="hall", ttl=60, agents=["echo"], api_secret="wrong")
    assert str(caught.value).splitlines() == [
        "the token differs:",
        "  identity: expected 'bob', the token says 'ada'",
        "  ttl in seconds: expected 60, the token says 900",
        "  agents: expected [{'agentName': 'echo'}], the token says []",
        "  signature: not created with this api_secret",
    ]


def test_text_that_is_not_a_token() -> None:
    """Text that is not a token is an AssertionError."""
    token: Any
    for token in ["", "a.b.c", "a.W10.c", None, "a.b", b"a.b", 5]:
        with pytest.raises(AssertionError, match="not a token"):
            assert_token(token, identity="ada")


def test_tokens_of_other_makers() -> None:
    """Claims that are null and a signature of another length: the differences are reported."""
    claims = base64.urlsafe_b64encode(b'{"video": null, "roomConfig": null}').decode().rstrip("=")
    with pytest.raises(AssertionError, match=r"the token differs:\n  room: .*None\n  signature: not created") as caught:
        assert_token(f"e30.{claims}.c2ln", room="hall", agents=[], api_secret="s" * 32)
    assert "agents" not in str(caught.value)


@pytest.mark.parametrize("token", ["e30.e30.c2ln", "no token"])
def test_failure_shows_the_line_of_the_test(token: str) -> None:
    """pytest shows the line of the test, and none of our code."""
    with pytest.raises(AssertionError) as caught:
        assert_token(token, identity="ada")
    assert [Path(__file__)] == [entry.path for entry in caught.traceback.filter(caught)]


def test_plugin_is_light(tmp_path: Path) -> None:
    """Without the fixtures the plugin imports neither the HTTP client nor the server."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_nothing_came_along():\n"
        "    assert not {'httpx2', 'moss_voice_server._server', 'moss_voice_server.testing._fake_moss'} & set(sys.modules)\n"
    )
    options = ["-q", "-p", "no:cacheprovider", "-p", "moss_voice_server.pytest_plugin"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run([sys.executable, "-m", "pytest", *options, "."], cwd=tmp_path, env=environ, check=False)
    assert 0 == run.returncode
