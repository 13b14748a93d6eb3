"""Environment variables and their file variants: errors name the variable, never the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from moss_voice_server._credentials.config import VARIABLES
from moss_voice_server._environment import required
from moss_voice_server._secret import Secret
from moss_voice_server._server.arguments import from_environment
from moss_voice_server.errors import InvalidArgument
from tests.support.errors import caught
from tests.support.secret_scan import spilled

ENVIRON = {"MOSS_PROJECT_ID": "project-1", "MOSS_PROJECT_KEY": "key-1", "MOSS_VOICE_AGENT_ID": "agent-1"}
NAMES = [*VARIABLES.values()]
LIVEKIT = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


def read(environ: Mapping[str, str]) -> dict[str, str]:
    """The arguments in an environment, revealed."""
    return {name: value.reveal() for name, value in from_environment(Secret(environ)).items()}


def refused(environ: Mapping[str, str]) -> InvalidArgument:
    """The error about an environment; it has no context, whose frames could hold a value."""
    error = caught(lambda: read(environ))
    assert isinstance(error, InvalidArgument)
    assert (None, None) == (error.__cause__, error.__context__)
    return error


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_variables_are_arguments(kind: Callable[[dict[str, str]], Mapping[str, str]]) -> None:
    """Each variable is an argument; an empty optional one counts as unset, as containers set it."""
    least = {"project_id": "project-1", "project_key": "key-1", "voice_agent_id": "agent-1"}
    default = "https://service.usemoss.dev"

    assert {**least, "api_url": default} == read(kind({**ENVIRON, "MOSS_OTHER": "x", "MOSS_PLATFORM_API_URL": ""}))
    assert {**least, "api_url": "https://m"} == read(kind({**ENVIRON, "MOSS_PLATFORM_API_URL": "https://m"}))


def test_environment_that_is_passed_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own variables do not fill the gaps of an environment that is passed."""
    monkeypatch.setenv("MOSS_PLATFORM_API_URL", "https://other.example")
    assert "https://service.usemoss.dev" == read(ENVIRON)["api_url"]


def test_value_can_be_in_a_file(tmp_path: Path) -> None:
    """A byte order mark and final newlines of a file are not part of the value."""
    for argument, name in VARIABLES.items():
        for content in ["from-the-file", "from-the-file\n", "from-the-file\r\n\n", "\ufefffrom-the-file\n"]:
            file = tmp_path / "value"
            file.write_bytes(content.encode())
            assert "from-the-file" == read({**ENVIRON, name: "", f"{name}_FILE": str(file)})[argument]


@pytest.mark.parametrize("value", [7, b"hunter2", ["hunter2"]], ids=repr)
def test_value_that_is_no_text_is_named(value: Any) -> None:
    """An environment that is passed may contain anything."""
    for name in (*VARIABLES.values(), "MOSS_PROJECT_KEY_FILE"):
        assert name.removesuffix("_FILE") == refused({**ENVIRON, name.removesuffix("_FILE"): "", name: value}).field


@pytest.mark.parametrize("environ", [[("MOSS_PROJECT_ID", "p")], "hunter2", 7], ids=repr)
def test_environment_that_is_no_mapping(environ: Any) -> None:
    """It is named before anything is read from it."""
    error = refused(environ)
    assert ("environ", []) == (error.field, spilled(error, ["hunter2"]))


QUOTES = ('"hunter2"', "'hunter2'", '"hunter2', "hunter2'", "\u201chunter2\u201d")
SPACES = (" hunter2", "hunter2 ", "hunter2\r", "hunter2\n", "\t", "   ")
DAMAGED = {
    **dict.fromkeys(QUOTES, "quotation mark"),
    **dict.fromkeys(SPACES, "whitespace"),
    "\ufeffhunter2": "byte order mark",
    "hun\nter2": "newline",
    "hun\x00ter2": "control character",
    "hunter2\u200b": "control character",
    "hunter2\udce4": "UTF-8",
}


def test_damaged_value_is_named() -> None:
    """Values that an env file, a shell or an editor damaged are refused by the variable, with a remedy."""
    for value, problem in DAMAGED.items():
        for name in [*NAMES, *(f"{name}_FILE" for name in NAMES), *LIVEKIT]:
            variable = name.removesuffix("_FILE")
            environ = Secret({**ENVIRON, **dict.fromkeys(LIVEKIT, "x"), variable: "", name: value})
            error: Any = caught(lambda environ=environ: required(environ, (*NAMES, *LIVEKIT)))
            assert (variable, True, True) == (error.field, problem in error.message, bool(error.remedy))
            assert error.message.startswith(f"{name} ")
            assert "unter2" not in str(error)


def test_all_missing_variables_are_listed() -> None:
    """One error names every required variable that is unset or empty."""
    for missing in [[name] for name in ENVIRON] + [[*ENVIRON]]:
        for value in [None, ""]:
            environ = {**ENVIRON, **dict.fromkeys(missing, value)}
            error = refused({name: text for name, text in environ.items() if text is not None})
            assert error.field == missing[0]
            assert all(name in error.message for name in missing)
            assert f"{'<NAME>' if missing[1:] else missing[0]}_FILE" in error.remedy
            assert not any(name in str(error) for name in ENVIRON if name not in missing)


def test_value_and_file_together_are_refused() -> None:
    """A variable and its file variant exclude each other."""
    for name in NAMES:
        error = refused({**ENVIRON, name: "hunter2", f"{name}_FILE": "/x"})
        assert (name, True, True) == (error.field, f"{name} and {name}_FILE" in error.message, bool(error.remedy))


def test_unusable_file_is_named_with_its_path(tmp_path: Path) -> None:
    """The error names the variable, the path and the kind of problem; not the content, nor a key in place of the path."""
    (tmp_path / "latin").write_bytes(b"hunter2\xff")
    paths = {
        str(tmp_path / "missing"): "FileNotFoundError",
        str(tmp_path): "IsADirectoryError",
        str(tmp_path / "latin"): "UnicodeDecodeError",
        "/dev/zero": "control character",  # read up to a limit
        "~/key": "~",  # only a shell replaces it
    }
    for number, content in enumerate(("", "\n", "\ufeff\r\n", '"hunter2"\n', " hunter2", "hunter2\nhunter3\n")):
        (tmp_path / str(number)).write_bytes(content.encode())
        paths[str(tmp_path / str(number))] = ""
    for path, problem in {**paths, "hunter2": "path not shown"}.items():
        error = refused({**ENVIRON, "MOSS_PROJECT_KEY": "", "MOSS_PROJECT_KEY_FILE": path})
        assert error.field == "MOSS_PROJECT_KEY"
        assert all(part in error.message for part in ("MOSS_PROJECT_KEY_FILE", problem))
        assert path in (*error.message.split("'"), "~/key", "hunter2")
        assert ("absolute path" in error.remedy) is (path == "~/key")
        assert "hunter2" not in str(error)


def test_no_frame_holds_the_environment() -> None:
    """When a variable is missing, no frame of ours shows another variable's value."""
    value = "hunter" * 2
    hidden: Secret[Mapping[str, str]] = Secret({"MOSS_PROJECT_ID": "p", "MOSS_PROJECT_KEY": value, "OTHER": value})
    del value

    assert [] == spilled(caught(lambda: from_environment(hidden)), ["hunterhunter"])
