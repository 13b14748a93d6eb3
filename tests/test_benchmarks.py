"""Benchmarks: the command runs, its table is complete, and a budget is judged rightly. No time is asserted here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from benchmarks import budgets
from benchmarks.__main__ import main
from benchmarks.figures import Budget, Figure
from benchmarks.minters import floor, livekit_api, ours, pyjwt
from benchmarks.programs import ROOT, environment
from benchmarks.request import LIFE, REQUESTS, Request, problem
from tests.livekit.needs import absent

pytestmark = pytest.mark.once

MINTERS = (budgets.LIVEKIT_API, budgets.PYJWT, budgets.NODE, budgets.GO)
ENDPOINTS = (
    *((budgets.ASGI, against) for against in (budgets.FASTAPI_ROUTE, budgets.BARE, budgets.EXPRESS)),
    (budgets.FASTAPI, budgets.FASTAPI_ROUTE),
    (budgets.FLASK, budgets.FLASK_ROUTE),
    (budgets.DJANGO, budgets.DJANGO_VIEW),
)
QUANTITIES = (budgets.REQUESTS, budgets.BY_CLOCK, budgets.P50, budgets.P99, budgets.PEAK_MEMORY)
LINES = [
    *((budgets.JOIN, against) for against in (*MINTERS, budgets.FLOOR)),
    *((budgets.FULL, against) for against in MINTERS),
    (budgets.IMPORT_TIME, budgets.LIVEKIT_API),
    (budgets.IMPORT_MEMORY, budgets.LIVEKIT_API),
    (budgets.FIRST_TIME, budgets.LIVEKIT_API),
    (budgets.FIRST_MEMORY, budgets.LIVEKIT_API),
    *((f"{what}: {quantity}", against) for what, against in ENDPOINTS for quantity in QUANTITIES),
    (budgets.PACKAGES, budgets.PREDECESSOR),
    (budgets.SIZE, budgets.PREDECESSOR),
]


@pytest.fixture
def compared() -> None:
    """The other libraries are installed."""
    for name in ("livekit-api", "pyjwt"):
        try:
            version(name)
        except PackageNotFoundError:
            absent(f"{name} is not installed, with which the benchmarks compare us")


@pytest.mark.usefixtures("compared")
def test_quick_run_prints_every_line(tmp_path: Path) -> None:
    """`python -m benchmarks --quick` ends with status 0, and its table and its file have every line."""
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file), "--plot", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert (0, "") == (done.returncode, "" if done.returncode == 0 else done.stderr)

    figures: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["figures"]
    assert LINES == [(figure["what"], figure["against"]) for figure in figures]
    for figure in figures:
        assert (figure["absent"] == "") == (len(figure["rounds"]) == 1)
        assert figure["python"].endswith(sys.version.split()[0])
    absent_here = {figure["absent"] for figure in figures if figure["against"] == budgets.FASTAPI_ROUTE}
    assert {""} == absent_here or sys.platform != "linux"
    pictures = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    assert {"ratios-light.svg", "ratios-dark.svg"} == set(pictures)
    # The same figures give the same bytes.
    assert 0 == main(["--redraw", str(file), "--plot", str(tmp_path)])
    assert pictures == {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    assert len(LINES) == sum(any(line.startswith(what) for what, _ in LINES) for line in done.stdout.splitlines())


@pytest.mark.usefixtures("compared")
def test_minters_make_the_same_token() -> None:
    """Every minter in Python creates the requested token."""
    for what in REQUESTS:
        for module in [ours, livekit_api, pyjwt, floor]:
            mint = module.minter(json.loads(REQUESTS[what].json()))

            assert ["", ""] == [problem(REQUESTS[what], mint(count), frozenset()) for count in (1, 3)]


def minted(**claims: Any) -> str:
    """A token with the claims of the plain request, or others."""
    jwt = pytest.importorskip("jwt")
    now = int(time.time())
    whole = {**Request().claims(), "nbf": now, "exp": now + LIFE, **claims}
    token: str = jwt.encode(whole, Request().api_secret, algorithm="HS256")
    return token


@pytest.mark.usefixtures("compared")
def test_other_tokens_are_noticed() -> None:
    """A minter that creates another token than the rest is not measured."""
    head, _, signature = minted().split(".")
    payload = minted(name="Bob").split(".")[1]

    assert "" == problem(Request(), minted(), frozenset())
    assert "" == problem(Request(), minted(iat=1), frozenset({"iat"}))
    assert "the signature is wrong" == problem(Request(), f"{head}.{payload}.{signature}", frozenset())
    for other in ({"name": "Bob"}, {"iat": 1}, {"metadata": ""}):
        assert problem(Request(), minted(**other), frozenset()).startswith("the claims are")
    for other in ({"nbf": 0}, {"exp": int(time.time()) + 2 * LIFE}):
        assert problem(Request(), minted(**other), frozenset()).startswith("the times are")


def test_budget_holds_against_the_median() -> None:
    """A budget is a bound on the median of the rounds, from below or from above, and the bound itself is within."""
    for budget, rounds, expected in [
        (Budget(12), (11.0, 12.0, 13.0), True),
        (Budget(12), (11.0, 11.9, 99.0), False),
        (Budget(1.5, at_most=True), (9.0, 1.5, 1.2), True),
        (Budget(1.5, at_most=True), (1.0, 1.6, 1.6), False),
    ]:
        assert expected is budget.kept(Figure("", "", rounds).value)
