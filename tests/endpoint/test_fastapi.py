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
from tests.endpoint.calls import asgi_answer, asgi_ask, asgi_call, ask_asgi, http_scope
from tests.endpoint.wire import Answer, bearer
from tests.endpoint.wire import Request as Asked
from tests.support.tokens import API_KEY, API_SECRET, URL

SERVER = MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET)
PATH = "/voice/token"
oauth2 = OAuth2PasswordBearer(tokenUrl="login")


@dataclass
class User:
    """Somebody who is signed in."""

    name: str


def user_of(token: Annotated[str, Depends(oauth2)]) -> User:
    """The user of a token, as in FastAPI's own tutorial."""
    if token == "expired":
        raise HTTPException(401, "this text is the app's own", {"WWW-Authenticate": "Bearer"})
    return User(token)


def app_with(authorize: Callable[..., Any], server: Any = SERVER, **options: Any) -> FastAPI:
    """An application with the endpoint only."""
    app = FastAPI()
    app.include_router(token_router(server, authorize=authorize, **options))
    return app


def post(app: Any, path: str = PATH, **sent: Any) -> Answer:
    """One POST."""
    return ask_asgi(app, Asked(**sent), path)


CurrentUser = Annotated[User, Depends(user_of)]


def admitted(user: User, token_request: TokenRequest) -> Admission:
    """The user, in the room that the client names."""
    return Admission(ParticipantInfo(user.name), room=token_request.room_name)


# Everything that a dependency may be.


def by_user(user: CurrentUser) -> Admission:
    """A plain one, with a dependency of its own."""
    return Admission(ParticipantInfo(user.name))


async def by_user_async(user: CurrentUser, token_request: TokenRequest) -> Admission:
    """An async one, which looks at the request."""
    return admitted(user, token_request)


def old_style(token_request: TokenRequest, request: Request, user: User = Depends(user_of)) -> Admission:  # noqa: B008  # as FastAPI had it
    """With defaults instead of Annotated."""
    return admitted(user, token_request)


