"""Environment variables: one rule for all of them. `<NAME>_FILE` names a file that contains the value instead.

A value that was damaged on its way into the environment is refused by its name: quotation marks that an env file kept,
whitespace, a carriage return, a byte order mark, bytes that are not UTF-8.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from ._files import read_text
from ._secret import Secret
from ._validation import SURROGATE, invalid, plain_secret
from .errors import InvalidArgument

_QUOTES = "\"'`\u2018\u2019\u201c\u201d"


def required(
    environ: Secret[Mapping[str, str]], names: Iterable[str], read: Callable[[str], str] = read_text
) -> dict[str, Secret[str]]:
    """The values of these variables.

    Raises:
        InvalidArgument: `field` is the first variable that is missing or damaged; all missing ones are listed.
    """
    found = {name: optional(environ, name, read) for name in names}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        if len(missing) == 1:
            verb, remedy = "is", f"set it, or {missing[0]}_FILE to the path of a file that contains the value"
        else:
            verb, remedy = "are", "set them, or <NAME>_FILE for values in files"
        raise InvalidArgument(f"{listed(missing)} {verb} not set", field=missing[0], remedy=remedy)
    return {name: value for name, value in found.items() if value is not None}


def optional(
    environ: Secret[Mapping[str, str]], name: str, read: Callable[[str], str] = read_text
) -> Secret[str] | None:
    """The value of a variable, or of the file that `<NAME>_FILE` names; `None` where both are unset or empty.

    Raises:
        InvalidArgument: `field` is the variable: both are set, the value is damaged or the file cannot be read.
    """
    value, path = Secret(environ.reveal().get(name, "")), Secret(environ.reveal().get(f"{name}_FILE", ""))
    if path.reveal() and value.reveal():
        raise InvalidArgument(f"{name} and {name}_FILE are both set", field=name, remedy="remove one of them")
    if path.reveal():
        return _from_file(name, path, read)
    if not value.reveal():
        return None
    _check(name, name, value)
    return value


def is_set(environ: Secret[Mapping[str, str]], name: str) -> bool:
    """Whether the variable, or the one that names a file, is set and not empty."""
    return bool(environ.reveal().get(name) or environ.reveal().get(f"{name}_FILE"))


def _from_file(name: str, path: Secret[str], read: Callable[[str], str]) -> Secret[str]:
    variable = f"{name}_FILE"
    _check(name, variable, path)
    if path.reveal().startswith("~"):
        raise invalid(variable, "begins with ~, which only a shell replaces", "write the absolute path", field=name)
    value = _read_file(path, read)
    what = f"the file {_shown(path)} that {variable} names"
    if isinstance(value, str):
        raise invalid(what, f"cannot be read ({value})", "check its path, permissions and encoding (UTF-8)", field=name)
    if not value.reveal():
        raise invalid(what, "is empty", "write the value into it", field=name)
    _check(name, what, value)
    return value


def _read_file(path: Secret[str], read: Callable[[str], str]) -> Secret[str] | str:
    """The content, or the class name of the error."""
    try:
        # Files that people write end with a newline, and some editors begin them with a byte order mark: neither is part of
        # the value.
        return Secret(read(path.reveal()).removeprefix("\ufeff").rstrip("\r\n"))
    except (OSError, ValueError) as error:
        return type(error).__name__


def _shown(path: Secret[str]) -> str:
    """The path in an error; hidden where it could be the value itself, set under the wrong name."""
    return repr(path.reveal()) if os.sep in path.reveal() else "(path not shown: it has no directory)"


def _check(field: str, what: str, value: Secret[str]) -> None:
    value = plain_secret(value)
    if not isinstance(value.reveal(), str):  # of an environment that was passed
        raise invalid(what, f"must be a str, not {type(value.reveal()).__name__}", field=field)
    problem, remedy = _damage(value)
    if problem:
        raise invalid(what, problem, remedy, field=field)


def _damage(value: Secret[str]) -> tuple[str, str]:
    """What is wrong with a value, and what to do about it; empty for a good one."""
    if {value.reveal().strip()[:1], value.reveal().strip()[-1:]} & {*_QUOTES}:
        return "begins or ends with a quotation mark", "remove the quotation marks"
    if value.reveal() != value.reveal().strip():
        return "begins or ends with whitespace or a newline", "remove the whitespace"
    if not SURROGATE.sub("", value.reveal()).isprintable():
        return "contains a control character, a newline or a byte order mark", "write the value again"
    if SURROGATE.search(value.reveal()):
        return "contains bytes that are not UTF-8", "write the value again"
    return "", ""


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
