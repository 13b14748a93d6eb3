"""Addresses: the Moss API's and the LiveKit server's; parsed and compared whole, never by prefix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.parse import SplitResult

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?|[0-9A-Fa-f:.]+")


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
    if parts is None or not parts.hostname or not _HOST.fullmatch(parts.hostname):
        return "", "is not an address with a host and, optionally, a port from 1 to 65535: write it as " + _example(
            secure
        )
    scheme = parts.scheme.lower()
    if scheme not in secure and not (scheme in plain and parts.hostname in LOOPBACK):
        return "", (
            f"must begin with {'://, '.join(secure)}://; {'://, '.join(plain)}:// would send secrets in the clear and is "
            "taken only for localhost, 127.0.0.1 and [::1]"
        )
    return f"{scheme}://{parts.netloc.lower()}{parts.path}", ""


def _split(value: str) -> SplitResult | None:
    from urllib.parse import urlsplit  # not at the top: a tenth of what it takes to import this package

    try:
        parts = urlsplit(value)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = "" if parts.port is None else parts.netloc.rpartition(":")[2]
    except ValueError:  # a port that is not a number, or half an IPv6 address
        return None
    # Nothing else may stand there: the standard library reads `[::1].host.example` as the host `::1`.
    whole = parts.netloc.lower() == (f"{host}:{port}" if port else host)
    return parts if whole and parts.port != 0 else None


def _example(schemes: tuple[str, ...]) -> str:
    return f"{schemes[0]}://host.example"