class Authorizer:
    """An object, configured when the application is made."""

    def __init__(self, room: str) -> None:
        self.room = room

    def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        """As a plain dependency."""
        return Admission(ParticipantInfo(user.name), room=token_request.room_name or self.room)

    async def method(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        """As an async dependency."""
        return self(user, token_request)


class AsyncAuthorizer:
    """The same, async."""

    async def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        """As an async dependency."""
        return admitted(user, token_request)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the application's own, for async functions."""

    @wraps(function)
    async def wrapper(*arguments: Any, **keywords: Any) -> Any:
        return await function(*arguments, **keywords)

    return wrapper


async def configured(suffix: str, user: CurrentUser, token_request: TokenRequest) -> Admission:
    """One that is given its configuration by `partial`."""
    return admitted(user, token_request)


def configured_plain(suffix: str, user: CurrentUser, token_request: TokenRequest) -> Admission:
    """The same, plain."""
    return admitted(user, token_request)


def returns_coroutine(user: CurrentUser, token_request: TokenRequest) -> Any:
    """Not async itself."""
    return by_user_async(user, token_request)


def optional(user: CurrentUser, token_request: TokenRequest | None) -> Admission:
    """With a request that could be absent, and never is."""
    assert token_request is not None
    return admitted(user, token_request)


def annotated(user: CurrentUser, token_request: Annotated[TokenRequest, "the client's"]) -> Admission:
    """With a request that has more to say."""
    return admitted(user, token_request)


DEPENDENCIES: dict[str, Callable[..., Any]] = {
    "async function": by_user_async,
    "defaults": old_style,
    "object": Authorizer("lobby"),
    "async object": AsyncAuthorizer(),
    "async method": Authorizer("lobby").method,
    "decorated": logged(by_user_async),
    "partial": partial(configured_plain, "x"),
    "partial of an async function": partial(configured, suffix="x"),
    "partial of an object": partial(Authorizer("lobby")),
    "a function that returns a coroutine": returns_coroutine,
    "an optional request": optional,
    "an annotated request": annotated,
}


@pytest.mark.parametrize("authorize", DEPENDENCIES.values(), ids=DEPENDENCIES.keys())
def test_every_kind_of_dependency(authorize: Callable[..., Any]) -> None:
    """Whatever FastAPI takes as a dependency decides, with its own dependencies and the request."""
    app = app_with(authorize)
    claims = post(app, headers=bearer("ada"), json={"room_name": "r"}).claims
    assert ("ada", "r") == (claims["sub"], claims["video"]["room"])
    assert "schemas" not in app.openapi()["components"]  # FastAPI itself reads no body
    assert 401 == post(app).status
    assert 401 == post(app, headers=bearer("expired")).status


def test_a_dependency_that_does_not_look_at_the_wish() -> None:
    """Without a parameter for the request there is none to forget: the rules hold all the same."""
    app = app_with(by_user)
    assert 201 == post(app, headers=bearer("ada")).status
    assert "room_not_allowed" == post(app, headers=bearer("ada"), json={"room_name": "r"}).json["error"]


def test_parameters_of_its_own() -> None:
    """Headers, cookies and queries are parameters as ever; what is missing or wrong in them is a 422 in our words."""

    def authorize(x_tenant: Annotated[int, Header()], seat: int, session: Annotated[str, Cookie()] = "") -> Admission:
        return Admission(ParticipantInfo(f"{x_tenant}-{seat}-{session}"))

    app = app_with(authorize)
    answer = with_query(app, {"x-tenant": "7", "cookie": "session=s"}, b"seat=3")
    assert "7-3-s" == answer.claims["sub"]
    wrong: list[tuple[dict[str, str], bytes]] = [
        ({}, b"seat=3"),
        ({"x-tenant": "seven"}, b"seat=3"),
        ({"x-tenant": "7"}, b"seat=x"),
    ]
    for headers, query in wrong:
        answer = with_query(app, headers, query)
        assert (422, b'{"error":"refused","message":"The request was refused."}') == (answer.status, answer.body)


def with_query(app: Any, headers: dict[str, str], query: bytes) -> Answer:
    """One POST to a path with a query."""
    scope = http_scope(Asked(headers), PATH, query_string=query)
    body = {"type": "http.request", "body": b"{}", "more_body": False}
    return asgi_answer(asyncio.run(asgi_call(app, scope, [body])))


@pytest.mark.parametrize("asynchronous", [True, False])
def test_what_partial_gave_is_no_parameter(asynchronous: bool) -> None:
    """What the application has given by `partial` cannot be said in the query, as it could with a plain dependency."""

    def plain(tenant: str, role: str = "guest") -> Admission:
        return Admission(ParticipantInfo(f"{tenant}-{role}"))

    async def waiting(tenant: str, role: str = "guest") -> Admission:
        return plain(tenant, role)

    app = app_with(partial(waiting if asynchronous else plain, tenant="acme"))
    assert "acme-guest" == with_query(app, {}, b"tenant=other").claims["sub"]
    assert "acme-admin" == with_query(app, {}, b"tenant=other&role=admin").claims["sub"]  # a parameter as ever
    assert ["role"] == [each["name"] for each in app.openapi()["paths"][PATH]["post"]["parameters"]]


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (HTTPException(401), 401, "unauthenticated"),
        (HTTPException(403, {"secret": "x"}), 403, "forbidden"),
        (HTTPException(404), 404, "refused"),
        (HTTPException(429, headers={"Retry-After": "9"}), 429, "refused"),
        (Denied(403, "trial_over"), 403, "trial_over"),
    ],
    ids=["401", "403", "404", "429", "Denied"],
)
def test_refusals_of_sub_dependencies(refusal: Exception, status: int, code: str) -> None:
    """Whoever refuses, authorize or something that it depends on, in FastAPI's way or ours: the answer is ours."""

    async def gate() -> None:
        raise refusal

    def authorize(gate: Annotated[None, Depends(gate)]) -> Admission:
        return Admission(ParticipantInfo("ada"))

    answer = post(app_with(authorize))
    assert (status, code) == (answer.status, answer.json["error"])
    assert "secret" not in repr(answer)


