"""Arguments of a server: hidden from tracebacks, validated, completed from the environment, and turned into a cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from .. import _clock
from .._secret import Secret
from .._validation import invalid

if TYPE_CHECKING:
    from types import FrameType

    from .._credentials.cache import CredentialsCache
    from .._credentials.model import Credentials
    from .._credentials.runtime import Runtime
    from ..credentials import RefreshPolicy
    from .base import BaseServer, OnChange


_PACKAGE = __package__.partition(".")[0]


def hide(*values: Any) -> list[Secret[Any]]:
    """The values, hidden from every traceback that shows variables: each could be a secret that was passed by mistake."""
    return [value if isinstance(value, Secret) else Secret(value) for value in values]


def for_subclasses(arguments: list[Secret[Any]]) -> list[Any]:
    """The arguments of `create` for `__init__`, which a subclass written for 0.1.0 may have replaced."""
    project_id, project_key, voice_agent_id, api_url = arguments
    shown = [project_id.reveal(), project_key, voice_agent_id.reveal()]
    return shown if api_url.reveal() is None else [*shown, api_url.reveal()]


def not_none(**options: Any) -> dict[str, Any]:
    """The options that were passed: the `__init__` of a subclass written for 0.1.0 may know none of them."""
    return {name: value for name, value in options.items() if value is not None}


def new_cache(
    server: BaseServer,
    arguments: list[Secret[Any]],
    policy: RefreshPolicy,
    transport: Any,
    on_change: OnChange | None,
    runtime: Runtime | None = None,
) -> CredentialsCache[Credentials]:
    """The cache of a server whose four positional arguments are these."""
    from .._credentials.cache import CredentialsCache
    from .._credentials.config import config
    from .._credentials.fetch import MossSource
    from .._credentials.runtime import Runtime

    project_id, project_key, voice_agent_id, api_url = arguments
    if api_url.reveal() is None:
        api_url = default_api_url(process_environ(None))
    source = MossSource(
        config(project_id, project_key, voice_agent_id, api_url),
        policy,
        lambda flow: server._run(flow, transport),
        runtime or Runtime(_clock.current),
    )
    return CredentialsCache(source, type(server).__name__, on_change)


def check_callback(on_change: object) -> None:
    """Raises `InvalidArgument` for anything but a plain function."""
    from .._functions import is_async  # late: it imports inspect, and few servers need it

    if not callable(on_change) or is_async(on_change):
        problem = "must be a plain function that takes a CredentialsStatus, because any thread may call it"
        raise invalid("on_change", problem)


def caller_stacklevel() -> int:
    """The `stacklevel` of a warning that points to the first line outside of this package."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(f"{_PACKAGE}."):
        frame, level = frame.f_back, level + 1
    return level


def process_environ(environ: Mapping[str, str] | None) -> Secret[Mapping[str, str]]:
    """The environment to read. No parameter has it as its default: `help` and documentation show defaults."""
    return Secret(os.environ if environ is None else environ)


def arguments_from_env(environ: Secret[Mapping[str, str]], passed: Secret[dict[str, object]]) -> dict[str, Any]:
    """The arguments of `create`: those of the caller, and the environment's for the rest."""
    names = {name for name, value in passed.reveal().items() if not (name == "api_url" and value is None)}
    found = from_environment(environ, names)
    shown = {name: value if name == "project_key" else value.reveal() for name, value in found.items()}
    return {**passed.reveal(), **shown}


def default_api_url(environ: Secret[Mapping[str, str]]) -> Secret[str]:
    """The Moss API's URL where no argument names one.

    Raises:
        InvalidArgument: the variable is damaged.
    """
    from .. import _environment  # late: static credentials need neither
    from .._credentials.config import DEFAULT_API_URL, VARIABLES

    return _environment.optional(environ, VARIABLES["api_url"]) or Secret(DEFAULT_API_URL)


def from_environment(environ: Secret[Mapping[str, str]], passed: Collection[str] = ()) -> dict[str, Secret[str]]:
    """The arguments that an environment names; those that are `passed` already are not looked up.

    Raises:
        InvalidArgument: `field` is the variable that is missing, damaged, set twice or names an unreadable file.
    """
    from .. import _environment
    from .._credentials.config import VARIABLES

    if not hasattr(environ.reveal(), "get"):
        raise invalid("environ", f"must be a mapping, not {type(environ.reveal()).__name__}")
    wanted = {argument: name for argument, name in VARIABLES.items() if argument not in (*passed, "api_url")}
    found = _environment.required(environ, wanted.values())
    arguments = {argument: found[name] for argument, name in wanted.items()}
    if "api_url" not in passed:
        arguments["api_url"] = default_api_url(environ)
    return arguments
