"""Client: asks the user's token endpoint as LiveKit's clients do, and reads what it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..._http.model import Response, TransportError
from ..._inspect import read
from ..._inspect.reading import Token
from ..._secret import Secret
from .. import reach
from ..plan import Plan
from ..reach import Place
from ..redact import Redactor

SETTING = "--endpoint"


class Pass(NamedTuple):
    """What a token endpoint gave out."""

    server_url: str
    token: Secret[str]
    claims: dict[str, Any]
    """{} where the token cannot be read."""
    keys: tuple[str, str]
    """How the two fields of the answer were spelled; "" for one that is not there."""

    @property
    def room(self) -> str:
        """The room of the token."""
        video = self.claims.get("video")
        return str(video.get("room") or "") if isinstance(video, dict) else ""


class Answer(NamedTuple):
    """One answer of the endpoint."""

    status: int
    headers: dict[str, str]
    given: Pass | None
    """What it gave out, whatever its status."""
    is_json: bool

    @property
    def is_success(self) -> bool:
        """Whether clients take it for one."""
        return 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether it says no, rather than that it cannot."""
        return 400 <= self.status < 500 and self.status not in (404, 405, 408, 429)


class Client:
    """Asks one endpoint; every token that it gives out is masked from then on."""

    def __init__(self, plan: Plan, redactor: Redactor) -> None:
        self._plan = plan
        self._redactor = redactor
        self.place = Place("endpoint", plan.endpoint, SETTING)
        parts = urlsplit(plan.endpoint)
        self.shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
        """The endpoint's address, without its query, which may hold a key."""

    def post(
        self, fields: Mapping[str, Any] | None = None, *, log_in: bool = True, origin: str = ""
    ) -> Answer | TransportError:
        """What the endpoint answers to a POST of JSON."""
        own = Secret({"Content-Type": "application/json", "Accept": "application/json"})
        return self.ask("POST", own, json.dumps(fields or {}).encode(), log_in=log_in, origin=origin)

    def ask(
        self,
        method: str,
        headers: Secret[dict[str, str]],
        body: bytes | None = None,
        *,
        log_in: bool = True,
        origin: str = "",
    ) -> Answer | TransportError:
        """What the endpoint answers to any request; `log_in`: with the user's own headers."""
        from ..http import ask

        sent = Secret(
            {
                **headers.reveal(),
                **(self._plan.headers.reveal() if log_in else {}),
                **({"Origin": origin} if origin else {}),
            }
        )
        answer = ask(method, self._plan.endpoint, sent, body, timeout=self._plan.timeout)
        return answer if isinstance(answer, TransportError) else self._read(answer)

    def why(self, fault: TransportError) -> tuple[str, str]:
        """Detail and remedy for a request that got no answer."""
        return reach.why(fault, self.place, self._plan.timeout)

    def _read(self, answer: Response) -> Answer:
        fields = Secret(_object(answer.body))
        return Answer(answer.status, answer.headers, self._pass(fields), fields.reveal() is not None)

    def _pass(self, fields: Secret[dict[str, Any] | None]) -> Pass | None:
        if fields.reveal() is None:
            return None
        url_key = _first(fields, ("server_url", "serverUrl", "url"))
        token_key = _first(fields, ("participant_token", "participantToken", "accessToken", "access_token", "token"))
        if not token_key:
            return None
        values = fields.reveal() or {}
        token = Secret(values[token_key])
        self._redactor.learn(token.reveal())
        parsed = read(token.reveal())
        claims = parsed.claims if isinstance(parsed, Token) else {}
        return Pass(values.get(url_key, ""), token, claims, (url_key, token_key))


def _object(body: Secret[bytes]) -> dict[str, Any] | None:
    try:
        fields = Secret(json.loads(body.reveal()))
    except (ValueError, RecursionError):
        return None
    return fields.reveal() if isinstance(fields.reveal(), dict) else None


def _first(fields: Secret[dict[str, Any] | None], names: tuple[str, ...]) -> str:
    """The first of the names under which there is a text."""
    return next((name for name in names if isinstance(text := (fields.reveal() or {}).get(name), str) and text), "")
