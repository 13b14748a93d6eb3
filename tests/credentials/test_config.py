"""Settings: from arguments and from an environment; what is wrong is named, its value never."""

from __future__ import annotations

import enum
import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import pytest

from moss_voice_server._credentials.config import DEFAULT_API_URL, VARIABLES, from_environment, settings
from moss_voice_server._secret import Secret
from moss_voice_server.errors import InvalidArgument

GOOD: dict[str, Any] = {
    "project_id": "project-1",
    "project_key": "key-1",
    "voice_agent_id": "agent-1",
    "api_url": "https://moss.example",
}
ENVIRON = {"MOSS_PROJECT_ID": "project-1", "MOSS_PROJECT_KEY": "key-1", "MOSS_VOICE_AGENT_ID": "agent-1"}


def made(**changes: Any) -> tuple[str, str, str]:
    """The settings, revealed."""
    arguments = {**GOOD, **changes}
    found = settings(**{**arguments, "project_key": Secret(arguments["project_key"])})
    return found.project_id, found.project_key.reveal(), found.url


def refused(check: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the error that a check raises, whose frames hold no value."""
    with pytest.raises(InvalidArgument) as caught:
        check(*args, **keywords)
    error = caught.value
    assert (None, None) == (error.__cause__, error.__context__)
    return error.field, str(error)


# Arguments.


def test_settings_become_one_request() -> None:
    """The four settings become a project, a key and the address of the voice agent's credentials."""
    url = "https://moss.example/api/voice-agent/get-voice-agent?voice_agent_id=agent-1"

    assert ("project-1", "key-1", url) == made()


def test_default_address_is_that_of_0_1_0() -> None:
    """The API's address is the one that 0.1.0 asks."""
    assert "https://service.usemoss.dev" == DEFAULT_API_URL


QUOTED = {
    "va_1": "va_1",
    "a b/c": "a%20b/c",
    "a+b": "a%2Bb",
    "ü&x=1#?%": "%C3%BC%26x%3D1%23%3F%25",
    "日本": "%E6%97%A5%E6%9C%AC",
    "~._-": "~._-",
    "'\"<>[]{}|\\^`": "%27%22%3C%3E%5B%5D%7B%7D%7C%5C%5E%60",
    "a,b;c:d@e!$*()": "a%2Cb%3Bc%3Ad%40e%21%24%2A%28%29",
}


@pytest.mark.parametrize(("agent", "quoted"), QUOTED.items(), ids=map(ascii, QUOTED))
def test_voice_agent_id_is_quoted_as_in_0_1_0(agent: str, quoted: str) -> None:
    """Any id is quoted in the address just as 0.1.0 quotes it (written down from its own requests)."""
    assert quoted == made(voice_agent_id=agent)[2].partition("?voice_agent_id=")[2]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://moss.example/", "https://moss.example"),
        ("https://moss.example///", "https://moss.example"),
        ("https://moss.example/base/", "https://moss.example/base"),
        ("HTTPS://Moss.Example:8443/Base/%20x", "https://moss.example:8443/Base/%20x"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_api_url_is_the_beginning_of_the_address(base: str, expected: str) -> None:
    """A path in the API's address is kept, slashes at its end do not count."""
    assert f"{expected}/api/voice-agent/get-voice-agent?voice_agent_id=agent-1" == made(api_url=base)[2]


VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize("value", ["x", VISIBLE, "x" * 512, "sk_live_0123=="])
@pytest.mark.parametrize("field", ["project_id", "project_key"])
def test_visible_ascii_is_taken(field: str, value: str) -> None:
    """Project id and key are 1 to 512 visible ASCII characters: any of them."""
    assert value == made(**{field: value})[field == "project_key"]


DAMAGED: list[tuple[Any, str]] = [
    ("", "is empty"),
    (None, "is empty"),
    (5, "must be a str, not int"),
    (True, "must be a str, not bool"),
    (b"hunter2", "must be a str, not bytes"),
    (["hunter2"], "must be a str, not list"),
    ("hunter2\n", "begins or ends with white space"),
    (" hunter2", "begins or ends with white space"),
    ("hunter2\u00a0", "begins or ends with white space"),
    ("\r\n", "begins or ends with white space"),
    (" ", "begins or ends with white space"),
    ("hun ter2", "must be 1 to 512 visible ASCII characters"),
    ("hun\nter2", "must be 1 to 512 visible ASCII characters"),
    ("hun\0ter2", "must be 1 to 512 visible ASCII characters"),
    ("hunter2\x7f", "must be 1 to 512 visible ASCII characters"),
    ("hünter2", "must be 1 to 512 visible ASCII characters"),
    ("\ufeffhunter2", "must be 1 to 512 visible ASCII characters"),
    ("hunter2\u200b", "must be 1 to 512 visible ASCII characters"),
    ("hunter2\ud800", "must be 1 to 512 visible ASCII characters"),
    ("hunter2" * 74, "must be 1 to 512 visible ASCII characters"),
    ("hunter2" * 1500, "must be 1 to 512 visible ASCII characters"),
]


@pytest.mark.parametrize(("value", "reason"), DAMAGED, ids=[f"{i}-{ascii(v)[:20]}" for i, (v, _) in enumerate(DAMAGED)])
@pytest.mark.parametrize("field", ["project_id", "project_key"])
def test_damaged_project_id_or_key_is_refused(field: str, value: Any, reason: str) -> None:
    """What a header cannot carry whole is refused by name, with its variable and what to do, without its value."""
    name, text = refused(made, **{field: value})

    assert (field, True) == (name, text.startswith(f"{field} ({VARIABLES[field]}) {reason}"))
    assert (False, True) == ("unter2" in text, ":" in text or "must be a str" in text)


@pytest.mark.parametrize(
    "value", ["", " ", "\t\n", None, 5, b"agent", "a\nb", "a\0", "a\x85", "\ud800", "\u2028a", "x" * 513]
)
def test_bad_voice_agent_id_is_refused(value: Any) -> None:
    """An empty id, another type, control characters and absurd length are refused by name."""
    name, text = refused(made, voice_agent_id=value)

    assert ("voice_agent_id", True) == (name, text.startswith("voice_agent_id (MOSS_VOICE_AGENT_ID) "))


@pytest.mark.parametrize("value", ["x" * 512, "inner space", "ünï/🎤"])
def test_any_printable_voice_agent_id_is_taken(value: str) -> None:
    """An id is any printable text of up to 512 characters."""
    assert value == unquote(made(voice_agent_id=value)[2].partition("?voice_agent_id=")[2])


@pytest.mark.parametrize("value", ["", " ", None])
def test_missing_voice_agent_id_is_called_so(value: Any) -> None:
    """No id is told as such, with where to find one."""
    _, text = refused(made, voice_agent_id=value)

    assert "voice_agent_id (MOSS_VOICE_AGENT_ID) is empty: copy the voice agent's id from Moss" == text


@pytest.mark.parametrize("value", [5, True, b"agent", ["agent"]])
def test_voice_agent_id_of_another_type_is_called_so(value: Any) -> None:
    """An id that is no text is told its type, and not that it is empty."""
    _, text = refused(made, voice_agent_id=value)

    assert f"voice_agent_id (MOSS_VOICE_AGENT_ID) must be a str, not {type(value).__name__}" == text


@pytest.mark.parametrize(
    "value", ["", None, 5, "moss.example", "http://moss.example", "https://u:hunter2@moss.example", "/"]
)
def test_bad_api_url_is_refused(value: Any) -> None:
    """An address that is none, or would send the key in the clear, is refused by name and not repeated."""
    name, text = refused(made, api_url=value)

    assert ("api_url", True) == (name, text.startswith("api_url (MOSS_PLATFORM_API_URL) "))
    assert "hunter2" not in text


def test_key_stays_wrapped() -> None:
    """The settings show the key in no rendering."""
    found = settings("project-1", Secret("hunter2"), "agent-1", "https://moss.example")

    assert [False, False] == ["hunter2" in repr(found), "hunter2" in str(found._asdict())]


class Place(str, enum.Enum):
    """Texts that introduce themselves by other names."""

    PROJECT = "project-1"
    KEY = "key-1"
    AGENT = "agent-1"
    API = "https://moss.example/"


def test_enumeration_counts_by_its_value() -> None:
    """A member of an enumeration of texts is its value."""
    found = made(project_id=Place.PROJECT, project_key=Place.KEY, voice_agent_id=Place.AGENT, api_url=Place.API)

    assert made() == found


# An environment.


def read(environ: Mapping[str, str], files: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings of an environment with these files, the key revealed."""

    def opened(path: str) -> str:
        content = (files or {})[path]
        if isinstance(content, Exception):
            raise content
        return str(content)

    found = from_environment(Secret(environ), opened)
    assert isinstance(found["project_key"], Secret)
    return {**found, "project_key": found["project_key"].reveal()}


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_environment_names_the_arguments(kind: Callable[[dict[str, str]], Mapping[str, str]]) -> None:
    """Each variable is an argument; the address is left to its default when it is not set."""
    least = {"project_id": "project-1", "project_key": "key-1", "voice_agent_id": "agent-1"}

    assert least == read(kind({**ENVIRON, "MOSS_OTHER": "x", "MOSS_PLATFORM_API_URL": ""}))
    assert {**least, "api_url": "https://m"} == read(kind({**ENVIRON, "MOSS_PLATFORM_API_URL": "https://m"}))


def test_byte_order_mark_in_a_file_is_dropped() -> None:
    """Some editors begin a text file with U+FEFF, which is not part of the value."""
    environ = {**ENVIRON, "MOSS_PROJECT_KEY": "", "MOSS_PROJECT_KEY_FILE": "/run/secrets/x"}
    found = from_environment(Secret(environ), lambda path: "\ufeffkey-1\n")

    assert "key-1" == found["project_key"].reveal()


NAMES = [*VARIABLES.items()]


@pytest.mark.parametrize(("argument", "name"), NAMES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_value_can_be_in_a_file(argument: str, name: str, end: str) -> None:
    """`<NAME>_FILE` names a file that holds the value; the line end that an editor leaves is not part of it."""
    environ = {**ENVIRON, name: "", f"{name}_FILE": "/run/secrets/x"}

    assert "from-the-file" == read(environ, {"/run/secrets/x": f"from-the-file{end}"})[argument]


def test_other_white_space_in_a_file_is_kept() -> None:
    """Only line ends are taken off: what else is there is the value's, and is told when it is checked."""
    environ = {**ENVIRON, "MOSS_VOICE_AGENT_ID": "", "MOSS_VOICE_AGENT_ID_FILE": "f"}

    assert " \tvalue\t " == read(environ, {"f": " \tvalue\t \n"})["voice_agent_id"]


def test_empty_file_variable_is_not_set() -> None:
    """An empty `<NAME>_FILE` counts as not set, as containers leave it."""
    environ = {**ENVIRON, **{f"{name}_FILE": "" for _, name in NAMES}}

    assert "key-1" == read(environ)["project_key"]


@pytest.mark.parametrize("name", list(ENVIRON))
@pytest.mark.parametrize("value", [None, ""])
def test_missing_variable_is_named_with_both_ways_out(name: str, value: str | None) -> None:
    """A variable that is not set, or empty, is named, and its file variant too."""
    environ = {key: text for key, text in ENVIRON.items() if key != name}
    if value is not None:
        environ[name] = value

    expected = f"{name} is not set: set it, or {name}_FILE to a file that holds the value"
    assert (name, expected) == refused(read, environ)


@pytest.mark.parametrize("name", [name for _, name in NAMES])
def test_value_and_file_together_are_refused(name: str) -> None:
    """A value and a file for the same setting are refused: nobody could tell which one counts."""
    environ = {**ENVIRON, name: "hunter2", f"{name}_FILE": "/x"}

    assert (name, f"both {name} and {name}_FILE are set: keep one of them") == refused(read, environ)


UNREADABLE = [
    FileNotFoundError(2, "No such file", "/x"),
    PermissionError(13, "Permission denied", "/x"),
    IsADirectoryError(21, "Is a directory", "/x"),
    UnicodeDecodeError("utf-8", b"hunter2\xff", 7, 8, "invalid start byte"),
    ValueError("embedded null byte"),
]


@pytest.mark.parametrize("name", [name for _, name in NAMES])
@pytest.mark.parametrize("error", UNREADABLE, ids=lambda error: type(error).__name__)
def test_unreadable_file_is_named_without_its_content(name: str, error: Exception) -> None:
    """A file that cannot be read is refused by its variable and the error's name, without content and context."""
    expected = (
        f"{name}_FILE names a file that cannot be read ({type(error).__name__}): check its path, mode and encoding"
    )

    assert (name, expected) == refused(read, {**ENVIRON, name: "", f"{name}_FILE": "/x"}, {"/x": error})


@pytest.mark.parametrize("content", ["", "\n", "\r\n\n"])
def test_empty_file_is_refused(content: str) -> None:
    """A file with nothing in it is refused: somebody has forgotten to write the value."""
    environ = {**ENVIRON, "MOSS_PROJECT_KEY": "", "MOSS_PROJECT_KEY_FILE": "/x"}

    expected = "MOSS_PROJECT_KEY_FILE names an empty file: write the value into it"
    assert ("MOSS_PROJECT_KEY", expected) == refused(read, environ, {"/x": content})


def test_no_frame_holds_the_environment() -> None:
    """When a variable is missing, no frame of ours shows another variable's value."""
    value = "hunter" * 2
    hidden: Secret[Mapping[str, str]] = Secret({"MOSS_PROJECT_ID": "p", "MOSS_PROJECT_KEY": value, "OTHER": value})
    del value

    with pytest.raises(InvalidArgument) as caught:
        from_environment(hidden, lambda path: path)

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "hunterhunter" not in shown
