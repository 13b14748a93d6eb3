"""What other packages in the process see of a fetch: no header of ours in a trace or a log."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server._http.observers import hidden
from moss_voice_server.errors import CredentialsRejected
from moss_voice_server.testing import FakeMoss
from tests.livekit.needs import absent
from tests.support.servers import ASYNC, SYNC, ServerClass

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """OpenTelemetry's instrumentation of the HTTP client, set to record every header; the spans that it has made."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.instrumentation") is None:
        absent("opentelemetry-instrumentation-httpx is not installed")
    from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", ".*")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor: Any = HTTPX2ClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()


def test_instrumented_client_records_headers(spans: InMemorySpanExporter, moss: FakeMoss) -> None:
    """The counter-check: a request of the application itself has a span, with its headers."""
    httpx2.get(f"{moss.url}/", headers={"X-Project-Key": "moss-key"})

    (span,) = spans.get_finished_spans()
    assert "moss-key" in repr(dict(span.attributes or {}))


def test_fetch_leaves_no_span(spans: InMemorySpanExporter, server_class: ServerClass, moss: FakeMoss) -> None:
    """Nor does it change what is recorded afterwards."""
    server_class.create(**moss.arguments)
    assert () == spans.get_finished_spans()

    httpx2.get(f"{moss.url}/")
    assert 1 == len(spans.get_finished_spans())


def test_instrumented_transport_records_nothing(
    spans: InMemorySpanExporter, server_class: ServerClass, moss: FakeMoss
) -> None:
    """A custom transport that is instrumented by itself."""
    from opentelemetry.instrumentation.httpx import AsyncOpenTelemetryTransportHttpx2, SyncOpenTelemetryTransportHttpx2

    if server_class.kind is MossVoiceServerSync:
        transport: Any = SyncOpenTelemetryTransportHttpx2(httpx2.HTTPTransport())
    else:
        transport = AsyncOpenTelemetryTransportHttpx2(httpx2.AsyncHTTPTransport())
    server_class.create(**moss.arguments, transport=transport)

    assert () == spans.get_finished_spans()


def test_context_is_restored(spans: InMemorySpanExporter) -> None:
    """The application's own span is current again."""
    from opentelemetry import trace

    assert () == spans.get_finished_spans()
    with trace.use_span(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)) as span:
        with hidden():
            assert trace.get_current_span() is span
        assert trace.get_current_span() is span


@pytest.mark.parametrize("module", [None, types.ModuleType("opentelemetry.context")], ids=["blocked", "empty"])
def test_unusable_opentelemetry_is_ignored(module: Any, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is blocked, or that another thread is importing right now, does not stop a fetch."""
    monkeypatch.setitem(sys.modules, "opentelemetry.context", module)
    assert "fresh" == SYNC.create(**moss.arguments).status().state


def test_older_opentelemetry() -> None:
    """One that does not name the key yet gets the two texts that its instrumentations look for."""
    attached: list[dict[str, bool]] = []
    older: Any = types.ModuleType("opentelemetry.context")
    older.get_current = dict
    older.set_value = lambda key, value, current: {**current, key: value}
    older.attach = attached.append
    older.detach = lambda _token: attached.append({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "opentelemetry.context", older)
        with hidden():
            assert [{"suppress_http_instrumentation": True, "suppress_instrumentation": True}] == attached
    assert {} == attached[-1]


@pytest.mark.parametrize("kind", [httpx2.Client, httpx2.AsyncClient])
def test_wrapped_send_sees_no_secret(kind: Any, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracers such as ddtrace wrap `send`, and record headers that they are configured to record, also afterwards."""
    seen: list[httpx2.Request] = []
    send = kind.send

    def wrapped(self: Any, request: httpx2.Request, **options: Any) -> Any:
        seen.append(request)
        return send(self, request, **options)

    monkeypatch.setattr(kind, "send", wrapped)
    is_sync = kind is httpx2.Client
    server: Any = (SYNC if is_sync else ASYNC).create(
        **moss.arguments, transport=httpx2.HTTPTransport() if is_sync else httpx2.AsyncHTTPTransport()
    )
    assert "fresh" == server.status().state
    assert len(seen) == 1
    assert not {"x-project-id", "x-project-key"} & seen[0].headers.keys()
    assert moss.arguments["project_key"] == moss.requests[0].headers["X-Project-Key"]


def test_log_has_no_query(server_class: ServerClass, moss: FakeMoss, caplog: pytest.LogCaptureFixture) -> None:
    """A key that was passed as the agent's ID is in the URL, but not in the client's log."""
    caplog.set_level(logging.INFO)
    with pytest.raises(CredentialsRejected):
        server_class.create(**{**moss.arguments, "voice_agent_id": moss.arguments["project_key"]})
    assert "GET" in caplog.text
    assert moss.arguments["project_key"] not in caplog.text
