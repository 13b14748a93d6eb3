"""This package's FastAPI router."""

# No `from __future__ import annotations` here: FastAPI reads the annotations.

from typing import Annotated

from fastapi import Depends, FastAPI

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.fastapi import token_router

from .fastapi_users import signed_in
from .session import KEY, SECRET, URL


async def authorize(user: Annotated[tuple[str, str], Depends(signed_in)]) -> Admission:
    """The user of the bearer token."""
    return Admission(ParticipantInfo(*user))


app = FastAPI()
app.include_router(token_router(MossVoiceServer.from_livekit(URL, KEY, SECRET), authorize=authorize))
