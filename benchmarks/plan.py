"""Plan: how thoroughly to measure."""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """What the command line asked for."""

    rounds: int = 5
    """Each figure is the median of so many rounds."""
    quick: bool = False
    """Only show that everything runs: a moment for each figure, nothing fetched or built, no budget judged."""
