"""The fake Moss API and fork, in a separate process: pytest's has threads by now that no fork was written for."""

from __future__ import annotations

import sys

import pytest

from tests.processes.program import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system has no fork")


def test_children_can_use_it() -> None:
    """Forked while threads use the fake, a child can use it in memory, and the threads go on."""
    with python("fakes", "used_in_children") as program:
        assert [{"exit": 0}] * 20 + [{"busy": 0}] == program.hear_all()
        assert (0, "") == (program.end(), program.errors)


def test_children_keep_nothing_open() -> None:
    """Answers end or break off for the client, and the port is closed, although a forked child had copies of our sockets."""
    with python("fakes", "answers_end") as program:
        assert [{"ended": "end", "reset": "reset"}, {"port": "closed"}] == program.hear_all()
        assert (0, "") == (program.end(), program.errors)


def test_children_behind_pythons_back_keep_no_answer_open() -> None:
    """An answer ends for the client although a child of the C library's fork (uWSGI) has copies of our sockets."""
    with python("fakes", "answer_ends") as program:
        assert [{"ended": "end"}] == program.hear_all()
        assert (0, "") == (program.end(), program.errors)
