"""Endpoint: requests to the token endpoint, here and written by hand with LiveKit's libraries, on the same servers.

All servers are up at the same time, each asked in turn over the same connections, a slice of the round's requests at a time, so
that whatever else the machine is doing hits all of them alike. Each round has new processes. What is judged is the requests for
a second of the processor's time; wall-clock throughput, latency and memory are reported beside it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from . import budgets
from .figures import Figure
from .load import Answers, Load
from .nodejs import SOURCES as NODE_SOURCES
from .nodejs import node_folder
from .plan import Plan
from .programs import ROOT, Absent
from .request import problem, room_of
from .served.session import ASKED, BEARER, KEY, SECRET, URL, USERS
from .serving import Served, cores, on, served

_CONNECTIONS = 64
_REQUESTS = 10_000  # in a round
_SLICES = 10
_WARM_UP = 2_000  # requests; until then a just-in-time compiler has compiled what matters
_QUICK = _CONNECTIONS
_BODY = b"{}"  # what LiveKit's client for JavaScript sends when nothing is set
_SENT = (
    b"POST /voice/token HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (BEARER.encode(), len(_BODY), _BODY)
)

_ASGI, _FASTAPI, _FLASK, _DJANGO = "ours: ASGI", "ours: FastAPI", "ours: Flask", "ours: Django"
_PAIRS = (
    (_ASGI, budgets.ASGI, budgets.FASTAPI_ROUTE),
    (_ASGI, budgets.ASGI, budgets.BARE),
    (_ASGI, budgets.ASGI, budgets.EXPRESS),
    (_FASTAPI, budgets.FASTAPI, budgets.FASTAPI_ROUTE),
    (_FLASK, budgets.FLASK, budgets.FLASK_ROUTE),
    (_DJANGO, budgets.DJANGO, budgets.DJANGO_VIEW),
)


class Program(NamedTuple):
    """A server program; `command` makes its command line from the file descriptor of a listening socket."""

    command: Callable[[int], list[str]]
    folder: Path = ROOT
    variables: tuple[tuple[str, str], ...] = ()
    says_token: bool = True
    """Whether it returns a token, not constant bytes."""


class Spent(NamedTuple):
    """What one program used in one round."""

    busy: float
    """Processor seconds per request."""
    clock: float
    """Wall-clock seconds per request."""
    p50: float
    """Median latency in seconds."""
    p99: float
    """99th percentile of the latency in seconds."""
    memory: float
    """Peak memory of all processes in KiB."""


class Quantity(NamedTuple):
    """One quantity that is compared."""

    name: str
    """Its name in the table."""
    of: Callable[[Spent], float]
    """The value; lower is better."""
    shown: Callable[[float], str]
    """The value formatted for the table, without a unit."""
    unit: str


_QUANTITIES = (
    Quantity(budgets.REQUESTS, lambda spent: spent.busy, lambda seconds: f"{1 / seconds:,.0f}", "/s of one core"),
    Quantity(budgets.BY_CLOCK, lambda spent: spent.clock, lambda seconds: f"{1 / seconds:,.0f}", "/s"),
    Quantity(budgets.P50, lambda spent: spent.p50, lambda seconds: f"{seconds * 1e3:.2f}", "ms"),
    Quantity(budgets.P99, lambda spent: spent.p99, lambda seconds: f"{seconds * 1e3:.2f}", "ms"),
    Quantity(budgets.PEAK_MEMORY, lambda spent: spent.memory, lambda kibibytes: f"{kibibytes / 1024:.0f}", "MiB"),
)


def measure(plan: Plan) -> list[Figure]:
    """Compare each adapter with a hand-written route, and the ASGI application with a bare one."""
    programs, absent = _programs(plan)
    rounds = [_round(programs, plan) for _ in range(plan.rounds)] if programs else []
    figures = []
    for ours, what, against in _PAIRS:
        reason = absent.get(ours) or absent.get(against) or ""
        for quantity in _QUANTITIES:
            name = f"{what}: {quantity.name}"
            if reason:
                figures.append(Figure(name, against, absent=reason))
                continue
            mine = [quantity.of(each[ours]) for each in rounds]
            theirs = [quantity.of(each[against]) for each in rounds]
            ratios = tuple(their / my for my, their in zip(mine, theirs, strict=True))
            absolute = " : ".join(quantity.shown(median(each)) for each in (mine, theirs))
            detail = f"{absolute} {quantity.unit}{_server(programs[ours], quantity)}"
            figures.append(Figure(name, against, ratios, detail=detail))
    return figures


def _programs(plan: Plan) -> tuple[dict[str, Program], dict[str, str]]:
    """The programs that can run here, and the reasons why others cannot."""
    makers: dict[str, Callable[[], Program]] = {
        _ASGI: lambda: _uvicorn("ours_asgi"),
        budgets.BARE: lambda: _uvicorn("bare_asgi", says_token=False),
        budgets.EXPRESS: lambda: _express(plan),
        _FASTAPI: lambda: _uvicorn("ours_fastapi", "fastapi"),
        budgets.FASTAPI_ROUTE: lambda: _uvicorn("livekit_fastapi", "fastapi", "livekit-api"),
        _FLASK: lambda: _gunicorn("ours_flask", "flask"),
        budgets.FLASK_ROUTE: lambda: _gunicorn("livekit_flask", "flask", "livekit-api"),
        _DJANGO: lambda: _gunicorn("ours_django", "django"),
        budgets.DJANGO_VIEW: lambda: _gunicorn("livekit_django", "django", "livekit-api"),
    }
    programs, absent = {}, {}
    for name, make in makers.items():
        try:
            _check()
            programs[name] = make()
        except Absent as error:
            absent[name] = str(error)
    return programs, absent


def _check() -> None:
    if not sys.platform.startswith("linux"):
        raise Absent("this needs Linux, which tells another process's time and memory")


def _needs(*names: str) -> None:
    for name in names:
        try:
            version(name)
        except PackageNotFoundError:
            raise Absent(f"{name} is not installed beside {Path(sys.executable).name}") from None


def _server(program: Program, quantity: Quantity) -> str:
    """uvicorn's event loop and HTTP parser; its figures depend on them."""
    if "benchmarks.served" not in program.command(0) or quantity is not _QUANTITIES[0]:
        return ""
    loop = "uvloop" if find_spec("uvloop") else "asyncio"
    return f" ({loop}, {'httptools' if find_spec('httptools') else 'h11'})"


