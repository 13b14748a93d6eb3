"""Environment: the arguments of a server that the `MOSS_...` variables name."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .. import _environment
from .._secret import Secret
from .config import DEFAULT_API_URL, VARIABLES


def default_api_url(environ: Secret[Mapping[str, str]]) -> Secret[str]:
    """The Moss API's URL where no argument names one.

    Raises:
        InvalidArgument: the variable is damaged.
    """
    return _environment.optional(environ, VARIABLES["api_url"]) or Secret(DEFAULT_API_URL)


def from_environment(environ: Secret[Mapping[str, str]], passed: Container[str] = ()) -> dict[str, Secret[str]]:
    """The arguments that an environment names; those that are `passed` already are not looked up.

    Raises:
        InvalidArgument: `field` is the variable that is missing, damaged, set twice or names an unreadable file.
    """
    wanted = {argument: name for argument, name in VARIABLES.items() if argument not in passed}
    found = _environment.required(environ, [name for argument, name in wanted.items() if argument != "api_url"])
    arguments = {argument: found[name] for argument, name in wanted.items() if argument != "api_url"}
    if "api_url" in wanted:
        arguments["api_url"] = default_api_url(environ)
    return arguments
