"""Rules about who joins: API key, identity, name, kind, metadata and attributes; and about the size of the whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import inf

from .._escape import escape
from .._validation import ATTRIBUTES_LIMIT, CONTROL, LABEL_LIMIT, METADATA_LIMIT, SURROGATE
from .facts import Facts
from .finding import Rule, size

_KINDS = ("standard", "ingress", "egress", "sip", "agent", "connector", "bridge")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_SECRET_LENGTH = 32
_OWN_ID = "use the user's own, opaque ID"
_LONG, _TOO_LONG = 4_000, 8_000  # bytes; many proxies accept 8 KiB of URL or header, the rest of the request included
_IMPOSSIBLE = 1024 * 1024 - 4_096  # bytes; Go's net/http accepts 1 MiB of request line and headers
_SHORTEN = "keep metadata and attributes on your server, and send an ID"


def looks_like_secret(key: str) -> bool:
    """Whether an API key looks more like an API secret: long, and without the prefix API of LiveKit's keys."""
    return len(key) >= _SECRET_LENGTH and not key.startswith("API")


def _labels(facts: Facts) -> Iterator[tuple[str, str]]:
    """Short texts that people and logs see, by name."""
    yield "name", facts.text("name")
    if facts.joins:
        yield "the identity", facts.identity
    room = facts.video.get("room")
    if facts.can_join and isinstance(room, str):
        yield "video.room", room


def _with(pattern: re.Pattern[str]) -> Callable[[Facts], list[str]]:
    return lambda facts: [name for name, value in _labels(facts) if pattern.search(value)]


def _has_outer_whitespace(value: str) -> bool:
    return value != value.strip() and bool(value.strip()) and not CONTROL.search(value)


def _attributes(facts: Facts) -> dict[str, object]:
    attributes = facts.claims.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _attributes_size(facts: Facts) -> int:
    return sum(size(name) + size(value) for name, value in _attributes(facts).items())


def _reserved_attribute(facts: Facts) -> str | None:
    if facts.claims.get("kind") == "agent":
        return None
    return next((escape(name) for name in _attributes(facts) if name.lower().startswith("lk.")), None)


def _has_no_identity(facts: Facts) -> bool:
    return facts.joins and facts.claims.get("sub") in (None, "")


def _ignored_identity(facts: Facts) -> bool:
    identity, own = facts.claims.get("identity"), facts.claims.get("sub")
    return facts.joins and own not in (None, "") and identity not in (None, own)


def _kind(facts: Facts) -> str:
    kind = facts.text("kind")
    return "" if kind == "standard" else kind


def _above(length: int, limit: int, most: float = inf) -> str | None:
    return str(length) if limit < length <= most else None


