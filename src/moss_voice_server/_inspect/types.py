"""Types: what each claim must be; LiveKit's server refuses the whole token for one wrong type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .finding import Finding, error, kind, shown, warning

_TEXT, _OBJECT, _FLAG, _TEXTS = "a string", "an object", "true or false", "an array of strings"
# livekit/protocol auth/grants.go: the Go types of each field.
_CLAIMS = {
    **dict.fromkeys(("iss", "sub", "jti", "identity", "name", "kind", "metadata", "sha256", "roomPreset"), _TEXT),
    **dict.fromkeys(("video", "sip", "agent", "inference", "observability", "attributes", "roomConfig"), _OBJECT),
    "kindDetails": _TEXTS,
}
_VIDEO = {
    **dict.fromkeys(("roomCreate", "roomList", "roomRecord", "roomAdmin", "roomJoin"), _FLAG),
    **dict.fromkeys(("canPublish", "canSubscribe", "canPublishData", "canUpdateOwnMetadata"), _FLAG),
    **dict.fromkeys(("canSubscribeMetrics", "canManageAgentSession", "ingressAdmin"), _FLAG),
    **dict.fromkeys(("hidden", "recorder", "agent"), _FLAG),
    **dict.fromkeys(("room", "destinationRoom"), _TEXT),
    "canPublishSources": _TEXTS,
}


def types(claims: Mapping[str, Any], video: Mapping[str, Any]) -> Iterator[Finding]:
    """What has a wrong type, and what would have been meant."""
    yield from _all("", claims, _CLAIMS)
    yield from _all("video.", video, _VIDEO)
    audience = claims.get("aud")
    if audience is not None and not _is(audience, _TEXT) and not _is(audience, _TEXTS):
        yield _wrong("aud", audience, "a string or an array of strings")
    attributes = claims.get("attributes")
    if isinstance(attributes, dict):
        yield from _attributes(attributes)


def _all(where: str, fields: Mapping[str, Any], expected: Mapping[str, str]) -> Iterator[Finding]:
    for name, value in fields.items():
        # null is as good as absent to Go.
        if name in expected and value is not None and not _is(value, expected[name]):
            yield _wrong(where + name, value, expected[name])


def _is(value: object, expected: str) -> bool:
    if expected == _TEXTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, {_TEXT: str, _OBJECT: dict, _FLAG: bool}[expected])


def _wrong(name: str, value: object, expected: str) -> Finding:
    found = f"{kind(value)} of other things" if expected == _TEXTS and isinstance(value, list) else kind(value)
    how = "encode structured data first, for example with json.dumps" if name == "metadata" else f"make it {expected}"
    return error("wrong_type", f"{name} is {found}, not {expected}; LiveKit answers 401 to the whole token", how)


def _attributes(attributes: Mapping[str, Any]) -> Iterator[Finding]:
    for name, value in attributes.items():
        if value is None:
            yield warning(
                "null_attribute",
                f"attributes.{shown(name)} is null; LiveKit reads an empty text",
                'write "", or leave it out',
            )
        elif not isinstance(value, str):
            yield _wrong(f"attributes.{shown(name)}", value, _TEXT)
