"""An application for FastAPI, written against version 0.1.0: nothing in it knows of anything newer."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from moss_voice_server import MossVoiceServer, ParticipantInfo


@asynccontextmanager
async def voice(application: FastAPI) -> AsyncIterator[None]:
    """Fetches the credentials once, when the application starts."""
    application.state.voice = await MossVoiceServer.create(
        project_id=os.environ["MOSS_PROJECT_ID"],
        project_key=os.environ["MOSS_PROJECT_KEY"],
        voice_agent_id=os.environ["MOSS_VOICE_AGENT_ID"],
    )
    yield


application = FastAPI(lifespan=voice)


@application.post("/join")
async def join(user: str, room: str) -> dict[str, str]:
    """A token for this user in this room, and where to go with it."""
    server: MossVoiceServer = application.state.voice
    return {
        "url": server.get_server_url(),
        "token": server.create_participant_token(ParticipantInfo(identity=user), room_name=room),
    }
