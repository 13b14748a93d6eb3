"""Participant: who a token says joins: key, identity, name, kind, metadata, attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .._validation import ATTRIBUTES_LIMIT, LABEL_LIMIT, METADATA_LIMIT
from .finding import Finding, error, info, shown, warning

_KINDS = ("standard", "ingress", "egress", "sip", "agent", "connector", "bridge")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_SECRET_LENGTH = 32
_OWN_ID = "use the user's own, opaque id"


def participant(claims: Mapping[str, Any], joins: bool) -> Iterator[Finding]:
    """What is wrong with who joins; `joins` says whether the token is for joining at all."""
    yield from _key(claims.get("iss"))
    if joins:
        yield from _identity(claims)
    name = claims.get("name")
    if isinstance(name, str):
        yield from label("name", name)
        if size(name) > LABEL_LIMIT:
            yield warning(
                "name_too_long",
                f"name is {size(name)} bytes long; LiveKit takes it here, and refuses to change it later (limit {LABEL_LIMIT})",
                "shorten it",
            )
    yield from _kind(claims.get("kind"))
    yield from _texts(claims)


def looks_like_secret(key: str) -> bool:
    """Whether an API key looks more like an API secret: long, and not beginning with API as LiveKit's keys do."""
    return len(key) >= _SECRET_LENGTH and not key.startswith("API")


def label(where: str, value: str) -> Iterator[Finding]:
    """What is doubtful about a short text that people and logs see."""
    if _SURROGATE.search(value):
        yield warning(
            "lone_surrogate",
            f"{where} holds half of a surrogate pair, which LiveKit reads as U+FFFD: two users can become one",
            "decode the text properly before it goes into a token",
        )
    if _CONTROL.search(value):
        yield warning("control_character", f"{where} holds a control character, a line end perhaps", "strip it")
    elif value != value.strip() and value.strip():
        yield warning("white_space", f"{where} begins or ends with white space", "strip it")


def size(text: str) -> int:
    """Bytes of UTF-8, which is what LiveKit counts."""
    return len(text.encode("utf-8", "surrogatepass"))


def _key(key: object) -> Iterator[Finding]:
    if key is None or key == "":
        yield error(
            "no_iss",
            "the token has no iss, the API key by which LiveKit finds the secret; it answers 401",
            "set iss to the API key",
        )
    elif isinstance(key, str) and looks_like_secret(key):
        yield error(
            "secret_as_key",
            "iss looks like an API secret and not like a key: the two are swapped, and all who see the token see the secret",
            "exchange key and secret in the settings, and make a new pair: this one is known",
        )
    elif isinstance(key, str) and re.search(r"[\s\x00-\x1f\x7f-\x9f]", key):
        yield error(
            "key_with_white_space",
            "iss holds white space or a line end, from a file perhaps; LiveKit knows no such key and answers 401",
            "strip the API key when it is read",
        )


def _identity(claims: Mapping[str, Any]) -> Iterator[Finding]:
    identity, other = claims.get("sub"), claims.get("identity")
    if identity is None or identity == "":
        if isinstance(claims.get("jti"), str) and claims["jti"]:
            yield warning(
                "identity_from_jti",
                "the token has no sub; LiveKit takes jti for the identity",
                "set sub to the identity",
            )
            identity = claims["jti"]
        else:
            yield error(
                "no_identity",
                "the token has no sub, the identity of who joins; LiveKit answers 400"
                + (" (it does not read the claim identity)" if other else ""),
                "set sub to the identity",
            )
    elif other is not None and other != identity:
        yield warning("identity_ignored", "LiveKit ignores the claim identity: it reads sub", "leave identity out")
    if not isinstance(identity, str) or not identity:
        return
    yield from label("sub", identity)
    if not identity.strip():
        yield warning("blank", "sub, the identity, is blank", _OWN_ID)
    if size(identity) > LABEL_LIMIT:
        yield error(
            "identity_too_long",
            f"sub, the identity, is {size(identity)} bytes long; LiveKit answers 400 above {LABEL_LIMIT}",
            "shorten it",
        )
    if _MAIL.fullmatch(identity.strip()):
        yield info(
            "personal_data", "sub, the identity, is a mail address; LiveKit writes identities to its logs", _OWN_ID
        )


def _kind(value: object) -> Iterator[Finding]:
    if not isinstance(value, str) or value in ("", "standard"):
        return
    if value not in _KINDS:
        yield warning(
            "unknown_kind",
            "LiveKit knows no such kind of participant and takes it for a standard one",
            "leave kind out",
        )
    else:
        yield warning(
            "kind",
            f"the participant passes for {value}, not for a person: no agent is sent for it, and clients believe it"
            if value != "sip"
            else "the participant passes for sip, a caller by telephone",
            "leave kind out in tokens for people",
        )


def _texts(claims: Mapping[str, Any]) -> Iterator[Finding]:
    metadata, attributes = claims.get("metadata"), claims.get("attributes")
    if isinstance(metadata, str) and size(metadata) > METADATA_LIMIT:
        yield error(
            "metadata_too_long",
            f"metadata is {size(metadata)} bytes long; the join fails above {METADATA_LIMIT} (64000 before 1.13.2)",
            "keep it on your server and send its id",
        )
    if not isinstance(attributes, dict):
        return
    total = sum(size(name) + (size(value) if isinstance(value, str) else 0) for name, value in attributes.items())
    if total > ATTRIBUTES_LIMIT:
        yield error(
            "attributes_too_long",
            f"attributes are {total} bytes long; the join fails above {ATTRIBUTES_LIMIT} (64000 before 1.13.2)",
            "keep them on your server and send an id",
        )
    reserved = next((name for name in attributes if name.lower().startswith("lk.")), None)
    if reserved is not None and claims.get("kind") != "agent":
        yield warning(
            "reserved_attribute",
            f"attributes.{shown(reserved)} is LiveKit's own: clients take it for the agent's word",
            "choose a name that does not begin with lk.",
        )
