"""Starlette: AuthenticationMiddleware identifies the user; the token endpoint is an ASGI application behind it."""

import os
from contextlib import asynccontextmanager

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, Denied
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Route

USERS = {f"Bearer {os.environ['ADA_API_KEY']}": "ada"}  # replace with your table of users


class ApiKeys(AuthenticationBackend):
    async def authenticate(self, connection):
        user = USERS.get(connection.headers.get("Authorization"))
        return user and (AuthCredentials(["authenticated"]), SimpleUser(user))


@asynccontextmanager
async def lifespan(app):
    async with await MossVoiceServer.from_env() as app.state.voice_server:
        yield


async def authorize(scope, token_request):
    return Admission(ParticipantInfo(scope["user"].username)) if scope["user"].is_authenticated else Denied(401)


route = Route("/voice/token", token_app(lambda scope: scope["app"].state.voice_server, authorize=authorize))
app = Starlette(routes=[route], middleware=[Middleware(AuthenticationMiddleware, ApiKeys())], lifespan=lifespan)
