"""Check which credentials the environment contains, and whether its variables can be read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from .. import _environment
from .._credentials.config import VARIABLES, config
from .._escape import escape
from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from .._server.arguments import from_environment
from .check import Ended, Verdict, fail, ok, skip
from .found import Found
from .target import Target

LIVEKIT_VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
_NEEDED = tuple(name for name in VARIABLES.values() if name != VARIABLES["api_url"])


def judge(found: Found) -> Verdict:
    """Finds the settings of the Moss API, or the LiveKit credentials themselves."""
    options = found.options
    if options.credentials is not None:
        _use(found, options.credentials, "--livekit-url")
        return ok("LiveKit credentials were passed as options; the Moss API is not used")
    has_livekit = bool(_set(options.environ, LIVEKIT_VARIABLES))
    if _set(options.environ, _NEEDED):
        return _moss(found, has_livekit)
    if has_livekit:
        _refuse_missing(options.environ, LIVEKIT_VARIABLES)
        values = _environment.required(Secret(options.environ), LIVEKIT_VARIABLES).values()
        _use(found, LiveKitCredentials(*(value.reveal() for value in values)), LIVEKIT_VARIABLES[0])
        return ok(f"{', '.join(LIVEKIT_VARIABLES)} are set; the Moss API is not used")
    if options.endpoint:
        return skip("no credentials are set: only the token endpoint is checked")
    return fail(
        "no credentials are set" + _misspelled(options.environ, _NEEDED[0]),
        f"set {', '.join(_NEEDED[:-1])} and {_NEEDED[-1]}, or {', '.join(LIVEKIT_VARIABLES)}",
    )


def _use(found: Found, credentials: LiveKitCredentials, setting: str) -> None:
    found.options.redactor.learn(credentials.api_secret)
    found.unchecked, found.setting = credentials, setting
    found.targets["moss"] = "LiveKit credentials are set: the Moss API is not needed"


def _moss(found: Found, has_livekit: bool) -> Verdict:
    options = found.options
    _refuse_missing(options.environ, _NEEDED)
    values = from_environment(Secret(options.environ))
    options.redactor.learn(values["project_key"].reveal())
    found.config = config(values["project_id"], values["project_key"], values["voice_agent_id"], values["api_url"])
    found.targets["moss"] = Target("moss", found.config.url.partition("?")[0], VARIABLES["api_url"])
    unused = "; LIVEKIT_... are set too, but not used" if has_livekit else ""
    where = f" and {VARIABLES['api_url']}" if _set(options.environ, (VARIABLES["api_url"],)) else ""
    return ok(f"{', '.join(_NEEDED)}{where} are set{unused}")


def _set(environ: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if _environment.is_set(Secret(environ), name)]


def _refuse_missing(environ: Mapping[str, str], names: tuple[str, ...]) -> None:
    """Ends the check where variables are missing: all of them at once."""
    present = _set(environ, names)
    missing = [name for name in names if name not in present]
    if missing:
        cause = (
            f"{', '.join(name + _misspelled(environ, name) for name in missing)} {'is' if len(missing) == 1 else 'are'}"
        )
        remedy = f"set {' and '.join(missing)}, or {missing[0]}_FILE to a file that contains the value"
        raise Ended(fail(f"{cause} not set", remedy))


def _misspelled(environ: Mapping[str, str], name: str) -> str:
    """A hint at a variable that is set and looks like `name` misspelled."""
    family = name.partition("_")[0]
    known = {*VARIABLES.values(), *LIVEKIT_VARIABLES}
    others = [each for each in environ if family in each and each.removesuffix("_FILE") not in known]
    close = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    return f" (but {escape(close[0])} is: misspelled?)" if close else ""
