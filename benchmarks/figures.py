"""Figures: what was measured, as rounds of one number, and the budget beside it."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple


class Budget(NamedTuple):
    """How good a figure has to be."""

    limit: float
    at_most: bool = False
    """Whether less is better."""

    def kept(self, value: float) -> bool:
        """Whether a value is within the budget."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.limit:g}"


class Figure(NamedTuple):
    """One line of the table."""

    what: str
    """What is measured: "mint: join and name"."""
    against: str
    """What we are compared with."""
    rounds: tuple[float, ...] = ()
    """How many times better than the other we were, round by round; or a plain number, as `unit` says."""
    unit: str = "x"
    detail: str = ""
    """Our own absolute value and the other's. For orientation: it says as much of the machine as of the programs."""
    absent: str = ""
    """Why there is no figure."""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)
