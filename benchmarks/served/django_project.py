"""Django: the settings of both Django applications, with two default middlewares."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings as django_settings
from django.core import wsgi
from django.http import HttpRequest

from .session import USERS

# Django ships no types.
_settings: Any = django_settings
_setup: Any = django.setup
_application: Any = wsgi.get_wsgi_application


def project(urls: str) -> Any:
    """The WSGI application of a project whose `urlpatterns` are in this module."""
    _settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        SECRET_KEY="made up, and longer than fifty characters so that Django is content",
        ROOT_URLCONF=urls,
        LOGGING_CONFIG=None,
        USE_TZ=True,
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
    )
    _setup()
    return _application()


def signed_in(request: HttpRequest) -> tuple[str, str] | None:
    """Identity and name for the bearer token, or `None`."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return USERS.get(bearer) if scheme.lower() == "bearer" else None
