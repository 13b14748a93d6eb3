"""Check which credentials the environment contains, and whether its variables can be read."""

from __future__ import annotations

import difflib
from collections.abc import Generator, Mapping

from .. import _environment
from .._credentials.config import VARIABLES, Config, config
from .._escape import escape
from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from .._server.arguments import from_environment
from ..errors import InvalidArgument
from .check import Check, Stopwatch, cause_and_remedy
from .options import Options

NAMES = ("environment",)
LIVEKIT_VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
_NEEDED = tuple(name for name in VARIABLES.values() if name != VARIABLES["api_url"])

Found = Generator[Check, None, "Config | LiveKitCredentials | None"]


def checks(options: Options) -> Found:
    """One check; returns the settings of the Moss API, or the LiveKit credentials themselves."""
    watch = Stopwatch(options.mono)
    name = NAMES[0]
    if options.credentials is not None:
        options.redactor.learn(options.credentials.api_secret)
        yield watch.ok(name, "LiveKit credentials were passed as options; the Moss API is not used")
        return options.credentials
    moss, livekit = _set(options.environ, _NEEDED), _set(options.environ, LIVEKIT_VARIABLES)
    if moss:
        return (yield from _moss(options, watch, bool(livekit)))
    if livekit:
        return (yield from _livekit(options, watch))
    if options.endpoint:
        yield watch.skip(name, "no credentials are set: only the token endpoint is checked")
    else:
        yield watch.fail(
            name,
            "no credentials are set" + _misspelled(options.environ, _NEEDED[0]),
            f"set {', '.join(_NEEDED[:-1])} and {_NEEDED[-1]}, or {', '.join(LIVEKIT_VARIABLES)}",
        )
    return None


def _set(environ: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if _environment.is_set(Secret(environ), name)]


def _missing(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str] | None:
    """Cause and remedy where variables are missing: all of them at once."""
    present = _set(environ, names)
    missing = [name for name in names if name not in present]
    if not missing:
        return None
    shown = [name + _misspelled(environ, name) for name in missing]
    cause = f"{', '.join(shown)} {'is' if len(missing) == 1 else 'are'} not set"
    return cause, f"set {' and '.join(missing)}, or {missing[0]}_FILE to a file that contains the value"


def _moss(options: Options, watch: Stopwatch, has_livekit: bool) -> Generator[Check, None, Config | None]:
    missing = _missing(options.environ, _NEEDED)
    if missing:
        yield watch.fail(NAMES[0], *missing)
        return None
    try:
        found = from_environment(Secret(options.environ))
        options.redactor.learn(found["project_key"].reveal())
        made = config(found["project_id"], found["project_key"], found["voice_agent_id"], found["api_url"])
    except InvalidArgument as error:
        yield watch.fail(NAMES[0], *cause_and_remedy(error, "correct the variable"))
        return None
    unused = "; LIVEKIT_... are set too, but not used" if has_livekit else ""
    where = " and MOSS_PLATFORM_API_URL" if _set(options.environ, (VARIABLES["api_url"],)) else ""
    yield watch.ok(NAMES[0], f"{', '.join(_NEEDED)}{where} are set{unused}")
    return made


def _livekit(options: Options, watch: Stopwatch) -> Generator[Check, None, LiveKitCredentials | None]:
    missing = _missing(options.environ, LIVEKIT_VARIABLES)
    if missing:
        yield watch.fail(NAMES[0], *missing)
        return None
    try:
        found = _environment.required(Secret(options.environ), LIVEKIT_VARIABLES)
    except InvalidArgument as error:
        yield watch.fail(NAMES[0], *cause_and_remedy(error, "correct the variable"))
        return None
    values = [value.reveal() for value in found.values()]
    options.redactor.learn(values[2])
    yield watch.ok(NAMES[0], f"{', '.join(LIVEKIT_VARIABLES)} are set; the Moss API is not used")
    return LiveKitCredentials(*values)


def _misspelled(environ: Mapping[str, str], name: str) -> str:
    """A hint at a variable that is set and looks like `name` misspelled."""
    family = name.partition("_")[0]
    known = {*VARIABLES.values(), *LIVEKIT_VARIABLES}
    others = [each for each in environ if family in each and each.removesuffix("_FILE") not in known]
    close = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    return f" (but {escape(close[0])} is: misspelled?)" if close else ""
