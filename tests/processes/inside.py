"""What the programs of these tests share: messages to their test, a server, mints, forks."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import get_native_id
from typing import Any

from moss_voice_server import ParticipantInfo
from moss_voice_server.credentials import RefreshPolicy
from tests.support.servers import ASYNC, SYNC, Server
from tests.support.tokens import claims

CLASSES = {"sync": SYNC, "async": ASYNC}

# Credentials that are due for renewal at once: every mint checks whether it may start one.
ALWAYS_DUE = RefreshPolicy(refresh_after=1e-6)

# Expected errors must not be on standard error, where the tests look for others.
logging.getLogger("moss_voice_server").addHandler(logging.NullHandler())

# Ends a child that hangs, so that its parent can say so.
_ALARM = 20  # seconds


def say(**values: Any) -> None:
    """Sends a line to the test, in one write, so that several processes can share the pipe."""
    os.write(1, (json.dumps(values) + "\n").encode())


def wait_for_go() -> None:
    """Waits until the test calls `go_on`."""
    sys.stdin.readline()


def create(server_class: str, **keywords: Any) -> Server:
    """A server of that class ("sync" or "async") for the fake Moss API that the environment names."""
    return CLASSES[server_class].from_env(**keywords)


def construct(server_class: str, **keywords: Any) -> Server:
    """The same, not yet fetched."""
    return CLASSES[server_class].kind.lazy_from_env(**keywords)


def refresh(server: Server) -> None:
    """`refresh()` of either class."""
    SYNC.refresh(server)


def mint(server: Server) -> str:
    """The API key that a new token is signed for."""
    return str(claims(server.create_participant_token(ParticipantInfo("user-42"), "room-1"))["iss"])


def fork(how: str) -> int:
    """`os.fork`, or the C library's own as uWSGI calls it: past Python's hooks.

    CPython itself does not survive the latter while another thread wants to run (it would wait for that thread to take
    the interpreter's lock), so it is called when all others sleep.
    """
    if how == "python":
        return os.fork()
    wait_until_others_sleep()
    number: int = ctypes.PyDLL(None).fork()  # PyDLL keeps the interpreter's lock during the call
    return number


def wait_until_others_sleep() -> None:
    """Waits until no other thread has run for a while. One that waits for the interpreter's lock polls every 5 ms."""
    before: list[str] = []
    while True:
        now = [_activity(folder) for folder in Path("/proc/self/task").iterdir() if folder.name != str(get_native_id())]
        if now == before and not any(activity.startswith("R") for activity in now):
            return
        before = now
        time.sleep(0.012)


def _activity(task: Path) -> str:
    """A thread's state, and how often it has given up a processor (proc(5))."""
    try:
        fields = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
    except OSError:
        return "ended"
    return " ".join(fields[name].strip() for name in ("State", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))


def start_child(how: str, work: Callable[[], Any], leave: Callable[[int], Any] = sys.exit) -> int:
    """Forks; the child works, sends the result and leaves. Returns the child's ID."""
    child = fork(how)
    if child == 0:
        signal.alarm(_ALARM)
        say(child=work())
        leave(0)
    return child


def end_child(child: int) -> None:
    """Waits for a child and sends its exit code: 0 is a clean exit, -14 the alarm."""
    say(exit=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
