"""`token`: its output, the claims, the source of the credentials, and its errors."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jwt
import pytest

from moss_voice_server.testing import FakeMoss, LiveKitServer, MockResponse
from tests.cli.shell import PROGRAM, Shell, claims, read_soon

pytestmark = pytest.mark.once

SECRET = "a-secret-of-more-than-thirty-two-characters"
LIVEKIT = {"LIVEKIT_URL": "wss://livekit.example", "LIVEKIT_API_KEY": "APIkey", "LIVEKIT_API_SECRET": SECRET}

ALL_GRANTS = {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True}


@pytest.fixture
def livekit_shell(shell: Shell) -> Shell:
    """A shell whose environment has LiveKit credentials, which need no network."""
    shell.environ.update(LIVEKIT)
    return shell


def error(text: str) -> str:
    """The line of an error."""
    return f"moss-voice-server: error: {text}\n"


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


def test_url(livekit_shell: Shell) -> None:
    """`--url` is two lines: the server's URL, then the token."""
    url, token = livekit_shell("token", "--url", "--room", "support").out.splitlines()
    assert ("wss://livekit.example", "support") == (url, claims(token)["video"]["room"])


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


TTLS = {"1m": 60, "90": 90, "2h": 7200, "1h30m": 5400, "24h": 86_400}


def test_ttl(livekit_shell: Shell) -> None:
    """The token is valid for `--ttl`, by default for 15 minutes."""
    for arguments, seconds in [([], 900), *((["--ttl", text], value) for text, value in TTLS.items())]:
        said = claims(livekit_shell("token", *arguments).out)
        assert seconds == said["exp"] - said["nbf"]


