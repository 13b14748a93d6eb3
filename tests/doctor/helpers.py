"""Options for the doctor, and what must hold for all of its checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from moss_voice_server._doctor import Check, LiveKitCredentials, Options, examine, names
from moss_voice_server.testing import FakeMoss, LiveKitServer

_TOKEN = re.compile(r"eyJ[\w-]+\.")


class Expected(NamedTuple):
    """One check: its name, its status, and a pattern in its detail or remedy: a figure, a setting, a key word."""

    check: str
    status: str
    pattern: str


def fails(check: str, pattern: str) -> Expected:
    """The check fails."""
    return Expected(check, "fail", pattern)


def warns(check: str, pattern: str) -> Expected:
    """The check warns."""
    return Expected(check, "warn", pattern)


def options(environ: Mapping[str, str], **changes: Any) -> Options:
    """Options without agents and with short timeouts, unless `changes` say otherwise."""
    return Options(dict(environ), **{"agents": False, "timeout": 3.0, **changes})


def livekit_environ(url: str, key: str, secret: str) -> dict[str, str]:
    """An environment with LiveKit credentials."""
    return {"LIVEKIT_URL": url, "LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": secret}


def examined(asked: Options, *secrets: str) -> dict[str, Check]:
    """All checks by name: those that were announced, each with a remedy where needed, and without any secret."""
    checks = list(examine(asked))
    assert list(names(asked)) == [check.name for check in checks]
    given: LiveKitCredentials | None = asked.credentials
    hidden = [
        *secrets,
        *(asked.environ.get(name, "") for name in ("MOSS_PROJECT_KEY", "LIVEKIT_API_SECRET")),
        *asked.headers.values(),
        *([given.api_secret] if given else []),
    ]
    for check in checks:
        text = check.detail + check.remedy
        assert [] == [each for each in hidden if len(each) > 6 and each in text], check.name
        assert not _TOKEN.search(text), check
        assert check.detail, check.name
        assert bool(check.remedy) or check.status in ("ok", "skip"), check
        assert check.ms >= 0
        assert text.isprintable(), check
    return {check.name: check for check in checks}


def assert_found(checks: Mapping[str, Check], expected: Expected, *, alone: bool = True) -> None:
    """The expected check is there; `alone`: no earlier check fails or warns."""
    check = checks[expected.check]
    assert (expected.status, expected.check) == (check.status, check.name), check
    assert re.search(expected.pattern, f"{check.detail} -> {check.remedy}"), check
    if alone:
        before = list(checks.values())[: list(checks).index(expected.check)]
        assert [] == [each for each in before if each.status in ("fail", "warn")]


def moss_of(server: LiveKitServer, agent_name: str = "clerk") -> FakeMoss:
    """A Moss whose voice agent lives on this LiveKit server."""
    return FakeMoss(url=server.url, api_key=server.api_key, api_secret=server.api_secret, agent_name=agent_name)


def moss_secrets(moss: FakeMoss) -> tuple[str, ...]:
    """The secrets that a fake Moss knows."""
    return moss.environ["MOSS_PROJECT_KEY"], moss.credentials["voice_agent_api_secret"]
