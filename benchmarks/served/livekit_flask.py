"""A hand-written Flask route, with `livekit-api`."""

from __future__ import annotations

from flask import Flask, abort, request

from .by_hand import answer
from .session import USERS

app = Flask(__name__)


@app.post("/voice/token")
def token() -> tuple[dict[str, str], int]:
    """A token for a new room."""
    authorization = request.authorization
    user = USERS.get(authorization.token or "") if authorization else None
    if user is None:
        abort(401)
    request.get_json()
    return answer(*user), 201
