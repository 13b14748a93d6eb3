"""Create the server whose credentials a command uses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._credentials.config import VARIABLES
from ..errors import InvalidArgument
from . import _credential_options

if TYPE_CHECKING:
    import argparse

    from .._server import MossVoiceServerSync

_MOSS = tuple(name for field, name in VARIABLES.items() if field != "api_url")


def server(options: argparse.Namespace) -> MossVoiceServerSync:
    """From the options for LiveKit credentials, else from the Moss API, else from LiveKit's variables.

    Raises:
        InvalidArgument: no credentials are set, or they are damaged.
        CredentialsError: the Moss API returned none.
    """
    from .._server import MossVoiceServerSync

    if not _credential_options.is_given(options):
        if any(os.environ.get(name) or os.environ.get(f"{name}_FILE") for name in _MOSS):
            return MossVoiceServerSync.from_env()
        if not _credential_options.is_set(os.environ):
            raise InvalidArgument(
                "no credentials are set",
                remedy=f"set {_MOSS[0]}, {_MOSS[1]} and {_MOSS[2]}, or LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
            )
    return MossVoiceServerSync.from_livekit(*_credential_options.read(options))
