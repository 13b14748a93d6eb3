"""Observers: logs and traces of other packages do not see our headers while a request is sent."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_in_our_request: ContextVar[bool] = ContextVar("moss_voice_server_in_our_request", default=False)


@contextmanager
def hidden() -> Iterator[None]:
    """Inside this block, the HTTP client's log has no headers, and OpenTelemetry records no HTTP span."""
    marker = _in_our_request.set(True)
    detach = _suppress_tracing()
    try:
        yield
    finally:
        detach()
        _in_our_request.reset(marker)


def _suppress_tracing() -> Callable[[], None]:
    """Suppresses OpenTelemetry's HTTP spans, if the application has imported it; returns a function that undoes it.

    An instrumentation of the HTTP client can be configured to record headers, the project key among them. It records
    nothing while its `suppress_http_instrumentation` key is set, which older versions of opentelemetry-api do not name.
    """
    context: Any = sys.modules.get("opentelemetry.context")
    try:
        key = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", None)
        current = context.get_current()
        for each in (key,) if key else ("suppress_http_instrumentation", "suppress_instrumentation"):
            current = context.set_value(each, True, current)
        token = context.attach(current)
    except Exception:  # noqa: BLE001  # not imported, half imported or replaced: there is nothing to suppress
        return lambda: None
    return lambda: context.detach(token)


class _EventNamesOnly(logging.Filter):
    """The HTTP client's DEBUG log shows all headers of request and response. During our requests it shows event names."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _in_our_request.get():
            record.msg, record.args = str(record.msg).partition(" ")[0], None
        return True


class _NoQuery(logging.Filter):
    """The HTTP client's INFO log shows the URL. During our requests it shows it without the query: users swap IDs and keys."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _in_our_request.get() and isinstance(record.args, tuple):
            record.args = tuple(
                each if isinstance(each, (int, str)) else str(each).partition("?")[0] for each in record.args
            )
        return True


logging.getLogger("httpx2").addFilter(_NoQuery())
for _part in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore2.{_part}").addFilter(_EventNamesOnly())
