"""FastAPI: authorize as a dependency like any other, in the application's own routing, lifespan and OpenAPI."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial, wraps
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from pydantic import BaseModel

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.fastapi import token_router
from moss_voice_server.testing import FakeMoss
from tests.endpoint.calls import PATHS, asgi_answer, asgi_ask, asgi_call, ask_asgi, http_scope
from tests.support.tokens import API_KEY, API_SECRET, URL
from tests.support.wire import Answer, bearer
from tests.support.wire import Request as Sent

SERVER = MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET)
PATH = "/voice/token"
ROOM = {"room_name": "r"}
BODY = {"type": "http.request", "body": b"{}", "more_body": False}
ADA = Admission(ParticipantInfo("ada"))
oauth2 = OAuth2PasswordBearer(tokenUrl="login")


@dataclass
class User:
    """A user who is signed in."""

    name: str


def user_of(token: Annotated[str, Depends(oauth2)]) -> User:
    """The user of a token, as in FastAPI's own tutorial."""
    if token == "expired":
        raise HTTPException(401, "a text of the app", {"WWW-Authenticate": "Bearer"})
    return User(token)


CurrentUser = Annotated[User, Depends(user_of)]


def app_with(authorize: Callable[..., Any], server: Any = SERVER, **options: Any) -> FastAPI:
    """An application with the endpoint only."""
    app = FastAPI()
    app.include_router(token_router(server, authorize=authorize, **options))
    return app


def post(app: Any, path: str = PATH, **sent: Any) -> Answer:
    """The response to one POST."""
    return ask_asgi(app, Sent(**sent), path)


def post_with_query(app: Any, query: bytes, headers: dict[str, str] | None = None) -> Answer:
    """The response to one POST to a path with a query."""
    scope = http_scope(Sent(headers or {}), PATH, query_string=query)
    return asgi_answer(asyncio.run(asgi_call(app, scope, [BODY])))


# Everything that a dependency may be.


def by_user(user: CurrentUser) -> Admission:
    """A plain one, with its own dependency."""
    return Admission(ParticipantInfo(user.name))


def plain(user: CurrentUser, token_request: TokenRequest) -> Admission:
    """One that looks at the token request: the user, in the room that the client names."""
    return Admission(ParticipantInfo(user.name), room=token_request.room_name)


async def asynchronous(user: CurrentUser, token_request: TokenRequest) -> Admission:
    """The same, async."""
    return plain(user, token_request)


def old_style(token_request: TokenRequest, request: Request, user: User = Depends(user_of)) -> Admission:  # noqa: B008  # as FastAPI had it
    """With a default instead of Annotated."""
    return plain(user, token_request)


