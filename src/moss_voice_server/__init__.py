"""LiveKit join tokens for Moss voice agents.

* `MossVoiceServer`: fetches a voice agent's LiveKit credentials, keeps them fresh, and creates join tokens (async).
* `MossVoiceServerSync`: the same with plain functions.
* `ParticipantInfo`: who joins.

Other names are imported from their modules, such as `errors`, `grants`, `credentials` and `endpoint`. Importing this package
imports no HTTP client, no event loop and no framework: the names are loaded on first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._server import MossVoiceServer, MossVoiceServerSync
    from .grants import ParticipantInfo

    __version__: str

__all__ = ["MossVoiceServer", "MossVoiceServerSync", "ParticipantInfo"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("moss-voice-server")
    if name == "ParticipantInfo":
        from . import grants as home
    elif name in __all__:
        from . import _server as home  # type: ignore[no-redef]  # the same local name for either module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
