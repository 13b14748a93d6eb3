"""Server programs that people run Python applications with: their command lines and the frameworks that they can serve."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PYTHON = sys.executable
ASGI = ("asgi", "fastapi", "django_asgi")
WSGI = ("wsgi", "flask", "django")
APP = "tests.servers.app:app"
LONGEST_START = 60.0  # seconds until a server must accept connections


class ServerProgram(NamedTuple):
    """A server: what to run, which module it needs, and the applications that it serves."""

    module: str
    command: list[str]
    apps: tuple[str, ...]


_GUNICORN = [PYTHON, "-m", "gunicorn", "--workers=1", "--bind=127.0.0.1:{port}", APP]
_HYPERCORN = [PYTHON, "-m", "hypercorn", "--bind=127.0.0.1:{port}", APP]
_UVICORN = [PYTHON, "-m", "uvicorn", "--port={port}", APP]
SERVERS = {
    "uvicorn-h11": ServerProgram("uvicorn", [*_UVICORN, "--http=h11"], ASGI),
    "uvicorn-httptools": ServerProgram("httptools", [*_UVICORN, "--http=httptools"], ASGI),
    "hypercorn-asyncio": ServerProgram("hypercorn", [*_HYPERCORN, "--worker-class=asyncio"], ASGI),
    "hypercorn-trio": ServerProgram("hypercorn", [*_HYPERCORN, "--worker-class=trio"], ("asgi", "fastapi")),
    "granian-asgi": ServerProgram(
        "granian", [PYTHON, "-m", "granian", "--interface=asgi", "--port={port}", APP], ASGI
    ),
    "granian-wsgi": ServerProgram(
        "granian", [PYTHON, "-m", "granian", "--interface=wsgi", "--port={port}", APP], WSGI
    ),
    "daphne": ServerProgram("daphne", [PYTHON, "-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", APP], ASGI),
    "gunicorn-sync": ServerProgram("gunicorn", _GUNICORN, WSGI),
    "gunicorn-gthread": ServerProgram("gunicorn", [*_GUNICORN, "--worker-class=gthread", "--threads=2"], WSGI),
    "gunicorn-gevent": ServerProgram("gevent", [*_GUNICORN, "--worker-class=gevent"], WSGI),
    "waitress": ServerProgram("waitress", [PYTHON, "-m", "waitress", "--listen=127.0.0.1:{port}", APP], WSGI),
    "uwsgi": ServerProgram(
        "pyuwsgi",
        ["{scripts}/uwsgi", "--http-socket=127.0.0.1:{port}", "--master", "--enable-threads", "--need-app",
         "--die-on-term", f"--module={APP}"],
        WSGI,
    ),
    "runserver": ServerProgram(
        "django",
        [PYTHON, "-c", "import sys; from tests.servers import app; from django.core.management import "
         "execute_from_command_line as run; run(['manage', 'runserver', '--noreload', '127.0.0.1:' + sys.argv[1]])",
         "{port}"],
        ("django",),
    ),
    "flask-run": ServerProgram(
        "flask", [PYTHON, "-m", "flask", "--app=" + APP, "run", "--no-reload", "--port={port}"], ("flask",)
    ),
}  # fmt: skip


def is_installed(server: ServerProgram) -> bool:
    """Whether this environment can start it."""
    if server.module == "pyuwsgi":
        return shutil.which("uwsgi", path=sysconfig.get_path("scripts")) is not None
    return importlib.util.find_spec(server.module) is not None


@contextmanager
def running(server: ServerProgram, app: str, output: Path) -> Iterator[int]:
    """Starts a server with an application; yields its port as soon as it accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    values = {"port": port, "scripts": sysconfig.get_path("scripts")}
    with output.open("wb") as out:
        process = subprocess.Popen(
            [part.format(**values) for part in server.command],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TEST_APPLICATION": app,
                "PYTHONUNBUFFERED": "1",
                "PYTHONWARNINGS": "ignore",
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_port(process, port, output)
        yield port
    finally:
        # The whole session: some servers leave their workers to themselves.
        for end in ("TERM", "KILL"):
            subprocess.run(["kill", f"-{end}", "--", f"-{process.pid}"], check=False, stderr=subprocess.DEVNULL)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        process.wait(10)


def _await_port(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the server does not accept connections:\n{output.read_text(errors='replace')}")
