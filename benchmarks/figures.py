"""Figures: one measured number per round, and its budget."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple


class Budget(NamedTuple):
    """The limit for a figure."""

    limit: float
    at_most: bool = False
    """Whether lower is better."""

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
    """The program that we are compared with."""
    rounds: tuple[float, ...] = ()
    """The ratio to the other program in each round, or a plain number with `unit`."""
    unit: str = "x"
    detail: str = ""
    """Both absolute values, for orientation: they depend on the machine."""
    absent: str = ""
    """Why the figure is missing."""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)
