"""Web applications on a loopback port, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import make_server

from moss_voice_server._dev.local_server import LocalServer, listen

_LONGEST = 20.0  # seconds; only a server that hangs comes near it


@contextmanager
def wsgi(application: Any) -> Iterator[str]:
    """The URL of a WSGI application on Werkzeug."""
    with make_server("127.0.0.1", 0, application, threaded=True) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join(_LONGEST)


@contextmanager
def asgi(application: Any) -> Iterator[str]:
    """The URL of an ASGI application on uvicorn."""
    with listen(0) as listener, LocalServer(application, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
