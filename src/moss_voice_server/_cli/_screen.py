"""What the commands show, with rich: steps, checks, findings, tables, and text to copy."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import TextIOWrapper
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from .._doctor import Check
    from .._inspect import Finding
    from ._claims_table import Row

_UNWRAPPED = 400  # columns without a terminal, so that a program finds each item on one line
_COUNTED_LINES = 50  # of another program's output, for each line of ours
_MARK, _TIME = 1, 8  # columns
# By the state of a step, the status of a check, or the severity of a finding: the mark, also in ASCII, and its style.
_GOOD, _BAD, _WARNING, _NEUTRAL = ("✓", "+", "green"), ("✗", "x", "red"), ("!", "!", "yellow"), ("·", "-", "dim")
_MARKS: dict[str | bool | None, tuple[str, str, str]] = {
    True: _GOOD,
    False: _BAD,
    None: ("·", "-", "yellow"),
    "ok": _GOOD,
    "fail": _BAD,
    "warn": _WARNING,
    "skip": _NEUTRAL,
    "error": _BAD,
    "warning": _WARNING,
    "info": _NEUTRAL,
}


class Screen:
    """A console: colours on a terminal unless NO_COLOR is set. `names` of checks determine the width of their column."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            # A name in a token may contain characters that the terminal's encoding lacks: they are escaped, as on standard error.
            sys.stdout.reconfigure(errors="backslashreplace")
        self._console = Console(
            color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False, markup=False, emoji=False
        )
        if not self._console.is_terminal and not os.environ.get("COLUMNS"):
            self._console.width = _UNWRAPPED
        self._is_unicode = self._console.encoding.startswith("utf")
        self._names_width = max(map(len, names), default=0)

    def step(self, label: str, text: str, *, good: bool | None = True) -> None:
        """One step: done, failed (`good=False`) or skipped (`good=None`)."""
        mark = Text.assemble(self._mark(good), " ", (f"{label:<10}", "bold"))
        self._row((Column(no_wrap=True), mark), (Column(overflow="fold"), Text(text)), padding=0)

    def check(self, check: Check) -> None:
        style = "dim" if check.status == "skip" else ""
        self._row(
            (Column(width=_MARK), self._mark(check.status)),
            (Column(width=self._names_width, no_wrap=True), Text(check.name, style or "bold")),
            (
                Column(width=_TIME, justify="right", no_wrap=True),
                Text(f"{check.ms:,.0f} ms" if check.ms >= 1 else "", "dim"),
            ),
            (Column(overflow="fold"), self._with_remedy(Text(check.detail, style), check.remedy)),
        )

    def finding(self, finding: Finding) -> None:
        mark = self._mark(finding.severity)
        title = Text.assemble((f"{finding.severity} {finding.code}", f"bold {mark.style}"), ": ", finding.message)
        self._row((Column(width=_MARK), mark), (Column(overflow="fold"), self._with_remedy(title, finding.remedy)))

    def table(self, columns: Iterable[Column | str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(
            *(Column(each, overflow="fold") if isinstance(each, str) else each for each in columns),
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="bold",
            border_style="dim",
        )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._print(table)

    def claims(self, rows: Iterable[Row]) -> None:
        self.table((Column("Claim", no_wrap=True), Column("Value", overflow="fold", style="cyan"), "In words"), rows)

    def copyable(self, label: str, value: str) -> None:
        """A value on separate lines without line breaks of ours: the terminal wraps it, and copies it whole."""
        self._console.print(Text(label, "bold"))
        self._console.print(value, soft_wrap=True)
        self.gap()

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """An animation while a check runs; on a terminal only."""
        if not self._console.is_terminal:
            return nullcontext()
        return self._console.status(Text(text, "dim"), spinner="dots" if self._is_unicode else "line")

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[str], None]]:
        """Count lines of another program's output: a spinner on a terminal, elsewhere a line now and then."""
        count = 0
        start = time.monotonic()
        status = self._console.status("") if self._console.is_terminal else None

        def advance(_line: str) -> None:
            nonlocal count
            count += 1
            text = f"            {count} {what}, {time.monotonic() - start:.0f} s"
            if status is not None:
                status.update(text)
            elif count % _COUNTED_LINES == 0:
                self.remark(text)

        with status or nullcontext():
            yield advance

    def gap(self) -> None:
        self._console.print()

    def remark(self, text: str) -> None:
        self._console.print(Text(text, "dim"))

    def _mark(self, state: str | bool | None) -> Text:
        sign, plain, style = _MARKS[state]
        return Text(sign if self._is_unicode else plain, style)

    def _with_remedy(self, what: Text, remedy: str) -> Text:
        if remedy:
            what.append(f"\n{'→' if self._is_unicode else '->'} {remedy}", "not dim")
        return what

    def _row(self, *cells: tuple[Column, Text], padding: int | tuple[int, int, int, int] = (0, 1, 0, 0)) -> None:
        grid = Table.grid(*(column for column, _ in cells), padding=padding)
        grid.add_row(*(text for _, text in cells))
        self._print(grid)

    def _print(self, block: RenderableType) -> None:
        """Print without the spaces that fill a table's last column."""
        for line in self._console.render_lines(block, pad=False):
            text = Text.assemble(*((segment.text, segment.style or "") for segment in line if not segment.control))
            text.rstrip()
            self._console.print(text, soft_wrap=True)
