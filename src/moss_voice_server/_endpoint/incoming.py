"""Incoming: a token request as a framework delivers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any


class Incoming:
    """A token request as a framework delivers it.

    Args:
        request: the framework's own request, for `authorize`.
        method: the HTTP method.
        path: for the log.
        headers: those of `REQUEST_HEADERS`, names in lower case.
        read: returns the whole body of at most so many bytes, or raises `Refusal`.
    """

    __slots__ = ("body", "headers", "identity", "method", "path", "read", "reported", "request", "started")

    def __init__(
        self,
        request: Any,
        method: str,
        path: str,
        headers: Mapping[str, str],
        read: Callable[[int], Awaitable[bytes]],
    ) -> None:
        self.request = request
        self.method = method
        self.path = path
        self.headers = headers
        self.read = read
        self.started = perf_counter()
        self.body: bytes | None = None
        self.identity = ""
        self.reported = False
