"""A finding about a token, and the rules that produce findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
ORDER: tuple[Severity, ...] = ("error", "warning", "info")

_KINDS: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}


class Finding(NamedTuple):
    """One finding. Its texts quote names of claims, never their values or a secret."""

    code: str  # stable name of the rule
    severity: Severity
    """`error`: LiveKit rejects the token, ignores part of it, or the token exposes a secret. `warning`: the token works, but
    probably not as intended. `info`: worth knowing."""
    message: str
    remedy: str


class Rule(NamedTuple):
    code: str
    severity: Severity
    found: Callable[[Any], bool | str | Iterable[str] | None]
    """From the facts to what is wrong: `True`, or the words that replace `{}` in the message; one finding for each of them."""
    message: str
    remedy: str


def apply(rules: Iterable[Rule], facts: Any, where: str = "") -> Iterator[Finding]:
    """All findings of these rules, in their order; `where` replaces `{}` if a rule says `True`."""
    for rule in rules:
        found = rule.found(facts) or ()
        for detail in (where,) if found is True else (found,) if isinstance(found, str) else found:
            yield Finding(rule.code, rule.severity, rule.message.format(detail), rule.remedy)


def kind(value: object) -> str:
    return "null" if value is None else _KINDS.get(type(value), "a number")


def size(text: object) -> int:
    """Bytes of UTF-8, which LiveKit counts; 0 for anything but a string."""
    return len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else 0
