"""Benchmarks: this package against its peers, side by side in one run. `python -m benchmarks` runs them all.

Each measurement is a module with a function `measure(plan)` that returns figures; `__main__` holds the list of them, and
`budgets` says which figure has to be how good. benchmarks/README.md says what the figures mean.
"""
