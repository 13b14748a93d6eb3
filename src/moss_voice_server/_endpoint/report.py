"""Report: what the log and `on_token` learn of each token request. Never a body, a header value or a token."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import Any, Literal, NamedTuple

from ..endpoint import TokenEvent
from ..grants import ConnectionDetails
from .decide import TokenParams
from .refusal import Refusal, shown

log = logging.getLogger("moss_voice_server.endpoint")
audit = logging.getLogger("moss_voice_server.audit")

Outcome = Literal["denied", "rate_limited", "invalid", "unavailable", "error"]


class IssuedToken(NamedTuple):
    """A token and what it is for."""

    params: TokenParams
    details: ConnectionDetails
    fingerprint: str | None


def outcome_of(refusal: Refusal) -> Outcome:
    """The outcome that a refusal is reported as."""
    if refusal.code == "rate_limited":
        return "rate_limited"
    if refusal.code == "unavailable":
        return "unavailable"
    if refusal.status >= 500:
        return "error"
    return "invalid" if refusal.status in (400, 405, 411, 413, 415, 422) and refusal.code != "refused" else "denied"


def issued_event(issued: IssuedToken, seconds: float) -> TokenEvent:
    """The event of a token that was made."""
    agents = tuple(agent if isinstance(agent, str) else agent.agent_name for agent in issued.params.agents)
    return TokenEvent(
        "issued",
        identity=issued.params.participant.identity,
        room_hash=_hash(issued.params.room),
        agents=agents,
        token_hash=_hash(issued.details.participant_token),
        fingerprint=issued.fingerprint,
        seconds=seconds,
    )


def log_issued(event: TokenEvent) -> None:
    """One INFO line of the audit log."""
    audit.info(
        "token for %r",
        event.identity,
        extra={
            "moss_identity": event.identity,
            "moss_room_hash": event.room_hash,
            "moss_agents": event.agents,
            "moss_token_hash": event.token_hash,
        },
    )


def log_refusal(refusal: Refusal, path: str, request_id: str) -> None:
    """One line for a refused request: INFO where the app or its rate limiter refused, else DEBUG."""
    if refusal.code == "internal_error":
        return  # it is in the log already, as an ERROR
    level = logging.INFO if outcome_of(refusal) in ("denied", "rate_limited") else logging.DEBUG
    if not log.isEnabledFor(level):
        return
    request_id = request_id if re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", request_id) else "-"
    extra: dict[str, Any] = {
        "moss_code": refusal.code,
        "moss_subject": refusal.subject,
        "moss_path": shown(path, 128),
        "moss_request_id": request_id,
    }
    log.log(
        level,
        "token request refused: %s%s, path %s, request %s%s",
        refusal.code,
        f" ({refusal.subject})" if refusal.subject else "",
        extra["moss_path"],
        request_id,
        f": {refusal.hint}" if refusal.hint else "",
        extra=extra,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
