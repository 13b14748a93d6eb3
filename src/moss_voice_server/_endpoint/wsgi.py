"""WSGI: how the request is read, for the adapters whose host has no event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from .handler import Incoming
from .parse import REQUEST_HEADERS, incomplete, may_have_body, too_large
from .refusal import Refusal

Environ = dict[str, Any]
_VARIABLES = {  # by CGI's rule, RFC 3875, section 4.1
    f"{'' if name in ('content-type', 'content-length') else 'HTTP_'}{name.upper().replace('-', '_')}": name
    for name in REQUEST_HEADERS
}


def incoming(environ: Environ, request: Any = None, read: Callable[[int], bytes] | None = None) -> Incoming:
    """The request of an environ; `request` is what `authorize` gets, `read` a framework's own way to read the body."""
    headers = {name: environ[variable] for variable, name in _VARIABLES.items() if environ.get(variable)}
    return Incoming(
        environ if request is None else request,
        environ["REQUEST_METHOD"],
        (environ.get("SCRIPT_NAME") or "") + (environ.get("PATH_INFO") or ""),
        headers,
        partial(_already_read, read or partial(read_body, environ)),
    )


async def _already_read(read: Callable[[int], bytes], limit: int) -> bytes:
    return read(limit)


def read_body(environ: Environ, limit: int) -> bytes:
    """The whole body.

    Raises:
        Refusal: it is longer than `limit`, ends early, or the server cannot say where it ends.
    """
    length = environ.get("CONTENT_LENGTH")
    if length:
        body = _read_from(environ["wsgi.input"].read, int(length))
        if len(body) < int(length):
            raise incomplete()
        return body
    is_chunked = bool(environ.get("HTTP_TRANSFER_ENCODING"))
    may_come = may_have_body(is_chunked, (environ.get("SERVER_PROTOCOL") or "").removeprefix("HTTP/"))
    if environ.get("wsgi.input_terminated"):
        body = _read_from(environ["wsgi.input"].read, limit + 1)
    elif is_chunked and hasattr(sys.modules.get("uwsgi"), "chunked_read"):
        uwsgi: Any = sys.modules["uwsgi"]  # it offers such a body only through its own module
        body = _read_from(lambda _wanted: uwsgi.chunked_read(), limit + 1)
    elif may_come:
        raise Refusal(411, "length_required", hint="this server does not deliver request bodies without a length")
    else:
        return b""  # without a length, reading could wait without end
    if len(body) > limit:
        raise too_large()
    if may_come and not body:
        raise incomplete()
    return body


def _read_from(read: Callable[[int], bytes], wanted: int) -> bytes:
    body = b""
    while len(body) < wanted:
        try:
            chunk = read(wanted - len(body))
        except Exception:  # noqa: BLE001  # servers raise exceptions of their own for malformed chunks
            raise incomplete() from None
        if not chunk:
            break
        body += chunk
    return body
