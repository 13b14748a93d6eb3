"""Programs: every adapter's application in a server program of its own, on a loopback port that is free."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from moss_voice_server.testing import FakeMoss
from tests.endpoint.wire import LONGEST, Request, ask

ROOT = Path(__file__).parent.parent.parent
UVICORN = [sys.executable, "-m", "tests.endpoint.serve_asgi"]
# One worker, one request at a time: two requests of a test can never race.
GUNICORN = [sys.executable, "-m", "gunicorn", "--workers=1"]
COMMANDS = {
    "asgi-uvicorn": [*UVICORN, "tests.endpoint.app_asgi:app", "{fd}", "on"],
    "fastapi-uvicorn": [*UVICORN, "tests.endpoint.app_fastapi:app", "{fd}", "on"],
    "wsgi-gunicorn": [*GUNICORN, "--bind=fd://{fd}", "tests.endpoint.app_wsgi:app"],
    "flask-gunicorn": [*GUNICORN, "--bind=fd://{fd}", "tests.endpoint.app_flask:app"],
    "django-gunicorn": [*GUNICORN, "--bind=fd://{fd}", "tests.endpoint.app_django:app"],
    "django-uvicorn": [*UVICORN, "tests.endpoint.app_django:asgi_app", "{fd}", "off"],
}


class Program(NamedTuple):
    """A server program that runs."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, path: str, request: Request) -> Any:
        """One exchange with it."""
        return ask(self.port, path, request)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the application has logged so far."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    @property
    def told(self) -> list[dict[str, Any]]:
        """Of that, what we have logged."""
        return [record for record in self.records if record["logger"].startswith("moss_voice_server")]

    @property
    def workers(self) -> list[int]:
        """The process ids of those that answer: the children, where it has any."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [int(child) for child in children] or [pid]


@contextmanager
def running(name: str, command: list[str], folder: Path, environ: Mapping[str, str]) -> Iterator[Program]:
    """A server program, `{fd}` in its command replaced by a socket that listens already.

    So there is no moment at which its port could be taken, and a request that comes too early waits for the start.
    """
    log = folder / f"{name}.log"
    log.touch()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening, (folder / f"{name}.out").open("wb") as out:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [part.format(fd=listening.fileno()) for part in command],
            cwd=folder,
            env={**os.environ, **environ, "PYTHONPATH": str(ROOT), "ENDPOINT_LOG": str(log)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
        )
    try:
        yield Program(name, port, process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


@contextmanager
def all_running(folder: Path, environ: Mapping[str, str]) -> Iterator[dict[str, Program]]:
    """One program for each adapter, all of them answering."""
    with ExitStack() as stack:
        programs = {
            name: stack.enter_context(running(name, command, folder, environ)) for name, command in COMMANDS.items()
        }
        for program in programs.values():
            await_answer(program, folder)
        yield programs


def await_answer(program: Program, folder: Path) -> None:
    """Waits until a program answers at all; says what it printed when it does not."""
    try:
        answer = program.ask("/sync/token", Request(method="GET"))
    except OSError as error:
        printed = (folder / f"{program.name}.out").read_text(encoding="utf-8", errors="replace")
        raise AssertionError(f"{program.name} does not answer within {LONGEST} s: {error!r}\n{printed}") from error
    assert answer.status == 405, answer


def environ(moss: FakeMoss, down: FakeMoss, refuses: FakeMoss, odd: FakeMoss) -> dict[str, str]:
    """What `policy` reads: where to fetch credentials."""
    fakes = {"MOSS": moss, "MOSS_DOWN": down, "MOSS_REFUSES": refuses, "MOSS_IS_ODD": odd}
    return {name: json.dumps(fake.arguments) for name, fake in fakes.items()}
