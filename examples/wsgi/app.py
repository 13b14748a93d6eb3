"""WSGI: HTTP Basic authentication, without a framework."""

import base64
import hmac
import os

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied
from moss_voice_server.wsgi import token_app

USERS = {"ada": os.environ["ADA_PASSWORD"].encode()}  # replace with your table of users


def authorize(environ, token_request):
    scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
    except ValueError:
        raise Denied(401) from None
    expected = USERS.get(user.decode("ascii", "replace"))
    if scheme.lower() != "basic" or expected is None or not hmac.compare_digest(password, expected):
        raise Denied(401)
    return Admission(ParticipantInfo(user.decode()))


app = token_app(MossVoiceServerSync.from_env(), authorize=authorize)
