"""Programs that end, are interrupted or frozen, or cannot start a thread, while a fetch is under way or wanted."""

from __future__ import annotations

import _thread
import ctypes
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import httpx2

from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsUnavailable
from tests.processes.inside import (
    ALWAYS_DUE,
    construct,
    create,
    end_child,
    mint,
    refresh,
    say,
    start_child,
    wait_for_go,
)


def end_during_a_renewal(server_class: str) -> None:
    """The main thread returns while a renewal that a mint has started waits for its answer."""
    server = create(server_class, refresh=ALWAYS_DUE)
    mint(server)
    wait_for_go()
    say(bye=1)


def end_during_a_refresh(server_class: str) -> None:
    """The main thread returns while a daemon thread of the application waits in `refresh()`."""
    server = create(server_class)
    threading.Thread(target=lambda: refresh(server), daemon=True).start()
    wait_for_go()
    say(bye=1)


def end_during_a_lookup(server_class: str) -> None:
    """The main thread returns while the system's resolver hangs, which no timeout of Python ends."""
    _point_at_a_name()
    server = construct(server_class, refresh=RefreshPolicy(total_timeout=0.2, attempt_timeout=0.2))
    hanging = _hang_lookups()
    try:
        refresh(server)
    except CredentialsUnavailable as error:
        say(error=str(error))
    say(hanging=hanging.is_set())


def interrupted_twice(server_class: str) -> None:
    """The application survives one SIGINT and refreshes again; the second one ends it."""
    server = construct(server_class)
    say(ready=1)
    try:
        refresh(server)
    except KeyboardInterrupt:
        say(interrupted=1)
    refresh(server)
    say(key=mint(server))
    wait_for_go()
    create(server_class)


def mint_without_a_pause(server_class: str) -> None:
    """Mints all the time and sends each new key. A renewal is always due, and counts as lost a second after it has begun."""
    server = create(server_class, refresh=RefreshPolicy(refresh_after=1e-6, attempt_timeout=0.5, total_timeout=0.5))
    say(ready=1)
    old = ""
    while True:
        key = mint(server)
        if key != old:
            say(key=key)
            old = key
        if server.status().last_error is not None:
            # What an operator would do: in the background it is too early for another attempt.
            with suppress(CredentialsUnavailable):
                refresh(server)
        time.sleep(0.005)


def without_threads(server_class: str) -> None:
    """No thread can be started at all: create, renew by a mint, refresh; the host is found by its name."""
    _point_at_a_name()
    threading.Thread.start = _refuse  # type: ignore[method-assign, assignment]
    _thread.start_new_thread = _refuse
    server = create(server_class, refresh=ALWAYS_DUE)
    say(created=server.status().last_error)
    wait_for_go()
    keys = [mint(server), mint(server)]  # the first one renews on this thread
    say(keys=keys, error=server.status().last_error)
    refresh(server)
    say(error=server.status().last_error)


def _refuse(*_arguments: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


def _point_at_a_name() -> None:
    os.environ["MOSS_PLATFORM_API_URL"] = os.environ["MOSS_PLATFORM_API_URL"].replace("127.0.0.1", "localhost")


def _hang_lookups() -> threading.Event:
    """From here on every name lookup hangs in the C library, as with a DNS server that is down."""
    hanging = threading.Event()

    def lookup(*_arguments: Any, **_keywords: Any) -> NoReturn:
        hanging.set()
        ctypes.CDLL(None).sleep(3600)
        raise AssertionError

    socket.getaddrinfo = lookup
    return hanging


def fork_while_a_client_is_made(server_class: str) -> None:
    """Forks in the middle of a fetch's first step, in which OpenSSL reads the trust store."""
    server = create(server_class)
    began, made = _make_clients_slowly()
    threading.Thread(target=lambda: refresh(server), daemon=True).start()
    began.wait()
    end_child(start_child("python", made.is_set))


def end_while_a_client_is_made(server_class: str) -> None:
    """Ends there."""
    server = create(server_class, refresh=ALWAYS_DUE)
    began, _ = _make_clients_slowly()
    mint(server)
    began.wait()


def _make_clients_slowly() -> tuple[threading.Event, threading.Event]:
    """From here on clients are made so slowly that anything can happen meanwhile; the events say when one began, and ended."""
    began, made = threading.Event(), threading.Event()

    def slow(make: Callable[..., None]) -> Callable[..., None]:
        def make_slowly(*arguments: Any, **keywords: Any) -> None:
            began.set()
            time.sleep(0.3)
            make(*arguments, **keywords)
            made.set()
            say(made=1)

        return make_slowly

    for transport in (httpx2.HTTPTransport, httpx2.AsyncHTTPTransport):
        transport.__init__ = slow(transport.__init__)  # type: ignore[method-assign]
    return began, made
