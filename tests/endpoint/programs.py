"""Programs: every adapter's application in a server program, on a loopback port, and what it has logged."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from moss_voice_server.testing import FakeMoss
from tests.support.server_programs import running
from tests.support.wire import Answer, Request, ask

Fakes = Mapping[str, FakeMoss]
"""Moss APIs, by the environment variable that tells `policy` where they are."""
UVICORN = [sys.executable, "-m", "tests.endpoint.serve_asgi", "{fd}"]
# One worker, one request at a time: two requests of a test can never race.
GUNICORN = [sys.executable, "-m", "gunicorn", "--bind=fd://{fd}", "--workers=1"]
COMMANDS = {
    "asgi-uvicorn": [*UVICORN, "on", "tests.endpoint.app_asgi:app"],
    "fastapi-uvicorn": [*UVICORN, "on", "tests.endpoint.app_fastapi:app"],
    "wsgi-gunicorn": [*GUNICORN, "tests.endpoint.app_wsgi:app"],
    "flask-gunicorn": [*GUNICORN, "tests.endpoint.app_flask:app"],
    "django-gunicorn": [*GUNICORN, "tests.endpoint.app_django:app"],
    "django-uvicorn": [*UVICORN, "off", "tests.endpoint.app_django:asgi_app"],
}


class Program(NamedTuple):
    """A server program that runs."""

    name: str
    port: int
    pid: int
    log: Path

    def ask(self, path: str, request: Request) -> Answer:
        """Sends one request on a new connection."""
        return ask(self.port, path, request)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the application has logged so far, without a line that is being written."""
        return [json.loads(line) for line in self.log.read_bytes().split(b"\n")[:-1]]

    @property
    def workers(self) -> list[int]:
        """The process IDs of its workers: the children, where it has any."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        return [int(child) for child in children] or [self.pid]


@contextmanager
def started(name: str, command: list[str], folder: Path, fakes: Fakes) -> Iterator[Program]:
    """A server program that starts; a request that is sent too early waits for it."""
    log = folder / f"{name}.log"
    log.touch()
    environ = {variable: json.dumps(fake.arguments) for variable, fake in fakes.items()}
    with running(command, folder / f"{name}.out", {**environ, "ENDPOINT_LOG": str(log)}) as program:
        yield Program(name, program.port, program.process.pid, log)


@contextmanager
def all_running(folder: Path, fakes: Fakes) -> Iterator[dict[str, Program]]:
    """One program for each adapter, all of them answering."""
    with ExitStack() as stack:
        programs = {
            name: stack.enter_context(started(name, command, folder, fakes)) for name, command in COMMANDS.items()
        }
        for program in programs.values():
            await_answer(program)
        yield programs


def await_answer(program: Program) -> None:
    """Waits until a program answers; shows what it printed when it does not."""
    try:
        assert 405 == program.ask("/sync/token", Request(method="GET")).status
    except OSError as error:
        printed = program.log.with_suffix(".out").read_text(encoding="utf-8", errors="replace")
        raise AssertionError(f"{program.name} does not answer: {error!r}\n{printed}") from error
