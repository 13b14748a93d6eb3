"""The URL of a LiveKit server and one of its API keys, as the tools pass them around."""

from __future__ import annotations

from typing import NamedTuple

from ._secret import Sealed


class LiveKitCredentials(NamedTuple):
    """LiveKit credentials as a user configured them, unchecked and with the secret.

    Only the tools use this type, because they examine what is wrong with it. A server keeps `Credentials`, which are validated
    and have no secret.
    """

    url: str
    api_key: str
    api_secret: str
    agent_name: str = ""
    """The voice agent's name; "" where none is known."""

    def __repr__(self) -> str:
        return Sealed.__repr__(self)  # type: ignore[arg-type]
