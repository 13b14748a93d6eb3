"""This package's Flask blueprint."""

from __future__ import annotations

from flask import Flask, Request, abort

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission, TokenRequest
from moss_voice_server.flask import token_blueprint

from .session import KEY, SECRET, URL, USERS


def authorize(request: Request, token_request: TokenRequest) -> Admission:
    """The user of the bearer token."""
    authorization = request.authorization
    user = USERS.get(authorization.token or "") if authorization else None
    if user is None:
        abort(401)
    return Admission(ParticipantInfo(*user))


app = Flask(__name__)
app.register_blueprint(token_blueprint(MossVoiceServerSync.from_livekit(URL, KEY, SECRET), authorize=authorize))
