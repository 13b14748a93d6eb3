"""Body: reads a response's body, up to a size and until a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

import httpx2

from .._clock import elapsed
from .._secret import Sealed, Secret
from .model import Request, Response


class BodyReader(Sealed):
    """Collects the body of one response. Sealed, because tracebacks can show it as a local variable."""

    def __init__(self, request: Request, deadline: float) -> None:
        self._request = request
        self._deadline = deadline
        self._bytes = bytearray()
        self._is_truncated = False

    def is_wanted(self, response: httpx2.Response) -> bool:
        """Whether to read the body. Not a compressed one: a few bytes of it can become very many."""
        is_plain = response.headers.get("content-encoding", "identity").lower() == "identity"
        return is_plain and (response.is_success or self._request.reads_error_body)

    def read(self, chunks: Iterable[bytes]) -> None:
        """Reads until the end, the maximum size or the deadline.

        Raises:
            TimeoutError: the deadline has passed.
        """
        for chunk in chunks:
            if self._add(chunk):
                break

    async def read_async(self, chunks: AsyncIterable[bytes]) -> None:
        """The same from an async iterator."""
        async for chunk in chunks:
            if self._add(chunk):
                break

    def _add(self, chunk: bytes) -> bool:
        if elapsed() > self._deadline:
            raise TimeoutError
        self._is_truncated = len(self._bytes) + len(chunk) > self._request.max_body
        if not self._is_truncated:
            self._bytes += chunk
        return self._is_truncated

    def response(self, response: httpx2.Response) -> Response:
        """The response with what was read of its body."""
        kept = self._request.kept_headers
        headers = {
            name: value
            for name, value in response.headers.items()
            if kept is None or name in kept or name == "content-encoding"  # for `Response.is_compressed`
        }
        return Response(response.status_code, headers, Secret(bytes(self._bytes)), self._is_truncated)
