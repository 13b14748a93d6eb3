"""The fake Moss API and fork, in a separate process: pytest's has threads by now that no fork was written for."""

from __future__ import annotations

import sys

import pytest

from tests.processes.program import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system has no fork")


def test_children_can_use_it() -> None:
    """Forked while threads use the fake, a child can use it in memory, and the threads go on."""
    with python("fakes", "used_in_children") as program:
        assert [{"exit": 0}] * 5 + [{"busy": 0}] == program.hear_all()


@pytest.mark.parametrize(("how", "ended"), [("python", ["end", "reset"]), ("libc", ["end"])])
def test_children_keep_nothing_open(how: str, ended: list[str]) -> None:
    """Answers end or break off for the client, and the port is closed, although a forked child has copies of our sockets."""
    with python("fakes", "answers_end", how) as program:
        assert [{"ended": ended}] == program.hear_all()
