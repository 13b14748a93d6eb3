"""TokenSource: LiveKit's client for JavaScript, under Node, with a token endpoint."""

from __future__ import annotations

import json
import select
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.npm import installed

_HERE = Path(__file__).parent / "node"
_LONGEST = 60.0  # seconds


class TokenSource:
    """`livekit-client` in one Node process; a test that needs it is skipped where Node is absent."""

    def __init__(self) -> None:
        command, pipe = ["node", str(_HERE / "token_source.mjs")], subprocess.PIPE
        self._node = subprocess.Popen(command, cwd=installed(_HERE), stdin=pipe, stdout=pipe, encoding="utf-8")

    def fetch(
        self, url: str, headers: dict[str, str], *calls: dict[str, Any], camel_case: bool = False
    ) -> list[dict[str, Any]]:
        """The results of these calls of one TokenSource, in order, each call `{"options": …, "force": …}`.

        A result holds `server_url`, `participant_token` and the `payload` as the client reads it, or the `error` that it
        throws. `camel_case` uses a custom source that reads `serverUrl` and `participantToken`.
        """
        question = {"url": url, "headers": headers, "calls": calls, "camel_case": camel_case}
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(f"{json.dumps(question)}\n")
        self._node.stdin.flush()
        assert select.select([self._node.stdout], [], [], _LONGEST)[0], "no answer from Node"
        answers: list[dict[str, Any]] = json.loads(self._node.stdout.readline())
        return answers

    def close(self) -> None:
        """End the process."""
        self._node.communicate(timeout=_LONGEST)
