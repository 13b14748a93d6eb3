"""A real LiveKit server sends webhooks to the applications of the documentation, before and after a rotation of its keys."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.livekit.conftest import livekit_binary
from tests.support import loopback

__all__ = ["livekit_binary"]

pytestmark = pytest.mark.livekit

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
PATIENCE = 60.0
ROOMS, GENERATIONS = 3, 2


class App(NamedTuple):
    """An application of the page, what it handled, and the status of each of its responses."""

    url: str
    events: list[Any]
    statuses: list[int]


def code(framework: str) -> dict[str, Any]:
    """The names of the page's code for this framework, with the two functions that the reader writes."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(rf"^## {framework}\n+```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert block, framework
    seen: set[str] = set()
    events: list[Any] = []

    def is_new(event_id: str) -> bool:
        known = event_id in seen
        seen.add(event_id)
        return not known

    names: dict[str, Any] = {"is_new": is_new, "handle": events.append, "events": events, "__name__": "webhook_app"}
    module = ModuleType("webhook_app")
    module.__dict__.update(names)
    exec(compile(block[1], f"{PAGE.name} {framework}", "exec"), module.__dict__)
    return module.__dict__


@contextmanager
def wsgi(application: Callable[..., Any], events: list[Any]) -> Iterator[App]:
    """Serve a WSGI application and record its statuses."""
    statuses: list[int] = []

    def recorded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, *rest: Any) -> Any:
            statuses.append(int(status.split(maxsplit=1)[0]))
            return start_response(status, *rest)

        return application(environ, start)

    with loopback.wsgi(recorded) as url:
        yield App(f"{url}/livekit/webhook", events, statuses)


@contextmanager
def asgi(application: Any, events: list[Any]) -> Iterator[App]:
    """The same for an ASGI application."""
    statuses: list[int] = []

    async def recorded(scope: Any, receive: Any, send: Any) -> None:
        async def record(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        await application(scope, receive, record)

    with loopback.asgi(recorded) as url:
        yield App(f"{url}/livekit/webhook", events, statuses)


def fastapi() -> Any:
    """FastAPI's application of the page, served."""
    names = code("FastAPI")
    return asgi(names["app"], names["events"])


def flask() -> Any:
    """Flask's."""
    names = code("Flask")
    return wsgi(names["app"], names["events"])


@contextmanager
def django() -> Iterator[App]:
    """Django's: the page's URLs below settings of nothing else."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    names = code("Django")
    sys.modules["webhook_urls"] = ModuleType("webhook_urls")
    sys.modules["webhook_urls"].__dict__.update(names)
    if not settings.configured:
        settings.configure(SECRET_KEY="for-tests")  # type: ignore[no-untyped-call]
    hosts = {"ROOT_URLCONF": "webhook_urls", "ALLOWED_HOSTS": ["127.0.0.1"]}
    with override_settings(**hosts):  # type: ignore[no-untyped-call]
        application = get_wsgi_application()  # type: ignore[no-untyped-call]
        with wsgi(application, names["events"]) as app:
            yield app


def names_of(app: App) -> dict[str, set[str]]:
    """The events of each kind by the room's name."""
    found: dict[str, set[str]] = {"room_started": set(), "room_finished": set()}
    for event in app.events:
        if event.event in found:
            found[event.event].add(event.room.name)
    return found


def wait_for(apps: list[App], rooms: set[str]) -> None:
    """Until each application has handled both events of each room."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if all(rooms <= each for app in apps for each in names_of(app).values()):
            return
        time.sleep(0.1)
    raise AssertionError([(app.statuses, {kind: rooms - each for kind, each in names_of(app).items()}) for app in apps])


@pytest.mark.once
def test_rotation(livekit_binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every genuine event is handled once by each application, also those that are the first with a new key."""
    with FakeMoss() as moss, ExitStack() as stack:
        for name, value in moss.environ.items():
            monkeypatch.setenv(name, value)
        apps = [stack.enter_context(make()) for make in (fastapi, flask, django)]
        livekit = stack.enter_context(LiveKitServer(livekit_binary, webhook_urls=[app.url for app in apps]))
        ended: set[str] = set()
        for generation in range(GENERATIONS):
            key, secret = f"APIkey{generation}", token_hex(24)
            livekit.restart(keys={key: secret})
            moss.rotate(key, secret)
            voice = MossVoiceServerSync.from_livekit(livekit.url, key, secret, "agent")
            for number in range(ROOMS):
                room = f"room-{generation}-{number}"
                voice.rooms.ensure_agent(room)
                voice.rooms.end(room)
                ended.add(room)
            wait_for(apps, ended)

        for app in apps:
            ids = [event.id for event in app.events]
            assert len(ids) == len(set(ids)) >= 2 * GENERATIONS * ROOMS
            # The first requests of a generation are refused once, with the status after which LiveKit repeats them.
            assert {200, 204, 503} >= set(app.statuses)
            assert 503 in app.statuses
            assert "turnPassword" not in repr([event.raw for event in app.events])
