"""URLs: those that are accepted, their normal form, and the errors for others."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server._secret import Secret
from moss_voice_server._urls import LOOPBACK, check_url
from moss_voice_server.errors import InvalidArgument

LONGEST = ".".join(["x" * 49] * 5) + ".abc"  # 253 characters

TAKEN = {
    "https://service.usemoss.dev": "https://service.usemoss.dev",
    "https://h": "https://h",
    "HTTPS://Host.Example:8443/Base/Path": "https://host.example:8443/Base/Path",
    "https://host.example/": "https://host.example/",
    "https://host.example/a//b/../c;d=e%0A": "https://host.example/a//b/../c;d=e%0A",
    "https://host.example.": "https://host.example.",
    "https://under_score.example": "https://under_score.example",
    f"https://{'x' * 63}.example": f"https://{'x' * 63}.example",
    f"https://{LONGEST}.": f"https://{LONGEST}.",
    "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
    "https://192.0.2.1:1": "https://192.0.2.1:1",
    "https://[2001:DB8::1]:65535/x": "https://[2001:db8::1]:65535/x",
    "https://host.example:0443": "https://host.example:0443",
    "http://localhost": "http://localhost",
    "http://LOCALHOST:8080": "http://localhost:8080",
    "http://127.0.0.1:1/x": "http://127.0.0.1:1/x",
    "http://[::1]:1": "http://[::1]:1",
}


def checked(value: Any, secure: tuple[str, ...] = ("https",), plain: tuple[str, ...] = ("http",)) -> tuple[str, str]:
    """The normal form, and what is wrong; one of the two is empty."""
    try:
        return check_url("url", Secret(value), secure=secure, plain=plain), ""
    except InvalidArgument as error:
        refusal = error
    assert (refusal.field, bool(refusal.remedy)) == ("url", True)
    return "", refusal.message.removeprefix("url ")


def test_normal_form() -> None:
    """Scheme and host become lower case, the path is untouched; the normal form is stable."""
    for value, expected in TAKEN.items():
        assert (expected, "") == checked(value)
        assert (expected, "") == checked(expected)


USER, QUERY, FRAGMENT = "contains a user name (@)", "contains a query (?)", "contains a fragment (#)"
SPACE, CONTROL, FOREIGN = "contains whitespace", "contains a control character", "contains a non-ASCII character"
BACKSLASH = "contains a backslash"
SHAPE = "is not a URL with a host and, optionally, a port from 1 to 65535"
SCHEME = "must begin with https://"

# By the reason, one URL per word.
REFUSED = {
    SCHEME: """
        http://host.example http://localhost.evil.test http://127.0.0.1.evil.test http://localhost. http://127.0.0.1.
        http://127.1 http://127.0.0.2 http://0.0.0.0 http://0x7f.1 http://2130706433 http://[::ffff:127.0.0.1]
        http://[0:0:0:0:0:0:0:1] httpsx://host.example https+x://host.example ftp://localhost ws://localhost
        wss://host.example //host.example
    """,
    SHAPE: f"""
        http://[::1].evil.test http://[::1]evil.test:80 http://evil.test[::1] https://[::1]x host.example host.example:443
        javascript:alert(1) file:///etc/passwd https: https:/host.example https:// https:///path https://:443
        https://host.example: https://host.example:0 https://host.example:65536 https://host.example:-1
        https://host.example:+443 https://host.example:4_43 https://host.example:port https://1:2:3 https://::1
        https://[::1 https://::1] https://[fe80::1%25eth0] https://[host.example] https://[v1.x] https://[1] https://[:::]
        https://[1.2.3.4] https://[::12345] http://[127.0.0.1] https://-host.example https://.example
        https://%68ost.example https://host.example,other.example https://host..example https://host.example..
        https://{"x" * 64}.example https://{LONGEST}x https://'
    """,
    USER: """
        http://localhost@evil.test http://localhost:80@evil.test https://user:word@host.example https://user@host.example
    """,
    QUERY: "http://evil.test?@localhost https://host.example? https://host.example?a=b",
    FRAGMENT: "http://evil.test#@localhost https://host.example#",
    BACKSLASH: "http://evil.test\\@localhost http:\\\\localhost https://host.example/\\",
    FOREIGN: """
        https://bücher.example https://host。example https://host.example/é https://host.example:٣ https://\ud800
    """,
    CONTROL: "https://host\0.example https://host.example\x7f",
}
SPACES = (" https://host.example", "https://host.example ", "https://host.example\n", "https://host.example/\t")


@pytest.mark.parametrize(
    ("reason", "urls"), [*((each, urls.split()) for each, urls in REFUSED.items()), (SPACE, SPACES)]
)
def test_anything_else_is_refused(reason: str, urls: list[str]) -> None:
    """Text that is not a URL, and a URL that would send secrets in plain text: no error repeats any of it."""
    for url in urls:
        normal, problem = checked(url)
        assert ("", True) == (normal, problem.startswith(reason))
        assert not any(part in problem for part in ("word", "evil", "host.example"))


def test_other_types_are_rejected() -> None:
    """A value that is not text is refused by its type, and an empty one as such."""
    for value in ["", None, 5, b"https://host.example", ["https://host.example"], True]:
        expected = "is empty" if value == "" else f"must be a str, not {type(value).__name__}"
        assert ("", expected) == checked(value)


def test_several_schemes() -> None:
    """LiveKit URLs begin with wss or https, on this machine also with ws or http; the error lists the schemes."""
    schemes: Any = {"secure": ("wss", "https"), "plain": ("ws", "http")}

    for value in ("wss://h", "https://h", "ws://localhost", "http://[::1]"):
        assert (value, "") == checked(value, **schemes)
    for value in ("ws://h", "http://h"):
        assert "must begin with wss:// or https://" in checked(value, **schemes)[1]


class Values(str, enum.Enum):
    """A string whose `str()` is another text."""

    HERE = "http://localhost:8080"


def test_enumeration_counts_by_its_value() -> None:
    """A member of an enumeration of texts is its value."""
    assert ("http://localhost:8080", "") == checked(Values.HERE)


@settings(deadline=None, max_examples=500)
@given(st.text("htps:/[]@.#?\\%1localevi \n\u3002", max_size=30).map("http://".__add__))
def test_plain_scheme_never_leaves_this_machine(value: str) -> None:
    """For any characters, plain http is accepted only for this machine's names."""
    normal, problem = checked(value)

    assert bool(normal) != bool(problem)
    if normal:
        host = normal.removeprefix("http://").partition("/")[0]
        name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        assert name in LOOPBACK
