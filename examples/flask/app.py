"""Flask: users who are signed in get a voice token."""

import os

from flask import Flask, abort, request, session
from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied
from moss_voice_server.flask import token_blueprint
from werkzeug.security import check_password_hash, generate_password_hash

USERS = {"ada": generate_password_hash(os.environ["ADA_PASSWORD"])}  # replace with your table of users
app = Flask(__name__)
app.config.update(SECRET_KEY=os.environ["APP_KEY"], SESSION_COOKIE_SAMESITE="Lax")


@app.post("/login")
def login():
    if not check_password_hash(USERS.get(request.form["name"], ""), request.form["password"]):
        abort(401)
    session["user"] = request.form["name"]
    return {"user": session["user"]}


def authorize(request, token_request):
    return Admission(ParticipantInfo(session["user"])) if "user" in session else Denied(401)


app.register_blueprint(token_blueprint(MossVoiceServerSync.from_env(), authorize=authorize))
