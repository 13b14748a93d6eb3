"""Report: what the log and `on_token` learn of each token request. Never a body, a header value or a token."""

from __future__ import annotations

import hashlib
import logging
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from .._functions import is_nonblocking
from ..endpoint import OnToken, TokenEvent
from .decide import TokenParams
from .refusal import Refusal, shown

if TYPE_CHECKING:
    from .handler import Call, Incoming

log = logging.getLogger("moss_voice_server.endpoint")
audit = logging.getLogger("moss_voice_server.audit")

Outcome = Literal["denied", "rate_limited", "invalid", "unavailable", "error"]


class Reporter:
    """Reports each token request once: in the log, and to `on_token` if the body was read."""

    def __init__(self, on_token: OnToken | None) -> None:
        self._on_token = on_token
        self._nonblocking = on_token is not None and is_nonblocking(on_token)

    async def issued(self, incoming: Incoming, params: TokenParams, fingerprint: str, token: str, call: Call) -> None:
        """A token was made."""
        event = TokenEvent(
            "issued",
            identity=incoming.identity,
            room_hash=_hash(params.room),
            agents=tuple(agent if isinstance(agent, str) else agent.agent_name for agent in params.agents),
            token_hash=_hash(token),
            fingerprint=fingerprint,
            seconds=perf_counter() - incoming.started,
        )
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
        await self._tell(event, call)

    async def refused(self, incoming: Incoming, refusal: Refusal, call: Call) -> None:
        """There is no token."""
        incoming.reported = True
        _log_refusal(refusal, incoming.path, incoming.headers.get("x-request-id", ""))
        if incoming.body is not None and self._on_token is not None:
            seconds = perf_counter() - incoming.started
            await self._tell(TokenEvent(_outcome(refusal), refusal.code, incoming.identity, seconds=seconds), call)

    async def _tell(self, event: TokenEvent, call: Call) -> None:
        if self._on_token is not None:
            try:
                await call(self._on_token, self._nonblocking, event)
            except Exception as failure:  # noqa: BLE001  # a failing audit sink must not change the response
                log.error("on_token failed with %s: correct the callback", type(failure).__name__)


def _outcome(refusal: Refusal) -> Outcome:
    """The outcome that a refusal is reported as."""
    if refusal.code == "rate_limited":
        return "rate_limited"
    if refusal.code == "unavailable":
        return "unavailable"
    if refusal.status >= 500:
        return "error"
    return "invalid" if refusal.status in (400, 405, 411, 413, 415, 422) and refusal.code != "refused" else "denied"


def _log_refusal(refusal: Refusal, path: str, request_id: str) -> None:
    """One line for a refused request: INFO where the app or its rate limiter refused, else DEBUG."""
    if refusal.code == "internal_error":
        return  # it is in the log already, as an ERROR
    level = logging.INFO if _outcome(refusal) in ("denied", "rate_limited") else logging.DEBUG
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
