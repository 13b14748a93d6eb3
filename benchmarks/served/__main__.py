"""Program: one ASGI application under uvicorn: `python -m benchmarks.served MODULE FD`, a socket that listens already.

One process, no log, and the fastest loop and parser that are installed (uvloop and httptools, which `uvicorn[standard]` brings,
or else asyncio and h11): the same for every application.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

if __name__ == "__main__":
    config = uvicorn.Config(
        f"{__package__}.{sys.argv[1]}:app",
        loop="auto",
        http="auto",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_keep_alive=600,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
