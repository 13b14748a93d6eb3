"""Show the checks of `doctor` and the findings of `inspect`, each with its remedy below it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from .._doctor.check import Check
from .._inspect import Finding
from ._screen import Screen

_OK, _WARNING, _FAILURE = ("✓", "+", "green"), ("!", "!", "yellow"), ("✗", "x", "red")
_NEUTRAL = ("·", "-", "dim")
_CHECKS = {"ok": _OK, "warn": _WARNING, "fail": _FAILURE, "skip": _NEUTRAL}
_SEVERITIES = {"error": _FAILURE, "warning": _WARNING, "info": _NEUTRAL}
_MARK, _TIME = 1, 8  # columns


class Report(Screen):
    """A screen for checks and findings; the `names` of all checks determine the width of their column."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        super().__init__()
        self._width = max(map(len, names), default=0)

    def check(self, check: Check) -> None:
        """Show one check."""
        style = "dim" if check.status == "skip" else ""
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=_MARK)
        row.add_column(width=self._width, no_wrap=True)
        row.add_column(width=_TIME, justify="right", no_wrap=True)
        row.add_column(overflow="fold")
        spent = f"{check.ms:,.0f} ms" if check.ms >= 1 else ""
        row.add_row(
            self._mark(_CHECKS[check.status]),
            Text(check.name, style or "bold"),
            Text(spent, "dim"),
            self._with_remedy(Text(check.detail, style), check.remedy),
        )
        self._print(row)

    def finding(self, finding: Finding) -> None:
        """Show one finding."""
        mark = _SEVERITIES[finding.severity]
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=_MARK)
        row.add_column(overflow="fold")
        title = Text.assemble((f"{finding.severity} {finding.code}", f"bold {mark[2]}"), ": ", finding.message)
        row.add_row(self._mark(mark), self._with_remedy(title, finding.remedy))
        self._print(row)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show rows under headers."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", border_style="dim")
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._print(table)

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """An animation while a check runs; on a terminal only."""
        if not self._console.is_terminal:
            return nullcontext()
        return self._console.status(Text(text, "dim"), spinner="dots" if self._is_unicode else "line")

    def _with_remedy(self, what: Text, remedy: str) -> Text:
        if remedy:
            what.append("\n→ " if self._is_unicode else "\n-> ", "not dim")
            what.append(remedy, "not dim")
        return what

    def _mark(self, mark: tuple[str, str, str]) -> Text:
        sign, plain, style = mark
        return Text(sign if self._is_unicode else plain, style)
