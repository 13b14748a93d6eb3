"""For tests: a fake Moss API on a loopback socket and in memory, whose answers and faults are scripted.

::

    from moss_voice_server import MossVoiceServerSync
    from moss_voice_server.testing import Answer, FakeMoss

    with FakeMoss() as moss:
        moss.script(503, Answer(delay=0.2))  # one failure, then the real answer a little late
        server = MossVoiceServerSync.create(**moss.arguments)
        assert moss.count == 2

Standard library only; the in-memory transport alone needs `httpx2`, and loads it when it is asked for.
"""

from __future__ import annotations

from ._answer import Answer
from ._fake import FakeMoss
from ._request import Headers, RecordedRequest

__all__ = ["Answer", "FakeMoss", "Headers", "RecordedRequest"]