def test_dependencies_that_yield() -> None:
    """A sub-dependency that opens something closes it when the answer was made, also after a refusal."""
    events: list[str] = []

    async def database() -> AsyncIterator[str]:
        events.append("open")
        try:
            yield "db"
        finally:
            events.append("close")

    def authorize(database: Annotated[str, Depends(database)], token_request: TokenRequest) -> Admission:
        events.append(database)
        if token_request.room_name:
            raise Denied
        return Admission(ParticipantInfo("ada"))

    app = app_with(authorize)
    assert [201, 403] == [post(app).status, post(app, json={"room_name": "r"}).status]
    assert ["open", "db", "close"] * 2 == events


class AppError(Exception):
    """An exception of the application's own."""


REFUSALS: dict[str, tuple[Exception | None, int, str]] = {
    "granted": (None, 201, ""),
    "HTTPException": (HTTPException(403), 403, "HTTPException"),
    "Denied": (Denied(), 403, "Denied"),
    "known to the app": (AppError(), 418, "AppError"),
    "a crash": (ZeroDivisionError(), 500, "ZeroDivisionError"),
}


@pytest.mark.parametrize("scope", ["function", "request"])
@pytest.mark.parametrize(("failure", "status", "seen"), REFUSALS.values(), ids=REFUSALS.keys())
def test_transactions_end_as_in_an_ordinary_route(
    failure: Exception | None, status: int, seen: str, scope: str
) -> None:
    """A dependency that commits after `yield` sees what authorize raised, and so rolls back."""
    events: list[str] = []

    def database() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            events.append(type(error).__name__)
            raise
        events.append("")

    def authorize(database: Annotated[None, Depends(database)]) -> Admission:
        if failure is not None:
            raise failure
        return Admission(ParticipantInfo("ada"))

    async def ordinary(admission: Annotated[Admission, Depends(authorize)]) -> None:
        """A route of the application's own."""

    app = app_with(authorize)
    app.add_api_route("/ordinary", ordinary, methods=["POST"])
    app.add_exception_handler(AppError, lambda request, error: Response("mine", 418))
    assert status == post(app).status
    if failure is None or not isinstance(
        failure, (Denied, ZeroDivisionError)
    ):  # there Starlette has no response at all
        post(app, "/ordinary")
        assert [seen] * 2 == events
    assert seen == events[0]


@pytest.mark.parametrize(
    ("token_request", "status"), [({"room_name": "r"}, 403), ({}, 503)], ids=["not allowed", "no credentials"]
)
def test_no_commit_without_a_token(token_request: dict[str, str], status: int) -> None:
    """A request that authorize admits and that gets no token all the same is an exception to dependencies as well."""
    events: list[str] = []

    async def database() -> AsyncIterator[None]:
        try:
            yield
        except Exception:
            events.append("rolled back")
            raise
        events.append("committed")

    def authorize(database: Annotated[None, Depends(database)]) -> Admission:
        return Admission(ParticipantInfo("ada"))

    with FakeMoss() as moss:
        moss.set_default(503)
        server = MossVoiceServer(**moss.arguments, refresh=RefreshPolicy(attempts=1)) if status == 503 else SERVER
        assert status == post(app_with(authorize, server), json=token_request).status
    assert ["rolled back"] == events


def test_a_crash_is_raised_on() -> None:
    """The server's log and error trackers hear of a crash; the client has the endpoint's response."""

    def authorize() -> Admission:
        raise ZeroDivisionError

    sent: list[Any] = []

    async def scenario() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        whole: Any = app_with(authorize)
        await whole(http_scope(Asked(), PATH), receive, send)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scenario())
    answer = asgi_answer(sent)
    assert (500, "internal_error") == (answer.status, answer.json["error"])


def test_the_apps_words() -> None:
    """What the application's or FastAPI's own handlers answer is answered by them."""

    def authorize(x_status: Annotated[int, Header()]) -> Admission:
        raise HTTPException(x_status, headers={"Location": "/login"})

    app = app_with(authorize)
    for status in (302, 503):
        answer = post(app, headers={"x-status": str(status)})
        assert (status, ["detail"]) == (answer.status, list(answer.json))


def test_headers_that_the_client_needs_are_kept() -> None:
    """When to retry and how to authenticate is said by whoever refuses."""

    def authorize(x_status: Annotated[int, Header()]) -> Admission:
        raise HTTPException(
            x_status, headers={"Retry-After": "7", "WWW-Authenticate": 'Basic realm="voice"', "X-Other": "no"}
        )

    app = app_with(authorize)
    for status in (401, 429):
        answer = post(app, headers={"x-status": str(status)})
        told = [answer.header(name) for name in ("retry-after", "www-authenticate", "x-other")]
        assert (status, ["7", 'Basic realm="voice"', None]) == (answer.status, told)


