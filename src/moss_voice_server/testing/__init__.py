"""For tests: a fake Moss API whose answers and faults are scripted, a frozen clock, and assertions about tokens.

::

    from moss_voice_server import MossVoiceServerSync
    from moss_voice_server.testing import Answer, FakeMoss

    with FakeMoss() as moss:
        moss.script(503, Answer(delay=0.2))  # one failure, then the real answer a little late
        server = MossVoiceServerSync.create(**moss.arguments)
        assert moss.count == 2

Standard library only; the in-memory transport alone needs `httpx2`, and loads it when it is asked for. pytest finds the
fixtures of `pytest_plugin` by itself.
"""

from __future__ import annotations

from ._answer import Answer
from ._clock import FrozenClock
from ._fake import FakeMoss
from ._livekit import LiveKitServer
from ._livekit_binary import LiveKitServerError
from ._request import Headers, RecordedRequest
from ._tokens import assert_token, decode_token

__all__ = [
    "Answer",
    "FakeMoss",
    "FrozenClock",
    "Headers",
    "LiveKitServer",
    "LiveKitServerError",
    "RecordedRequest",
    "assert_token",
    "decode_token",
]
