"""Traces by OpenTelemetry: client → call → wave → kernel. Needs the extra `tracing`."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


@dataclass(frozen=True)
class TracingConfig:
    """Where spans go (OTLP over HTTP), and the share of calls, of clients that do not say, which are traced."""

    endpoint: str
    ratio: float = 1.0


class OtelTracing:
    """A wave is a part of the first call whose agents it steps, and has links to the others."""

    def __init__(self, processor: SpanProcessor, ratio: float = 1.0) -> None:
        sampler = ParentBased(TraceIdRatioBased(ratio))
        self._provider = TracerProvider(sampler=sampler, resource=Resource.create({"service.name": "plures-server"}))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("plures")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[None]:
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        parent = self._propagator.extract(carrier)
        with self._tracer.start_as_current_span(method, parent, SpanKind.SERVER):
            yield

    def here(self) -> trace.SpanContext | None:
        found = trace.get_current_span().get_span_context()
        return found if found.is_valid and found.trace_flags.sampled else None

    def waved(self, marks: Sequence[trace.SpanContext], agents: int, began: int, stepping: int, stepped: int) -> None:
        first, *others = {mark.span_id: mark for mark in marks}.values()
        wave = self._span("wave", first, began, others, {"plures.agents": agents, "plures.requests": len(marks)})
        self._span("kernel", wave.get_span_context(), stepping, (), {"plures.agents": agents}).end(stepped)
        wave.end(time.time_ns())

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _span(
        self,
        name: str,
        parent: trace.SpanContext,
        began: int,
        others: Iterable[trace.SpanContext],
        attributes: dict[str, int],
    ) -> trace.Span:
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
        links = [Link(other) for other in others]
        return self._tracer.start_span(name, context, attributes=attributes, links=links, start_time=began)


def exporting(config: TracingConfig) -> OtelTracing:
    """Tracing whose spans go to a collector, in the background."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OtelTracing(BatchSpanProcessor(OTLPSpanExporter(config.endpoint)), config.ratio)