def yields(user: CurrentUser, token_request: TokenRequest) -> Iterator[Admission]:
    """An authorize with something to close."""
    yield admitted(user, token_request)


async def yields_async(user: CurrentUser, token_request: TokenRequest) -> AsyncIterator[Admission]:
    """The same, async."""
    yield admitted(user, token_request)


class Yields:
    """The same, an object."""

    def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Iterator[Admission]:
        """As a dependency."""
        yield from yields(user, token_request)


@pytest.mark.parametrize("authorize", [yields, yields_async, Yields(), partial(yields), partial(yields_async)])
def test_an_authorize_that_yields(authorize: Callable[..., Any]) -> None:
    """A generator is a dependency like any other."""
    claims = post(app_with(authorize), headers=bearer("ada"), json={"room_name": "r"}).claims
    assert ("ada", "r") == (claims["sub"], claims["video"]["room"])
    assert 401 == post(app_with(authorize)).status


def test_a_catch_all_behind_the_endpoint() -> None:
    """Every method at the path is the endpoint's, whatever the application mounts behind it."""
    app = app_with(by_user)
    app.mount("/", app_with(by_user, path="/other"))
    assert [405, 405, 401] == [post(app, method=method).status for method in ("GET", "OPTIONS", "POST")]
    assert 1 == sum(getattr(route, "path", "") == PATH for route in token_router(SERVER, authorize=by_user).routes)


def test_background_tasks_run() -> None:
    """A task that a dependency leaves for after the answer runs after the answer."""
    done: list[str] = []

    def authorize(tasks: BackgroundTasks) -> Admission:
        tasks.add_task(done.append, "told")
        return Admission(ParticipantInfo("ada"))

    assert 201 == post(app_with(authorize)).status
    assert ["told"] == done


def test_the_body_can_be_seen() -> None:
    """A dependency that reads the body itself, to check a signature, finds it."""
    seen: list[bytes] = []

    async def authorize(request: Request, token_request: TokenRequest) -> Admission:
        seen.append(await request.body())
        return Admission(ParticipantInfo("ada"))

    assert 201 == post(app_with(authorize), body=b'{ "room_config": {} }').status
    assert [b'{ "room_config": {} }'] == seen


def test_dependencies_are_not_asked_for_nonsense() -> None:
    """Neither a wrong method nor a broken body reaches the application's dependencies."""
    asked: list[str] = []

    def authorize() -> Admission:
        asked.append("asked")
        return Admission(ParticipantInfo("ada"))

    app = app_with(authorize)
    statuses = [
        post(app, method="GET"),
        post(app, body=b"x"),
        post(app, headers={"content-type": "text/plain"}),
        post(app),
    ]
    assert [405, 400, 415, 201] == [answer.status for answer in statuses]
    assert ["asked"] == asked


# The application around it.


def test_dependency_overrides() -> None:
    """Tests of an application replace what authorize depends on, as FastAPI has it."""
    app = app_with(by_user)
    app.dependency_overrides[user_of] = lambda: User("somebody else")
    assert "somebody else" == post(app).claims["sub"]


@pytest.mark.parametrize("authorize", DEPENDENCIES.values(), ids=DEPENDENCIES)
def test_authorize_itself_is_overridden(authorize: Callable[..., Any]) -> None:
    """Or authorize itself, by the name that the application knows it by, whatever kind of function it is."""
    app = app_with(authorize)
    app.dependency_overrides[authorize] = lambda: Admission(ParticipantInfo("somebody else"))
    assert "somebody else" == post(app).claims["sub"]
    app.dependency_overrides = {by_user: lambda: Admission(ParticipantInfo("nobody"))}
    assert 401 == post(app).status


def test_an_authorize_that_cannot_be_a_key() -> None:
    """An object that has no hash cannot be overridden, but can decide."""

    @dataclass
    class Rooms:
        room: str

        def __call__(self) -> Admission:
            return Admission(ParticipantInfo("ada"), room=self.room)

    assert "lobby" == post(app_with(Rooms("lobby"))).claims["video"]["room"]