class Authorizer:
    """An object."""

    def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        """As a plain dependency."""
        return plain(user, token_request)

    async def method(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        """As an async dependency."""
        return plain(user, token_request)


class AsyncAuthorizer:
    """The same, async."""

    async def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        """As an async dependency."""
        return plain(user, token_request)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the application, for async functions."""

    @wraps(function)
    async def wrapper(*arguments: Any, **keywords: Any) -> Any:
        return await function(*arguments, **keywords)

    return wrapper


def configured(suffix: str, user: CurrentUser, token_request: TokenRequest) -> Admission:
    """One that gets its configuration by `partial`."""
    return plain(user, token_request)


async def configured_async(suffix: str, user: CurrentUser, token_request: TokenRequest) -> Admission:
    """The same, async."""
    return plain(user, token_request)


def returns_coroutine(user: CurrentUser, token_request: TokenRequest) -> Any:
    """Not async itself."""
    return asynchronous(user, token_request)


def optional(user: CurrentUser, token_request: TokenRequest | None) -> Admission:
    """With a token request that could be absent, and never is."""
    assert token_request is not None
    return plain(user, token_request)


def annotated(user: CurrentUser, token_request: Annotated[TokenRequest, "the client's"]) -> Admission:
    """With a token request in Annotated."""
    return plain(user, token_request)


def yields(user: CurrentUser, token_request: TokenRequest) -> Iterator[Admission]:
    """With something to close."""
    yield plain(user, token_request)


async def yields_async(user: CurrentUser, token_request: TokenRequest) -> AsyncIterator[Admission]:
    """The same, async."""
    yield plain(user, token_request)


class Yields:
    """The same, an object."""

    def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Iterator[Admission]:
        """As a dependency."""
        yield from yields(user, token_request)


DEPENDENCIES: dict[str, Callable[..., Any]] = {
    "function": plain,
    "async function": asynchronous,
    "defaults": old_style,
    "object": Authorizer(),
    "async object": AsyncAuthorizer(),
    "async method": Authorizer().method,
    "decorated": logged(asynchronous),
    "partial": partial(configured, "x"),
    "partial of an async function": partial(configured_async, suffix="x"),
    "partial of an object": partial(Authorizer()),
    "a function that returns a coroutine": returns_coroutine,
    "an optional request": optional,
    "an annotated request": annotated,
    "generator": yields,
    "async generator": yields_async,
    "an object that yields": Yields(),
    "partial of a generator": partial(yields),
    "partial of an async generator": partial(yields_async),
}


@pytest.mark.parametrize("authorize", DEPENDENCIES.values(), ids=DEPENDENCIES)
def test_every_kind_of_dependency(authorize: Callable[..., Any]) -> None:
    """Whatever FastAPI takes as a dependency decides, with its own dependencies and the token request; tests override it."""
    app = app_with(authorize)
    claims = post(app, headers=bearer("ada"), json=ROOM).claims
    assert ("ada", "r") == (claims["sub"], claims["video"]["room"])
    assert "schemas" not in app.openapi()["components"]  # FastAPI itself reads no body
    assert [401, 401] == [post(app).status, post(app, headers=bearer("expired")).status]
    app.dependency_overrides[authorize] = lambda: Admission(ParticipantInfo("eve"))
    assert "eve" == post(app).claims["sub"]
    app.dependency_overrides = {by_user: lambda: ADA}
    assert 401 == post(app).status
    app.dependency_overrides = {user_of: lambda: User("eve")}
    assert "eve" == post(app).claims["sub"]


def test_dependency_without_the_token_request() -> None:
    """The rules hold all the same."""
    app = app_with(by_user)
    assert 201 == post(app, headers=bearer("ada")).status
    assert "room_not_allowed" == post(app, headers=bearer("ada"), json=ROOM).json["error"]


def test_dependency_without_a_hash() -> None:
    """An object that has no hash cannot be overridden, but can decide."""

    @dataclass
    class Rooms:
        room: str

        def __call__(self) -> Admission:
            return Admission(ParticipantInfo("ada"), room=self.room)

    assert "lobby" == post(app_with(Rooms("lobby"))).claims["video"]["room"]


def test_other_parameters() -> None:
    """Headers, cookies and queries are parameters as ever; one that is missing or wrong is a 422 of the endpoint."""

    def authorize(x_tenant: Annotated[int, Header()], seat: int, session: Annotated[str, Cookie()] = "") -> Admission:
        return Admission(ParticipantInfo(f"{x_tenant}-{seat}-{session}"))

    app = app_with(authorize)
    assert "7-3-s" == post_with_query(app, b"seat=3", {"x-tenant": "7", "cookie": "session=s"}).claims["sub"]
    for headers, query in (({}, b"seat=3"), ({"x-tenant": "seven"}, b"seat=3"), ({"x-tenant": "7"}, b"seat=x")):
        answer = post_with_query(app, query, headers)
        assert (422, b'{"error":"refused","message":"The request was refused."}') == (answer.status, answer.body)


@pytest.mark.parametrize("is_async", [True, False])
def test_arguments_of_partial_are_not_parameters(is_async: bool) -> None:
    """A client cannot set them in the query, as it could with a plain dependency."""

    def authorize(tenant: str, role: str = "guest") -> Admission:
        return Admission(ParticipantInfo(f"{tenant}-{role}"))

    async def waiting(tenant: str, role: str = "guest") -> Admission:
        return authorize(tenant, role)

    app = app_with(partial(waiting if is_async else authorize, tenant="acme"))
    assert "acme-guest" == post_with_query(app, b"tenant=other").claims["sub"]
    assert "acme-admin" == post_with_query(app, b"tenant=other&role=admin").claims["sub"]  # a parameter as ever
    assert ["role"] == [each["name"] for each in app.openapi()["paths"][PATH]["post"]["parameters"]]


def of_the_other_frameworks(request, token_request) -> Admission:  # type: ignore[no-untyped-def]
    """What Flask, Django, ASGI and WSGI call; FastAPI would read both from the query."""
    return Admission(ParticipantInfo("ada"), room=token_request.room_name)


async def half_annotated(*, token_request) -> Admission:  # type: ignore[no-untyped-def]
    """Without the annotation of its token request only."""
    return Admission(ParticipantInfo("ada"), room=token_request.room_name)


UNANNOTATED = [
    (of_the_other_frameworks, "request"),
    (half_annotated, "token_request"),
    (partial(lambda realm, token_request: realm, "realm"), "token_request"),
]


@pytest.mark.parametrize(("authorize", "name"), UNANNOTATED)
def test_parameters_need_annotations(authorize: Callable[..., Any], name: str) -> None:
    """FastAPI would take them from the query, and refuse every request: refused when the router is made."""
    with pytest.raises(InvalidArgument, match=f"authorize's parameter {name} has no annotation") as caught:
        token_router(SERVER, authorize=authorize)
    assert "authorize" == caught.value.field


def unresolvable(request: "Missing") -> Admission:  # type: ignore[name-defined]  # noqa: F821  # it is missing on purpose
    """Its annotation is imported for type checkers only."""
    return ADA


@pytest.mark.parametrize(
    ("name", "value"), [*PATHS, *(("authorize", value) for value in (unresolvable, partial(unresolvable), int))]
)
def test_wrong_path_and_function_are_refused(name: str, value: Any) -> None:
    """A mistake shows when the router is made, by the argument's name."""
    with pytest.raises(InvalidArgument) as caught:
        token_router(SERVER, **{"authorize": lambda: ADA, name: value})
    assert name == caught.value.field


def test_parameters_that_need_none() -> None:
    """Other names may be of the query; what is bound, or has a dependency as its default, is not a parameter."""
    token_router(SERVER, authorize=lambda tenant: Admission(ParticipantInfo(tenant)))
    token_router(SERVER, authorize=partial(of_the_other_frameworks, request=None, token_request=None))
    token_router(SERVER, authorize=lambda request=Depends(oauth2): ADA)  # noqa: B008  # as FastAPI had it


class Body(BaseModel):
    """What an application might read of a request."""

    room_name: str | None = None


def reads_a_body(body: Body) -> Admission:
    """An authorize that has its own body."""
    return ADA


def room_of(token_request: TokenRequest) -> str | None:
    """A sub-dependency: FastAPI would parse the body into its token request, unchecked."""
    return token_request.room_name


def depends_on_a_body(room: Annotated[str | None, Depends(room_of)]) -> Admission:
    """An authorize whose dependency has one."""
    return Admission(ParticipantInfo("ada"), room=room)


@pytest.mark.parametrize("authorize", [reads_a_body, depends_on_a_body])
def test_second_body_is_refused(authorize: Callable[..., Any]) -> None:
    """The body is the token request: another reader of it is an error when the application is made."""
    with pytest.raises(InvalidArgument) as caught:
        app_with(authorize)
    assert "authorize" == caught.value.field
    assert "token_request: TokenRequest" in caught.value.remedy


# Refusals, exceptions and what depends on them.


REFUSALS: list[tuple[Exception, int, str, str | None]] = [
    (HTTPException(401), 401, "unauthenticated", "Bearer"),
    (HTTPException(401, headers={"WWW-Authenticate": 'Basic realm="v"'}), 401, "unauthenticated", 'Basic realm="v"'),
    (HTTPException(403, {"secret": "x"}), 403, "forbidden", None),
    (HTTPException(404), 404, "refused", None),
    (HTTPException(429, headers={"Retry-After": "9", "X-Other": "secret"}), 429, "refused", "9"),
    (Denied(403, "trial_over"), 403, "trial_over", None),
]


@pytest.mark.parametrize(("refusal", "status", "code", "header"), REFUSALS)
def test_refusals_of_sub_dependencies(refusal: Exception, status: int, code: str, header: str | None) -> None:
    """Authorize or a dependency of it refuses, in FastAPI's way or ours: the response is ours, with the headers that count."""

    async def gate() -> None:
        raise refusal

    def authorize(gate: Annotated[None, Depends(gate)]) -> Admission:
        return ADA

    answer = post(app_with(authorize))
    assert (status, code) == (answer.status, answer.json["error"])
    assert header == (answer.header("www-authenticate") or answer.header("retry-after"))
    assert "secret" not in repr(answer)


def transaction(events: list[str]) -> Callable[..., Any]:
    """A dependency that commits after `yield`; the end is one of the events."""

    async def database() -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            events.append(type(error).__name__)
            raise
        events.append("committed")

    return database


ENDS: list[tuple[Any, dict[str, str], int, str]] = [
    (ADA, {}, 201, "committed"),
    (Denied(), {}, 403, "Denied"),
    (ADA, ROOM, 403, "Refusal"),
    (ADA, {}, 503, "CredentialsUnavailable"),
]


@pytest.mark.parametrize(("decision", "token_request", "status", "seen"), ENDS)
def test_only_a_token_commits(decision: Any, token_request: dict[str, str], status: int, seen: str) -> None:
    """A request without a token is an exception to dependencies; `test_app_functions.py` has the other exceptions."""
    events: list[str] = []

    def authorize(database: Annotated[None, Depends(transaction(events))]) -> Any:
        return decision

    with FakeMoss() as moss:
        moss.set_default(503)
        server = MossVoiceServer(**moss.arguments, refresh=RefreshPolicy(attempts=1)) if status == 503 else SERVER
        assert status == post(app_with(authorize, server), json=token_request).status
    assert [seen] == events


def test_crash_is_raised_on() -> None:
    """The server's log and error trackers learn of a crash; the client gets the endpoint's response."""

    def authorize() -> Admission:
        raise ZeroDivisionError

    sent: list[Any] = []

    async def receive() -> Any:
        return BODY

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        app: Any = app_with(authorize)
        await app(http_scope(Sent(), PATH), receive, send)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(call())
    answer = asgi_answer(sent)
    assert (500, "internal_error") == (answer.status, answer.json["error"])


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


# What else dependencies do.


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


# Routing.


def test_prefixes_and_nesting() -> None:
    """The endpoint is where the routers around it say, every method of it, and their dependencies hold for it."""

    def gate(x_gate: Annotated[str, Header()]) -> None:
        if x_gate != "open":
            raise HTTPException(403)

    inner = APIRouter(prefix="/inner", dependencies=[Depends(gate)])
    inner.include_router(token_router(SERVER, authorize=by_user, path="/t"), prefix="/own")
    app = FastAPI()
    app.include_router(inner, prefix="/outer")
    opened = bearer("ada") | {"x-gate": "open"}
    for outer, path in ((app, "/outer/inner/own/t"), (FastAPI(), "/sub/outer/inner/own/t")):
        if outer is not app:
            outer.mount("/sub", app)  # a FastAPI application in another one
        assert [201, 403, 405] == [
            post(outer, path, headers=opened).status,
            post(outer, path, headers=bearer("ada") | {"x-gate": "shut"}).status,
            post(outer, path, headers=opened, method="PUT").status,
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


# The start.

COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def started(app: Any) -> tuple[list[str], Answer]:
    """Starts an application, requests a token and stops it: what it reported, and the response."""

    async def run() -> tuple[list[str], Answer]:
        messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        running = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, messages.get, sent.put))
        messages.put_nowait({"type": "lifespan.startup"})
        said = [(await sent.get())["type"]]
        answer = await asgi_ask(app, Sent(bearer("ada")), PATH)
        messages.put_nowait({"type": "lifespan.shutdown"})
        said.append((await sent.get())["type"])
        await running
        return said, answer

    return asyncio.run(run())


