"""`doctor`: its checks as rows, as JSON, and as an exit status."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server.testing import LiveKitServer
from tests.cli.shell import Done, Shell
from tests.doctor.broken_endpoint import LOGIN, ORIGIN, BrokenEndpoint
from tests.doctor.helpers import moss_of
from tests.doctor.servers import site

pytestmark = pytest.mark.once


@pytest.fixture
def clerk_shell(livekit_server: LiveKitServer, shell: Shell) -> Iterator[Shell]:
    """A shell whose Moss names a voice agent on the real LiveKit server."""
    with moss_of(livekit_server) as moss:
        shell.environ.update(moss.environ)
        shell.secrets += [livekit_server.api_secret, LOGIN.split()[1], "eyJ"]
        yield shell


def checks(done: Done) -> dict[str, dict[str, Any]]:
    """The checks of JSON by name."""
    return {check["name"]: check for check in json.loads(done.out)["checks"]}


def statuses(done: Done) -> dict[str, str]:
    """Their statuses."""
    return {name: check["status"] for name, check in checks(done).items()}


@pytest.mark.livekit
def test_json(clerk_shell: Shell) -> None:
    """JSON has two fields, and five to each check; nothing failed, so the exit status is 0."""
    done = clerk_shell("doctor", "--no-agent", "--json")
    result = json.loads(done.out)

    assert (0, "", ["ok", "checks"], True) == (done.status, done.err, list(result), result["ok"])
    for check in result["checks"]:
        assert ["name", "status", "detail", "remedy", "ms"] == list(check)
        assert isinstance(check["ms"], float)
    assert "ok" == statuses(done)["join"]
    assert "skip" == statuses(done)["dispatch.named"]


@pytest.mark.livekit
def test_rows(clerk_shell: Shell) -> None:
    """As rows: each check by name, with what came back, and a last line that counts; nothing wider than the terminal."""
    done = clerk_shell("doctor", "--no-agent", environ={"COLUMNS": "80"})

    assert (0, "") == (done.status, done.err)
    assert [] == [line for line in done.out.splitlines() if len(line) > 80]
    assert "✓ join" in done.out
    assert "the server is LiveKit 1." in " ".join(done.out.split())
    assert done.out.splitlines()[-1].endswith("skipped.")


@pytest.mark.livekit
def test_agent_does_not_join(clerk_shell: Shell) -> None:
    """Without a worker the named dispatch fails, and the exit status is 1."""
    done = clerk_shell("doctor", "--agent", "boss", "--agent-timeout", "1s", "--json")
    assert (1, False) == (done.status, json.loads(done.out)["ok"])
    assert ["dispatch.named"] == [name for name, each in statuses(done).items() if each == "fail"]
    assert "as boss" in checks(done)["dispatch.named"]["detail"]


@pytest.mark.livekit
def test_options_in_place_of_the_environment(clerk_shell: Shell, livekit_server: LiveKitServer) -> None:
    """LiveKit credentials by options leave Moss alone; a secret as an argument is warned about."""
    server = livekit_server
    options = ["--livekit-url", server.url, "--api-key", server.api_key]
    piped = clerk_shell("doctor", "--no-agent", "--json", *options, "--api-secret", "-", stdin=server.api_secret)
    typed = clerk_shell("doctor", "--no-agent", "--json", *options, "--api-secret", server.api_secret)

    assert (0, 0, "") == (piped.status, typed.status, piped.err)
    assert "warning" in typed.err
    assert "--api-secret" in typed.err
    assert ("ok", "skip") == (statuses(piped)["environment"], statuses(piped)["moss.response"])


def test_no_credentials(shell: Shell) -> None:
    """Without credentials the first check names the missing variables; the rest is one line; exit status 1."""
    done = shell("doctor", environ={"COLUMNS": "80"})

    assert (1, "") == (done.status, done.err)
    assert "✗ environment" in done.out
    assert "→ set MOSS_PROJECT_ID, MOSS_PROJECT_KEY and" in done.out
    assert 1 == done.out.count("not reached")
    assert done.out.endswith("1 failed, 14 skipped.\n")


@pytest.mark.livekit
def test_endpoint(clerk_shell: Shell, livekit_server: LiveKitServer, tmp_path: Path) -> None:
    """A token endpoint is looked at with the headers of a file; neither they nor its tokens come out."""
    (tmp_path / "headers").write_text(f"Authorization: {LOGIN}\n\n", encoding="utf-8")
    endpoint = BrokenEndpoint(livekit_server.url, livekit_server.api_key, livekit_server.api_secret)
    with site(endpoint) as port:
        url = f"http://127.0.0.1:{port}/voice/token?key=hush"
        options = ["--no-agent", "--endpoint", url, "--origin", ORIGIN]
        from_file = clerk_shell("doctor", "--json", *options, "--header", f"@{tmp_path / 'headers'}")
        typed = clerk_shell("doctor", *options, "--header", f"Authorization: {LOGIN}")
        nothing = clerk_shell("doctor", "--json", *options)

    assert (0, "") == (from_file.status, from_file.err)
    assert ({"/voice/token?key=hush"}, False) == (endpoint.paths, "hush" in from_file.out + typed.out)
    assert ("ok", "ok") == (statuses(from_file)["endpoint.cors"], statuses(from_file)["endpoint.accepted"])
    assert (0, True) == (typed.status, "--header @FILE" in typed.err)
    assert (1, "fail") == (nothing.status, statuses(nothing)["endpoint.status"])


ENDPOINT = ["--endpoint", "https://app.example"]
USAGE = {
    "URL without TLS": (["--endpoint", "http://app.example/token"], "--endpoint: .*https"),
    "query with a space": (["--endpoint", "https://app.example/?a b"], "--endpoint: .*visible ASCII"),
    "header without an endpoint": (["--header", "@file"], "--header: --header requires --endpoint"),
    "origin without an endpoint": (["--origin", ORIGIN], "--origin: --origin requires --endpoint"),
    "origin with a path": ([*ENDPOINT, "--origin", f"{ORIGIN}/"], "--origin: .*https://app.example"),
    "header without a colon": ([*ENDPOINT, "--header", "hush"], "--header: .*'Name: value'"),
    "header beyond ASCII": ([*ENDPOINT, "--header", "a: hush\u00e9"], "--header: .*'Name: value'"),
    "header that doctor sets": ([*ENDPOINT, "--header", "Origin: hush"], "--header: .*origin"),
    "no such file": ([*ENDPOINT, "--header", "@no/such/file"], "--header: .*no/such/file.*No such file"),
    "long timeout": (["--agent-timeout", "5m"], "--agent-timeout: .*1 to 50 seconds"),
    "blank agent": (["--agent", " "], "--agent: .*empty"),
    "agent with a newline": (["--agent", "clerk\n"], r"--agent: .*U\+000A"),
    "two kinds of agent": (["--agent", "clerk", "--no-agent"], "not allowed with argument"),
    "half the credentials": (["--api-key", "APIkey"], "LIVEKIT_URL and LIVEKIT_API_SECRET are not set"),
}


@pytest.mark.parametrize(("arguments", "pattern"), USAGE.values(), ids=USAGE.keys())
def test_wrong_usage(arguments: list[str], pattern: str, shell: Shell) -> None:
    """Wrong usage is an error on standard error without any header, and exit status 2."""
    shell.secrets.append("hush")
    done = shell("doctor", *arguments)

    assert (2, "") == (done.status, done.out)
    assert re.search(pattern, done.err)
