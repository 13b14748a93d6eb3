"""Inspect a token: what is wrong with it, what is doubtful, and what to do about it. Pure: values in, findings out.

Sources of the rules: livekit/protocol `auth/verifier.go` and `auth/grants.go`, livekit-server `pkg/service`, RFC 7515 to 7519.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import participant, spelling, times
from .egress import MASK, masked
from .facts import Facts
from .finding import ORDER, Finding, Severity, apply
from .grants import grants
from .participant import looks_like_secret
from .reading import read
from .room import room
from .signature import RULES as SIGNATURE
from .signature import Signed

__all__ = ["Finding", "Inspection", "Severity", "inspect", "read"]


class Inspection(NamedTuple):
    """A token's claims, with secrets masked, and all findings, the most severe first."""

    claims: dict[str, Any] | None  # `None` where the text is not a token
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


def inspect(text: str, now: float, api_key: str = "", api_secret: str | None = None) -> Inspection:
    """Inspect a token at the time `now` (seconds since 1970), its signature too where a secret is given.

    With a key, a token of another key is not checked against the secret.
    """
    token = read(text)
    if isinstance(token, Finding):
        return Inspection(None, [token])
    signed = Signed(token, api_key, api_secret)
    length = len(token.signed) + 1 + (len(token.signature) * 4 + 2) // 3
    found = [*apply(SIGNATURE, signed), *_in_claims(token.claims, now, length)]
    if any(finding.code == "swapped" for finding in found):  # includes the other
        found = [finding for finding in found if finding.code != "secret_as_key"]
    found.sort(key=lambda finding: ORDER.index(finding.severity))
    return Inspection(_masked(token.claims, signed), found)


def _in_claims(claims: Mapping[str, Any], now: float, length: int) -> list[Finding]:
    values, found = spelling.read("", claims, spelling.CLAIMS)
    video: dict[str, Any] = {}
    if isinstance(values.get("video"), dict):
        video, misspelled = spelling.read("video.", values["video"], spelling.GRANTS)
        found += misspelled
    facts = Facts(values, video, now, length)
    rules = (*times.RULES, *participant.RULES)
    return [*found, *spelling.types(values, video), *apply(rules, facts), *grants(facts), *room(facts)]


def _masked(claims: Mapping[str, Any], signed: Signed) -> dict[str, Any]:
    """The claims without the secrets that a token can contain by mistake."""
    shown: dict[str, Any] = {}
    for name, value in claims.items():
        is_key = name.lower() == "iss" and isinstance(value, str)
        if signed.holds_secret(value) or (is_key and (looks_like_secret(value) or signed.is_secret(value))):
            shown[name] = MASK
        else:  # under any name: a room configuration is masked under a wrong name, too
            shown[name] = masked(value)
    return shown
