"""Size: whether a token still fits where clients put it, which in a browser is an address."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding, error, info, warning

_LONG, _TOO_LONG = 4_000, 8_000  # bytes; many proxies take 8 KiB of address or header, the rest of the request included
_IMPOSSIBLE = 1024 * 1024 - 4_096  # bytes; Go's net/http takes 1 MiB of request line and headers
_SHORTEN = "keep metadata and attributes on your server, and send an id"


def size(length: int) -> Iterator[Finding]:
    """What is wrong with a token of so many bytes."""
    if length > _IMPOSSIBLE:
        yield error("too_long", f"the token has {length} bytes; LiveKit takes at most 1 MiB of headers", _SHORTEN)
    elif length > _TOO_LONG:
        yield warning(
            "long_token",
            f"the token has {length} bytes: browsers send it in the address, and many proxies take no more than 8 KiB",
            _SHORTEN,
        )
    elif length > _LONG:
        yield info(
            "long_token", f"the token has {length} bytes: some proxies take an address of no more than 4 KiB", _SHORTEN
        )
