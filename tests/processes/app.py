"""An application as users write it, for any server; the environment names the fake Moss API.

It has two voice agents: `steady`, whose credentials stay fresh for as long as a test takes, and `quick`, whose credentials
are due every second. Each response shows its process and the API key that signed its token.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import MossVoiceError
from tests.processes.inside import mint
from tests.support.servers import Server

QUICK = RefreshPolicy(refresh_after=1, attempt_timeout=2)
# Seconds that a request lasts beyond its mint, so that several at once are spread over the workers.
_PACE = 0.02

_servers: dict[str, Server] = {}


def _environ(name: str) -> dict[str, str]:
    """The part of the environment for one voice agent: `STEADY_MOSS_PROJECT_ID` and so on."""
    prefix = f"{name.upper()}_"
    return {key.removeprefix(prefix): value for key, value in os.environ.items() if key.startswith(prefix)}


def _policy(name: str) -> RefreshPolicy | None:
    return QUICK if name == "quick" else None


def wsgi_application() -> Any:
    """The application for gunicorn's own workers and for uWSGI; its servers are made now, in the master if it is preloaded."""
    for name in ("steady", "quick"):
        _servers[name] = MossVoiceServerSync.from_env(_environ(name), refresh=_policy(name))
    return wsgi


def asgi_application() -> Any:
    """The one that is preloaded: its servers are made on an event loop that is gone when the workers start."""
    asyncio.run(start())
    return asgi


def post_fork(_arbiter: Any, _worker: Any) -> None:
    """The hook of docs/deploying.md, with this module as gunicorn's configuration: each worker fetches for itself."""
    answer("/quick/refresh")


async def start() -> None:
    """Creates both servers."""
    for name in ("steady", "quick"):
        _servers[name] = await MossVoiceServer.from_env(_environ(name), refresh=_policy(name))


def answer(path: str) -> tuple[int, dict[str, Any]]:
    """`/steady` and `/quick` mint; `/quick/refresh` is for the operator, after a rotation."""
    name, _, action = path.strip("/").partition("/")
    server = _servers[name]
    begun = time.monotonic()
    try:
        if action == "refresh":
            assert isinstance(server, MossVoiceServerSync)
            server.refresh()
        key = mint(server)
    except MossVoiceError as error:
        return 503, {"pid": os.getpid(), "error": error.code}
    return 200, {"pid": os.getpid(), "key": key, "seconds": time.monotonic() - begun}


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """One request of WSGI."""
    status, body = answer(environ["PATH_INFO"])
    time.sleep(_PACE)
    start_response(
        f"{status} {'OK' if status == 200 else 'Service Unavailable'}", [("Content-Type", "application/json")]
    )
    return [json.dumps(body).encode()]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application for uvicorn: it makes its servers when a worker starts, unless they came with the process."""
    if scope["type"] == "lifespan":
        await receive()
        if not _servers:
            await start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    status, body = answer(scope["path"])
    await asyncio.sleep(_PACE)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
