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
from moss_voice_server.endpoint import Admission, Denied, TokenEvent
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from moss_voice_server.testing import FakeMoss, decode_token
from moss_voice_server.wsgi import token_app
from tests.endpoint.calls import ADA, SERVER
from tests.support.errors import refused


def _admit(request: Any, token_request: Any) -> Admission:
    return ADA


def handled(server: Any = SERVER, authorize: Any = _admit, body: bytes = b"{}", **options: Any) -> Response:
    """The response of an endpoint to a token request."""

    async def read(limit: int) -> bytes:
        return body

    endpoint = TokenEndpoint(server, authorize, **options)
    headers = {"content-type": "application/json"}
    response: Response = run(endpoint.handle(Incoming(None, "POST", "/", headers, read), call_now))
    return response


def _yields(*_arguments: object) -> Any:
    yield


async def _waits(*_arguments: object) -> Any:
    """An async function is no server function: calling it would do nothing."""


NO_FUNCTIONS = [
    *((name, value) for name in ("authorize", "rate_limiter", "on_token") for value in ("ada", True, _yields)),
    ("authorize", None),
    *(("server", value) for value in (None, 7, _yields, _waits)),
    ("response_keys", "kebab"),
]


@pytest.mark.parametrize(("name", "value"), NO_FUNCTIONS)
def test_functions_of_another_kind_are_refused(name: str, value: Any) -> None:
    """What cannot be called, or would not run, is refused when the endpoint is made; authorize is required."""
    assert name == refused(TokenEndpoint, **{"server": SERVER, "authorize": _admit, name: value})[0]
    with pytest.raises(TypeError, match="authorize"):
        token_app(SERVER)  # type: ignore[call-arg]  # that it is missing is the point


RESULTS: list[tuple[str, Any, str]] = [
    *(("rate_limiter", value, "the seconds to wait") for value in (True, False, float("nan"), "5", [1], Denied)),
    *(("authorize", value, "an Admission or raise Denied") for value in (None, True, {"participant": "ada"}, Denied, "ada")),
    *(("server", value, "a MossVoiceServer or MossVoiceServerSync") for value in (None, 7, "server")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "remedy"), RESULTS)
def test_results_of_another_kind(name: str, value: Any, remedy: str, caplog: pytest.LogCaptureFixture) -> None:
    """A function that returns something else is a mistake of the application: there is no token, and the log says why."""
    function: dict[str, Any] = {name: lambda *_arguments: value}
    with pytest.raises(InvalidArgument) as caught:
        handled(**function)
    assert (name, True) == (caught.value.field, f"return {remedy}" in caplog.text)


@pytest.mark.parametrize("wait", [None, 0, -0.5, float("-inf")])
def test_nothing_to_wait_for(wait: float | None) -> None:
    """`None`, zero and less: the request goes on."""
    assert 201 == handled(rate_limiter=lambda key: wait).status


@pytest.mark.parametrize(("wait", "seconds"), [(float("inf"), "86400"), (0.2, "1"), (7.5, "8"), (10**400, "86400")])
def test_wait_is_whole_seconds(wait: float, seconds: str) -> None:
    """At least one second and at most a day, also where the limiter returns infinity."""
    events: list[TokenEvent] = []
    response = handled(rate_limiter=lambda key: wait, on_token=events.append)
    assert (429, seconds) == (response.status, dict(response.headers)["retry-after"])
    assert [("rate_limited", "rate_limited", "ada")] == [(each.outcome, each.code, each.identity) for each in events]


def test_granted() -> None:
    """What the admission says, and what it lets the client choose, is in the token; and the keys are those of the option."""
    grants = ParticipantGrants(can_publish=False, hidden=True)
    agents = (AgentDispatch("helper", "job", "beta", {"a": "b"}), "scribe")
    admission = Admission(ParticipantInfo("ada"), agents=agents, ttl=120, grants=grants, client_may_set=("name",))
    body = b'{"participant_name": "Countess"}'
    answer = json.loads(handled(authorize=lambda *_: admission, body=body, response_keys="camel").body)
    claims = decode_token(answer["participantToken"])
    assert ("Countess", 120) == (answer["participantName"], claims["exp"] - claims["nbf"])
    assert ("Countess", answer["roomName"]) == (claims["name"], claims["video"]["room"])
    assert (False, True) == (claims["video"]["canPublish"], claims["video"]["hidden"])
    helper = {"agentName": "helper", "metadata": "job", "deployment": "beta", "attributes": {"a": "b"}}
    assert [helper, {"agentName": "scribe"}] == claims["roomConfig"]["agents"]


@pytest.mark.parametrize("key", [None, "user-42"])
def test_what_counts(key: str | None) -> None:
    """Requests are counted by `rate_limit_key`, or else the identity, and before a room that is not allowed is refused."""
    counted: list[str] = []
    admission = Admission(ParticipantInfo("ada"), rate_limit_key=key)
    options = {"authorize": lambda request, token_request: admission, "rate_limiter": counted.append}
    assert 403 == handled(body=b'{"room_name": "guessed"}', **options).status
    assert [key or "ada"] == counted


def test_token_is_of_one_generation() -> None:
    """Where the credentials rotate while a response is made, the new token has the new agent and goes to the new server."""

    def rotate(room: str) -> bool:  # called after the agent's name is known, and before the token is signed
        if moss.credentials["voice_agent_url"] != "wss://new.example":
            moss.rotate(url="wss://new.example", agent_name="new-agent")
            server.refresh()
        return True

    with FakeMoss(url="wss://old.example", agent_name="old-agent") as moss:
        server = MossVoiceServerSync.create(**moss.arguments)
        admission = Admission(ParticipantInfo("ada"), allowed_rooms=rotate)
        answer = json.loads(handled(server, lambda request, token_request: admission, body=b'{"room_name": "r"}').body)
    claims = decode_token(answer["participant_token"])
    assert "wss://new.example" == answer["server_url"]
    assert moss.credentials["voice_agent_api_key"] == claims["iss"]
    assert [{"agentName": "new-agent"}] == claims["roomConfig"]["agents"]


class _ServiceError(Exception):
    """What clients of other services raise: urllib's has `code`, OpenAI's `status_code`."""

    def __init__(self, status: Any) -> None:
        self.code = self.status_code = status


class _StarletteLike(_ServiceError):
    detail = ""


class _WerkzeugLike(_ServiceError):
    get_response = None


@pytest.mark.parametrize("kind", [_StarletteLike, _WerkzeugLike])
@pytest.mark.parametrize(("status", "found"), [(404, 404), (499, None), (500, None), (404.0, None), ([404], None)])
def test_status_of_a_frameworks_exception(kind: type[_ServiceError], status: Any, found: int | None) -> None:
    """A 4xx status that HTTP defines is a refusal if the exception is a framework's, and only then."""
    assert (found, None) == (status_of(kind(status)), status_of(_ServiceError(status)))
