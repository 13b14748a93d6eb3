"""The handler, called directly: what a client cannot cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._endpoint.calls import call_now, run
from moss_voice_server._endpoint.handler import Incoming, TokenEndpoint
from moss_voice_server._endpoint.refusal import status_of
from moss_voice_server._endpoint.responses import Response
from moss_voice_server.endpoint import Admission, Denied
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.testing import FakeMoss, decode_token
from moss_voice_server.wsgi import token_app

HEADERS = {"content-type": "application/json"}


def admit(request: Any, token_request: Any) -> Admission:
    """Admits every request as Ada."""
    return Admission(ParticipantInfo("ada"))


async def read(limit: int) -> bytes:
    """An empty token request."""
    return b"{}"


def handled(endpoint: TokenEndpoint) -> Response:
    """The response to it."""
    response: Response = run(endpoint.handle(Incoming(None, "POST", "/", HEADERS, read), call_now))
    return response


SERVER = MossVoiceServerSync.from_livekit("wss://lk.example", "APIkey", "s" * 32)


@pytest.mark.parametrize("name", ["authorize", "rate_limiter", "on_token"])
@pytest.mark.parametrize("value", ["ada", 7, True])
def test_hooks_are_functions(name: str, value: Any) -> None:
    """What cannot be called is refused when the endpoint is made; authorize is required."""
    with pytest.raises(InvalidArgument) as caught:
        TokenEndpoint(SERVER, **{"authorize": admit, name: value})
    assert name == caught.value.field
    with pytest.raises(TypeError, match="authorize"):
        token_app(SERVER)  # type: ignore[call-arg]  # that it is missing is the point
    with pytest.raises(InvalidArgument):
        token_app(SERVER, authorize=None)  # type: ignore[arg-type]  # the same


@pytest.mark.parametrize("answer", [True, False, float("nan"), "5", "", [1], {}, Denied], ids=repr)
def test_other_results_of_a_limiter_are_mistakes(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """`True` may mean "go on", or one second to wait: the log says so, and there is no token."""
    with pytest.raises(InvalidArgument) as caught:
        handled(TokenEndpoint(SERVER, admit, rate_limiter=lambda key: answer))
    assert ("rate_limiter", True) == (caught.value.field, "return the seconds to wait" in caplog.messages[0])


@pytest.mark.parametrize("answer", [None, 0, 0.0, -1, -0.5, float("-inf")])
def test_nothing_to_wait_for(answer: float | None) -> None:
    """`None`, zero and less: the request goes on."""
    assert 201 == handled(TokenEndpoint(SERVER, admit, rate_limiter=lambda key: answer)).status


@pytest.mark.parametrize(
    ("wait", "seconds"), [(float("inf"), "86400"), (0.2, "1"), (7.5, "8"), (1e300, "86400"), (10**400, "86400")]
)
def test_wait_is_whole_seconds(wait: float, seconds: str) -> None:
    """At least one second and at most a day, also where the limiter returns infinity."""
    reply = handled(TokenEndpoint(SERVER, admit, rate_limiter=lambda key: wait))
    assert (429, seconds) == (reply.status, dict(reply.headers)["retry-after"])


def test_url_and_token_are_of_one_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the credentials rotate while a response is made, the new token is not sent to the old server."""
    with FakeMoss(url="wss://old.example") as moss:
        server = MossVoiceServerSync.create(**moss.arguments)
        mint = server.create_connection_details
        minted: list[Any] = []

        def rotate_and_mint(*arguments: Any, **keywords: Any) -> Any:
            if not minted:
                moss.rotate(url="wss://new.example")
                server.refresh()
            minted.append(mint(*arguments, **keywords))
            return minted[-1]

        monkeypatch.setattr(server, "create_connection_details", rotate_and_mint)
        reply = handled(TokenEndpoint(server, admit))
    answer = json.loads(reply.body)
    key = decode_token(answer["participant_token"])["iss"]
    assert ("wss://new.example", moss.credentials["voice_agent_api_key"]) == (answer["server_url"], key)


@pytest.mark.parametrize("returned", [None, True, {"participant": "ada"}, Denied, "ada"], ids=repr)
def test_only_an_admission_admits(returned: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Any other value that authorize returns is a mistake of the application."""
    with pytest.raises(InvalidArgument) as caught:
        handled(TokenEndpoint(SERVER, lambda request, token_request: returned))
    assert ("authorize", True) == (caught.value.field, "return an Admission or raise Denied" in caplog.messages[0])


class ServiceError(Exception):
    """What clients of other services raise: urllib's has `code`, OpenAI's `status_code`."""

    def __init__(self, status: Any) -> None:
        self.code = self.status_code = status


class StarletteLike(ServiceError):
    """Starlette's HTTPException also has `detail`."""

    detail = ""


class WerkzeugLike(ServiceError):
    """Werkzeug's also has `get_response`."""

    def get_response(self) -> None:
        """As Werkzeug's."""


@pytest.mark.parametrize("kind", [StarletteLike, WerkzeugLike])
@pytest.mark.parametrize(
    ("status", "found"), [(404, 404), (429, 429), (499, None), (500, None), ("404", None), (None, None)]
)
def test_status_of_a_frameworks_exception(kind: type[ServiceError], status: Any, found: int | None) -> None:
    """A 4xx status that HTTP defines is a refusal if the exception is a framework's, and only then."""
    assert (found, None) == (status_of(kind(status)), status_of(ServiceError(status)))
