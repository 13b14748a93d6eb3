"""For tests: fakes of the Moss API and of LiveKit's server API, a frozen clock, and assertions about tokens.

::

    from moss_voice_server import MossVoiceServerSync
    from moss_voice_server.testing import FakeMoss, MockResponse

    with FakeMoss() as moss:
        moss.queue(503, MockResponse(delay=0.2))  # one failure, then the credentials, a little late
        server = MossVoiceServerSync.create(**moss.arguments)
        assert moss.count == 2

Standard library only; the in-memory transport alone needs `httpx2`, and loads it when it is used. pytest finds the
fixtures of `pytest_plugin` by itself.
"""

from __future__ import annotations

from ._clock import FrozenClock
from ._fake_livekit import FakeLiveKit
from ._fake_moss import FakeMoss
from ._livekit import LiveKitServer
from ._livekit_binary import LiveKitServerError
from ._request import Headers, RecordedRequest
from ._response import MockResponse
from ._tokens import assert_token, decode_token

__all__ = [
    "FakeLiveKit",
    "FakeMoss",
    "FrozenClock",
    "Headers",
    "LiveKitServer",
    "LiveKitServerError",
    "MockResponse",
    "RecordedRequest",
    "assert_token",
    "decode_token",
]
