"""Plan: the options of a run."""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """The options of the command line."""

    rounds: int = 5
    """The number of rounds; each figure is their median."""
    quick: bool = False
    """Only check that everything runs: short rounds, no downloads, no budgets."""