class Body(BaseModel):
    """What an application might read of a request."""

    room_name: str | None = None


def wished(token_request: TokenRequest) -> str | None:
    """A sub-dependency: FastAPI would read the body into its request, unchecked."""
    return token_request.room_name


def reads_a_body(body: Body) -> Admission:
    """An authorize that has a body of its own."""
    return Admission(ParticipantInfo("ada"))


def depends_on_a_body(room: Annotated[str | None, Depends(wished)]) -> Admission:
    """An authorize whose dependency has one."""
    return Admission(ParticipantInfo("ada"), room=room)


@pytest.mark.parametrize("authorize", [reads_a_body, depends_on_a_body])
def test_a_second_reading_of_the_body_is_refused(authorize: Callable[..., Any]) -> None:
    """The body is the request's, which was checked: who would read it once more is told when the application is made."""
    with pytest.raises(InvalidArgument, match="request: TokenRequest") as caught:
        app_with(authorize)
    assert "authorize" == caught.value.field


def test_what_dependencies_say_in_the_answers_headers() -> None:
    """A session that a dependency renews reaches the browser; what is ours to say stays as it is."""

    def authorize(response: Response, token_request: TokenRequest) -> Admission:
        response.set_cookie("session", "renewed")
        response.headers.update({"cache-control": "public", "content-length": "7", "x-own": "1"})
        return Admission(ParticipantInfo("ada"))

    app = app_with(authorize)
    for answer in (post(app), post(app, json={"room_name": "r"})):
        said = [answer.header(name) for name in ("set-cookie", "x-own", "cache-control", "content-type")]
        assert ["session=renewed; Path=/; SameSite=lax", "1", "no-store", "application/json"] == said
        assert str(len(answer.body)) == answer.header("content-length")


def test_prefixes_and_nesting() -> None:
    """The endpoint is where the routers around it say, every method of it, and their dependencies hold for it."""

    def gate(x_gate: Annotated[str, Header()]) -> None:
        if x_gate != "open":
            raise HTTPException(403)

    inner = APIRouter(prefix="/inner", dependencies=[Depends(gate)])
    inner.include_router(token_router(SERVER, authorize=by_user, path="/t"), prefix="/own")
    app = FastAPI()
    app.include_router(inner, prefix="/outer")
    path = "/outer/inner/own/t"
    opened = bearer("ada") | {"x-gate": "open"}
    assert [201, 403, 405] == [
        post(app, path, headers=opened).status,
        post(app, path, headers=bearer("ada") | {"x-gate": "shut"}).status,
        post(app, path, headers=opened, method="PUT").status,
    ]


def test_below_another_application() -> None:
    """A FastAPI application with the endpoint can be mounted in another one."""
    app = FastAPI()
    app.mount("/sub", app_with(by_user))
    assert 201 == post(app, f"/sub{PATH}", headers=bearer("ada")).status


def test_several_endpoints() -> None:
    """Endpoints for two agents in one application do not know of each other."""
    other = MossVoiceServerSync.from_livekit("wss://other.example", API_KEY, API_SECRET)
    app = FastAPI()
    app.include_router(token_router(SERVER, authorize=by_user, path="/one"))
    app.include_router(token_router(other, authorize=allow_guests(), path="/two"))
    answers = [post(app, "/one", headers=bearer("ada")), post(app, "/two")]
    assert [URL, "wss://other.example"] == [answer.json["server_url"] for answer in answers]
    assert ["ada", True] == [answers[0].claims["sub"], answers[1].claims["sub"].startswith("guest-")]
    assert 401 == post(app, "/one").status


def test_the_apps_handlers_do_not_replace_our_answers() -> None:
    """Exception handlers of the application are for its own routes, and `debug` shows nothing."""
    app = FastAPI(debug=True)
    app.include_router(token_router(SERVER, authorize=by_user))

    @app.exception_handler(401)
    @app.exception_handler(Exception)
    async def page(request: Request, error: Exception) -> Any:
        raise AssertionError

    assert b'{"error":"unauthenticated","message":"Authentication required."}' == post(app).body


