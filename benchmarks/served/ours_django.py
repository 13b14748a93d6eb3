"""This package's Django view."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import path

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.django import token_view
from moss_voice_server.endpoint import Admission, Denied, TokenRequest

from .django_project import project, signed_in
from .session import KEY, SECRET, URL


def authorize(request: HttpRequest, token_request: TokenRequest) -> Admission:
    """The user of the bearer token."""
    user = signed_in(request)
    if user is None:
        raise Denied(401)
    return Admission(ParticipantInfo(*user))


server = MossVoiceServerSync.from_livekit(URL, KEY, SECRET)
urlpatterns = [path("voice/token", token_view(server, authorize=authorize, csrf_exempt=True))]
app = project(__name__)
