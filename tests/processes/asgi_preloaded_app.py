"""The same for `gunicorn --preload`: its servers are made in the master, on an event loop that is gone when the workers start."""

import asyncio

from tests.processes.app import asgi, start_async

asyncio.run(start_async())
application = asgi
