"""What the tests of 0.1.0's compatibility share: credentials, and a patched HTTP client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.support import tokens

CREDENTIALS = {
    "voice_agent_url": tokens.URL,
    "voice_agent_api_key": tokens.API_KEY,
    "voice_agent_api_secret": tokens.API_SECRET,
    "voice_agent_name": "example-agent",
}


@pytest.fixture
def answered_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Gives the clients of the module `httpx2` another transport, as 0.1.0's own tests do."""

    def answer(transport: Any) -> None:
        for name in ("Client", "AsyncClient"):
            original = getattr(httpx2, name)

            def patched(*args: Any, original: Any = original, **keywords: Any) -> Any:
                return original(*args, **{**keywords, "transport": transport})

            monkeypatch.setattr(httpx2, name, patched)

    return answer
