"""Refusal: why a token request gets no token, as one exception that every stage raises."""

from __future__ import annotations


class Refusal(Exception):
    """A token request that is refused.

    Args:
        status: HTTP status of the response.
        code: stable machine name, the `error` of the response body.
        subject: what the log names, such as `field room_name`; it may hold text of the client, so it is shortened and escaped.
        hint: for the log, what the developer can change.
        headers: more response headers, names in lower case.
    """

    def __init__(
        self, status: int, code: str, subject: str = "", *, hint: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.subject = subject
        self.hint = hint
        self.headers = headers


def shown(text: str, limit: int = 64) -> str:
    """Text of a client for the log: escaped, at most about `limit` characters."""
    return ascii(text if len(text) <= limit else text[:limit] + "...")
