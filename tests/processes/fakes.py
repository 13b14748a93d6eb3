"""Fakes: programs that hold a fake Moss API and fork while it is in use."""

from __future__ import annotations

import os
import socket
import threading
import time

import httpx2

from moss_voice_server.testing import FakeMoss
from tests.processes.inside import end_child, say, start_child
from tests.support.fault_response import FaultResponse

_LONGEST, _SOON = 20, 4  # seconds


def used_in_children() -> None:
    """Five children use the fake in memory, each forked while three threads use it."""
    with FakeMoss() as moss:
        over = threading.Event()
        transport = moss.transport()  # imports, whose locks a child would find held forever

        def ask() -> int:
            with httpx2.Client(transport=transport) as client:
                return client.get(moss.url).status_code

        def ask_on() -> None:
            while not over.is_set():
                ask()

        busy = [threading.Thread(target=ask_on, daemon=True) for _ in range(3)]
        for thread in busy:
            thread.start()
        for _ in range(5):
            end_child(start_child("python", ask, os._exit))
        over.set()
        for thread in busy:
            thread.join(_LONGEST)
        say(busy=sum(thread.is_alive() for thread in busy))


def answers_end(how: str) -> None:
    """A held answer ends, and another breaks off, while a forked child has copies of the sockets.

    The C library's fork runs no hooks, so a child of it keeps its copies, the port's too: then only the end is tried.
    """
    with FakeMoss() as moss:
        port = int(moss.url.rpartition(":")[2])
        moss.queue(FaultResponse(hang=True), FaultResponse(hang=True, reset="request"))
        clients = []
        for number in range(2 if how == "python" else 1):
            clients.append(socket.create_connection(("127.0.0.1", port), _LONGEST))
            clients[-1].sendall(b"GET / HTTP/1.1\r\nHost: moss.example\r\n\r\n")
            moss.wait_for(number + 1)
        said, saying = os.pipe()

        def hold() -> bool:
            for number in (saying, *(client.fileno() for client in clients)):
                os.close(number)
            return os.read(said, 1) == b""  # until the parent closes its end

        child = start_child(how, hold, os._exit)
        moss.release()
        say(ended=[_end(client) for client in clients])
        begun = time.monotonic()
        moss.close()
        with socket.socket() as last:
            is_open = last.connect_ex(("127.0.0.1", port)) == 0
        say(open=is_open, soon=time.monotonic() - begun < _SOON)
        os.close(saying)
        end_child(child)
    for client in clients:
        client.close()


def _end(client: socket.socket) -> str:
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        return "reset"
    return "end"