SAID: dict[str, tuple[list[str], dict[str, Any]]] = {
    "name": (["--name", "Zoë"], {"name": "Zoë"}),
    "metadata": (["--metadata", '{"a": 1}'], {"metadata": '{"a": 1}'}),
    "attributes": (["--attribute", "plan=gold", "--attribute", "a=b=c"], {"attributes": {"plan": "gold", "a": "b=c"}}),
    "no publish": (["--no-publish"], {"video": {**ALL_GRANTS, "canPublish": False, "canPublishData": False}}),
    "data only": (["--no-publish", "--publish-data"], {"video": {**ALL_GRANTS, "canPublish": False}}),
    "no data": (["--no-publish-data"], {"video": {**ALL_GRANTS, "canPublishData": False}}),
    "no subscribe": (["--no-subscribe"], {"video": {**ALL_GRANTS, "canSubscribe": False}}),
    "sources": (
        ["--source", "microphone", "--source", "screen_share"],
        {"video": {**ALL_GRANTS, "canPublishSources": ["microphone", "screen_share"]}},
    ),
    "hidden": (["--hidden"], {"video": {**ALL_GRANTS, "hidden": True}}),
    "own metadata": (["--update-own-metadata"], {"video": {**ALL_GRANTS, "canUpdateOwnMetadata": True}}),
    "metrics": (["--subscribe-metrics"], {"video": {**ALL_GRANTS, "canSubscribeMetrics": True}}),
    "agent session": (["--manage-agent-session"], {"video": {**ALL_GRANTS, "canManageAgentSession": True}}),
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

    assert 0 == status
    if "video" in expected:
        expected = {"video": {**expected["video"], "room": "support"}}
    assert expected == {name: said[name] for name in expected}
    extra = {"iss", "sub", "nbf", "exp", "video"} | set(expected)
    assert extra == set(said)


REJECTED: dict[str, tuple[list[str], str]] = {
    "an empty room": (["--room", ""], "argument --room: is empty: "),
    "an unknown source": (["--source", "radio"], "argument --source: contains a source "),
    "an unknown field": (["--room-config", '{"rooms": 2}'], "argument --room-config: rooms "),
    "a field below it": (
        ["--room-config", '{"agents": [{"agent_name": 3}]}'],
        "argument --room-config: agents[0].agent_name must be ",
    ),
}


@pytest.mark.parametrize(("arguments", "text"), REJECTED.values(), ids=REJECTED.keys())
def test_errors_name_the_option(arguments: list[str], text: str, livekit_shell: Shell) -> None:
    """An error of the library names the option, not the library's argument."""
    status, out, err = livekit_shell("token", *arguments)

    assert (2, "", True) == (status, out, err.startswith(f"moss-voice-server: error: {text}"))


def test_room_config_from_a_file(livekit_shell: Shell, tmp_path: Path) -> None:
    """`--room-config` names a file, where it does not begin with a brace."""
    file = tmp_path / "room.json"
    file.write_text('{"empty_timeout": 30, "metadata": "ü"}', encoding="utf-8")

    said = claims(livekit_shell("token", "--room-config", str(file)).out)
    assert {"emptyTimeout": 30, "metadata": "ü"} == said["roomConfig"]


def test_moss_takes_precedence(moss_shell: Shell, moss: FakeMoss) -> None:
    """Where the environment has both, the Moss API is asked."""
    moss_shell.environ.update(LIVEKIT)
    assert moss.credentials["voice_agent_api_key"] == claims(moss_shell("token").out)["iss"]


def test_options_take_precedence(moss_shell: Shell, moss: FakeMoss) -> None:
    """One of LiveKit's options chooses LiveKit's credentials, and the others come from the environment."""
    moss_shell.environ.update(LIVEKIT)
    url, token = moss_shell("token", "--url", "--livekit-url", "ws://localhost:7880").out.splitlines()
    assert ("ws://localhost:7880", "APIkey", 0) == (url, claims(token)["iss"], moss.count)


def test_secret_from_a_file(livekit_shell: Shell, tmp_path: Path) -> None:
    """LIVEKIT_API_SECRET_FILE names a file that contains the secret; its trailing newline is ignored."""
    (tmp_path / "secret").write_text(f"{SECRET}\r\n")
    del livekit_shell.environ["LIVEKIT_API_SECRET"]
    out = livekit_shell("token", environ={"LIVEKIT_API_SECRET_FILE": str(tmp_path / "secret")}).out
    jwt.decode(out.strip(), SECRET, algorithms=["HS256"])


@pytest.mark.parametrize("typed", [f"{SECRET}\n", SECRET, f"{SECRET}\r\n"], ids=["line", "no newline", "CRLF"])
def test_secret_from_standard_input(typed: str, shell: Shell) -> None:
    """`--api-secret -` reads the secret from standard input, without a warning."""
    shell.secrets.append(SECRET)
    options = [
        "--livekit-url",
        "ws://[::1]:7880",
        "--api-key",
        "APIkey",
        "--api-secret",
        "-",
        "--identity",
        "a",
        "--room",
        "b",
    ]
    status, out, err = shell("token", *options, stdin=typed)

    assert (0, "") == (status, err)
    assert "APIkey" == jwt.decode(out.strip(), SECRET, algorithms=["HS256"])["iss"]


def test_secret_as_an_argument(livekit_shell: Shell) -> None:
    """A secret as an argument works, with a warning that names the alternative."""
    status, out, err = livekit_shell("token", "--api-secret", f"{SECRET}2", "--identity", "a", "--room", "b")

    assert (0, 1, True) == (status, err.count("\n"), "warning: " in err and "`--api-secret -`" in err)
    jwt.decode(out.strip(), f"{SECRET}2", algorithms=["HS256"])


def test_weak_secret(shell: Shell) -> None:
    """A weak secret is taken, with one line of warning, even where warnings are errors."""
    shell.environ.update(LIVEKIT)
    shell.environ["LIVEKIT_API_SECRET"] = "weak%"
    status, out, err = shell("token", "--identity", "a", "--room", "b")

    assert err.count("\n") == 1
    assert err.startswith("moss-voice-server: warning: ")
    assert "32 bytes" in err
    assert (0, "a") == (status, claims(out)["sub"])


@pytest.mark.parametrize(("typed", "status"), [(f"{SECRET}\n", 0), ("\x04", 2)], ids=["secret", "Ctrl-D"])
def test_secret_typed_at_a_terminal(typed: str, status: int, shell: Shell) -> None:
    """At a terminal the program prompts for the secret without an echo; the end of input is accepted as well."""
    import pty

    shell.secrets.append(SECRET)
    prompt = "LiveKit API secret: "
    options = ["--livekit-url", "ws://localhost:1", "--api-key", "APIkey", "--api-secret", "-"]
    ours, theirs = pty.openpty()
    # In a separate session there is no other terminal, so the prompt comes on standard error.
    with shell.started("token", *options, stdin=theirs, start_new_session=True) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert prompt == read_soon(process.stderr.fileno(), 100)
        os.write(ours, typed.encode())
        assert status == shell.ended(process).status
    os.close(ours)


# The option that the error names, and a pattern of what follows.
WRONG: dict[str, tuple[list[str], str]] = {
    "blank identity": (["--identity", " "], "--identity: "),
    "empty room": (["--room", ""], "--room: "),
    "control character": (["--name", "a\nb"], r"--name: .*U\+000A"),
    "bytes that are not text": (["--metadata", "\udcff"], "--metadata: .*surrogate"),
    "attribute twice": (["--attribute", "a=b", "--attribute", "a=c"], "--attribute: .*twice"),
    "ttl out of range": (["--ttl", "30s"], "--ttl: .*1 minute to 24 hours"),
    "unknown source": (["--source", "mic"], "--source: .*microphone"),
    "agent with a control character": (["--agent", "a\tb"], r"--agent: .*U\+0009"),
    "metadata without agent": (["--no-agent", "--agent-metadata", "m"], "--agent-metadata: .*--agent NAME"),
    "deployment without agent": (["--no-agent", "--agent-deployment", "d"], "--agent-deployment: .*--agent NAME"),
    "agent's metadata": (["--agent", "a", "--agent-metadata", "\udcff"], "--agent-metadata: .*surrogate"),
    "deployment": (["--agent", "a", "--agent-deployment", "a_b"], "--agent-deployment: .*underscore"),
    "room config without a file": (["--room-config", "no/such/file"], "--room-config: .*no/such/file.*No such file"),
    "room config that is not JSON": (["--room-config", '{"S3CRET":}'], "--room-config: .*line 1, column 11"),
    "field of the room config": (
        ["--room-config", '{"max_participants": "S3CRET"}'],
        "--room-config: .*max_participants",
    ),
    "duration": (["--ttl", "S3CRET"], "--ttl: .*90s.*--help"),
    "pair": (["--attribute", "S3CRET"], "--attribute: .*KEY=VALUE.*--help"),
    "empty agent": (["--agent", ""], "--agent: .*empty.*--help"),
}


@pytest.mark.parametrize(("arguments", "pattern"), WRONG.values(), ids=WRONG.keys())
def test_wrong_argument(arguments: list[str], pattern: str, moss_shell: Shell, moss: FakeMoss) -> None:
    """One line that names the option but shows no value, exit status 2, before anything is sent."""
    status, out, err = moss_shell("token", *arguments)

    assert (2, "", 1, 0) == (status, out, err.count("\n"), moss.count)
    assert re.match(f"moss-voice-server: error: argument {pattern}", err)
    assert "S3CRET" not in err


@pytest.mark.parametrize("content", [b"[]", b"\xff", b""], ids=["not an object", "not text", "empty"])
def test_wrong_room_config_file(content: bytes, shell: Shell, tmp_path: Path) -> None:
    """A file without a JSON object is an error."""
    (tmp_path / "room.json").write_bytes(content)
    status, out, err = shell("token", "--room-config", str(tmp_path / "room.json"))

    assert (2, "", True) == (status, out, "argument --room-config: " in err)


# Changes to a whole set of LiveKit's variables (`None` removes one), and a pattern of the error.
SETTINGS: dict[str, tuple[dict[str, str | None], str]] = {
    "nothing": (dict.fromkeys(LIVEKIT), "MOSS_PROJECT_ID, .* or LIVEKIT_URL"),
    "half of Moss": ({"MOSS_PROJECT_ID": "p"}, "MOSS_PROJECT_KEY.* not set"),
    "no URL": ({"LIVEKIT_URL": None}, "LIVEKIT_URL is not set.*--livekit-url"),
    "no key and no secret": (
        {"LIVEKIT_API_KEY": None, "LIVEKIT_API_SECRET": None},
        "LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set.*--api-key and --api-secret",
    ),
    "secret twice": ({"LIVEKIT_API_SECRET_FILE": "/nowhere"}, "LIVEKIT_API_SECRET and LIVEKIT_API_SECRET_FILE"),
    "no such file": ({"LIVEKIT_API_SECRET": None, "LIVEKIT_API_SECRET_FILE": "/nowhere"}, "LIVEKIT_API_SECRET_FILE"),
    "empty file": ({"LIVEKIT_API_SECRET": None, "LIVEKIT_API_SECRET_FILE": os.devnull}, "LIVEKIT_API_SECRET_FILE"),
    "unencrypted URL": ({"LIVEKIT_URL": "ws://livekit.example"}, "--livekit-url: .*wss"),
    "invalid key": ({"LIVEKIT_API_KEY": "A P I"}, "--api-key: "),
    "secret with a space": ({"LIVEKIT_API_SECRET": f"{SECRET} "}, "LIVEKIT_API_SECRET .*whitespace"),
}


@pytest.mark.parametrize(("changes", "pattern"), SETTINGS.values(), ids=SETTINGS.keys())
def test_wrong_settings(changes: dict[str, str | None], pattern: str, livekit_shell: Shell) -> None:
    """Missing or damaged credentials are one line that names the variable or the option, exit status 2."""
    for name, value in changes.items():
        livekit_shell.environ.pop(name, None)
        if value is not None:
            livekit_shell.environ[name] = value
    status, out, err = livekit_shell("token")

    assert (2, "", 1) == (status, out, err.count("\n"))
    assert re.search(pattern, err), err


@pytest.mark.parametrize(
    "typed", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe\n"], ids=["nothing", "empty line", "two lines", "not text"]
)
def test_wrong_standard_input(typed: bytes, livekit_shell: Shell) -> None:
    """Standard input without a secret is an error, and not shown."""
    livekit_shell.environ |= {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"}
    status, out, err = livekit_shell("token", "--api-secret", "-", stdin=typed)

    assert (2, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("moss-voice-server: error: argument --api-secret: ")


FAILURES: dict[str, tuple[MockResponse | int, str]] = {
    "rejected": (401, "HTTP 401.*MOSS_PROJECT_ID and MOSS_PROJECT_KEY"),
    "no such agent": (404, "HTTP 404.*MOSS_VOICE_AGENT_ID"),
    "busy": (MockResponse.retry_after("120"), "HTTP 429.*retry in 120 s"),
    "unusable": (MockResponse(json={"voice_agent_url": "wss://x"}), "voice_agent_api_key"),
}


@pytest.mark.parametrize(("answer", "pattern"), FAILURES.values(), ids=FAILURES.keys())
def test_no_credentials(answer: MockResponse | int, pattern: str, moss_shell: Shell, moss: FakeMoss) -> None:
    """Without credentials there is one line, the library's own, and exit status 1."""
    moss.set_default(answer)
    status, out, err = moss_shell("token")

    assert (1, "", 1) == (status, out, err.count("\n"))
    assert re.search(pattern, err), err


def test_closed_port(moss_shell: Shell, moss: FakeMoss) -> None:
    """A Moss API that is down: three attempts, and the variable that holds its URL."""
    moss.close()
    status, out, err = moss_shell("token")

    assert (1, "", 1) == (status, out, err.count("\n"))
    assert re.search("refused.*3 attempts.*MOSS_PLATFORM_API_URL", err), err


@pytest.mark.livekit
def test_livekit_accepts(shell: Shell, livekit_server: LiveKitServer) -> None:
    """A real LiveKit server accepts a token with all options."""
    from tests.livekit.server_api import validate

    shell.environ |= {
        "LIVEKIT_URL": livekit_server.url,
        "LIVEKIT_API_KEY": livekit_server.api_key,
        "LIVEKIT_API_SECRET": livekit_server.api_secret,
    }
    # In order of the table; what contradicts itself (publish data or not) is left out.
    everything = [word for name, (words, _) in SAID.items() if name not in ("no data", "data only") for word in words]
    status, out, err = shell("token", *everything[: everything.index("--agent")], "--agent", "helper")

    assert (0, (200, "success")) == (status, validate(livekit_server, out.strip())), err
