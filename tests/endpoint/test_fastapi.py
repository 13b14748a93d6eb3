"""FastAPI: the endpoint in the application's own routing, exception handlers, lifespan and OpenAPI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.security import APIKeyHeader

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.fastapi import token_router
from moss_voice_server.testing import FakeMoss
from tests.endpoint.calls import ADA, SERVER, START, STARTED, Message, asgi_call, chunk, http_scope
from tests.endpoint.fastapi_calls import PATH, ROOM, CurrentUser, app_with, by_user, post
from tests.support.tokens import API_KEY, API_SECRET, URL
from tests.support.wire import bearer


def test_crash_is_raised_on() -> None:
    """The server's log and error trackers learn of a crash; the client gets the endpoint's response."""

    def authorize() -> Admission:
        raise ZeroDivisionError

    sent: list[Message] = []

    async def receive() -> Message:
        return chunk(b"{}")

    async def send(message: Any) -> None:
        sent.append(message)

    app: Any = app_with(authorize)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(app(http_scope(path=PATH), receive, send))
    assert (500, True) == (sent[0]["status"], b"internal_error" in sent[1]["body"])


def test_redirect() -> None:
    """FastAPI answers it."""

    def authorize() -> Admission:
        raise HTTPException(302, headers={"Location": "/login"})

    answer = post(app_with(authorize))
    assert (302, "/login") == (answer.status, answer.header("location"))


def test_handlers_of_the_app_do_not_replace_our_responses() -> None:
    """Its exception handlers are for its own routes, and `debug` shows nothing."""
    app = FastAPI(debug=True)
    app.include_router(token_router(SERVER, authorize=by_user))

    @app.exception_handler(401)
    @app.exception_handler(Exception)
    async def page(request: Request, error: Exception) -> Any:
        raise AssertionError

    assert "unauthenticated" == post(app).json["error"]


def test_background_tasks_run() -> None:
    """A task that a dependency leaves runs after the response."""
    done: list[str] = []

    def authorize(tasks: BackgroundTasks) -> Admission:
        tasks.add_task(done.append, "mail")
        return ADA

    assert 201 == post(app_with(authorize)).status
    assert ["mail"] == done


def test_body_can_be_read() -> None:
    """A dependency that reads the body itself, to check a signature, finds it; and so does a middleware."""
    seen: list[bytes] = []

    async def authorize(request: Request, token_request: TokenRequest) -> Admission:
        seen.append(await request.body())
        return ADA

    app = app_with(authorize)

    @app.middleware("http")
    async def look(request: Request, call_next: Any) -> Any:
        seen.append(await request.body())
        return await call_next(request)

    assert 201 == post(app, body=b'{ "room_config": {} }').status
    assert [b'{ "room_config": {} }'] * 2 == seen


def test_headers_of_dependencies() -> None:
    """A session that a dependency renews reaches the browser; our own headers stay as they are."""

    def authorize(response: Response, token_request: TokenRequest) -> Admission:
        response.set_cookie("session", "renewed")
        response.headers.update({"cache-control": "public", "content-length": "7", "x-own": "1"})
        return ADA

    app = app_with(authorize)
    for answer in (post(app), post(app, json=ROOM)):
        said = [answer.header(name) for name in ("set-cookie", "x-own", "cache-control", "content-type")]
        assert ["session=renewed; Path=/; SameSite=lax", "1", "no-store", "application/json"] == said
        assert str(len(answer.body)) == answer.header("content-length")


REFUSALS: list[tuple[Exception, int, str, str | None]] = [
    (HTTPException(401, headers={"WWW-Authenticate": 'Basic realm="v"'}), 401, "unauthenticated", 'Basic realm="v"'),
    (HTTPException(429, {"secret": "x"}, {"Retry-After": "8.2", "X-Other": "secret"}), 429, "refused", "9"),
    (Denied(403, "trial_over"), 403, "trial_over", None),
]


@pytest.mark.parametrize(("refusal", "status", "code", "header"), REFUSALS)
def test_refusals_of_sub_dependencies(refusal: Exception, status: int, code: str, header: str | None) -> None:
    """A dependency of authorize refuses, in FastAPI's way or ours: the response is ours, with the headers that count."""

    async def gate() -> None:
        raise refusal

    def authorize(gate: Annotated[None, Depends(gate)]) -> Admission:
        return ADA

    answer = post(app_with(authorize))
    assert (status, code) == (answer.status, answer.json["error"])
    assert header == (answer.header("www-authenticate") or answer.header("retry-after"))
    assert "secret" not in repr(answer)