@pytest.mark.parametrize("kind", [MossVoiceServer, MossVoiceServerSync])
def test_start_fetches(kind: Any) -> None:
    """A server that was only constructed fetches when the application starts, beside the application's own lifespan."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        events.append("start")
        yield {"own": "state"}
        events.append("stop")

    with FakeMoss() as moss:
        app = FastAPI(lifespan=lifespan)
        app.include_router(token_router(kind(**moss.arguments), authorize=by_user))
        said, answer = started(app)
        assert (COMPLETE, 201, 1) == (said, answer.status, moss.count)
    assert ["start", "stop"] == events


def test_server_made_in_the_lifespan() -> None:
    """As in 0.1.0's documentation: the application makes the server, and a function finds it for each request."""
    with FakeMoss() as moss:

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            app.state.voice_server = await MossVoiceServer.create(**moss.arguments)
            yield

        app = FastAPI(lifespan=lifespan)
        app.include_router(token_router(lambda request: request.app.state.voice_server, authorize=by_user))
        said, answer = started(app)
        assert (COMPLETE, 201) == (said, answer.status)


def test_start_without_credentials() -> None:
    """An outage of Moss does not keep the application from starting: only this endpoint answers 503 meanwhile."""
    with FakeMoss() as moss:
        moss.set_default(503)
        server = MossVoiceServer(**moss.arguments, refresh=RefreshPolicy(attempts=1))
        said, answer = started(app_with(by_user, server))
        assert (COMPLETE, 503) == (said, answer.status)
