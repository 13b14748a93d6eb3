"""Bench: plans for the doctor, and what must hold for whatever it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from moss_voice_server._doctor import Check, Given, Plan, examine, names
from moss_voice_server._secret import Secret
from moss_voice_server.testing import FakeMoss

_TOKEN = re.compile(r"eyJ[\w-]+\.")


class Named(NamedTuple):
    """What the doctor must say: which check, how bad, and words that its detail and its remedy hold."""

    check: str
    status: str
    detail: str
    remedy: str


def fails(check: str, detail: str, remedy: str) -> Named:
    """Nobody gets through: the check says so in these words."""
    return Named(check, "fail", detail, remedy)


def warns(check: str, detail: str, remedy: str) -> Named:
    """It works, but not for all or not for long."""
    return Named(check, "warn", detail, remedy)


def plan(environ: Mapping[str, str], **changes: Any) -> Plan:
    """A plan over an environment, without agents and with little patience unless `changes` say otherwise."""
    headers = Secret(dict(changes.pop("headers", {})))
    return Plan(Secret(dict(environ)), **{"agents": False, "timeout": 3.0, **changes}, headers=headers)


def livekit_environ(url: str, key: str, secret: str) -> dict[str, str]:
    """An environment that names LiveKit credentials."""
    return {"LIVEKIT_URL": url, "LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": secret}


def given(url: str, key: str, secret: str) -> Given:
    """LiveKit credentials as options give them."""
    return Given(url, Secret(key), Secret(secret))


def examined(asked: Plan, *secrets: str) -> dict[str, Check]:
    """All checks by name, once it is sure that they are the ones announced, have remedies, and hold no secret."""
    checks = list(examine(asked))
    assert list(names(asked)) == [check.name for check in checks]
    environ = asked.environ.reveal()
    hidden = [
        *secrets,
        *(environ.get(name, "") for name in ("MOSS_PROJECT_KEY", "LIVEKIT_API_SECRET")),
        *(value for value in asked.headers.reveal().values()),
        *([asked.given.api_secret.reveal()] if asked.given else []),
    ]
    for check in checks:
        assert [] == [each for each in hidden if len(each) > 6 and each in check.detail + check.remedy], check.name
        assert not _TOKEN.search(check.detail + check.remedy), check
        assert check.detail, check.name
        assert bool(check.remedy) or check.status in ("ok", "skip"), check
        assert check.ms >= 0
        assert (check.detail + check.remedy).isprintable(), check
    return {check.name: check for check in checks}


def assert_named(checks: Mapping[str, Check], expected: Named, *, alone: bool = True) -> None:
    """The doctor says what is expected; `alone`: nothing before that check is wrong."""
    check = checks[expected.check]
    assert (expected.status, expected.check) == (check.status, check.name), check
    assert re.search(expected.detail, check.detail), check
    assert re.search(expected.remedy, check.remedy), check
    if alone:
        before = list(checks.values())[: list(checks).index(expected.check)]
        assert [] == [each for each in before if each.status in ("fail", "warn")]


def moss_secrets(moss: FakeMoss) -> tuple[str, ...]:
    """What a fake Moss knows and nobody may see."""
    return moss.environ["MOSS_PROJECT_KEY"], moss.credentials["voice_agent_api_secret"]