# Routing.


def test_prefixes_and_nesting() -> None:
    """The endpoint is where the routers around it say, every method of it, and their dependencies hold for it."""

    def gate(x_gate: Annotated[str, Header()]) -> None:
        if x_gate != "open":
            raise HTTPException(403)

    inner = APIRouter(prefix="/inner", dependencies=[Depends(gate)])
    inner.include_router(token_router(SERVER, authorize=by_user, path="/t"), prefix="/own")
    app, outer = FastAPI(), FastAPI()
    app.include_router(inner, prefix="/outer")
    outer.mount("/sub", app)
    opened = bearer("ada") | {"x-gate": "open"}
    for whole, path in ((app, "/outer/inner/own/t"), (outer, "/sub/outer/inner/own/t")):
        assert [201, 403, 405] == [
            post(whole, path, headers=opened).status,
            post(whole, path, headers=opened | {"x-gate": "shut"}).status,
            post(whole, path, headers=opened, method="PUT").status,
        ]


def test_catch_all_behind_the_endpoint() -> None:
    """Every method at the path is the endpoint's, whatever the application mounts behind it."""
    app = app_with(by_user)
    app.mount("/", app_with(by_user, path="/other"))
    assert [405, 405, 401] == [post(app, method=method).status for method in ("GET", "OPTIONS", "POST")]
    assert 1 == sum(getattr(route, "path", "") == PATH for route in token_router(SERVER, authorize=by_user).routes)


def test_several_endpoints() -> None:
    """Endpoints for two agents in one application are independent, and described without clashing."""
    other = MossVoiceServerSync.from_livekit("wss://other.example", API_KEY, API_SECRET)
    app = FastAPI()
    router = token_router(SERVER, authorize=by_user, path="/t")
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    app.include_router(token_router(other, authorize=allow_guests(), path="/c"))
    answers = [post(app, "/a/t", headers=bearer("ada")), post(app, "/c")]
    assert [URL, "wss://other.example"] == [answer.json["server_url"] for answer in answers]
    assert ["ada", "guest"] == [answer.claims["sub"].partition("-")[0] for answer in answers]
    assert 401 == post(app, "/b/t").status
    paths = app.openapi()["paths"]
    assert ["/a/t", "/b/t", "/c"] == list(paths)
    assert 3 == len({path["post"]["operationId"] for path in paths.values()})


def test_openapi() -> None:
    """The endpoint is in the application's description, with its security, its body and its responses."""

    def authorize(user: CurrentUser, key: Annotated[str, Depends(APIKeyHeader(name="X-Key"))]) -> Admission:
        return ADA

    described = app_with(authorize, allow_origins=["https://app.example"]).openapi()
    assert {"post"} == set(described["paths"][PATH])
    operation = described["paths"][PATH]["post"]
    assert [{"OAuth2PasswordBearer": []}, {"APIKeyHeader": []}] == operation["security"]
    assert {"OAuth2PasswordBearer", "APIKeyHeader"} == set(described["components"]["securitySchemes"])
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    names = [f"participant_{name}" for name in ("name", "identity", "metadata", "attributes")]
    assert ["room_name", *names, "room_config"] == list(body["properties"])
    statuses = ["201", "400", "401", "403", "413", "415", "422", "429", "500", "503"]
    assert statuses == sorted(operation["responses"])
    created = operation["responses"]["201"]["content"]["application/json"]["schema"]
    assert ["server_url", "participant_token"] == created["required"]


def test_start_fetches() -> None:
    """A server that was only constructed fetches when the application starts, beside the application's own lifespan."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        events.append("start")
        yield {"own": "state"}
        events.append("stop")

    with FakeMoss() as moss:
        app = FastAPI(lifespan=lifespan)
        app.include_router(token_router(MossVoiceServer(**moss.arguments), authorize=by_user))
        assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan", "state": {}}, START))
        assert 1 == moss.count
    assert ["start", "stop"] == events
