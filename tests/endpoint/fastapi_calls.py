"""Applications of FastAPI with the endpoint, their users, and how a test calls them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer

from moss_voice_server import ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.fastapi import token_router
from tests.endpoint.calls import SERVER, ask_asgi
from tests.support.wire import Answer, Request

PATH = "/voice/token"
ROOM = {"room_name": "r"}
oauth2 = OAuth2PasswordBearer(tokenUrl="login")


@dataclass
class User:
    """A user who is signed in."""

    name: str


def user_of(token: Annotated[str, Depends(oauth2)]) -> User:
    """The user of a token, as in FastAPI's own tutorial."""
    if token == "expired":
        raise HTTPException(401, "a text of the app", {"WWW-Authenticate": "Bearer"})
    return User(token)


CurrentUser = Annotated[User, Depends(user_of)]


def by_user(user: CurrentUser) -> Admission:
    """An authorize with a dependency, and without the token request."""
    return Admission(ParticipantInfo(user.name))


def app_with(authorize: Callable[..., Any], server: Any = SERVER, **options: Any) -> FastAPI:
    """An application with the endpoint only."""
    app = FastAPI()
    app.include_router(token_router(server, authorize=authorize, **options))
    return app


def post(app: Any, path: str = PATH, query: bytes = b"", **sent: Any) -> Answer:
    """The response to one POST."""
    return ask_asgi(app, Request(**sent), path, query_string=query)
