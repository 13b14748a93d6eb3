"""Environment: which credentials the environment names, and whether their variables can be read."""

from __future__ import annotations

import difflib
from collections.abc import Generator, Mapping
from pathlib import Path

from .._credentials.config import DEFAULT_API_URL, VARIABLES, Settings, from_environment, settings, variable
from .._secret import Secret
from ..errors import InvalidArgument
from .check import Check, Stopwatch, shown, split
from .plan import Given, Plan
from .redact import Redactor

NAMES = ("environment",)
LIVEKIT_VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
_NEEDED = tuple(name for name in VARIABLES.values() if name != VARIABLES["api_url"])


def checks(plan: Plan, redactor: Redactor) -> Generator[Check, None, Settings | Given | None]:
    """One check; returns whom to ask for credentials, or the LiveKit credentials themselves."""
    watch = Stopwatch(plan.mono)
    name = NAMES[0]
    if plan.given is not None:
        redactor.learn(plan.given.api_secret.reveal())
        yield watch.ok(name, "LiveKit credentials as given; the Moss API is left out")
        return plan.given
    moss, livekit = _named(plan.environ, _NEEDED), _named(plan.environ, LIVEKIT_VARIABLES)
    if moss:
        return (yield from _moss(plan, watch, redactor, bool(livekit)))
    if livekit:
        return (yield from _livekit(plan, watch, redactor))
    if plan.endpoint:
        yield watch.skip(name, "no credentials are set: only the token endpoint is looked at")
    else:
        yield watch.fail(
            name,
            "no credentials are set" + _meant(plan.environ, _NEEDED[0]),
            f"set {', '.join(_NEEDED[:-1])} and {_NEEDED[-1]}, or {', '.join(LIVEKIT_VARIABLES)}",
        )
    return None


def _named(environ: Secret[Mapping[str, str]], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if environ.reveal().get(name) or environ.reveal().get(f"{name}_FILE")]


def _moss(plan: Plan, watch: Stopwatch, redactor: Redactor, livekit: bool) -> Generator[Check, None, Settings | None]:
    try:
        found = from_environment(plan.environ, _read)
        redactor.learn(found["project_key"].reveal())
        made = settings(
            found["project_id"], found["project_key"], found["voice_agent_id"], found.get("api_url", DEFAULT_API_URL)
        )
    except InvalidArgument as error:
        detail, remedy = split(str(error), "correct the variable")
        yield watch.fail(NAMES[0], detail + _meant(plan.environ, error.field), remedy)
        return None
    left_out = "; LIVEKIT_... are set too, and not used" if livekit else ""
    where = " and MOSS_PLATFORM_API_URL" if "api_url" in found else ""
    yield watch.ok(NAMES[0], f"{', '.join(_NEEDED)}{where} are set{left_out}")
    return made


def _livekit(plan: Plan, watch: Stopwatch, redactor: Redactor) -> Generator[Check, None, Given | None]:
    values: list[Secret[str]] = []
    for name in LIVEKIT_VARIABLES:
        value, problem = variable(plan.environ, name, _read)
        if problem:
            detail, remedy = split(problem, "correct the variable")
            yield watch.fail(NAMES[0], detail, remedy)
            return None
        if value is None:
            yield watch.fail(
                NAMES[0],
                f"{name} is not set{_meant(plan.environ, name)}",
                f"set it, or {name}_FILE to a file that holds it",
            )
            return None
        values.append(value)
    redactor.learn(values[2].reveal())
    yield watch.ok(NAMES[0], f"{', '.join(LIVEKIT_VARIABLES)} are set; the Moss API is left out")
    return Given(values[0].reveal(), values[1], values[2])


def _meant(environ: Secret[Mapping[str, str]], name: str) -> str:
    """A hint at a variable that is set and looks like `name` misspelled."""
    family = name.partition("_")[0]
    known = {*VARIABLES.values(), *LIVEKIT_VARIABLES}
    others = [each for each in environ.reveal() if family in each and each.removesuffix("_FILE") not in known]
    close = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    return f" (but {shown(close[0])} is: misspelled?)" if close else ""


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
