"""Program: one minter as a process. For each number on its input, it mints that many tokens and prints the time.

Arguments: the minter's name, the request as JSON. Answers: one line of JSON each, `{"seconds": …, "token": …}`, in seconds
of the processor's time.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from time import process_time

if __name__ == "__main__":
    mint = import_module(f"{__package__}.{sys.argv[1]}").minter(json.loads(sys.argv[2]))
    for line in sys.stdin:
        start = process_time()
        token = mint(int(line))
        seconds = process_time() - start
        print(json.dumps({"seconds": seconds, "token": token}), flush=True)
