"""Serves an ASGI application with uvicorn on a socket that is already listening: `serve_asgi.py module:app FD LIFESPAN`."""

from __future__ import annotations

import socket
import sys

import uvicorn

if __name__ == "__main__":
    # The log is the application's own: see `policy.log_to`.
    config = uvicorn.Config(sys.argv[1], log_config=None, access_log=False, http="h11", lifespan=sys.argv[3])  # type: ignore[arg-type]  # "on" or "off"
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
