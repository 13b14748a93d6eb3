"""URLs: those that are accepted, their normal form, and the errors for others."""

from __future__ import annotations

import enum
from typing import Any

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

REFUSED = {
    # Not this machine, although it looks like it.
    "http://host.example": SCHEME,
    "http://localhost.evil.test": SCHEME,
    "http://127.0.0.1.evil.test": SCHEME,
    "http://localhost.": SCHEME,
    "http://127.0.0.1.": SCHEME,
    "http://127.1": SCHEME,
    "http://127.0.0.2": SCHEME,
    "http://0.0.0.0": SCHEME,
    "http://0x7f.1": SCHEME,
    "http://2130706433": SCHEME,
    "http://[::ffff:127.0.0.1]": SCHEME,
    "http://[0:0:0:0:0:0:0:1]": SCHEME,
    "http://[::1].evil.test": SHAPE,
    "http://[::1]evil.test:80": SHAPE,
    "http://evil.test[::1]": SHAPE,
    "https://[::1]x": SHAPE,
    "http://localhost@evil.test": USER,
    "http://localhost:80@evil.test": USER,
    "http://evil.test#@localhost": FRAGMENT,
    "http://evil.test?@localhost": QUERY,
    "http://evil.test\\@localhost": BACKSLASH,
    "http:\\\\localhost": BACKSLASH,
    # Other schemes.
    "httpsx://host.example": SCHEME,
    "https+x://host.example": SCHEME,
    "ftp://localhost": SCHEME,
    "ws://localhost": SCHEME,
    "wss://host.example": SCHEME,
    "//host.example": SCHEME,
    # Not a URL.
    "host.example": SHAPE,
    "host.example:443": SHAPE,
    "javascript:alert(1)": SHAPE,
    "file:///etc/passwd": SHAPE,
    "https:": SHAPE,
    "https:/host.example": SHAPE,
    "https://": SHAPE,
    "https:///path": SHAPE,
    "https://:443": SHAPE,
    "https://host.example:": SHAPE,
    "https://host.example:0": SHAPE,
    "https://host.example:65536": SHAPE,
    "https://host.example:-1": SHAPE,
    "https://host.example:+443": SHAPE,
    "https://host.example:4_43": SHAPE,
    "https://host.example:port": SHAPE,
    "https://1:2:3": SHAPE,
    "https://::1": SHAPE,
    "https://[::1": SHAPE,
    "https://::1]": SHAPE,
    "https://[fe80::1%25eth0]": SHAPE,
    "https://[host.example]": SHAPE,
    "https://[v1.x]": SHAPE,
    "https://[1]": SHAPE,
    "https://[:::]": SHAPE,
    "https://[1.2.3.4]": SHAPE,
    "https://[::12345]": SHAPE,
    "http://[127.0.0.1]": SHAPE,
    "https://-host.example": SHAPE,
    "https://.example": SHAPE,
    "https://%68ost.example": SHAPE,
    "https://host.example,other.example": SHAPE,
    "https://host..example": SHAPE,
    "https://host.example..": SHAPE,
    f"https://{'x' * 64}.example": SHAPE,
    f"https://{LONGEST}x": SHAPE,
    "https://'": SHAPE,
    # Characters that are not allowed.
    " https://host.example": SPACE,
    "https://host.example ": SPACE,
    "https://host.example\n": SPACE,
    "https://host.example/\t": SPACE,
    "https://host\0.example": CONTROL,
    "https://host.example\x7f": CONTROL,
    "https://bücher.example": FOREIGN,
    "https://host。example": FOREIGN,
    "https://host.example/é": FOREIGN,
    "https://host.example:٣": FOREIGN,
    "https://user:word@host.example": USER,
    "https://user@host.example": USER,
    "https://host.example?": QUERY,
    "https://host.example?a=b": QUERY,
    "https://host.example#": FRAGMENT,
    "https://host.example/\\": BACKSLASH,
    "https://\ud800": FOREIGN,
}


def test_anything_else_is_refused() -> None:
    """Text that is not a URL, and a URL that would send secrets in plain text, is refused."""
    for value, reason in REFUSED.items():
        normal, problem = checked(value)

        assert ("", True) == (normal, problem.startswith(reason))


def test_error_does_not_repeat_the_url() -> None:
    """A URL may contain a password: no text repeats any of it."""
    for value in ["https://user:hunter2@h", "http://hunter2.example", "hunter2", "https://h:hunter2"]:
        assert "hunter2" not in checked(value)[1]


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


def test_loopback_is_three_names() -> None:
    """This machine has three names and no more."""
    assert {"localhost", "127.0.0.1", "::1"} == LOOPBACK


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
