"""Check which credentials the environment contains, and whether API key and secret have the expected form."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from .. import _environment
from .._credentials.config import VARIABLES, config
from .._credentials.model import validated
from .._escape import escape
from .._inspect.participant import looks_like_secret
from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from .._server.arguments import from_environment
from .._token.signing import MIN_SECRET_BYTES
from .check import Ended, Verdict, fail, need, ok, skip, warn
from .found import Found
from .target import Target

LIVEKIT_VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
# Shown: keys in the form of LiveKit's own, and of `livekit-server --dev`. Anything else may be the secret.
_KEY = re.compile(r"API[A-Za-z0-9]{1,20}|devkey")
_ANY_URL = Secret("ws://127.0.0.1")
SWAPPED = "the API key looks like a secret, and the secret like a key; the two may be swapped"
_NEEDED = tuple(name for name in VARIABLES.values() if name != VARIABLES["api_url"])


def environment(found: Found) -> Verdict:
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


def key_pair(found: Found) -> Verdict:
    """Finds the credentials that tokens can be created with."""
    credentials = need(found.unchecked)
    key, secret = credentials.api_key, credentials.api_secret
    validated(_ANY_URL, Secret(key), Secret(secret), Secret(""), ("url", *LIVEKIT_VARIABLES[1:], "agent"))
    found.credentials = credentials
    size = len(secret.encode())
    shape = f"API key {key if _KEY.fullmatch(key) else f'of {len(key)} characters'}, secret of {size} bytes"
    if keys_look_swapped(credentials):
        return warn(f"{shape}: {SWAPPED}", "swap key and secret")
    if size < MIN_SECRET_BYTES:
        return warn(
            f"{shape}; HS256 needs {MIN_SECRET_BYTES} (RFC 7518, section 3.2)",
            "create a longer one for anything but local tests: livekit-server generate-keys",
        )
    return ok(shape)


def keys_look_swapped(credentials: LiveKitCredentials) -> bool:
    """Whether the key looks like a secret, and the secret like a key."""
    return looks_like_secret(credentials.api_key) and len(credentials.api_secret) < MIN_SECRET_BYTES
