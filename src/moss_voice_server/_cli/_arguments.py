"""The argument parser, which never repeats a value, and the types of arguments."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from ..errors import InvalidArgument
from . import _output

STANDARD_INPUT = "-"
_WIDTH = 80
_DURATION = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_OPTION = re.compile(r"-[a-z]|--[a-z][a-z-]*")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and contain names of options but no values: a value may be a secret."""

    def __init__(self, **keywords: Any) -> None:
        width = min(_WIDTH, shutil.get_terminal_size().columns) - 2
        layout = partial(argparse.RawDescriptionHelpFormatter, max_help_position=28, width=width)
        # Abbreviations would make a script fail when a later version adds an option.
        super().__init__(formatter_class=layout, allow_abbrev=False, **keywords)
        self.set_defaults(parser=self)

    def parse_all(self, argv: Sequence[str] | None) -> argparse.Namespace:
        options, rest = self.parse_known_args(argv)
        if rest:
            unknown = [name for name in (word.partition("=")[0] for word in rest) if _OPTION.fullmatch(name)]
            # The values that follow an unknown option may be secrets.
            named = f": {', '.join(unknown)}" if unknown else ""
            parser: Parser = options.parser
            parser.error(f"unrecognized arguments{named}{_suggestion(unknown[:1], parser._option_string_actions)}")
        return options

    def error(self, message: str) -> NoReturn:
        _output.error(f"{message}; see `{self.prog} --help`")
        self.exit(2)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """The same as argparse's, without the value."""
        choices = list(action.choices or ())
        if choices and value not in choices:
            text = f"invalid choice (choose from {', '.join(map(str, choices))})"
            raise argparse.ArgumentError(action, text + _suggestion([value], choices))


def _suggestion(words: Sequence[str], known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = [match for word in words for match in get_close_matches(word, list(known), n=1)]
    return f"; did you mean {close[0]}?" if close else ""


class VersionAction(argparse.Action):
    """Prints the version; looked up only then, because the lookup takes longer than the rest of the start."""

    def __init__(self, option_strings: Sequence[str], dest: str, **keywords: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **keywords)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(_output.PROGRAM, version("moss-voice-server"))
        parser.exit()


Option = str | tuple[str, dict[str, Any]]
REPEATED: dict[str, Any] = {"action": "append", "default": []}


class Command(NamedTuple):
    help: str
    description: str
    epilog: str
    add: Callable[[Parser], object]  # adds its options
    run: Callable[[argparse.Namespace], int] | None
    """Returns the exit status; `None`: each action of the command has its own."""
    usage: str = "[options]"


def add_options(group: argparse._ActionsContainer, options: Mapping[str, Option]) -> None:
    """Options and positional arguments by their names, with a help text and, in a tuple, more of argparse's settings.

    `--name METAVAR` takes a value, `--name` is a flag, and `name METAVAR` is a positional argument.
    """
    for option, text in options.items():
        name, _, metavar = option.partition(" ")
        about, more = (text, {}) if isinstance(text, str) else text
        kind: dict[str, Any] = {"metavar": metavar} if metavar else {"action": "store_true"}
        group.add_argument(name, help=about, **{**kind, **more})


def duration(text: str) -> float:
    """Seconds of a duration: `90`, `90s`, `15m`, `2h`, `1h30m`, `3d`."""
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise argparse.ArgumentTypeError("invalid duration: write 90s, 15m, 1h30m or 3d, or a number of seconds")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def ttl(text: str) -> float:
    """A duration of at least a minute, where a plain number was probably meant as minutes."""
    seconds = duration(text)
    if text.isdigit() and 0 < seconds < 60:
        raise argparse.ArgumentTypeError(f"{text} means {text} seconds; write {text}m for minutes")
    return seconds


def pair(text: str) -> tuple[str, str]:
    """Key and value of `KEY=VALUE`; the value can be empty and can contain more equals signs."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError("write it as KEY=VALUE")
    return key, value


def nonblank(text: str) -> str:
    """A text that is not blank, as an unset shell variable is."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; remove the option, or give it a value")
    return text


def read_file(path: str, field: str, remedy: str, *, stdin: bool = False) -> str:
    """The text of a file that an option names, or `InvalidArgument`; with `stdin`, `-` is standard input."""
    from .._escape import escape

    try:
        if stdin and path == STANDARD_INPUT and sys.stdin is not None:  # None when it is closed
            return sys.stdin.read()
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise InvalidArgument(f"the file {escape(path, 200)} cannot be read ({reason})", field=field, remedy=remedy)
