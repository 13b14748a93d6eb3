"""Lint: what is wrong with a token, what is doubtful, and what to do about it; values in, findings out.

Sources of the rules: livekit/protocol `auth/verifier.go` and `auth/grants.go`, livekit-server `pkg/service`, RFC 7515 to 7519.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import spelling
from .egress import MASK, masked
from .finding import ORDER, Finding, Severity
from .grants import grants, joins
from .participant import looks_like_secret, participant
from .reading import Token, read
from .room import room
from .signature import Pair, holds, is_swapped, signature
from .size import size
from .times import times
from .types import types

__all__ = ["Finding", "Inspection", "Pair", "Severity", "Token", "inspect", "lint", "read"]


class Inspection(NamedTuple):
    """A token's claims, secrets in them masked, and all findings, the worst first."""

    claims: dict[str, Any] | None
    """`None` where the text is no token."""
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity == "error" for finding in self.findings)


def inspect(text: str, now: float, pair: Pair | None = None) -> Inspection:
    """Looks at a token from its text to its signature, by a clock that says `now` (seconds since 1970)."""
    token = read(text)
    if isinstance(token, Finding):
        return Inspection(None, [token])
    key = token.claims.get("iss")
    found = [*signature(token, key, pair), *lint(token.claims, now, token.size)]
    if any(finding.code == "swapped" for finding in found):  # says the same and more
        found = [finding for finding in found if finding.code != "secret_as_key"]
    return Inspection(_shown(token.claims, pair), _ordered(found))


def lint(claims: Mapping[str, Any], now: float, size_of_token: int = 0) -> list[Finding]:
    """What is wrong with the claims of a token of so many bytes; the worst first."""
    values, found = spelling.read("", claims, spelling.CLAIMS)
    video: dict[str, Any] = {}
    if isinstance(values.get("video"), dict):
        video, misspelled = spelling.read("video.", values["video"], spelling.GRANTS)
        found += misspelled
    is_join = joins(video) and values.get("video") is not None
    found += [
        *types(values, video),
        *times(values, now),
        *participant(values, is_join),
        *grants(values, video),
        *room(values, is_join),
        *size(size_of_token),
    ]
    return _ordered(found)


def _ordered(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))


def _shown(claims: Mapping[str, Any], pair: Pair | None) -> dict[str, Any]:
    """The claims as they may be shown: without the secrets that a token can hold by mistake."""
    shown: dict[str, Any] = {}
    for name, value in claims.items():
        is_key = name.lower() == "iss" and isinstance(value, str)
        if holds(value, pair) or (is_key and (looks_like_secret(value) or is_swapped(value, pair))):
            shown[name] = MASK
        else:  # whatever its name: people put a room configuration under others, too
            shown[name] = masked(value)
    return shown
