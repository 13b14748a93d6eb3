"""The application as uvicorn imports it: its servers are made when each worker starts."""

from tests.processes.app import asgi

application = asgi
