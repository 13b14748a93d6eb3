"""Fakes: programs that hold a fake Moss API and fork while it is in use."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2

from moss_voice_server.testing import FakeMoss
from tests.processes.inside import fork, say
from tests.support.fault_response import FaultResponse
from tests.testing.test_fake_moss import dial, drain, headers_of, path_of, request_of

_ALARM = 20  # seconds


def used_in_children() -> None:
    """Five children use the fake in memory, each forked while three threads use it."""
    with FakeMoss() as moss:
        over = threading.Event()
        transport = moss.transport()  # imports, whose locks a child would find held forever
        busy = [threading.Thread(target=_ask_until, args=(over, moss, transport), daemon=True) for _ in range(3)]
        for thread in busy:
            thread.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(_ALARM)
                with httpx2.Client(transport=transport) as client:
                    os._exit(0 if _ask(client, moss) == 200 else 1)
            say(exit=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        over.set()
        for thread in busy:
            thread.join(_ALARM)
        say(busy=sum(thread.is_alive() for thread in busy))


def answers_end(how: str) -> None:
    """A held answer ends, and another breaks off, while a forked child has copies of the sockets.

    The C library's fork runs no hooks, so a child of it keeps its copies: then only the answer that ends is tried.
    """
    with FakeMoss() as moss:
        moss.queue(FaultResponse(hang=True), FaultResponse(hang=True, reset="request"))
        clients = [_held(moss) for _ in range(2 if how == "python" else 1)]
        with _a_child(how, *clients):
            moss.release()
            say(ended=[drain(client)[1] for client in clients])
            moss.close()
            if how == "python":
                with suppress(ConnectionRefusedError):
                    dial(moss).close()
                    say(port="open")
    for client in clients:
        client.close()


def _held(moss: FakeMoss) -> socket.socket:
    client, before = dial(moss), moss.count
    client.sendall(request_of(moss))
    moss.wait_for(before + 1)
    return client


@contextmanager
def _a_child(how: str, *clients: socket.socket) -> Iterator[None]:
    """A forked process that holds copies of all sockets but these, until the block is left."""
    said, saying = os.pipe()
    child = fork(how)
    if child == 0:
        signal.alarm(_ALARM)
        os.close(saying)
        for client in clients:
            os.close(client.fileno())
        os.read(said, 1)
        os._exit(0)
    try:
        yield
    finally:
        os.close(saying)
        os.close(said)
        os.waitpid(child, 0)


def _ask(client: httpx2.Client, moss: FakeMoss) -> int:
    return client.get(moss.url + path_of(moss), headers=headers_of(moss)).status_code


def _ask_until(over: threading.Event, moss: FakeMoss, transport: httpx2.BaseTransport) -> None:
    with httpx2.Client(transport=transport) as client:
        while not over.is_set():
            _ask(client, moss)
