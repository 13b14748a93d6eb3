"""Fixtures of every test: both server classes, and signals that end started programs."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from moss_voice_server.testing import FakeMoss
from tests.support.servers import ASYNC, SYNC, ServerClass

LONG = (
    "livekit/test_moss_worker.py",
    "test_docs_site.py",
    "test_benchmarks.py",
    "webhooks/test_real_server.py",
    "examples/test_walk.py",
    "processes/test_soak.py",
    "dev/test_page",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "not once"`, a file is not even imported if all its tests have this mark; so for other marks."""
    excluded = config.option.markexpr
    if collection_path.suffix != ".py" or not re.fullmatch(r"not \w+( and not \w+)*", excluded):
        return None
    marks = re.search(r"^pytestmark = (.*)", collection_path.read_text(encoding="utf-8"), re.MULTILINE)
    found = re.findall(r"pytest\.mark\.(\w+)", marks[1]) if marks else []
    return True if set(found) & set(re.findall(r"not (\w+)", excluded)) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin early in a parallel run: they stand in the middle, where the third of four processes begins."""
    long = [item for item in items if item.nodeid.removeprefix("tests/").startswith(LONG)]
    others = [item for item in items if item not in set(long)]
    items[:] = [*others[: len(others) // 2], *long, *others[len(others) // 2 :]]


@pytest.fixture(scope="session", autouse=True)
def default_signals() -> Iterator[None]:
    """Started programs handle SIGINT and SIGHUP, also if `nohup` or a background job has them ignored."""
    defaults = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):
        defaults[signal.SIGHUP] = signal.SIG_DFL  # type: ignore[assignment]  # the other kind of handler
    before = {number: signal.getsignal(number) for number in defaults}
    for number, handler in defaults.items():
        if before[number] is signal.SIG_IGN:
            signal.signal(number, handler)
    yield
    for number, old in before.items():
        if old is signal.SIG_IGN:
            signal.signal(number, old)


@pytest.fixture(params=[SYNC, ASYNC], ids=["sync", "async"])
def server_class(request: pytest.FixtureRequest) -> ServerClass:
    """Each of the two server classes."""
    chosen: ServerClass = request.param
    return chosen


@pytest.fixture
def moss() -> Iterator[FakeMoss]:
    """A Moss API on a loopback port."""
    with FakeMoss() as fake:
        yield fake
