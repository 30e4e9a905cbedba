"""A call's trace: client → call → wave → kernel."""

import asyncio

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from plures_client import AsyncClient
from plures_server.access.door import Door
from plures_server.attachments import Attachments
from plures_server.catalogue import Catalogue
from plures_server.engine import Engine, EngineConfig
from plures_server.pool import PoolConfig
from plures_server.queue.store import QueueStore
from plures_server.rpc.drain import Drain
from plures_server.rpc.queues import QueueService
from plures_server.rpc.serve import Edge, make_server
from plures_server.snapshots import Snapshots
from plures_server.students import Students
from plures_server.telemetry.calls import CallMetrics
from plures_server.telemetry.meter import Meters
from plures_server.telemetry.otel import OtelTracing
from plures_server.telemetry.tracing import NO_TRACING
from prometheus_client import CollectorRegistry

from ..helpers import CPU, act, served, small_student, start


def spans_by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> OtelTracing:
    return OtelTracing(SimpleSpanProcessor(exporter))


@pytest.fixture
def engine(tracing: OtelTracing):
    engine = Engine(
        EngineConfig((4, 16)),
        PoolConfig(100, 1 << 20),
        Students([served(small_student())]),
        CPU,
        meters=Meters(tracing=tracing),
    )
    engine.start()
    yield engine
    engine.stop()


async def test_a_step_is_traced_from_the_client_to_the_kernel(
    engine: Engine, tracing: OtelTracing, exporter: InMemorySpanExporter, store: QueueStore, tmp_path
) -> None:
    edge = Edge(Door(), CallMetrics(CollectorRegistry()), Drain(), tracing=tracing)
    async with Attachments(engine, store) as attachments:
        server, _ = make_server(
            engine, Snapshots(engine, tmp_path), QueueService(store, attachments), Catalogue(engine, tmp_path), edge
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        program = TracerProvider().get_tracer("program")
        assert propagate is not None
        with program.start_as_current_span("experiment") as experiment:
            async with AsyncClient(f"127.0.0.1:{port}") as client:
                cohort = await client.cohorts.start("joe", student="joe", count=3)
                await cohort.act()
        await server.stop(grace=5)
    # When the engine does the next thing, it has done with the wave, whose answer left before.
    await engine.call(lambda pool: None)
    spans = spans_by_name(exporter)
    call, wave, kernel = spans["AgentService/Act"], spans["wave"], spans["kernel"]
    trace_id = experiment.get_span_context().trace_id
    assert {span.context.trace_id for span in (call, wave, kernel, spans["AgentService/StartCohort"])} == {trace_id}
    assert call.parent.span_id == experiment.get_span_context().span_id
    assert wave.parent.span_id == call.context.span_id
    assert kernel.parent.span_id == wave.context.span_id
    assert call.start_time <= wave.start_time <= kernel.start_time <= kernel.end_time <= wave.end_time
    assert wave.attributes == {"plures.agents": 3, "plures.requests": 1}


async def test_a_wave_of_several_calls_links_to_all(
    engine: Engine, tracing: OtelTracing, exporter: InMemorySpanExporter
) -> None:
    await start(engine, "joe", 3)
    marks = []
    for name in ("one", "two"):
        with tracing.call(name, ()):
            marks.append(tracing.here())
    acts = [act(engine, "joe", [row], trace=mark) for row, mark in enumerate(marks)]
    await asyncio.gather(*acts)
    await engine.call(lambda pool: None)
    waves = [span for span in exporter.get_finished_spans() if span.name == "wave"]
    told = {wave.parent.span_id for wave in waves} | {link.context.span_id for wave in waves for link in wave.links}
    assert told == {mark.span_id for mark in marks}


async def test_what_nobody_traces_makes_no_spans(engine: Engine, exporter: InMemorySpanExporter) -> None:
    await start(engine, "joe", 3)
    await act(engine, "joe")
    await engine.call(lambda pool: None)
    assert exporter.get_finished_spans() == ()
    assert NO_TRACING.here() is None


def test_a_share_of_calls_is_traced_and_clients_may_say_otherwise(exporter: InMemorySpanExporter) -> None:
    none = OtelTracing(SimpleSpanProcessor(exporter), ratio=0.0)
    with none.call("untold", ()):
        assert none.here() is None
    with none.call("told", [("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01")]):
        assert none.here() is not None
    assert [span.name for span in exporter.get_finished_spans()] == ["told"]
    assert trace.get_current_span() is trace.INVALID_SPAN
