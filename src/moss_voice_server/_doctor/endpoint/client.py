"""Call the user's token endpoint as LiveKit's clients do, and read its responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..._http.model import Response
from ..._inspect import Finding, read, spelling
from ..options import Options
from ..target import Target

STANDARD = ("server_url", "participant_token")
CAMEL = ("serverUrl", "participantToken")
# The first of each that is present counts.
_URLS = (STANDARD[0], CAMEL[0], "url")
_TOKENS = (STANDARD[1], CAMEL[1], "accessToken", "access_token", "token")


class IssuedToken(NamedTuple):
    """A token that the endpoint issued, and what came with it."""

    server_url: str
    token: str
    claims: dict[str, Any]  # {} where the token cannot be read
    keys: tuple[str, str]  # the names of the two fields in the response; "" for an absent one
    fields: dict[str, Any]  # the whole response

    @property
    def room(self) -> str:
        video = self.claims.get("video")
        return str(video.get("room") or "") if isinstance(video, dict) else ""

    @property
    def room_config(self) -> dict[str, Any]:
        """The token's room configuration; {} for none."""
        values, _ = spelling.read("", self.claims, spelling.CLAIMS)
        config = values.get("roomConfig")
        return config if isinstance(config, dict) else {}

    @property
    def agents(self) -> list[dict[str, Any]]:
        agents = self.room_config.get("agents")
        return [each for each in agents if isinstance(each, dict)] if isinstance(agents, list) else []

    @property
    def agent_names(self) -> list[str]:
        """Their names, without the empty ones."""
        names = (each.get("agentName", each.get("agent_name")) for each in self.agents)
        return [name for name in names if isinstance(name, str) and name]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    issued: IssuedToken | None  # the token in it, whatever its status
    is_json: bool  # whether the body is a JSON object

    @property
    def is_success(self) -> bool:
        """Whether clients treat it as one."""
        return 200 <= self.status < 300

    @property
    def session(self) -> IssuedToken | None:
        """The token that a client would use."""
        return self.issued if self.is_success else None

    @property
    def is_refusal(self) -> bool:
        """Whether the request was refused, and not the server's failure."""
        return 400 <= self.status < 500 and self.status not in (404, 405, 408, 429)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Client:
    """Calls one endpoint; every token that it returns is masked from then on. A request without a response ends the check."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.target = Target("endpoint", options.endpoint, "--endpoint")
        self.shown = self.target.origin + urlsplit(options.endpoint).path
        """The endpoint's URL without its query, which may contain a key."""

    def post(self, fields: Mapping[str, Any] | None = None, *, login: bool = True, origin: str = "") -> Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return self.send("POST", headers, json.dumps(fields or {}).encode(), login=login, origin=origin)

    def send(
        self, method: str, headers: dict[str, str], body: bytes | None = None, *, login: bool = True, origin: str = ""
    ) -> Reply:
        """The response to any request; `login`: with the user's own headers."""
        own = self._options.headers if login else {}
        sent = {**headers, **own, **({"Origin": origin} if origin else {})}
        response = self.target.send(method, "", sent, body, timeout=self._options.timeout)
        fields = _json(response)
        issued = self._issued(fields) if isinstance(fields, dict) else None
        return Reply(response.status, response.headers, issued, isinstance(fields, dict))

    def _issued(self, fields: dict[str, Any]) -> IssuedToken | None:
        url_key, token_key = _first(fields, _URLS), _first(fields, _TOKENS)
        if not token_key:
            return None
        self._options.redactor.learn(*(fields[name] for name in _TOKENS if isinstance(fields.get(name), str)))
        token = read(fields[token_key])
        claims = {} if isinstance(token, Finding) else token.claims
        return IssuedToken(fields.get(url_key, ""), fields[token_key], claims, (url_key, token_key), fields)


def _json(response: Response) -> Any:
    try:
        return json.loads(response.body.reveal())
    except (ValueError, RecursionError):
        return None


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of the names with a non-empty string."""
    return next((name for name in names if isinstance(fields.get(name), str) and fields[name]), "")
