"""Program: one minter as a process. For each number on a line of its input, it mints so many tokens and tells the time.

Arguments: the minter's name, the request as JSON. Answers: one line of JSON each, `{"seconds": …, "token": …}`.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from time import perf_counter

if __name__ == "__main__":
    mint = import_module(f"{__package__}.{sys.argv[1]}").minter(json.loads(sys.argv[2]))
    for line in sys.stdin:
        start = perf_counter()
        token = mint(int(line))
        seconds = perf_counter() - start
        print(json.dumps({"seconds": seconds, "token": token}), flush=True)
