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
    """Inside of this block, the HTTP client's log has no headers, and OpenTelemetry records no HTTP span."""
    marker = _in_our_request.set(True)
    detach = _suppress_tracing()
    try:
        yield
    finally:
        detach()
        _in_our_request.reset(marker)


# OpenTelemetry's instrumentations of HTTP clients can be told to record headers, the project key's among them. They record
# nothing while these keys are set in its context. Names: opentelemetry.instrumentation.utils and opentelemetry.context.
_CONTEXT_KEYS = ("_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "_SUPPRESS_INSTRUMENTATION_KEY")
_TEXT_KEYS = ("suppress_http_instrumentation", "suppress_instrumentation")


def _suppress_tracing() -> Callable[[], None]:
    """Suppresses OpenTelemetry if the application has imported it; returns what undoes that."""
    context: Any = sys.modules.get("opentelemetry.context")
    if context is None:
        return _nothing
    keys = [*_TEXT_KEYS, *(key for name in _CONTEXT_KEYS if (key := getattr(context, name, None)) is not None)]
    current = context.get_current()
    for key in keys:
        current = context.set_value(key, True, current)
    token = context.attach(current)
    return lambda: context.detach(token)


def _nothing() -> None:
    pass


class _EventNamesOnly(logging.Filter):
    """The HTTP client's DEBUG log shows all headers of request and response. During our requests it shows event names."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _in_our_request.get():
            record.msg, record.args = str(record.msg).partition(" ")[0], None
        return True


for _part in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore2.{_part}").addFilter(_EventNamesOnly())
