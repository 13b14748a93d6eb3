"""A participant's signal connection, without media: joins a room and reads the server's frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from livekit.protocol import rtc
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

PATIENCE = 10.0  # seconds within which the server must have answered; it usually takes some milliseconds


class Signal:
    """The connection of one participant who has joined; `joined` is the server's first word."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.joined: rtc.JoinResponse = self.wait_for("join").join

    def ask(self, **request: object) -> None:
        """Send one `livekit.SignalRequest`."""
        self._socket.send(rtc.SignalRequest(**request).SerializeToString())  # type: ignore[arg-type]

    def wait_for(self, *kinds: str) -> rtc.SignalResponse:
        """The next frame of one of these kinds; others are passed over."""
        deadline = time.monotonic() + PATIENCE
        while True:
            frame = self._socket.recv(timeout=max(0.0, deadline - time.monotonic()), decode=False)
            response = rtc.SignalResponse.FromString(frame)
            if response.WhichOneof("message") in kinds:
                return response


@contextmanager
def join(url: str, token: str) -> Iterator[Signal]:
    """Join the room that `token` names; leave it at the end of the context."""
    with connect(
        f"{url}/rtc?protocol=16&auto_subscribe=1",
        additional_headers={"Authorization": f"Bearer {token}"},
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        max_size=None,
        max_queue=None,  # with a limit, a test that does not read for a while misses the pong, and loses the connection
        proxy=None,
    ) as socket:
        yield Signal(socket)


def refused_status(url: str, token: str) -> int:
    """The HTTP status with which the server refuses to let the holder of `token` join; 0 when he is let in."""
    try:
        with join(url, token):
            return 0
    except InvalidStatus as refused:
        return refused.response.status_code
