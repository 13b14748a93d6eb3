"""FastAPI: `authorize` as a dependency like any other, with its own dependencies and parameters."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from typing import Annotated, Any

import pytest
from fastapi import Cookie, Depends, Header, Request

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from moss_voice_server.fastapi import token_router
from moss_voice_server.testing import FakeMoss
from tests.endpoint.calls import ADA, PATHS, SERVER
from tests.endpoint.fastapi_calls import PATH, ROOM, CurrentUser, User, app_with, by_user, oauth2, post, user_of
from tests.support.errors import refused
from tests.support.wire import bearer

# Everything that a dependency may be: each admits the user, to the room that the client names.


def plain(user: CurrentUser, token_request: TokenRequest) -> Admission:
    """A function."""
    return Admission(ParticipantInfo(user.name), room=token_request.room_name)


async def waiting(user: CurrentUser, token_request: TokenRequest) -> Admission:
    """An async function."""
    return plain(user, token_request)


def _old_style(token_request: TokenRequest, request: Request, user: User = Depends(user_of)) -> Admission:  # noqa: B008  # as FastAPI had it
    return plain(user, token_request)


class _Kinds:
    def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        return plain(user, token_request)

    async def method(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        return plain(user, token_request)

    def annotated(self, user: CurrentUser, token_request: Annotated[TokenRequest, "the client's"]) -> Admission:
        return plain(user, token_request)

    def returns_coroutine(self, user: CurrentUser, token_request: TokenRequest | None) -> Any:
        assert token_request is not None
        return waiting(user, token_request)

    def yields(self, user: CurrentUser, token_request: TokenRequest) -> Iterator[Admission]:
        yield plain(user, token_request)

    async def yields_async(self, user: CurrentUser, token_request: TokenRequest) -> AsyncIterator[Admission]:
        yield plain(user, token_request)


class _Async:
    async def __call__(self, user: CurrentUser, token_request: TokenRequest) -> Admission:
        return plain(user, token_request)


class _Yields:
    __call__ = _Kinds.yields


def _configured(suffix: str, user: CurrentUser, token_request: TokenRequest) -> Admission:
    return plain(user, token_request)


@wraps(waiting)
async def _decorated(**keywords: Any) -> Any:
    return await waiting(**keywords)


KINDS = _Kinds()
DEPENDENCIES: dict[str, Callable[..., Any]] = {
    "function": plain,
    "async function": waiting,
    "defaults": _old_style,
    "decorated": _decorated,
    "object": KINDS,
    "async object": _Async(),
    "an object that yields": _Yields(),
    "async method": KINDS.method,
    "an annotated request": KINDS.annotated,
    "an optional request, and a coroutine as the result": KINDS.returns_coroutine,
    "generator": KINDS.yields,
    "partial": partial(_configured, "x"),
    "partial of an object": partial(KINDS),
    "partial of an async generator": partial(KINDS.yields_async),
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
    headers = {"x-tenant": "7", "cookie": "session=s"}
    assert "7-3-s" == post(app, query=b"seat=3", headers=headers).claims["sub"]
    for more, query in (({"x-tenant": None}, b"seat=3"), ({"x-tenant": "seven"}, b"seat=3"), ({}, b"seat=x")):
        answer = post(app, query=query, headers=headers | more)
        assert (422, b'{"error":"refused","message":"The request was refused."}') == (answer.status, answer.body)


@pytest.mark.parametrize("is_async", [True, False])
def test_arguments_of_partial_are_not_parameters(is_async: bool) -> None:
    """A client cannot set them in the query, as it could with a plain dependency."""

    def authorize(tenant: str, role: str = "guest") -> Admission:
        return Admission(ParticipantInfo(f"{tenant}-{role}"))

    async def authorize_async(tenant: str, role: str = "guest") -> Admission:
        return authorize(tenant, role)

    app = app_with(partial(authorize_async if is_async else authorize, tenant="acme"))
    assert "acme-guest" == post(app, query=b"tenant=other").claims["sub"]
    assert "acme-admin" == post(app, query=b"tenant=other&role=admin").claims["sub"]  # a parameter as ever
    assert ["role"] == [each["name"] for each in app.openapi()["paths"][PATH]["post"]["parameters"]]


# What is refused when the router is made.


def _of_the_other_frameworks(request, token_request) -> Admission:  # type: ignore[no-untyped-def]
    return ADA


async def _half_annotated(*, token_request) -> Admission:  # type: ignore[no-untyped-def]
    return ADA


def _unresolvable(request: "Missing") -> Admission:  # type: ignore[name-defined]  # noqa: F821  # it is missing on purpose
    return ADA


def _reads_a_body(body: dict[str, str]) -> Admission:
    return ADA


def _depends_on_a_body(room: Annotated[Admission, Depends(_reads_a_body)]) -> Admission:
    return ADA


WRONG: list[tuple[str, Any, str]] = [
    *((*path, "") for path in PATHS),
    # FastAPI would take these parameters from the query, and refuse every request.
    ("authorize", _of_the_other_frameworks, "parameter request has no annotation"),
    ("authorize", _half_annotated, "parameter token_request has no annotation"),
    ("authorize", partial(lambda realm, token_request: realm, "realm"), "parameter token_request has no annotation"),
    *(("authorize", function, "cannot be read") for function in (_unresolvable, int)),
    *(("authorize", function, "declares a request body") for function in (_reads_a_body, _depends_on_a_body)),
]


@pytest.mark.parametrize(("name", "value", "text"), WRONG)
def test_mistakes_show_when_the_router_is_made(name: str, value: Any, text: str) -> None:
    """By the argument's name, and what is wrong with it."""
    field, said = refused(token_router, SERVER, **{"authorize": lambda: ADA, name: value})
    assert (name, True) == (field, text in said)


def test_parameters_that_need_no_annotation() -> None:
    """Other names may be of the query; what is bound, or has a dependency as its default, is not a parameter."""
    token_router(SERVER, authorize=lambda tenant: Admission(ParticipantInfo(tenant)))
    token_router(SERVER, authorize=partial(_of_the_other_frameworks, request=None, token_request=None))
    token_router(SERVER, authorize=lambda request=Depends(oauth2): ADA)  # noqa: B008  # as FastAPI had it


# What depends on the decision.

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

    async def database() -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            events.append(type(error).__name__)
            raise
        events.append("committed")

    def authorize(database: Annotated[None, Depends(database)]) -> Any:
        return decision

    with FakeMoss() as moss:
        moss.set_default(503)
        server = MossVoiceServer(**moss.arguments, refresh=RefreshPolicy(attempts=1)) if status == 503 else SERVER
        assert status == post(app_with(authorize, server), json=token_request).status
    assert [seen] == events
