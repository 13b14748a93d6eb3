"""Secrets of rooms, webhooks and transcripts: in no result, error, object, frame or log record."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from moss_voice_server import MossVoiceServer
from moss_voice_server.errors import MossVoiceError
from moss_voice_server.testing import FakeLiveKit, FakeMoss
from tests.rooms.plain import AGENT, PlainRooms, Server
from tests.support.fault_response import FaultResponse
from tests.support.secret_scan import logged, shown, spilled
from tests.support.servers import ServerClass

# Put together so that no line of source code, which tracebacks show, holds them.
KEY = "-".join(["moss", "key", "0123456789"])
SECRET = "-".join(["livekit", "secret", "0123456789", "long", "enough"])
PASSWORD = "-".join(["turn", "password", "0123456789"])
OTHER = "-".join(["another", "webhook", "secret", "0123456789", "long"])
SECRETS = (KEY, SECRET, PASSWORD, OTHER)


@pytest.fixture
def livekit() -> Iterator[FakeLiveKit]:
    """A LiveKit project with a room whose TURN password is known."""
    with FakeLiveKit(agents=[AGENT], api_secret=SECRET) as fake:
        fake._api.room("room", turn_password=PASSWORD)
        fake.join("room", "user-42")
        yield fake


@pytest.fixture
def moss(livekit: FakeLiveKit) -> Iterator[FakeMoss]:
    """A Moss API with that project's credentials and one report."""
    with FakeMoss(
        project_key=KEY, url=livekit.url, api_key=livekit.api_key, api_secret=SECRET, agent_name=AGENT
    ) as fake:
        fake.add_session_report("room", {"chat_history": {"items": []}})
        yield fake


@pytest.fixture
def server(server_class: ServerClass, moss: FakeMoss) -> Server:
    """A server of each class that has fetched its credentials."""
    return server_class.create(**moss.arguments)


@pytest.fixture(autouse=True)
def silent(livekit: FakeLiveKit, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Every logger at DEBUG, the HTTP client's too: at the end nothing secret is in it, nor on the terminal."""
    caplog.set_level(logging.DEBUG)
    yield
    values = (*SECRETS, *tokens(livekit))
    assert [] == logged([*caplog.get_records("setup"), *caplog.get_records("call")], values)
    terminal = "".join(capfd.readouterr())
    assert [] == [value for value in values if value in terminal]


def tokens(livekit: FakeLiveKit) -> list[str]:
    """Every API token that was sent."""
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in livekit.requests]


CALLS: dict[str, Callable[[Server], Any]] = {
    "list": lambda server: PlainRooms(server).list(),
    "participants": lambda server: PlainRooms(server).participants("room"),
    "ensure_agent": lambda server: PlainRooms(server).ensure_agent("room", wait=5),
    "remove": lambda server: PlainRooms(server).remove("room", "user-42"),
    "end": lambda server: PlainRooms(server).end("room"),
    "end_older_than": lambda server: PlainRooms(server).end_older_than(0, "room"),
    "session_reports": lambda server: ServerClass.reports(server, datetime.now(timezone.utc) - timedelta(hours=1)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_result(livekit: FakeLiveKit, server: Server, call: Callable[[Server], Any]) -> None:
    """What a call returns shows no secret, no token and no TURN password."""
    assert [] == shown(call(server), (*SECRETS, *tokens(livekit)))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("status", [400, 401])
def test_error(
    livekit: FakeLiveKit, moss: FakeMoss, server: Server, call: Callable[[Server], Any], status: int
) -> None:
    """What a call raises shows none either, in any frame; nor do the errors that it returns."""
    answer = FaultResponse(status, json={"code": "x", "msg": PASSWORD})
    livekit.set_default(answer)
    moss.set_default(answer)

    result: Any = None
    try:
        result = call(server)
    except MossVoiceError as error:
        result = error

    assert [] == shown(result, (*SECRETS, *tokens(livekit)))
    assert isinstance(result, MossVoiceError)
    assert [] == spilled(result, (*SECRETS, *tokens(livekit)))


def arrived(api: FakeLiveKit | FakeMoss, before: int) -> None:
    """Returns as soon as another request has arrived."""
    while len(api.requests) == before:
        threading.Event().wait(0.01)


@pytest.mark.parametrize("call", [CALLS["list"], CALLS["session_reports"]], ids=["list", "session_reports"])
def test_ctrl_c(livekit: FakeLiveKit, moss: FakeMoss, server: Server, call: Callable[[Server], Any]) -> None:
    """Ctrl-C in the middle of a call comes through, and no frame that it passes shows a secret."""
    api: FakeLiveKit | FakeMoss = livekit if call is CALLS["list"] else moss
    api.set_default(FaultResponse(json={}, hang_after_headers=True))
    before = len(api.requests)

    def interrupt() -> None:
        arrived(api, before)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        call(server)
    api.release()
    thread.join()

    assert [] == spilled(caught.value, (*SECRETS, *tokens(livekit)))


def test_cancelled(livekit: FakeLiveKit, moss: FakeMoss) -> None:
    """A task that is cancelled in the middle of a call shows none."""
    livekit.set_default(FaultResponse(json={}, hang_after_headers=True))

    async def cancel() -> BaseException:
        server = await MossVoiceServer.create(**moss.arguments)
        task = asyncio.ensure_future(server.rooms.list())
        await asyncio.to_thread(arrived, livekit, 0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        raise AssertionError("nothing was raised")

    error = asyncio.run(cancel())
    livekit.release()
    assert [] == spilled(error, (*SECRETS, *tokens(livekit)))


WEBHOOKS: dict[str, Callable[[bytes, str], tuple[Any, Any, Any]]] = {
    "text": lambda body, token: (body.decode(), token, None),
    "no token": lambda body, _: (body, None, None),
    "bearer": lambda body, token: (body, f"Bearer {token}", None),
    "unknown key": lambda body, _: (body, FakeLiveKit(api_secret=OTHER).webhook("x")[1], {"key": OTHER}),
    "bad signature": lambda body, token: (body, token[:-9], {"key": OTHER}),
    "altered body": lambda body, token: (body + b" ", token, {"key": OTHER}),
    "bad keys": lambda body, token: (body, token, {"key": OTHER, "other": f"{OTHER}\ud800"}),
    "bytes as a key": lambda body, token: (body, token, {"key": OTHER.encode()}),
}


@pytest.mark.parametrize("damage", WEBHOOKS.values(), ids=WEBHOOKS.keys())
def test_webhook(livekit: FakeLiveKit, server: Server, damage: Callable[..., tuple[Any, Any, Any]]) -> None:
    """A webhook that is refused shows neither secrets, nor its token, nor the TURN password in its body; nor does an event."""
    body, token = livekit.webhook("room_started", "room")
    password = body.partition(b'turnPassword": "')[2][:32].decode()
    sent, authorization, keys = damage(body, token)
    with pytest.raises(MossVoiceError) as caught:
        server.receive_webhook(sent, authorization, webhook_keys=keys)

    assert 32 == len(password)
    assert [] == spilled(caught.value, (*SECRETS, token, password))
    assert [] == shown(server.receive_webhook(body, token), (*SECRETS, token, password))


def test_objects(server: Server) -> None:
    """The rooms object and the iterator of reports show nothing, and cannot be copied or pickled."""
    iterator = server.session_reports(datetime.now(timezone.utc))
    for each in (server.rooms, iterator):
        assert [] == shown(each, SECRETS)
        for carry in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError) as caught:
                carry(each)
            assert [] == spilled(caught.value, SECRETS)
