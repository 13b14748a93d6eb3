"""Table: the figures as text and as JSON."""

from __future__ import annotations

from typing import Any

from .budgets import budget
from .figures import Figure
from .machine import Machine
from .plan import Plan


def verdict(figure: Figure, python: tuple[int, int], plan: Plan) -> str:
    """ "ok" or "MISSED" for a figure with a budget; otherwise empty."""
    limit = budget(figure.what, figure.against, python)
    if limit is None or figure.absent or plan.quick:
        return ""
    return "ok" if limit.kept(figure.value) else "MISSED"


def table(figures: list[Figure], machine: Machine, python: tuple[int, int], plan: Plan) -> str:
    """All figures, one per line."""
    head = ("what", "against", "median", "rounds", "budget", "", "ours : theirs")
    lines = [head, *(_line(figure, python, plan) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    rows.insert(1, "  ".join("-" * width for width in widths))
    rounds = "a single hurried round, which judges nothing" if plan.quick else f"medians of {plan.rounds} rounds"
    return "\n".join([f"{machine.python}; {machine.cpu}; load {machine.load}; {rounds}", "", *rows])


def _line(figure: Figure, python: tuple[int, int], plan: Plan) -> tuple[str, ...]:
    limit = budget(figure.what, figure.against, python)
    unit = " x" if figure.unit == "x" else ""
    promised = f"{limit}{unit}" if limit else ""
    if figure.absent:
        return (figure.what, figure.against, "-", "", promised, "", f"skipped: {figure.absent}")
    spread = f"{min(figure.rounds):.2f} - {max(figure.rounds):.2f}" if len(figure.rounds) > 1 else ""
    shown = f"{figure.value:.2f} x" if unit else f"{figure.value:g}"
    return (figure.what, figure.against, shown, spread, promised, verdict(figure, python, plan), figure.detail)


def document(figures: list[Figure], machine: Machine, python: tuple[int, int], plan: Plan) -> dict[str, Any]:
    """The figures for `--json`, with interpreter and processor."""
    return {"figures": [_entry(figure, machine, python, plan) for figure in figures], "quick": plan.quick}


def _entry(figure: Figure, machine: Machine, python: tuple[int, int], plan: Plan) -> dict[str, Any]:
    limit = budget(figure.what, figure.against, python)
    return {
        **figure._asdict(),
        "median": None if figure.absent else figure.value,
        "budget": limit and limit._asdict(),
        "verdict": verdict(figure, python, plan),
        **machine._asdict(),
    }