def _uvicorn(module: str, *needs: str, says_token: bool = True) -> Program:
    _needs("uvicorn", *needs)
    return Program(lambda fd: [sys.executable, "-m", "benchmarks.served", module, str(fd)], says_token=says_token)


def _gunicorn(module: str, *needs: str) -> Program:
    _needs("gunicorn", *needs)
    # One worker with threads: the sync worker closes the connection after each response.
    options = ("--workers=1", "--worker-class=gthread", "--threads=4", "--keep-alive=600", "--log-level=warning")
    return Program(
        lambda fd: [sys.executable, "-m", "gunicorn", *options, f"--bind=fd://{fd}", f"benchmarks.served.{module}:app"]
    )


def _express(plan: Plan) -> Program:
    folder = node_folder(install=not plan.quick)
    node = shutil.which("node") or "node"
    said = json.dumps({"users": USERS, "url": URL, "key": KEY, "secret": SECRET})
    return Program(
        lambda fd: [node, str(NODE_SOURCES / "express.mjs"), str(fd), said], folder, (("NODE_ENV", "production"),)
    )


def _round(programs: dict[str, Program], plan: Plan) -> dict[str, Spent]:
    requests, slices, warm_up = (_QUICK, 1, 0) if plan.quick else (_REQUESTS, _SLICES, _WARM_UP)
    server_core, own_core = cores()
    with ExitStack() as stack:
        with on(server_core):
            servers = {
                name: stack.enter_context(served(program.command, program.folder, dict(program.variables)))
                for name, program in programs.items()
            }
        stack.enter_context(on(own_core))
        loads = {name: stack.enter_context(_load(server)) for name, server in servers.items()}
        for name, load in loads.items():
            _asked(name, load, _CONNECTIONS)
            if programs[name].says_token:
                _verify(name, [_asked(name, load, 1).last for _ in range(2)])
            if warm_up:
                _asked(name, load, warm_up)
        busy = dict.fromkeys(programs, 0.0)
        answers: dict[str, list[Answers]] = {name: [] for name in programs}
        for _ in range(slices):
            for name, load in loads.items():
                before = servers[name].processor_time()
                answers[name].append(_asked(name, load, requests // slices))
                busy[name] += servers[name].processor_time() - before
        return {name: _spent(busy[name], answers[name], servers[name].peak_memory()) for name in programs}


def _load(server: Served) -> Load:
    return Load(server.port, _SENT, connections=_CONNECTIONS, status=201)


def _asked(name: str, load: Load, count: int) -> Answers:
    try:
        return load.ask(count)
    except (OSError, RuntimeError) as error:
        raise RuntimeError(f"{name} is not measured: {error}") from error


def _verify(name: str, bodies: list[bytes]) -> None:
    """Check two responses: each has the URL, the requested token and a different room."""
    rooms = set()
    for body in bodies:
        answer = json.loads(body)
        token = answer.pop("participant_token")
        room = room_of(token)
        wrong = problem(ASKED._replace(room=room), token, frozenset())
        if answer != {"server_url": URL}:
            wrong = f"it says {answer} beside the token"
        if wrong:
            raise RuntimeError(f"{name} made another token than was asked: {wrong}")
        rooms.add(room)
    if len(rooms) != len(bodies) or min(map(len, rooms)) < 32:
        raise RuntimeError(f"{name} gave the rooms {sorted(rooms)}, which are not new and unguessable")


def _spent(busy: float, answers: list[Answers], memory: float) -> Spent:
    latencies = [latency for each in answers for latency in each.latencies]
    percentiles = quantiles(latencies, n=100)
    passed = sum(each.seconds for each in answers)
    return Spent(busy / len(latencies), passed / len(latencies), percentiles[49], percentiles[98], memory)
