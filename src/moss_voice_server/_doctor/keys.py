"""Keys: the LiveKit credentials that are examined, and the tokens that the doctor makes with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._secret import Sealed, Secret
from .._token.claims import payload
from .._token.signing import Signer
from ..grants import ParticipantInfo
from .plan import Plan
from .redact import Redactor

_TTL = 15 * 60.0  # seconds: what an application's tokens live by default
_POWER_TTL = 60  # seconds: a token with a server's power, which never leaves the doctor and the server


class Keys(Sealed):
    """Where LiveKit is, and one of its API keys."""

    def __init__(
        self, url: str, api_key: Secret[str], api_secret: Secret[str], agent_name: str, plan: Plan, redactor: Redactor
    ) -> None:
        self.url = url
        self.api_key = api_key
        self.api_secret = api_secret
        self.agent_name = agent_name
        """The agent that Moss names; "" for none."""
        self._plan = plan
        self._redactor = redactor

    def join_token(self, room: str, *agents: str, lasting: float = _TTL) -> Secret[str]:
        """A participant's token for `room`, which is gone a second after the last one has left."""
        made = Secret(self._signer())
        now = self._plan.now()
        config = {"departure_timeout": 1, "empty_timeout": 10}
        claims = payload(made.reveal().head, now, ParticipantInfo("doctor"), room, None, lasting, None, agents, config)
        return self._learnt(made.reveal().sign(claims))

    def power_token(self, video: Mapping[str, Any]) -> Secret[str]:
        """A server's own token, with these grants, for a minute."""
        made = Secret(self._signer())
        now = int(self._plan.now())
        claims = {"iss": self.api_key.reveal(), "nbf": now, "exp": now + _POWER_TTL, "video": dict(video)}
        return self._learnt(made.reveal().sign(json.dumps(claims).encode()))

    def _signer(self) -> Signer:
        return Signer(self.api_key.reveal(), self.api_secret)

    def _learnt(self, token: str) -> Secret[str]:
        self._redactor.learn(token)
        return Secret(token)
