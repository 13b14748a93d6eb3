"""Endpoints: the token endpoint that the clients' vectors are sent to, on real servers, and plain HTTP to talk to it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Flask

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, ResponseKeys, TokenRequest
from moss_voice_server.flask import token_blueprint
from tests.support import loopback
from tests.support.tokens import API_KEY, API_SECRET, URL

_LONGEST = 20.0  # seconds; only a server that hangs gets there


def admit_ada(_request: object, _token_request: TokenRequest) -> Admission:
    """The admission that the README beside the vectors describes."""
    return Admission(
        ParticipantInfo("user-42", name="Ada"),
        allowed_rooms=("support-room",),
        allowed_agents=("clerk",),
        client_may_set=("name", "metadata", "attributes", "agent_metadata", "agent_deployment"),
    )


def _voice_server() -> MossVoiceServerSync:
    return MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)


@contextmanager
def asgi(response_keys: ResponseKeys = "snake") -> Iterator[str]:
    """The URL of the ASGI application on uvicorn."""
    application = token_app(_voice_server(), authorize=admit_ada, response_keys=response_keys)
    with loopback.asgi(application) as url:
        yield f"{url}/voice/token"


@contextmanager
def flask() -> Iterator[str]:
    """The URL of the Flask blueprint on Werkzeug."""
    application = Flask("clients")
    application.register_blueprint(token_blueprint(_voice_server(), authorize=admit_ada))
    with loopback.wsgi(application) as url:
        yield f"{url}/voice/token"


class Answer(NamedTuple):
    """What came back, header names in lower case."""

    status: int
    headers: dict[str, str]
    text: str


def post(url: str, headers: Mapping[str, str], body: str) -> Answer:
    """Send exactly these headers and this body, and Host and Content-Length, which every client adds."""
    parts = urlsplit(url)
    content = body.encode()
    connection = http.client.HTTPConnection(parts.netloc, timeout=_LONGEST)
    try:
        connection.putrequest("POST", parts.path, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            connection.putheader(name, value)
        connection.endheaders(content)
        response = connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, answered, response.read().decode())
    finally:
        connection.close()
