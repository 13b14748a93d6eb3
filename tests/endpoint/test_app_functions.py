"""Every function of the application: what it raises is answered, signalled and rolled back as in an ordinary route."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from flask import Flask, got_request_exception
from starlette.responses import JSONResponse
from werkzeug.exceptions import NotFound, TooManyRequests

from moss_voice_server import ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.fastapi import token_router
from moss_voice_server.flask import token_blueprint
from tests.endpoint.calls import SERVER, ask_asgi
from tests.support.wire import Request


class Known(Exception):
    """One that the application has a handler for."""


class KnownStatus(NotFound):
    """Flask's exception, with a handler for this kind of it."""


def failing(name: str, raised: Callable[[], Exception]) -> dict[str, Any]:
    """The arguments of an endpoint one of whose functions raises."""

    def fail(*_arguments: object) -> Any:
        raise raised()

    async def fail_async(*_arguments: object) -> Any:
        raise raised()

    rooms = fail if name == "allowed_rooms" else ("r",)
    found = {"server": SERVER, "authorize": lambda: Admission(ParticipantInfo("ada"), allowed_rooms=rooms)}
    if name != "allowed_rooms":
        found[name.removeprefix("async ")] = fail_async if name.startswith("async") else fail
    return found


names = pytest.mark.parametrize("name", ["authorize", "rate_limiter", "async rate_limiter", "server", "allowed_rooms"])


@names
@pytest.mark.parametrize(
    "raised", [Known, KnownStatus, ZeroDivisionError, partial(TooManyRequests, retry_after=7), NotFound]
)
def test_beside_a_view_of_flask(name: str, raised: Callable[[], Exception]) -> None:
    """Status, Retry-After, the signal and the teardown functions are those of a view that raises the same."""
    app = Flask("shop")
    heard: list[str] = []
    app.teardown_request(lambda error: heard.append(f"teardown {error!r}"))
    got_request_exception.connect(lambda sender, exception, **more: heard.append(repr(exception)), app, weak=False)
    for kind in (Known, KnownStatus):
        app.register_error_handler(kind, lambda error: ({}, 418))
    options = failing(name, raised)
    authorize = options.pop("authorize")
    arguments = {"authorize": authorize if name == "authorize" else lambda *_: authorize(), **options}
    app.register_blueprint(token_blueprint(**arguments))
    app.add_url_rule("/plain", view_func=_plain(raised), methods=["POST"])
    found = []
    for path in ("/plain", "/voice/token"):
        heard.clear()
        answer = app.test_client().post(path, json={"room_name": "r"})
        found.append((answer.status_code, answer.headers.get("Retry-After"), list(heard)))
    assert found[0] == found[1]


@names
@pytest.mark.parametrize(
    "raised",
    [Known, ZeroDivisionError, partial(HTTPException, 429, headers={"Retry-After": "7"}), partial(HTTPException, 503)],
)
def test_beside_a_route_of_fastapi(name: str, raised: Callable[[], Exception]) -> None:
    """Status, Retry-After and what dependencies with `yield` hear are those of a route that raises the same."""
    heard: list[str] = []

    def transaction() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            heard.append(repr(error))
            raise

    app = FastAPI()
    app.add_exception_handler(Known, lambda request, error: JSONResponse({}, 418))
    plain = APIRouter()
    plain.add_api_route("/plain", _plain(raised), methods=["POST"])
    options = failing(name, raised) | ({"authorize": _plain(raised)} if name == "authorize" else {})
    for router in (plain, token_router(**options)):
        app.include_router(router, dependencies=[Depends(transaction)])
    found = []
    for path in ("/plain", "/voice/token"):
        heard.clear()
        answer = ask_asgi(app, Request(json={"room_name": "r"}), path)
        found.append((answer.status, answer.header("retry-after"), list(heard)))
    assert found[0] == found[1]


def _plain(raised: Callable[[], Exception]) -> Any:
    def route() -> None:
        raise raised()

    return route