# fmt: off
RULES = (
    Rule("no_iss", "error", lambda facts: facts.claims.get("iss") in (None, ""),
         "the token has no iss, the API key; LiveKit answers 401", "set iss to the API key"),
    Rule("secret_as_key", "error", lambda facts: looks_like_secret(facts.text("iss")),
         "iss looks like an API secret, not like an API key: anyone who sees the token sees the secret",
         "swap key and secret in the settings, and create a new pair, since this one is exposed"),
    Rule("key_with_white_space", "error",
         lambda facts: not looks_like_secret(facts.text("iss")) and bool(re.search(r"[\s\x00-\x1f\x7f-\x9f]", facts.text("iss"))),
         "iss contains whitespace or a newline; LiveKit does not know such a key and answers 401",
         "strip the API key after reading it"),
    Rule("identity_from_jti", "warning", lambda facts: _has_no_identity(facts) and facts.identity != "",
         "the token has no sub; LiveKit uses jti as the identity", "set sub to the identity"),
    Rule("no_identity", "error",
         lambda facts: _has_no_identity(facts) and not facts.identity and not facts.claims.get("identity"),
         "the token has no sub, the identity; LiveKit answers 400", "set sub to the identity"),
    Rule("no_identity", "error",
         lambda facts: _has_no_identity(facts) and not facts.identity and bool(facts.claims.get("identity")),
         "the token has the claim identity, which LiveKit ignores, and no sub; LiveKit answers 400", "set sub to the identity"),
    Rule("identity_ignored", "warning",
         _ignored_identity,
         "LiveKit ignores the claim identity and reads sub", "remove the claim identity"),
    Rule("lone_surrogate", "warning", _with(SURROGATE),
         "{} contains a lone surrogate, which LiveKit reads as U+FFFD: two users can become one",
         "decode the text properly before it goes into a token"),
    Rule("control_character", "warning", _with(CONTROL), "{} contains a control character", "strip it"),
    Rule("white_space", "warning", lambda facts: [name for name, value in _labels(facts) if _has_outer_whitespace(value)],
         "{} begins or ends with whitespace", "strip it"),
    Rule("blank", "warning",
         lambda facts: [name for name, value in _labels(facts) if name != "name" and value and not value.strip()],
         "{} is blank", "give it visible characters"),
    Rule("identity_too_long", "error", lambda facts: _above(size(facts.identity) if facts.joins else 0, LABEL_LIMIT),
         f"the identity has {{}} bytes; LiveKit answers 400 above {LABEL_LIMIT}", "shorten it"),
    Rule("personal_data", "info", lambda facts: facts.joins and _EMAIL.fullmatch(facts.identity.strip()) is not None,
         "the identity is an email address, and LiveKit logs identities", _OWN_ID),
    Rule("name_too_long", "warning", lambda facts: _above(size(facts.text("name")), LABEL_LIMIT),
         f"name has {{}} bytes; LiveKit accepts it in a token, but no later change above {LABEL_LIMIT}", "shorten it"),
    Rule("unknown_kind", "warning", lambda facts: bool(_kind(facts)) and _kind(facts) not in _KINDS,
         "unknown participant kind; LiveKit treats it as standard", "remove kind"),
    Rule("kind", "warning", lambda facts: _kind(facts) if _kind(facts) in _KINDS and _kind(facts) != "sip" else None,
         "the participant has the kind {}: LiveKit dispatches no agent for it, and clients show it as such",
         "remove kind from tokens for people"),
    Rule("kind", "warning", lambda facts: _kind(facts) == "sip", "the participant has the kind sip, a caller by telephone",
         "remove kind from tokens for people"),
    Rule("metadata_too_long", "error", lambda facts: _above(size(facts.text("metadata")), METADATA_LIMIT),
         f"metadata has {{}} bytes; the join fails above {METADATA_LIMIT} (64000 before 1.13.2)",
         "keep it on your server and send its ID"),
    Rule("attributes_too_long", "error", lambda facts: _above(_attributes_size(facts), ATTRIBUTES_LIMIT),
         f"attributes have {{}} bytes; the join fails above {ATTRIBUTES_LIMIT} (64000 before 1.13.2)",
         "keep them on your server and send an ID"),
    Rule("reserved_attribute", "warning", _reserved_attribute,
         "attributes.{} is reserved by LiveKit: clients treat it as set by an agent",
         "choose a name that does not begin with lk."),
    Rule("too_long", "error", lambda facts: _above(facts.size, _IMPOSSIBLE),
         "the token has {} bytes; LiveKit accepts at most 1 MiB of headers", _SHORTEN),
    Rule("long_token", "warning", lambda facts: _above(facts.size, _TOO_LONG, _IMPOSSIBLE),
         "the token has {} bytes: browsers send it in the URL, and many proxies accept at most 8 KiB", _SHORTEN),
    Rule("long_token", "info", lambda facts: _above(facts.size, _LONG, _TOO_LONG),
         "the token has {} bytes: some proxies accept URLs of at most 4 KiB", _SHORTEN),
)
# fmt: on
