"""Benchmarks: the command runs and its table is complete; what judges a figure judges rightly. No time is asserted here."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import budgets, plot
from benchmarks.__main__ import main
from benchmarks.figures import Budget, Figure
from benchmarks.load import Load
from benchmarks.machine import Machine
from benchmarks.minters import floor, livekit_api, ours, pyjwt
from benchmarks.plan import Plan
from benchmarks.programs import ROOT, environment
from benchmarks.request import LIFE, REQUESTS, Request, problem
from benchmarks.table import document, table, verdict
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
MACHINE = Machine("CPython 3.11.0", "2 cores", "0.0")


@pytest.fixture
def compared() -> None:
    """What we are compared with is installed."""
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
    """Every minter in Python makes the token that was asked for, whatever the count."""
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
    """A minter that makes another token than the rest is not measured."""
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


def test_budgets_by_version_of_python() -> None:
    """Python 3.12 and later have a budget of their own for minting, and 3.10 one for packages."""
    mint = [budgets.budget(budgets.JOIN, budgets.LIVEKIT_API, (3, minor)) for minor in (10, 11, 12, 13)]
    packages = [budgets.budget(budgets.PACKAGES, budgets.PREDECESSOR, (3, minor)) for minor in (10, 11, 12)]

    assert [Budget(12), Budget(12), Budget(9), Budget(9)] == mint
    assert [Budget(9, True), Budget(8, True), Budget(8, True)] == packages
    assert budgets.budget(budgets.JOIN, budgets.PYJWT, (3, 11)) is None


def test_verdict() -> None:
    """A figure keeps its budget, misses it, or is not judged: no budget, no figure, or a hurried run."""
    good = Figure(budgets.JOIN, budgets.LIVEKIT_API, (12.5,))
    bad = Figure(budgets.JOIN, budgets.LIVEKIT_API, (8.5,))
    gone = Figure(budgets.JOIN, budgets.LIVEKIT_API, absent="not here")
    free = Figure(budgets.JOIN, budgets.PYJWT, (0.1,))

    assert ["ok", "MISSED", "", ""] == [verdict(each, (3, 11), Plan()) for each in (good, bad, gone, free)]
    assert ["ok", "MISSED"] == [verdict(each, (3, 12), Plan()) for each in (good, bad)]
    assert "" == verdict(bad, (3, 11), Plan(1, quick=True))


def test_table_line_by_line() -> None:
    """One line a figure: median, spread, budget, verdict, and the reason where one is missing."""
    figures = [
        Figure(budgets.JOIN, budgets.LIVEKIT_API, (13.0, 12.5, 11.0), detail="3.0 : 40.0 us"),
        Figure(budgets.JOIN, budgets.GO, absent="there is no go on PATH"),
        Figure(budgets.PACKAGES, budgets.PREDECESSOR, (10.0,), unit="packages", detail="10 : 21 packages"),
    ]
    first, blank, _head, _rule, *lines = table(figures, MACHINE, (3, 11), Plan(3)).splitlines()

    assert ("CPython 3.11.0; 2 cores; load 0.0; medians of 3 rounds", "") == (first, blank)
    expected = [
        "mint: join and name livekit-api 12.50 x 11.00 - 13.00 at least 12 x ok 3.0 : 40.0 us",
        "mint: join and name Go livekit protocol/auth - at least 1 x skipped: there is no go on PATH",
        "packages installed, ours included moss-voice-server 0.1.0 10 at most 8 MISSED 10 : 21 packages",
    ]
    assert expected == [" ".join(line.split()) for line in lines]
    kept = document(figures, MACHINE, (3, 11), Plan(3))["figures"]
    assert ["ok", "", "MISSED"] == [entry["verdict"] for entry in kept]
    assert [12.5, None, 10.0] == [entry["median"] for entry in kept]


def test_plot_shows_what_is_said() -> None:
    """A bar goes from 1 to the ratio, its mark stands at the budget, and where less is better both are turned round."""
    floor_ = Figure(budgets.JOIN, budgets.FLOOR, (1.25, 1.25))
    fast = Figure(budgets.JOIN, budgets.LIVEKIT_API, (16.0, 15.0, 17.0))
    free = Figure(budgets.JOIN, "a <name>", (2.0,))
    left_out = [
        Figure(budgets.PACKAGES, budgets.PREDECESSOR, (8.0,), unit="packages"),
        Figure(f"{budgets.ASGI}: {budgets.P99}", budgets.BARE, (2.0,)),
        Figure(budgets.JOIN, budgets.GO, absent="there is no go on PATH"),
    ]
    shown = document([floor_, fast, free, *left_out], MACHINE, (3, 11), Plan())
    picture = ElementTree.fromstring(plot.drawn(shown, "light"))
    texts = [text.text or "" for text in picture.findall(".//{*}text")]
    bars = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in picture.findall(".//{*}rect")]
    marks = [float(line.attrib["x1"]) for line in picture.findall(".//{*}line") if line.get("stroke-width") == "3"]

    names = [budgets.JOIN, budgets.FLOOR, "0.80 x", budgets.LIVEKIT_API, "16.0 x", "a <name>", "2.0 x"]
    assert names == [text for text in texts if text in names][-len(names) :]
    one, two, sixteen = (plot.across(value) for value in (1, 2, 16))
    turned = (plot.across(0.8), round(one - plot.across(0.8), 1))
    assert [turned, (one, round(sixteen - one, 1)), (one, round(two - one, 1))] == bars
    assert [plot.across(1 / 1.5), plot.across(12)] == marks


@pytest.mark.skipif(sys.platform != "linux", reason="the load run needs Linux")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "the server answered b'HTTP/1.1 500 No"),
        (b"HTTP/1.1 201 Created\r\n\r\n", "the server answered b'HTTP/1.1 201 Created"),
        (b"", "the server has closed a connection"),
    ],
)
def test_load_stops_at_the_first_error(answer: bytes, expected: str) -> None:
    """Whatever is not the answer that was expected ends the run, and is shown."""
    with pytest.raises(RuntimeError, match=re.escape(expected)), one_answer(answer) as port:
        ask_once(port)


@pytest.mark.skipif(sys.platform != "linux", reason="the load run needs Linux")
def test_load_reads_answers_in_parts() -> None:
    """An answer that comes in parts is one answer, and its body is the last."""
    parts = (b"HTTP/1.1 201 Created\r\ncontent-", b"length: 5\r\n\r\nhe", b"llo")
    with one_answer(*parts) as port:
        assert (1, b"hello") == ask_once(port)


def ask_once(port: int) -> tuple[int, bytes]:
    """One request: how many answers, and the last one's body."""
    with Load(port, b"POST / HTTP/1.1\r\n\r\n", connections=1, status=201) as load:
        answers = load.ask(1)
    return len(answers.latencies), answers.last


@contextmanager
def one_answer(*parts: bytes) -> Iterator[int]:
    """A server on this port that answers one request with these bytes, part by part, and closes."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(4096)
            for part in parts:
                connection.sendall(part)

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve)
        yield listening.getsockname()[1]
        serving.result(20)


def test_programs_are_free_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would slow down or change another Python is not handed on; the rest is."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SOMETHING", "else")

    handed = environment(GOMAXPROCS="1")
    assert (None, "else", "1") == tuple(
        handed.get(name) for name in ("PYTHONDONTWRITEBYTECODE", "SOMETHING", "GOMAXPROCS")
    )
