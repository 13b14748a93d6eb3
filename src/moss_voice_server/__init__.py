"""Front door: the three names that an application needs; everything else is imported from the module that holds it.

* `MossVoiceServer`: fetch a voice agent's LiveKit credentials, keep them fresh, mint join tokens (async).
* `MossVoiceServerSync`: the same with plain functions.
* `ParticipantInfo`: who joins.

Further names: `errors` (what can go wrong), `grants` (what a token may say), `credentials` (how credentials are kept).
Importing this package imports no HTTP client, no event loop and no framework: the names are loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._server import MossVoiceServer, MossVoiceServerSync
    from .grants import ParticipantInfo

__all__ = ["MossVoiceServer", "MossVoiceServerSync", "ParticipantInfo"]


def __getattr__(name: str) -> Any:
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
