"""Endpoints: the token endpoint that the clients' vectors are sent to, on real servers, and plain HTTP to talk to it."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import uvicorn
from flask import Flask
from werkzeug.serving import make_server

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, ResponseKeys, TokenRequest
from moss_voice_server.flask import token_blueprint
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
    server = uvicorn.Server(uvicorn.Config(application, ws="none", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/voice/token"
        finally:
            server.should_exit = True
            thread.join(_LONGEST)


@contextmanager
def flask() -> Iterator[str]:
    """The URL of the Flask blueprint on Werkzeug."""
    application = Flask("clients")
    application.register_blueprint(token_blueprint(_voice_server(), authorize=admit_ada))
    with make_server("127.0.0.1", 0, application, threaded=True) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}/voice/token"
        finally:
            server.shutdown()
            thread.join(_LONGEST)


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
