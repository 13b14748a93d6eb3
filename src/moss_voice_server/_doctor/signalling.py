"""Open LiveKit's signal connection without media, and read as much of its protocol as the checks need.

Frames are protobuf messages (livekit/protocol protobufs/livekit_rtc.proto). A handful of fields are read by their numbers, so
that protobuf need not be installed.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from .target import Target

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_AGENT = 4  # ParticipantInfo.Kind
_DISCONNECTED = 3  # ParticipantInfo.State
_LEAVE = b"\x42\x00"  # SignalRequest.leave, field 8, an empty message
_SLICE = 0.25  # seconds of waiting after which the caller is asked again
JOIN_FAILURE = 7  # DisconnectReason


class Refused(NamedTuple):
    reason: int | str  # the HTTP status, or `handshake`, `timeout`, `tls` or `connection`


class Joined(NamedTuple):
    version: str
    agents: tuple[str, ...]  # identities of the agents that are in the room already


class Left(NamedTuple):
    reason: int  # LiveKit's `DisconnectReason`; 0 where it gave none


class Agents(NamedTuple):
    agents: tuple[str, ...]


Message = Joined | Left | Agents | None


class Signal:
    def __init__(self, socket: ClientConnection, opened: ExitStack) -> None:
        self._socket = socket
        self._opened = opened

    def messages(self, seconds: float) -> Iterator[Message]:
        """The messages of the next `seconds`; `None` for those not read here, and now and then while none arrives."""
        from websockets.exceptions import ConnectionClosed

        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                frame = self._socket.recv(timeout=min(_SLICE, left))
            except TimeoutError:
                yield None
            except ConnectionClosed:
                yield Left(0)
                return
            else:
                yield read(frame) if isinstance(frame, bytes) else None

    def close(self) -> None:
        with suppress(Exception):
            self._socket.send(_LEAVE)
        with suppress(Exception):
            self._opened.close()


def connect(server: Target, token: str, timeout: float) -> Signal | Refused:
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
    from websockets.sync.client import connect

    from .._http.environment import ssl_context

    quiet = logging.Logger("moss_voice_server.doctor.signal", logging.CRITICAL + 1)  # its DEBUG shows the token
    opened = ExitStack()  # websockets deprecates `connect` outside of a `with` block
    try:
        connection = connect(
            f"{server.websocket}/rtc?protocol=16&auto_subscribe=0",
            additional_headers={"Authorization": f"Bearer {token}"},
            ssl=ssl_context() if server.is_secure else None,
            proxy=True if server.is_secure else None,
            open_timeout=timeout,
            close_timeout=1.0,
            max_size=1024 * 1024,
            logger=quiet,
        )
        return Signal(opened.enter_context(connection), opened)
    except InvalidStatus as error:
        return Refused(error.response.status_code)
    except (InvalidHandshake, InvalidURI, EOFError):
        return Refused("handshake")
    except TimeoutError:
        return Refused("timeout")
    except ssl.SSLError:
        return Refused("tls")
    except (OSError, ImportError):  # ImportError: a SOCKS proxy, which needs one more package
        return Refused("connection")


def read(frame: bytes) -> Message:
    """A `livekit.SignalResponse`; `None` for the kinds that are not read, and for damaged ones."""
    with suppress(ValueError, TypeError, LookupError, AttributeError):
        for number, value in _fields(frame):
            if number == 1:  # join
                return _joined(value)
            if number == 5:  # update: a ParticipantUpdate
                return Agents(tuple(_agents(value, 1)))
            if number == 8:  # leave
                return Left(dict(_fields(value)).get(2, 0))
    return None


def _joined(join: bytes) -> Joined:
    fields = dict(_fields(join))
    info = dict(_fields(fields.get(12, b"")))  # server_info
    version: bytes = info.get(2, fields.get(4, b""))  # or server_version, of old servers
    return Joined(version.decode("utf-8", "replace"), tuple(_agents(join, 3)))


def _agents(message: bytes, field: int) -> Iterator[str]:
    """The identities of the agents among the participants in a repeated field."""
    for number, participant in _fields(message):
        if number == field:
            values = dict(_fields(participant))
            if values.get(14) == _AGENT and values.get(3) != _DISCONNECTED:
                yield values.get(2, b"").decode("utf-8", "replace")


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of a message's fields: int for a varint, bytes for the rest (protobuf.dev, "Encoding")."""
    if not isinstance(message, bytes):
        raise TypeError
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = _varint(message, position)
        else:
            size = {1: 8, 5: 4}[kind]
        if position + size > len(message):
            raise ValueError
        yield tag >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError
