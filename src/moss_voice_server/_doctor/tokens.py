"""Create the tokens that the doctor's checks use."""

from __future__ import annotations

import json

from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from .._token.claims import payload
from .._token.signing import Signer
from ..grants import ParticipantInfo
from .options import Options

_TTL = 15 * 60.0  # seconds: the default of an application's tokens
_ADMIN_TTL = 60  # seconds: such a token goes to the server only


def join_token(credentials: LiveKitCredentials, options: Options, room: str, *agents: str, ttl: float = _TTL) -> str:
    """A participant's token for `room`, which LiveKit deletes a second after the last participant left.

    Raises:
        InvalidArgument: LiveKit does not accept an agent's name.
    """
    signer = _signer(credentials)
    config = {"departure_timeout": 1, "empty_timeout": 10}
    claims = payload(signer.head, options.now(), ParticipantInfo("doctor"), room, None, ttl, None, agents, config)
    return _learn(options, signer.sign(claims))


def admin_token(credentials: LiveKitCredentials, options: Options, grant: str) -> str:
    """A token for LiveKit's server API with this grant, for a minute."""
    now = int(options.now())
    claims = {"iss": credentials.api_key, "nbf": now, "exp": now + _ADMIN_TTL, "video": {grant: True}}
    return _learn(options, _signer(credentials).sign(json.dumps(claims).encode()))


def _signer(credentials: LiveKitCredentials) -> Signer:
    return Signer(credentials.api_key, Secret(credentials.api_secret))


def _learn(options: Options, token: str) -> str:
    options.redactor.learn(token)
    return token
