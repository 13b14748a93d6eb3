"""Minting: processor time per token, here and in other libraries.

Each minter is a process of its own, so that none works in the memory of another. They take turns of a few hundredths of a
second, many in a round, so that whatever else the machine is doing hits all of them alike. Each round has new processes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import NamedTuple

from . import budgets
from .figures import Figure
from .golang import go_program
from .nodejs import SOURCES as NODE_SOURCES
from .nodejs import node_folder
from .plan import Plan
from .programs import ROOT, Absent, environment
from .request import REQUESTS, Request, problem

_TURN = 0.02  # seconds
_TURNS = 25  # in a round
_WARM_UP = 0.25  # seconds; until then a just-in-time compiler has compiled what matters
_OURS = "ours"


class Minter(NamedTuple):
    """A program that mints tokens; the request is its last argument."""

    command: tuple[str, ...]
    folder: Path
    variables: tuple[tuple[str, str], ...] = ()
    always: frozenset[str] = frozenset()
    """Claims that this library always adds."""


def measure(plan: Plan) -> list[Figure]:
    """Compare both kinds of token with every available minter."""
    minters, absent = _minters(plan)
    figures = []
    for what, request in REQUESTS.items():
        rounds = [_round(minters, request, plan) for _ in range(plan.rounds)]
        for against in _against(what):
            if against in absent:
                figures.append(Figure(what, against, absent=absent[against]))
                continue
            # Against the floor: how much longer we take. Elsewhere: how much longer the others take.
            over = against == budgets.FLOOR
            ratios = [each[_OURS] / each[against] if over else each[against] / each[_OURS] for each in rounds]
            mine, theirs = (median(each[name] for each in rounds) for name in (_OURS, against))
            figures.append(Figure(what, against, tuple(ratios), detail=f"{mine * 1e6:.1f} : {theirs * 1e6:.1f} us"))
    return figures


def _against(what: str) -> tuple[str, ...]:
    everyone = (budgets.LIVEKIT_API, budgets.PYJWT, budgets.NODE, budgets.GO)
    return (*everyone, budgets.FLOOR) if what == budgets.JOIN else everyone


def _minters(plan: Plan) -> tuple[dict[str, Minter], dict[str, str]]:
    """The available minters, and the reasons why others are missing."""
    makers: dict[str, Callable[[], Minter]] = {
        _OURS: lambda: _python("ours"),
        budgets.LIVEKIT_API: lambda: _python("livekit_api", needs="livekit-api"),
        budgets.PYJWT: lambda: _python("pyjwt", needs="pyjwt"),
        budgets.NODE: lambda: _node(plan),
        budgets.GO: lambda: _go(plan),
        budgets.FLOOR: lambda: _python("floor"),
    }
    minters, absent = {}, {}
    for name, make in makers.items():
        try:
            minters[name] = make()
        except Absent as error:
            absent[name] = str(error)
    return minters, absent


def _python(module: str, needs: str = "moss-voice-server") -> Minter:
    try:
        version(needs)
    except PackageNotFoundError:
        raise Absent(f"{needs} is not installed beside {Path(sys.executable).name}") from None
    return Minter((sys.executable, "-m", "benchmarks.minters", module), ROOT)


def _node(plan: Plan) -> Minter:
    folder = node_folder(install=not plan.quick)
    return Minter((shutil.which("node") or "node", str(NODE_SOURCES / "mint.mjs")), folder)


def _go(plan: Plan) -> Minter:
    program = go_program(build=not plan.quick)
    # One core, like the others: its garbage collector would use a second one.
    return Minter((str(program),), ROOT, (("GOMAXPROCS", "1"),), frozenset({"iat", "identity"}))


def _round(minters: dict[str, Minter], request: Request, plan: Plan) -> dict[str, float]:
    """Seconds per token, by minter."""
    turns, warm_up = (1, 0.0) if plan.quick else (_TURNS, _WARM_UP)
    with ExitStack() as stack:
        mints = {name: stack.enter_context(_running(name, minter, request)) for name, minter in minters.items()}
        counts = {}
        for name, mint in mints.items():
            seconds, count = 0.0, 10
            while seconds < warm_up:
                seconds += count * mint(count)
                count = min(2 * count, 10_000)
            counts[name] = max(1, int(_TURN / mint(count)))
        taken: dict[str, list[float]] = {name: [] for name in mints}
        for _ in range(turns):
            for name, mint in mints.items():
                taken[name].append(mint(counts[name]))
    return {name: median(each) for name, each in taken.items()}


@contextmanager
def _running(name: str, minter: Minter, request: Request) -> Iterator[Callable[[int], float]]:
    """A function that mints a number of tokens in the minter's process and returns the seconds per token."""
    with subprocess.Popen(
        [*minter.command, request.json()],
        cwd=minter.folder,
        env=environment(**dict(minter.variables)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ask, answers = process.stdin, process.stdout

        def mint(count: int) -> float:
            ask.write(f"{count}\n")
            ask.flush()
            line = answers.readline()
            if not line:
                raise RuntimeError(f"the minter {name} ended: its error is above")
            answer = json.loads(line)
            wrong = problem(request, answer["token"], minter.always)
            if wrong:
                raise RuntimeError(f"the minter {name} made another token than was asked: {wrong}")
            return float(answer["seconds"]) / count

        yield mint
