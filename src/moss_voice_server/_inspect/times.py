"""Rules about `exp`, `nbf` and `iat`: from when to when a token can be used, by LiveKit's clock."""

from __future__ import annotations

from collections.abc import Iterator

from .._duration import format_duration
from .facts import Facts, seconds
from .finding import Rule, kind

LEEWAY = 60.0  # seconds by which clocks may differ: livekit/protocol auth/verifier.go

_SHORT, _LONG = 60.0, 24 * 3600.0  # seconds: the range that this package allows
_TIMES = ("exp", "nbf", "iat")
_MINT_AGAIN = "create a new token"
_SET_CLOCK = "synchronize the clock of the machine that mints tokens, for example with NTP"


def _not_a_time(facts: Facts) -> Iterator[str]:
    for name in _TIMES:
        value = facts.claims.get(name)
        if value is not None and seconds(value) is None:
            yield f"{name} is {kind(value)}"


def _expired(facts: Facts) -> float:
    """Seconds since the end; negative before it."""
    end = facts.time("exp")
    return -1.0 if end is None else facts.now - end


def _ahead(facts: Facts) -> float:
    """Seconds until the beginning; negative after it."""
    begin = facts.time("nbf")
    return -1.0 if begin is None else begin - facts.now


def _is_backdated(facts: Facts) -> bool:
    begin, minted = facts.time("nbf"), facts.time("iat")
    return begin is not None and (begin <= 0 or (_ahead(facts) <= 0 and minted is not None and minted - begin > LEEWAY))


def _lifetime(facts: Facts) -> float | None:
    end, begin = facts.time("exp"), facts.time("nbf")
    if begin is None or begin <= 0:
        begin = facts.time("iat")
    return None if end is None or begin is None else end - begin


def _lives(facts: Facts, low: float, high: float) -> str | None:
    lifetime = _lifetime(facts)
    return format_duration(lifetime) if lifetime is not None and low < lifetime < high else None


# fmt: off
RULES = (
    Rule("wrong_type", "error", _not_a_time, "{}, not a time; LiveKit answers 401 to the whole token",
         "write times as whole seconds since 1970"),
    Rule("milliseconds", "error", lambda facts: [name for name in ("exp", "nbf") if facts.is_in_milliseconds(name)],
         "{} is in milliseconds; LiveKit reads seconds, which puts it in the far future",
         "divide it by 1000 and drop the fraction"),
    Rule("milliseconds", "warning", lambda facts: facts.is_in_milliseconds("iat"),
         "iat is in milliseconds; LiveKit reads seconds", "divide it by 1000 and drop the fraction"),
    Rule("time_as_text", "warning",
         lambda facts: [name for name in _TIMES if facts.time(name) is not None and isinstance(facts.claims[name], str)],
         "{} is a number in quotes; some servers and clients do not read that",
         "write it as a number, without quotes"),
    Rule("no_exp", "error", lambda facts: facts.claims.get("exp") is None,
         "the token has no exp: servers up to 1.13.5 accept it without expiry, newer ones answer 401",
         "set exp; 15 minutes are enough for joining, and LiveKit renews the tokens of participants"),
    Rule("expired", "error", lambda facts: format_duration(_expired(facts)) if _expired(facts) > LEEWAY else None,
         "the token expired {} ago; LiveKit answers 401", _MINT_AGAIN),
    Rule("expired_within_leeway", "warning",
         lambda facts: format_duration(_expired(facts)) if 0 <= _expired(facts) <= LEEWAY else None,
         f"the token expired {{}} ago; LiveKit accepts it only within its leeway of {LEEWAY:g} s", _MINT_AGAIN),
    Rule("no_nbf", "warning", lambda facts: facts.claims.get("nbf") is None,
         "the token has no nbf: LiveKit's JavaScript client up to 2.21 never renews it, and LiveKit Cloud cannot revoke it",
         "set nbf to the time of minting"),
    Rule("not_yet_valid", "error", lambda facts: format_duration(_ahead(facts)) if _ahead(facts) > LEEWAY else None,
         "the token becomes valid only in {}; LiveKit answers 401", _SET_CLOCK),
    Rule("nbf_in_future", "warning", lambda facts: format_duration(_ahead(facts)) if 0 < _ahead(facts) <= LEEWAY else None,
         f"the token becomes valid only in {{}}: the server has a leeway of {LEEWAY:g} s, clients have none", _SET_CLOCK),
    Rule("nbf_far_back", "warning", _is_backdated,
         "nbf is long before the time of minting: LiveKit Cloud treats tokens from before a revocation as revoked",
         "set nbf to the time of minting; the server's leeway makes backdating unnecessary"),
    Rule("ends_before_start", "error", lambda facts: (lifetime := _lifetime(facts)) is not None and lifetime <= 0,
         "exp is not after nbf: the token is never valid", "set exp after nbf"),
    Rule("short_ttl", "warning", lambda facts: _lives(facts, 0, _SHORT),
         "the token is valid for {}: LiveKit's clients drop tokens that expire within a minute and request a new one each time",
         "make it valid for at least a minute; 15 minutes are usual"),
    Rule("long_ttl", "warning", lambda facts: _lives(facts, _LONG, float("inf")),
         "the token is valid for {}: a leaked token stays usable for that long, and a self-hosted LiveKit cannot revoke it",
         "make it valid for minutes: it is only needed to join, and LiveKit renews the tokens of participants"),
)
# fmt: on
