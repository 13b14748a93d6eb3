"""Addresses: the Moss API's and the LiveKit server's; parsed and compared whole, never by prefix."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# RFC 3986, section 3, without the parts that `address` has refused before. The standard library's parser takes more than
# this: it reads `[::1].host.example` as the host `::1`.
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/.*)?"
)


class _Parts(NamedTuple):
    scheme: str
    host: str
    """Without the brackets of an IPv6 address."""
    whole: str
    """The address in normal form."""


def address(value: Any, *, secure: tuple[str, ...], plain: tuple[str, ...]) -> tuple[str, str]:
    """The address in normal form and what is wrong with it: one of the two is empty.

    `secure` and `plain` are the schemes that are taken: the plain ones only for this machine itself.
    """
    if not isinstance(value, str) or not value:
        return "", "must be a str such as " + _example(secure)
    if re.search(r"[^\x21-\x7e]|[\\?#@]", value):
        return "", (
            "may hold no space, control or non-ASCII character, backslash, query, fragment or user name: write it as "
            + _example(secure)
        )
    parts = _split(value)
    if parts is None:
        return "", "is not an address with a host and, optionally, a port from 1 to 65535: write it as " + _example(
            secure
        )
    if parts.scheme not in secure and not (parts.scheme in plain and parts.host in LOOPBACK):
        return "", (
            f"must begin with {'://, '.join(secure)}://; {'://, '.join(plain)}:// would send secrets in the clear and is "
            "taken only for localhost, 127.0.0.1 and [::1]"
        )
    return parts.whole, ""


def _split(value: str) -> _Parts | None:
    match = _ADDRESS.fullmatch(value)
    if match is None or not 1 <= int(match["port"] or 1) <= 65535:
        return None
    scheme, host = (match["scheme"] or "").lower(), (match["six"] or match["name"]).lower()
    if match["six"] and not _is_ipv6(host):
        return None
    bracketed = f"[{host}]" if match["six"] else host
    port = f":{match['port']}" if match["port"] else ""
    return _Parts(scheme, host, f"{scheme}://{bracketed}{port}{match['path'] or ''}")


def _is_ipv6(host: str) -> bool:
    from ipaddress import IPv6Address  # hardly anybody needs it

    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _example(schemes: tuple[str, ...]) -> str:
    return f"{schemes[0]}://host.example"
