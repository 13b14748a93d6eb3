"""FastAPI: users with a valid OAuth2 access token get a voice token."""

import os
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.fastapi import token_router
from moss_voice_server.identity import identity_from_sub


def user_id(token: Annotated[str, Depends(OAuth2PasswordBearer("login"))]) -> str:
    try:
        return jwt.decode(token, os.environ["APP_KEY"], ["HS256"], options={"require": ["exp", "sub"]})["sub"]
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None


def authorize(user: Annotated[str, Depends(user_id)]) -> Admission:
    return Admission(ParticipantInfo(identity_from_sub(user)))


app = FastAPI()
app.include_router(token_router(MossVoiceServer.lazy_from_env(), authorize=authorize))
