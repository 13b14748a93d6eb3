"""Times: from when to when a token can be used, by LiveKit's clock and its leeway of a minute."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from .finding import Finding, error, kind, warning

LEEWAY = 60.0
"""Seconds by which clocks may differ: livekit/protocol auth/verifier.go."""

_MILLISECONDS = 1e11  # the year 5138 in seconds, and 1973 in milliseconds
_SHORT, _LONG = 60.0, 24 * 3600.0  # seconds: what our own tokens may live
_NUMBER = re.compile(r"\s*-?[0-9]+(\.[0-9]+)?\s*")
_MINT_AGAIN = "mint a new token"
_SET_CLOCK = "set the clock of the machine that mints (or of this one), for example with NTP"


def times(claims: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """What is wrong with `exp`, `nbf` and `iat`; `now` is in seconds since 1970."""
    read: dict[str, float | None] = {}
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        time = read[name] = seconds(value)
        if value is None:
            continue
        if time is None:
            yield error(
                "wrong_type",
                f"{name} is {kind(value)}, not a time; LiveKit answers 401 to the whole token",
                f"write {name} as whole seconds since 1970",
            )
        elif time > _MILLISECONDS:
            yield (warning if name == "iat" else error)(
                "milliseconds",
                f"{name} is written in milliseconds, it seems; LiveKit counts seconds, and takes it for a time in a far future",
                f"write {name} in seconds since 1970: divide by 1000, and leave the fraction out",
            )
            read[name] = None
        elif isinstance(value, str):
            yield warning(
                "time_as_text",
                f"{name} is a number written as a string; not every server and client reads that",
                f"write {name} as a number, without quotes",
            )
    exp, nbf, iat = read["exp"], read["nbf"], read["iat"]
    yield from _end(claims, exp, now)
    yield from _start(claims, nbf, iat, exp, now)
    begin = nbf if nbf is not None and nbf > 0 else iat
    if exp is not None and begin is not None:
        yield from _span(exp - begin)


def seconds(value: object) -> float | None:
    """A time as the server reads it: a number, or one in a string; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _end(claims: Mapping[str, Any], exp: float | None, now: float) -> Iterator[Finding]:
    if claims.get("exp") is None:
        yield error(
            "no_exp",
            "the token has no exp: servers up to 1.13.5 take it for ever, newer ones answer 401",
            "give it an end: 15 minutes suffice for joining, LiveKit renews the tokens of those who are in",
        )
    elif exp is not None and now - exp > LEEWAY:
        yield error("expired", f"the token expired {length(now - exp)} ago; LiveKit answers 401", _MINT_AGAIN)
    elif exp is not None and now >= exp:
        yield warning(
            "expired_within_leeway",
            f"the token expired {length(now - exp)} ago; LiveKit takes it only because it allows for {LEEWAY:g} s",
            _MINT_AGAIN,
        )


def _start(
    claims: Mapping[str, Any], nbf: float | None, iat: float | None, exp: float | None, now: float
) -> Iterator[Finding]:
    if claims.get("nbf") is None:
        yield warning(
            "no_nbf",
            "the token has no nbf: LiveKit's JavaScript client up to 2.21 then keeps it for ever, and LiveKit Cloud cannot "
            "tell whether it was revoked",
            "set nbf to the time of minting",
        )
    elif nbf is not None and nbf > now + LEEWAY:
        yield error(
            "not_yet_valid", f"the token is valid only in {length(nbf - now)} from now; LiveKit answers 401", _SET_CLOCK
        )
    elif nbf is not None and nbf > now:
        yield warning(
            "nbf_in_future",
            f"the token is valid only in {length(nbf - now)} from now: the server allows for {LEEWAY:g} s, clients for "
            "nothing, and fetch a new token each time",
            _SET_CLOCK,
        )
    elif nbf is not None and (nbf <= 0 or (iat is not None and iat - nbf > LEEWAY)):
        yield warning(
            "nbf_far_back",
            "nbf lies long before the token was minted: LiveKit Cloud takes a token from before a revocation for revoked",
            "set nbf to the time of minting; back-dating is not needed, the server allows for a minute",
        )


def _span(lifetime: float) -> Iterator[Finding]:
    if lifetime <= 0:
        yield error("ends_before_start", "exp is not after nbf: the token never counts", "give it a positive lifetime")
    elif lifetime < _SHORT:
        yield warning(
            "short_ttl",
            f"the token lives {length(lifetime)}: no LiveKit client keeps one that ends within a minute, so each asks again "
            "and again",
            "let it live at least a minute; 15 minutes are usual",
        )
    elif lifetime > _LONG:
        yield warning(
            "long_ttl",
            f"the token lives {length(lifetime)}: whoever finds it can join so long, and a self-hosted LiveKit cannot "
            "revoke it",
            "let it live for minutes: it is needed for joining only, LiveKit renews the tokens of those who are in",
        )


def length(span: float) -> str:
    """A length of time in the largest unit of which there are two or more."""
    units = ((365 * 86400, "years"), (86400, "days"), (3600, "hours"), (60, "minutes"))
    unit, name = next(((unit, name) for unit, name in units if round(span / unit) >= 2), (1, "s"))
    return f"{round(span / unit)} {name}"
