"""The gunicorn configuration of docs/deploying.md: each worker of a preloaded application fetches for itself."""

from typing import Any


def post_fork(_arbiter: Any, _worker: Any) -> None:
    """In the new worker, before it takes requests."""
    from tests.processes.app import answer

    answer("/quick/refresh")
