"""Secrets in arguments: whatever is wrong with an argument or the environment, no frame and no text shows a value."""

from __future__ import annotations

import inspect
import os
import pydoc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server.errors import InvalidArgument
from tests.support.errors import caught
from tests.support.secret_scan import KEY, OTHER, SECRET, SECRETS, spilled
from tests.support.servers import ServerClass

# What is good, and what is wrong, by the field of the error.
GOOD = {"project_id": "project", "project_key": KEY, "voice_agent_id": "agent", "api_url": "https://moss.example"}
BAD_KEYS = (f"{KEY}\n", f" {KEY}", f"{KEY}\0", f"é{KEY}", f"{KEY}\ud800", KEY * 50, KEY.encode(), [KEY], {KEY: 1})
REJECTED: list[tuple[str, Any]] = [
    *(("project_key", key) for key in BAD_KEYS),
    *(("api_url", f"https://{url}") for url in (f"user:{OTHER}@h.example", f"h.example?key={OTHER}", f"h/#{OTHER}")),
    ("api_url", "http://moss.example"),
    *(("project_id", value) for value in ("", 5)),
    *(("voice_agent_id", value) for value in ("a\n", None)),
    *((name, 5) for name in ("refresh", "transport", "on_change")),
]
BY_HAND = {"url": "wss://h.example", "api_key": "APIkey", "api_secret": SECRET, "agent_name": ""}
BAD_SECRETS = (f"{SECRET}\n", f"\t{SECRET}", f"{SECRET}\udfff", SECRET.encode(), [SECRET], {SECRET: 1})
REJECTED_BY_HAND: list[tuple[str, Any]] = [
    *(("api_secret", secret) for secret in BAD_SECRETS),
    *(("url", url) for url in ("h", "ws://h.example", f"wss://user:{OTHER}@h.example", KEY)),
    *(("api_key", value) for value in ("", f" {KEY}")),
    *(("agent_name", value) for value in (5, f" {KEY}")),
]


def test_rejected_argument(server_class: ServerClass) -> None:
    """A rejected argument is not shown, nor is the good key beside it; by position and by name."""
    kind = server_class.kind
    made: list[tuple[dict[str, str], list[tuple[str, Any]], tuple[Callable[..., object], ...]]] = [
        (GOOD, REJECTED, (kind, server_class.create)),
        (BY_HAND, REJECTED_BY_HAND, (kind.from_livekit,)),
    ]
    for good, rejected, calls in made:
        for field, value in rejected:
            positions = [value if name == field else each for name, each in good.items()]
            rest = {} if field in good else {field: value}
            for call in calls:
                for error in (caught(call, **{**good, field: value}), caught(call, *positions, **rest)):
                    assert (field, []) == (getattr(error, "field", error), spilled(error, SECRETS))


MOSS = {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": KEY, "MOSS_VOICE_AGENT_ID": "agent"}
# Changes to the environment; `None` removes a variable.
ENVIRONS: list[dict[str, str | None]] = [
    {"MOSS_PROJECT_ID": None, "MOSS_VOICE_AGENT_ID": None},
    {"MOSS_PROJECT_KEY": None},
    {"MOSS_PROJECT_KEY": f"{KEY}\n"},
    {"MOSS_VOICE_AGENT_ID": "a\n"},
    {"MOSS_PROJECT_KEY_FILE": "/nowhere"},
    {"MOSS_PROJECT_KEY": None, "MOSS_PROJECT_KEY_FILE": "/nowhere"},
    {"MOSS_PROJECT_KEY": None, "MOSS_PROJECT_KEY_FILE": os.devnull},
    {"MOSS_PROJECT_KEY": None, "MOSS_PROJECT_KEY_FILE": "key that is not UTF-8"},
    {"MOSS_PLATFORM_API_URL": f"https://user:{OTHER}@moss.example"},
]


def test_wrong_environment(server_class: ServerClass, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When a variable is missing or damaged, neither the key nor any other variable is shown."""
    monkeypatch.chdir(tmp_path)
    Path("key that is not UTF-8").write_bytes(KEY.encode() + b"\xff")
    for changes in ENVIRONS:
        environ = {name: value for name, value in {**MOSS, "DATABASE_PASSWORD": OTHER, **changes}.items() if value}
        with monkeypatch.context() as patch:
            for name in (*MOSS, "MOSS_PLATFORM_API_URL"):
                patch.delenv(name, raising=False)
            for name, value in environ.items():
                patch.setenv(name, value)
            for make in (server_class.from_env, server_class.kind.lazy_from_env):
                for error in (caught(make), caught(make, environ)):
                    assert isinstance(error, InvalidArgument)
                    assert [] == spilled(error, SECRETS)


def test_key_as_a_keyword_of_from_env(server_class: ServerClass) -> None:
    """A key that is passed by name, beside a wrong argument, is not shown."""
    wrong: Any
    for wrong in [{"environ": {}}, {"project_id": ""}, {"nonsense": 1}]:
        arguments = {"environ": {"MOSS_PROJECT_ID": "p", "MOSS_VOICE_AGENT_ID": "a"}, "project_key": KEY, **wrong}
        for make in (server_class.from_env, server_class.kind.lazy_from_env):
            error = caught(make, **arguments)
            assert isinstance(error, (TypeError, ValueError))
            assert [] == spilled(error, SECRETS)


def test_help_does_not_print_the_environment(server_class: ServerClass, monkeypatch: pytest.MonkeyPatch) -> None:
    """`help()`, documentation generators and editors show signatures: no default value in them is the environment."""
    monkeypatch.setenv("DATABASE_PASSWORD", OTHER)
    methods = [each for _, each in inspect.getmembers(server_class.kind, callable) if hasattr(each, "__func__")]
    assert methods
    assert OTHER not in "".join(
        [*(str(inspect.signature(each)) for each in methods), pydoc.render_doc(server_class.kind)]
    )
