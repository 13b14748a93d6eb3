"""Plot: the ratios of a file that `--json` has written, as two pictures (SVG), for light and for dark pages."""

from __future__ import annotations

from html import escape
from itertools import groupby
from math import log2
from pathlib import Path
from typing import Any, NamedTuple

from . import budgets

_LEFT, _RIGHT, _WIDTH = 285, 62, 760  # pixels: the names' column, the room for a bar's number, everything
_HEAD, _LINE, _GAP = 54, 22, 12
_BAR = 12
_TICKS = (0.5, 1, 2, 4, 8, 16, 32)
# These depend on the machine and its load as much as on the programs.
_LEFT_OUT = (budgets.BY_CLOCK, budgets.P50, budgets.P99, budgets.PEAK_MEMORY)


class Colours(NamedTuple):
    """The colours of one picture."""

    text: str
    quiet: str
    grid: str
    bar: str
    budget: str


_COLOURS = {
    "light": Colours("#1b2226", "#5c6670", "#d9dfdc", "#2f8a5f", "#b4532a"),
    "dark": Colours("#e8ecea", "#a3adb5", "#3a4147", "#5fbf8e", "#f2a36b"),
}


def write(document: dict[str, Any], folder: Path) -> None:
    """Writes `ratios-light.svg` and `ratios-dark.svg`; the same document gives the same bytes."""
    for name in _COLOURS:
        Path(folder, f"ratios-{name}.svg").write_text(drawn(document, name), encoding="utf-8")


def drawn(document: dict[str, Any], colours: str) -> str:
    """The picture for pages that are "light" or "dark"."""
    return _picture([each for each in document["figures"] if _shown(each)], _COLOURS[colours])


def _shown(figure: dict[str, Any]) -> bool:
    return figure["unit"] == "x" and not figure["absent"] and not figure["what"].endswith(_LEFT_OUT)


def _picture(figures: list[dict[str, Any]], colours: Colours) -> str:
    parts, y = [], float(_HEAD)
    for what, group in groupby(figures, key=lambda figure: figure["what"]):
        parts.append(f'<text x="12" y="{y + 15:g}" font-weight="600">{escape(what)}</text>')
        y += _LINE
        for figure in group:
            parts += _row(figure, y, colours)
            y += _LINE
        y += _GAP
    height = round(y + 4)
    grid = [
        f'<line x1="{across(tick)}" x2="{across(tick)}" y1="{_HEAD - 8}" y2="{height - 12}" stroke="{colours.grid}"'
        f' stroke-width="{2 if tick == 1 else 1}"/><text x="{across(tick)}" y="{_HEAD - 16}" text-anchor="middle"'
        f' fill="{colours.quiet}">{tick:g} x</text>'
        for tick in _TICKS
    ]
    title = f'<text x="12" y="18" fill="{colours.quiet}">ours, times as good as:</text>'
    legend = f'<text x="{across(1)}" y="18" fill="{colours.budget}">▏the budget: at least so much</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" font-family="system-ui, sans-serif" font-size="13" fill="{colours.text}">\n'
        + "\n".join(["<title>This package's ratios against others</title>", title, legend, *grid, *parts, "</svg>\n"])
    )


def _row(figure: dict[str, Any], y: float, colours: Colours) -> list[str]:
    budget = figure["budget"]
    # Where lower is better, invert the ratio, so that all bars read alike.
    turned = budget is not None and budget["at_most"]
    values = [1 / value if turned else value for value in (figure["median"], *figure["rounds"])]
    value, low, high = values[0], min(values[1:]), max(values[1:])
    middle = y + _LINE / 2
    left, right = sorted((across(1), across(value)))
    end = max(across(1), across(high)) + 6
    row = [
        f'<text x="26" y="{middle + 4:g}">{escape(figure["against"])}</text>',
        f'<rect x="{left}" y="{middle - _BAR / 2:g}" width="{right - left:.1f}" height="{_BAR}" rx="2"'
        f' fill="{colours.bar}"/>',
        f'<line x1="{across(low)}" x2="{across(high)}" y1="{middle:g}" y2="{middle:g}" stroke="{colours.text}"/>',
    ]
    if budget is not None:
        at = across(1 / budget["limit"] if turned else budget["limit"])
        row.append(
            f'<line x1="{at}" x2="{at}" y1="{middle - 9:g}" y2="{middle + 9:g}" stroke="{colours.budget}"'
            f' stroke-width="3"/>'
        )
        end = max(end, at + 6)
    return [*row, f'<text x="{end:.1f}" y="{middle + 4:g}">{value:.{1 if value >= 1 else 2}f} x</text>']


def across(value: float) -> float:
    """The horizontal position of a ratio, on a logarithmic scale."""
    low, high = log2(_TICKS[0]), log2(_TICKS[-1])
    return round(_LEFT + (log2(value) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 1)
