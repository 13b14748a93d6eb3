"""What `dev` prints, with rich: steps, a table of claims, text to copy."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from io import TextIOWrapper

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ._claims_table import Row

_UNWRAPPED = 400  # columns without a terminal, so that a program finds each item on one line
_COUNTED_LINES = 50  # of another program's output, for each line of ours
_MARKS = {True: ("✓", "+", "green"), False: ("✗", "x", "red"), None: ("·", "-", "yellow")}


class Screen:
    """A console: colours on a terminal unless NO_COLOR is set, plain text elsewhere."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            # A name in a token may contain characters that the terminal's encoding lacks: they are escaped, as on standard error.
            sys.stdout.reconfigure(errors="backslashreplace")
        self._console = Console(
            color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False, markup=False, emoji=False
        )
        if not self._console.is_terminal and not os.environ.get("COLUMNS"):
            self._console.width = _UNWRAPPED

    def step(self, label: str, text: str, *, good: bool | None = True) -> None:
        """One step: done, failed (`good=False`) or skipped (`good=None`)."""
        sign, plain, style = _MARKS[good]
        line = Table.grid(padding=0)
        line.add_column(no_wrap=True)
        line.add_column(overflow="fold")
        mark = Text.assemble((sign if self._is_unicode else plain, style), " ", (f"{label:<10}", "bold"))
        line.add_row(mark, Text(text))
        self._print(line)

    def claims(self, rows: Iterable[Row]) -> None:
        """A token's claims as a table."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", border_style="dim")
        table.add_column("Claim", no_wrap=True)
        table.add_column("Value", overflow="fold", style="cyan")
        table.add_column("In words", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._print(table)

    def copyable(self, label: str, value: str) -> None:
        """A value on separate lines without line breaks of ours: the terminal wraps it, and copies it whole."""
        self._console.print(Text(label, "bold"))
        self._console.print(value, soft_wrap=True)
        self._console.print()

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
        """An empty line."""
        self._console.print()

    def remark(self, text: str) -> None:
        """A dim line."""
        self._console.print(Text(text, "dim"))

    @property
    def _is_unicode(self) -> bool:
        return self._console.encoding.startswith("utf")

    def _print(self, block: RenderableType) -> None:
        """Print without the spaces that fill a table's last column."""
        for line in self._console.render_lines(block, pad=False):
            text = Text.assemble(*((segment.text, segment.style or "") for segment in line if not segment.control))
            text.rstrip()
            self._console.print(text, soft_wrap=True)
