"""Serves an ASGI application with uvicorn on a socket that is already listening: `serve_asgi.py FD LIFESPAN module:app`."""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

if __name__ == "__main__":
    lifespan: Any = sys.argv[2]
    # The log is the application's: see `policy.log_to`.
    config = uvicorn.Config(sys.argv[3], log_config=None, access_log=False, http="h11", lifespan=lifespan)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
