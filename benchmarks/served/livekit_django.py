"""A hand-written Django view, with `livekit-api`."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .by_hand import answer
from .django_project import project, signed_in

# Django ships no types.
_json: Any = JsonResponse
_exempt: Any = csrf_exempt


def token(request: HttpRequest) -> Any:
    """A token for a new room."""
    user = signed_in(request)
    if user is None:
        return _json({"error": "unauthenticated"}, status=401)
    json.loads(request.body)
    return _json(answer(*user), status=201)


urlpatterns = [path("voice/token", _exempt(require_POST(token)))]
app = project(__name__)
