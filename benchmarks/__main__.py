"""Command: `python -m benchmarks` runs the measurements and prints their table; the exit status is 1 if a budget is missed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import endpoint, installed, minting, plot, startup
from .machine import python_version, this_machine
from .plan import Plan
from .table import document, table, verdict

# A new measurement is a module with a function `measure(plan)`, a name here, and its budgets in `budgets`.
MEASUREMENTS = {
    "mint": minting.measure,
    "startup": startup.measure,
    "endpoint": endpoint.measure,
    "install": installed.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the selected measurements and return the exit status."""
    asked = _parser().parse_args(arguments)
    if asked.rounds < 1:
        _parser().error("--rounds must be 1 or more")
    if asked.redraw:
        plot.write(json.loads(Path(asked.redraw).read_text(encoding="utf-8")), Path(asked.plot or "."))
        return 0
    plan = Plan(1 if asked.quick else asked.rounds, asked.quick)
    names = [name for name in asked.only or MEASUREMENTS if not (name == "install" and asked.skip_install)]
    machine, python = this_machine(), python_version()
    figures = []
    for name in names:
        print(f"measuring: {name} …", file=sys.stderr, flush=True)
        figures += MEASUREMENTS[name](plan)
    print(table(figures, machine, python, plan))
    kept = document(figures, machine, python, plan)
    if asked.json:
        Path(asked.json).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    if asked.plot:
        plot.write(kept, Path(asked.plot))
    return int(any(verdict(figure, python, plan) == "MISSED" for figure in figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds for each figure; default 5")
    parser.add_argument(
        "--quick", action="store_true", help="only show that all runs: nothing judged, fetched or built"
    )
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--skip-install", action="store_true", help="the same without install, which fetches packages")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file as well")
    parser.add_argument("--plot", metavar="FOLDER", help="draw the ratios: ratios-light.svg and ratios-dark.svg")
    parser.add_argument(
        "--redraw", metavar="FILE", help="measure nothing: draw the figures of a file that --json wrote"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
