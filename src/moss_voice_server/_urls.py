"""URLs of the Moss API and of LiveKit servers: parsed and compared as a whole, never by prefix."""

from __future__ import annotations

import re
from typing import Any

from ._secret import Secret
from ._validation import plain_str
from .errors import InvalidArgument

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FORBIDDEN = re.compile(r"[^\x21-\x7e]|[\\?#@]")
_NAMES = {"\\": "a backslash", "@": "a user name (@)", "?": "a query (?)", "#": "a fragment (#)"}
# RFC 3986, section 3, without the characters above. The standard library's parser accepts more than this: it reads
# `[::1].host.example` as the host `::1`.
_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/.*)?"
)


def check_url(
    name: str, value: Secret[Any], *, secure: tuple[str, ...], plain: tuple[str, ...], field: str = ""
) -> str:
    """The URL in normal form. It comes hidden, because it may contain a password by mistake.

    Args:
        name: what an error calls the URL.
        value: the URL.
        secure: the allowed schemes.
        plain: the schemes that are allowed for this machine only.
        field: the error's `field`; `name` by default.

    Raises:
        InvalidArgument: it is not such a URL.
    """
    problem = _problem(value, secure, plain)
    if problem:
        raise InvalidArgument(
            f"{name} {problem}", field=field or name, remedy=f"write it as {secure[0]}://host.example"
        )
    _, _, normal = _split(value.reveal()) or ("", "", "")
    return normal


def _problem(value: Secret[Any], secure: tuple[str, ...], plain: tuple[str, ...]) -> str:
    if not isinstance(value.reveal(), str):
        return f"must be a str, not {type(value.reveal()).__name__}"
    if not value.reveal():
        return "is empty"
    found = _FORBIDDEN.search(value.reveal())
    if found:
        return f"contains {_NAMES.get(found[0]) or _kind(found[0])}"
    parts = _split(value.reveal())
    if parts is None:
        return "is not a URL with a host and, optionally, a port from 1 to 65535"
    scheme, host, _ = parts
    if scheme in secure or (scheme in plain and host in LOOPBACK):
        return ""
    allowed = " or ".join(f"{each}://" for each in secure)
    insecure = " and ".join(f"{each}://" for each in plain)
    verb = "is" if len(plain) == 1 else "are"
    return f"must begin with {allowed}; {insecure} {verb} allowed only for localhost, 127.0.0.1 and [::1]"


def _kind(char: str) -> str:
    if char.isspace():
        return "whitespace"
    return "a control character" if char.isascii() else "a non-ASCII character"


def _split(value: str) -> tuple[str, str, str] | None:
    """Scheme, host without the brackets of an IPv6 address, and the URL in normal form."""
    match = _URL.fullmatch(value)
    if match is None or not 1 <= int(match["port"] or 1) <= 65535:
        return None
    scheme, host = (match["scheme"] or "").lower(), (match["six"] or match["name"]).lower()
    if not (_is_ipv6(host) if match["six"] else _is_name(host)):
        return None
    bracketed = f"[{host}]" if match["six"] else host
    port = f":{match['port']}" if match["port"] else ""
    return scheme, host, f"{scheme}://{bracketed}{port}{match['path'] or ''}"


def _is_name(host: str) -> bool:
    """Whether the labels of the name, with or without the root's trailing dot, have the lengths of RFC 1035, section 2.3.4."""
    name = host.removesuffix(".")
    return len(name) <= 253 and all(1 <= len(label) <= 63 for label in name.split("."))


def _is_ipv6(host: str) -> bool:
    from ipaddress import IPv6Address  # late: few URLs need it

    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def check_path(path: object) -> str:
    """The path of a token endpoint in an application.

    Raises:
        InvalidArgument: it is not a str that begins with a slash.
    """
    plain = plain_str(path)
    if plain is None or not plain.startswith("/"):
        raise InvalidArgument(
            "path does not begin with a slash", field="path", remedy="write one such as '/voice/token'"
        )
    return plain
