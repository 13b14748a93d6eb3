"""Endpoints: the token endpoint that the clients' vectors are sent to, and plain HTTP to talk to it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, ResponseKeys, TokenRequest
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


@contextmanager
def asgi(response_keys: ResponseKeys = "snake") -> Iterator[str]:
    """The URL of the ASGI application on uvicorn."""
    server = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
    with loopback.asgi(token_app(server, authorize=admit_ada, response_keys=response_keys)) as url:
        yield f"{url}/voice/token"


class Answer(NamedTuple):
    """What came back."""

    status: int
    content_type: str | None
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
        return Answer(response.status, response.getheader("Content-Type"), response.read().decode())
    finally:
        connection.close()