def test_middlewares_of_the_app() -> None:
    """Starlette's own middleware, which reads and replays messages, leaves the body to us."""
    app = app_with(by_user_async)

    @app.middleware("http")
    async def look(request: Request, call_next: Any) -> Any:
        assert b"room_name" in await request.body()
        return await call_next(request)

    claims = post(app, headers=bearer("ada"), json={"room_name": "r"}).claims
    assert "r" == claims["video"]["room"]


# The start.

START = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]


def started(app: FastAPI) -> list[Any]:
    """Starts an application, asks for a token in the middle, and stops it."""
    return asyncio.run(_started(app))


async def _started(app: FastAPI) -> list[Any]:
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    state: dict[str, Any] = {}
    whole: Any = app
    running = asyncio.ensure_future(whole({"type": "lifespan", "state": state}, messages.get, sent.put))
    messages.put_nowait(START[0])
    said = [(await sent.get())["type"]]
    answer = await asgi_ask(app, Asked(bearer("ada")), PATH)
    messages.put_nowait(START[1])
    said.append((await sent.get())["type"])
    await running
    return [*said, answer]


COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("face", [MossVoiceServer, MossVoiceServerSync])
def test_the_start_fetches(face: Any) -> None:
    """A server that was only constructed is fetched when the application starts, next to the application's own lifespan."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        events.append("start")
        yield {"own": "state"}
        events.append("stop")

    with FakeMoss() as moss:
        app = FastAPI(lifespan=lifespan)
        app.include_router(token_router(face(**moss.arguments), authorize=by_user))
        *said, answer = started(app)
        assert (COMPLETE, 201, 1) == (said, answer.status, moss.count)
        assert ["start", "stop"] == events


def test_the_servers_own_context_in_the_lifespan() -> None:
    """The lifespan of 0.1.0's documentation: the application makes the server, and a function finds it for each request."""
    with FakeMoss() as moss:

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            app.state.voice_server = await MossVoiceServer.create(**moss.arguments)
            yield

        app = FastAPI(lifespan=lifespan)
        app.include_router(token_router(lambda request: request.app.state.voice_server, authorize=by_user))
        *said, answer = started(app)
        assert (COMPLETE, 201) == (said, answer.status)


def test_a_start_without_credentials() -> None:
    """An outage of Moss does not keep the application from starting: only this endpoint says 503 meanwhile."""
    with FakeMoss() as moss:
        moss.set_default(503)
        server = MossVoiceServer(**moss.arguments, refresh=RefreshPolicy(attempts=1))
        *said, answer = started(app_with(by_user, server))
        assert (COMPLETE, 503) == (said, answer.status)


# OpenAPI.


def test_openapi() -> None:
    """The endpoint is in the application's description, with its security, its body and its answers."""

    def authorize(user: CurrentUser, key: Annotated[str, Depends(APIKeyHeader(name="X-Key"))]) -> Admission:
        return Admission(ParticipantInfo("ada"))

    described = app_with(authorize, allow_origins=["https://app.example"]).openapi()
    assert {"post"} == set(described["paths"][PATH])
    operation = described["paths"][PATH]["post"]
    assert [{"OAuth2PasswordBearer": []}, {"APIKeyHeader": []}] == operation["security"]
    assert {"OAuth2PasswordBearer", "APIKeyHeader"} == set(described["components"]["securitySchemes"])
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert [
        "room_name",
        "participant_name",
        "participant_identity",
        "participant_metadata",
        "participant_attributes",
        "room_config",
    ] == list(body["properties"])
    statuses = ["201", "400", "401", "403", "413", "415", "422", "429", "500", "503"]
    assert statuses == sorted(operation["responses"])
    assert ["server_url", "participant_token"] == operation["responses"]["201"]["content"]["application/json"][
        "schema"
    ]["required"]


def test_openapi_of_several() -> None:
    """Two endpoints, one of them below two prefixes, are described without clashing."""
    app = FastAPI()
    router = token_router(SERVER, authorize=by_user, path="/t")
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    app.include_router(token_router(SERVER, authorize=by_user_async, path="/c"))
    described = app.openapi()
    assert ["/a/t", "/b/t", "/c"] == list(described["paths"])
    names = [described["paths"][path]["post"]["operationId"] for path in described["paths"]]
    assert 3 == len(set(names))
