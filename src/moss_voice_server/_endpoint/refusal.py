"""Refusal: why a token request gets no token, as one exception that every stage raises, and what else stands for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ..endpoint import Denied

Headers = tuple[tuple[str, str], ...]
"""Names in lower case."""

_REFUSALS = frozenset(status.value for status in HTTPStatus if 400 <= status < 500)
_KEPT = ("retry-after", "www-authenticate")


class Refusal(Exception):
    """A token request that is refused.

    Args:
        status: HTTP status of the response.
        code: stable machine name, the `error` of the response body.
        subject: what the log names, such as `field room_name`; it may hold text of the client, so it is shortened and escaped.
        hint: for the log, what the developer can change.
        headers: more response headers, names in lower case.
    """

    def __init__(self, status: int, code: str, subject: str = "", *, hint: str = "", headers: Headers = ()) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.subject = subject
        self.hint = hint
        self.headers = headers


def shown(text: str, limit: int = 64) -> str:
    """Text of a client for the log, at most about `limit` characters: ASCII, and quoted, so that it cannot pass for ours."""
    return ascii(text if len(text) <= limit else text[:limit] + "...")


def status_of(failure: Exception) -> int | None:
    """The 4xx status of a framework's own HTTP exception: Starlette's `status_code`, Werkzeug's `code`; else `None`.

    Clients of other services raise exceptions with the same attributes (urllib's `code`, OpenAI's `status_code`). Those are
    failures of the application, so an attribute that only frameworks' exceptions have is required as well.
    """
    status = None
    if hasattr(failure, "detail"):
        status = getattr(failure, "status_code", None)
    elif hasattr(failure, "get_response") and getattr(failure, "response", None) is None:
        status = getattr(failure, "code", None)
    return status if isinstance(status, int) and status in _REFUSALS else None


def refusal_of(failure: Exception, status: int | None) -> Refusal | None:
    """The refusal that an exception of `authorize` stands for; `None`: it is not a refusal."""
    if isinstance(failure, Denied):
        challenge = (("www-authenticate", failure.scheme),) if failure.status == 401 else ()
        return Refusal(failure.status, failure.code, headers=challenge)
    if status is None:
        return None
    code = {401: "unauthenticated", 403: "forbidden"}.get(status, "refused")
    return Refusal(status, code, type(failure).__name__, headers=_kept_headers(failure))


def _kept_headers(failure: Any) -> Headers:
    """The headers of a framework's exception that the client needs: when to retry, and how to authenticate."""
    headers = getattr(failure, "headers", None)
    if headers is None and hasattr(failure, "get_headers"):
        headers = failure.get_headers()  # Werkzeug
    pairs: list[tuple[Any, Any]] = list(headers.items() if isinstance(headers, Mapping) else headers or ())
    pairs += [
        ("retry-after", getattr(failure, "wait", None)),
        ("www-authenticate", getattr(failure, "auth_header", None)),
    ]
    kept: dict[str, str] = {}
    for key, value in pairs:  # the last two are what the Django REST framework has
        name, text = str(key).lower(), "" if value is None else str(value)
        if name in _KEPT and re.fullmatch(r"[\x20-\x7e]{1,1024}", text):
            kept.setdefault(name, str(-int(-float(text) // 1)) if re.fullmatch(r"\d+\.\d+", text) else text)
    return tuple(kept.items())
