"""OpenAPI: what the FastAPI application says of itself is what it does; Schemathesis makes the requests."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission, TokenRequest
from moss_voice_server.fastapi import token_router
from tests.livekit.needs import absent
from tests.tokens import API_KEY, API_SECRET, URL

try:
    import schemathesis
    from hypothesis import settings
except ImportError:
    absent("schemathesis is not installed: pip install -e '.[dev]'")


def authorize(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
    wish: TokenRequest,
) -> Admission:
    """Opens everything to whoever brings a token."""
    return Admission(
        ParticipantInfo("ada"),
        rooms=lambda room: True,
        agents=[agent.agent_name for agent in wish.agents],
        client_sets=("name", "metadata", "attributes"),
    )


app = FastAPI()
app.include_router(token_router(MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET), authorize=authorize))
