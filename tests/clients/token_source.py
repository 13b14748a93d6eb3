"""TokenSource: LiveKit's own client for JavaScript, under Node, asking a token endpoint."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.npm import installed

_HERE = Path(__file__).parent / "node"
_LONGEST = 60.0  # seconds


class TokenSource:
    """`livekit-client`, ready to be asked; a test that needs it is skipped where Node is absent."""

    def __init__(self) -> None:
        self._folder = installed(_HERE)

    def fetch(
        self, url: str, headers: dict[str, str], *calls: dict[str, Any], camel_case: bool = False
    ) -> list[dict[str, Any]]:
        """What one TokenSource makes of these calls, one after the other, each `{"options": …, "force": …}`.

        An answer holds `server_url`, `participant_token` and the `payload` as the client reads it, or the `error` that it
        throws. `camel_case` takes a custom source that reads `serverUrl` and `participantToken`.
        """
        done = subprocess.run(
            ["node", str(_HERE / "token_source.mjs")],
            cwd=self._folder,
            input=json.dumps([{"url": url, "headers": headers, "calls": calls, "camel_case": camel_case}]),
            capture_output=True,
            encoding="utf-8",
            timeout=_LONGEST,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)[0]
        return answers
