"""FastAPI: the holder of an OAuth2 access token gets a voice token."""

import os
from contextlib import asynccontextmanager
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.fastapi import token_router
from moss_voice_server.identity import identity_from_sub


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with await MossVoiceServer.from_env() as app.state.voice_server:
        yield


def user_id(token: Annotated[str, Depends(OAuth2PasswordBearer("login"))]) -> str:
    try:
        return jwt.decode(token, os.environ["APP_KEY"], ["HS256"], options={"require": ["exp", "sub"]})["sub"]
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None


def authorize(user: Annotated[str, Depends(user_id)]) -> Admission:
    return Admission(ParticipantInfo(identity_from_sub(user)), allowed_agents=("support-agent",))


app = FastAPI(lifespan=lifespan)
app.include_router(token_router(lambda request: request.app.state.voice_server, authorize=authorize))
