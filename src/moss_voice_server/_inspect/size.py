"""Rules about the size of a token, which browsers send in a URL."""

from __future__ import annotations

from .finding import Rule

_LONG, _TOO_LONG = 4_000, 8_000  # bytes; many proxies accept 8 KiB of URL or header, the rest of the request included
_IMPOSSIBLE = 1024 * 1024 - 4_096  # bytes; Go's net/http accepts 1 MiB of request line and headers
_SHORTEN = "keep metadata and attributes on your server, and send an ID"

# fmt: off
RULES = (
    Rule("too_long", "error", lambda facts: str(facts.size) if facts.size > _IMPOSSIBLE else None,
         "the token has {} bytes; LiveKit accepts at most 1 MiB of headers", _SHORTEN),
    Rule("long_token", "warning", lambda facts: str(facts.size) if _TOO_LONG < facts.size <= _IMPOSSIBLE else None,
         "the token has {} bytes: browsers send it in the URL, and many proxies accept at most 8 KiB", _SHORTEN),
    Rule("long_token", "info", lambda facts: str(facts.size) if _LONG < facts.size <= _TOO_LONG else None,
         "the token has {} bytes: some proxies accept URLs of at most 4 KiB", _SHORTEN),
)
# fmt: on
