"""The fake Moss API and fork, in a separate process: pytest's has threads by now that no fork was written for."""

from __future__ import annotations

import sys

import pytest

from tests.processes.program import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system has no fork")


def test_children_can_use_it() -> None:
    """Forked while threads use the fake, a child can use it in memory, and the threads go on."""
    with python("fakes", "used_in_children") as program:
        assert [{"child": 404}, {"exit": 0}] * 5 + [{"busy": 0}] == program.hear_all()


@pytest.mark.parametrize(("how", "ended", "is_open"), [("python", ["end", "reset"], False), ("libc", ["end"], True)])
def test_children_keep_nothing_open(how: str, ended: list[str], is_open: bool) -> None:
    """Answers end or break off, and the fake closes at once, although a forked child has copies of its sockets."""
    with python("fakes", "answers_end", how) as program:
        lines = [{"ended": ended}, {"open": is_open, "soon": True}, {"child": True}, {"exit": 0}]
        assert lines == program.hear_all()
