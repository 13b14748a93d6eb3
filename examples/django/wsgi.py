"""WSGI application of the site, for `runserver` and gunicorn."""

import os
from contextlib import suppress

from app import voice_server
from django.core.wsgi import get_wsgi_application
from moss_voice_server.errors import CredentialsError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = get_wsgi_application()
with suppress(CredentialsError):  # logged; the view returns 503 until Moss can be reached
    voice_server.refresh()
