"""Arguments: the parser of the command line, which never repeats a value, and the forms that values have."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from . import _say

_WIDTH = 80
_DURATION = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and name options but no values: a value may be a secret."""

    def __init__(self, **keywords: Any) -> None:
        width = min(_WIDTH, shutil.get_terminal_size().columns) - 2
        layout = partial(argparse.RawDescriptionHelpFormatter, max_help_position=28, width=width)
        # Abbreviations would let a script break with the next option that we add.
        super().__init__(formatter_class=layout, allow_abbrev=False, **keywords)

    def parse_all(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse the whole command line, or end with exit status 2."""
        options, rest = self.parse_known_args(argv)
        if rest:
            unknown = [word.partition("=")[0] for word in rest]
            names = [name for name in unknown if re.fullmatch(r"-[a-z]|--[a-z][a-z-]*", name)]
            command = f"{self.prog} {options.command}" if options.command else self.prog
            self._fail(f"there is no option {', '.join(names)}" if names else "an argument too many", command)
        return options

    def error(self, message: str) -> NoReturn:
        """End with exit status 2 and one line."""
        if "invalid choice" in message:
            message = "there is no such command; the commands are token, dev, inspect and doctor, and their options follow them"
        self._fail(message.removeprefix("argument "), self.prog)

    def _fail(self, message: str, command: str) -> NoReturn:
        _say.error(f"{message}; see `{command} --help`")
        self.exit(2)


class VersionAction(argparse.Action):
    """Prints the version; looked up only then, because the look-up takes longer than all else at the start."""

    def __init__(self, option_strings: Sequence[str], dest: str, **keywords: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **keywords)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        from importlib.metadata import version

        print(_say.PROGRAM, version("moss-voice-server"))
        parser.exit()


def duration(text: str) -> float:
    """Seconds of a length of time: `90`, `90s`, `15m`, `2h`, `1h30m`."""
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise argparse.ArgumentTypeError("write a time as 90s, 15m, 2h or 1h30m, or as seconds")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def pair(text: str) -> tuple[str, str]:
    """Key and value of `KEY=VALUE`; the value may be empty and may hold more equals signs."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError("write it as KEY=VALUE")
    return key, value


def visible(text: str) -> str:
    """A text that is not blank: an unset shell variable must not silently mean something."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: leave the option out, or give it a value")
    return text
