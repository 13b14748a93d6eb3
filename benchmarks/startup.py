"""Startup: time and memory until a program can mint, minus a bare interpreter's."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import NamedTuple

from . import budgets
from .figures import Figure
from .plan import Plan
from .programs import Absent, environment

_TURNS = 7  # in a round

# PyJWT and aiohttp import these if they are installed. `livekit-api` does not require them, so they must not count.
_UNASKED = ("cryptography", "aiodns", "brotli", "brotlicffi")
_PROLOGUE = f"import sys\nsys.modules.update(dict.fromkeys({_UNASKED!r}))\n"
_BARE = "bare"
_OURS = "from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo\n"
_THEIRS = "from livekit.api import AccessToken\n"
_SECRET = "'a-made-up-secret-of-forty-characters-xyz'"
_OUR_TOKEN = f"""\
server = MossVoiceServerSync.from_livekit("wss://livekit.example", "APIbenchmark", {_SECRET})
assert server.create_participant_token(ParticipantInfo("user-42"), "consultation-7")
"""
_THEIR_TOKEN = f"""\
from livekit.api import VideoGrants
token = AccessToken("APIbenchmark", {_SECRET}).with_identity("user-42")
assert token.with_grants(VideoGrants(room_join=True, room="consultation-7")).to_jwt()
"""
_PROGRAMS = {
    _BARE: "",
    "our import": _OURS,
    "their import": _THEIRS,
    "our first token": _OURS + _OUR_TOKEN,
    "their first token": _THEIRS + _THEIR_TOKEN,
}
# The peak memory of this process. getrusage's ru_maxrss would begin with the peak of the
# parent process.
_PEAK = """
with open("/proc/self/status") as status:
    print(*(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""


class Spent(NamedTuple):
    """What one program used."""

    time: float
    """Processor seconds, which other programs do not affect."""
    memory: float
    """Peak memory in KiB."""


def measure(plan: Plan) -> list[Figure]:
    """Compare import and first token with `livekit-api`: time and memory."""
    lines = (
        (budgets.IMPORT_TIME, "import", "time", 1e3, "ms"),
        (budgets.IMPORT_MEMORY, "import", "memory", 1 / 1024, "MiB"),
        (budgets.FIRST_TIME, "first token", "time", 1e3, "ms"),
        (budgets.FIRST_MEMORY, "first token", "memory", 1 / 1024, "MiB"),
    )
    try:
        _check()
    except Absent as error:
        return [Figure(what, budgets.LIVEKIT_API, absent=str(error)) for what, *_ in lines]
    for code in () if plan.quick else _PROGRAMS.values():  # compiles modules that were never imported; not counted
        _spent(code)
    rounds = [_round(1 if plan.quick else _TURNS) for _ in range(plan.rounds)]
    figures = []
    for what, stage, kind, scale, unit in lines:
        mine = [_over(each, f"our {stage}", kind) for each in rounds]
        theirs = [_over(each, f"their {stage}", kind) for each in rounds]
        ratios = tuple(their / my for my, their in zip(mine, theirs, strict=True))
        detail = f"{median(mine) * scale:.1f} : {median(theirs) * scale:.1f} {unit}"
        figures.append(Figure(what, budgets.LIVEKIT_API, ratios, detail=detail))
    return figures


def _check() -> None:
    if not hasattr(os, "posix_spawn") or not Path("/proc/self/status").is_file():
        raise Absent("this needs Linux, which tells a process's own peak of memory")
    try:
        version("livekit-api")
    except PackageNotFoundError:
        raise Absent(f"livekit-api is not installed beside {Path(sys.executable).name}") from None


def _round(turns: int) -> dict[str, Spent]:
    spent: dict[str, list[Spent]] = {name: [] for name in _PROGRAMS}
    for _ in range(turns):
        for name, code in _PROGRAMS.items():
            spent[name].append(_spent(code))
    return {
        name: Spent(median(one.time for one in each), median(one.memory for one in each))
        for name, each in spent.items()
    }


def _over(spent: dict[str, Spent], name: str, kind: str) -> float:
    more: float = getattr(spent[name], kind) - getattr(spent[_BARE], kind)
    return max(more, 1e-9)  # in a single hurried round the noise can be larger than the difference


def _spent(code: str) -> Spent:
    reader, writer = os.pipe()
    with open(reader, encoding="ascii") as answer:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-c", _PROLOGUE + code + _PEAK],
            environment(),
            file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, writer)],
        )
        os.close(writer)
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise RuntimeError(f"this program failed, its error is above:\n{code}")
        return Spent(usage.ru_utime + usage.ru_stime, float(answer.read()))
