"""Django: users who are signed in get a voice token; the CSRF check stays on."""

from django.urls import path
from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.django import token_view
from moss_voice_server.endpoint import Admission, Denied

voice_server = MossVoiceServerSync.lazy_from_env()  # fetches nothing yet, so that `manage.py migrate` works offline


def authorize(request, token_request):
    if not request.user.is_authenticated:
        raise Denied(401)
    return Admission(ParticipantInfo(f"user-{request.user.pk}", name=request.user.get_username()))


urlpatterns = [path("voice/token", token_view(voice_server, authorize=authorize))]
