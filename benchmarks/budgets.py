"""Budgets: the figures that every change to this package must keep."""

from __future__ import annotations

from .figures import Budget

JOIN = "mint: join and name"
FULL = "mint: agent, metadata, attributes"
IMPORT_TIME = "import of the three names: time"
IMPORT_MEMORY = "import of the three names: memory"
FIRST_TIME = "import and first token: time"
FIRST_MEMORY = "import and first token: memory"
PACKAGES = "packages installed, ours included"
SIZE = "megabytes installed"
ASGI = "ASGI endpoint"
FASTAPI = "FastAPI endpoint"
FLASK = "Flask endpoint"
DJANGO = "Django endpoint"
REQUESTS = "requests"
BY_CLOCK = "requests by the clock"
P50 = "p50"
P99 = "p99"
PEAK_MEMORY = "peak memory"

LIVEKIT_API = "livekit-api"
PYJWT = "PyJWT"
NODE = "Node livekit-server-sdk"
GO = "Go livekit protocol/auth"
FLOOR = "floor: HMAC and base64"
PREDECESSOR = "moss-voice-server 0.1.0"
FASTAPI_ROUTE = "FastAPI route with livekit-api"
FLASK_ROUTE = "Flask route with livekit-api"
DJANGO_VIEW = "Django view with livekit-api"
BARE = "bare ASGI app"
EXPRESS = "Express with livekit-server-sdk"

_BUDGETS = {
    (JOIN, LIVEKIT_API): Budget(15),
    (FULL, LIVEKIT_API): Budget(15),
    (JOIN, FLOOR): Budget(1.5, at_most=True),
    (JOIN, GO): Budget(1),
    (IMPORT_TIME, LIVEKIT_API): Budget(8),
    (FIRST_TIME, LIVEKIT_API): Budget(6),
    (FIRST_MEMORY, LIVEKIT_API): Budget(4),
    # Per core: processor time, which other programs on the machine do not affect.
    (f"{ASGI}: {REQUESTS}", FASTAPI_ROUTE): Budget(4),
    (f"{ASGI}: {REQUESTS}", BARE): Budget(0.55),
    (f"{ASGI}: {REQUESTS}", EXPRESS): Budget(3),
    (f"{FASTAPI}: {REQUESTS}", FASTAPI_ROUTE): Budget(1.3),
    (f"{FLASK}: {REQUESTS}", FLASK_ROUTE): Budget(1.3),
    (f"{DJANGO}: {REQUESTS}", DJANGO_VIEW): Budget(1.3),
    (PACKAGES, PREDECESSOR): Budget(8, at_most=True),
}
# The HTTP client needs one more package there: a backport of the standard library.
_ON_3_10 = _BUDGETS | {(PACKAGES, PREDECESSOR): Budget(9, at_most=True)}
# `livekit-api` spends its time in Python code, this package in C: a faster interpreter narrows the gap. Figures that are
# not listed are measured on that version and have no budget.
_FROM_3_12 = {
    (JOIN, LIVEKIT_API): Budget(9),
    (FULL, LIVEKIT_API): Budget(9),
    (PACKAGES, PREDECESSOR): Budget(8, at_most=True),
}


def budget(what: str, against: str, python: tuple[int, int]) -> Budget | None:
    """The budget of a figure on this version of Python, or `None` if it has none."""
    budgets = _FROM_3_12 if python >= (3, 12) else _ON_3_10 if python == (3, 10) else _BUDGETS
    return budgets.get((what, against))
