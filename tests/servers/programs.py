"""Servers that people run Python applications with: their command lines and the frameworks that they can serve."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from typing import NamedTuple

PYTHON = sys.executable
ASGI = ("asgi", "fastapi", "django")
WSGI = ("wsgi", "flask", "django")
APP = "tests.servers.app:app"


class ServerProgram(NamedTuple):
    """A server: what to run, which module it needs, the application that it loads, and its frameworks."""

    module: str
    command: list[str]
    application: str
    frameworks: tuple[str, ...]


_GUNICORN = [PYTHON, "-m", "gunicorn", "--workers=1", "--bind=127.0.0.1:{port}", APP]
_HYPERCORN = [PYTHON, "-m", "hypercorn", "--bind=127.0.0.1:{port}", APP]
_UVICORN = [PYTHON, "-m", "uvicorn", "--port={port}", APP]
_GRANIAN = [PYTHON, "-m", "granian", "--port={port}", APP]
_DJANGO = (
    "import sys; from tests.servers import app; from django.core.management import execute_from_command_line as run; "
)
_DJANGO += "run(['manage', 'runserver', '--noreload', '127.0.0.1:' + sys.argv[1]])"
SERVERS = {
    "uvicorn-h11": ServerProgram("uvicorn", [*_UVICORN, "--http=h11"], "asgi", ASGI),
    "uvicorn-httptools": ServerProgram("httptools", [*_UVICORN, "--http=httptools"], "asgi", ASGI),
    "hypercorn-asyncio": ServerProgram("hypercorn", [*_HYPERCORN, "--worker-class=asyncio"], "asgi", ASGI),
    "hypercorn-trio": ServerProgram("hypercorn", [*_HYPERCORN, "--worker-class=trio"], "asgi", ("asgi", "fastapi")),
    "granian-asgi": ServerProgram("granian", [*_GRANIAN, "--interface=asgi"], "asgi", ASGI),
    "granian-wsgi": ServerProgram("granian", [*_GRANIAN, "--interface=wsgi"], "wsgi", WSGI),
    "daphne": ServerProgram("daphne", [PYTHON, "-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", APP], "asgi", ASGI),
    "gunicorn-sync": ServerProgram("gunicorn", _GUNICORN, "wsgi", WSGI),
    "gunicorn-gthread": ServerProgram("gunicorn", [*_GUNICORN, "--worker-class=gthread", "--threads=2"], "wsgi", WSGI),
    "gunicorn-gevent": ServerProgram("gevent", [*_GUNICORN, "--worker-class=gevent"], "wsgi", WSGI),
    "waitress": ServerProgram("waitress", [PYTHON, "-m", "waitress", "--listen=127.0.0.1:{port}", APP], "wsgi", WSGI),
    "uwsgi": ServerProgram(
        "pyuwsgi",
        ["{scripts}/uwsgi", "--http-socket=127.0.0.1:{port}", "--master", "--enable-threads", "--need-app",
         "--die-on-term", f"--module={APP}"],
        "wsgi",
        WSGI,
    ),
    "runserver": ServerProgram("django", [PYTHON, "-c", _DJANGO, "{port}"], "django", ("django",)),
    "flask-run": ServerProgram(
        "flask", [PYTHON, "-m", "flask", "--app=" + APP, "run", "--no-reload", "--port={port}"], "flask", ("flask",)
    ),
}  # fmt: skip


def is_installed(server: ServerProgram) -> bool:
    """Whether this environment can start it."""
    if server.module == "pyuwsgi":
        return shutil.which("uwsgi", path=sysconfig.get_path("scripts")) is not None
    return importlib.util.find_spec(server.module) is not None
