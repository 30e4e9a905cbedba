"""A server from its settings: start everything in order, serve, stop everything in the reverse order."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2
from plures_kernels.errors import PluresError
from prometheus_client import CollectorRegistry

from .access.door import Door
from .access.tls import credentials
from .attachments import Attachments
from .catalogue import Catalogue
from .configuring import check, pool_config, queue_config, quotas_of, tls_of
from .durable.keeper import Keeper
from .durable.lock import held
from .durable.recovery import recover
from .engine import Engine, EngineConfig
from .errors import InvalidArgument
from .hosting import Hosting, hosting
from .queue.embedded import EmbeddedValkey
from .queue.store import QueueStore
from .rpc.drain import Drain
from .rpc.queues import QueueService
from .rpc.serve import LIVENESS, BindConfig, Edge, make_server
from .settings import Settings
from .snapshots import Snapshots
from .tasks import TASKS
from .tasks.plugins import more_tasks
from .telemetry.bandwidth import memory_bandwidth
from .telemetry.calls import CallMetrics
from .telemetry.collector import ServerCollector
from .telemetry.exposition import MetricsConfig, exposed
from .telemetry.meter import Meters
from .telemetry.tracing import NO_TRACING, Tracing

log = logging.getLogger("plures")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; print the address once calls are taken.

    EngineStopped: what steps agents has ended by itself, and so has the server.
    """
    check(settings)
    tls = tls_of(settings)
    encrypted = None if tls is None else credentials(tls)
    stopping: asyncio.Future[PluresError | None] = asyncio.get_running_loop().create_future()

    def stop(why: PluresError | None = None) -> None:
        if not stopping.done():
            stopping.set_result(why)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    async with AsyncExitStack() as stack:
        stack.enter_context(held(settings.data))
        tracing = stack.enter_context(_tracing(settings))
        hosted = await stack.enter_async_context(hosting(settings, stop))
        engine = await stack.enter_async_context(_engine(settings, hosted, tracing))
        url = settings.queues.redis_url
        if url is None:
            url = await stack.enter_async_context(_embedded_valkey(settings.data / "queue"))
        store = await stack.enter_async_context(QueueStore(url, queue_config(settings)))
        attachments = await stack.enter_async_context(Attachments(engine, store))
        registry, door = CollectorRegistry(), Door(settings.access.tokens, quotas_of(settings))
        edge = Edge(door, CallMetrics(registry), Drain(), settings.log.calls, settings.access.max_rpcs, tracing)
        snapshots = Snapshots(engine, settings.data / "snapshots")
        queues, catalogue = QueueService(store, attachments), Catalogue(engine, hosted.folder)
        server, states = make_server(engine, snapshots, queues, catalogue, edge)
        bind = BindConfig(settings.listen.host, settings.listen.port)
        port = _bind(server, bind, encrypted)
        stack.enter_context(_metrics(settings, registry, engine, store))
        await server.start()
        await states.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        await states.set("", health_pb2.HealthCheckResponse.SERVING)
        print(f"plures-server listens on {bind.at(port)}", flush=True)
        why = await stopping
        await _drained(server, states, edge.drain, settings.shutdown.drain_seconds)
    if why is not None:
        raise why


async def _drained(server: grpc.aio.Server, states: health.aio.HealthServicer, drain: Drain, seconds: float) -> None:
    """No more is taken in, streams are answered, and what goes on after so many seconds is ended."""
    log.info("draining: calls under way have %g s", seconds)
    await states.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    drain.begin()
    await server.stop(grace=seconds)
    log.info("stopping")


@contextmanager
def _metrics(settings: Settings, registry: CollectorRegistry, engine: Engine, store: QueueStore) -> Iterator[None]:
    config = MetricsConfig(settings.metrics.host, settings.metrics.port)
    if config.port is not None:
        bandwidth = memory_bandwidth(engine.pool.device)
        registry.register(ServerCollector(engine, store, asyncio.get_running_loop(), bandwidth))
    with exposed(config, registry):
        yield


@contextmanager
def _tracing(settings: Settings) -> Iterator[Tracing]:
    if settings.tracing.endpoint is None:
        yield NO_TRACING
        return
    try:
        from .telemetry.otel import TracingConfig, exporting
    except ImportError as error:
        raise InvalidArgument(f"no traces without OpenTelemetry ({error}): pip install 'plures[tracing]'") from error
    tracing = exporting(TracingConfig(settings.tracing.endpoint, settings.tracing.ratio))
    try:
        yield tracing
    finally:
        tracing.close()


@asynccontextmanager
async def _engine(settings: Settings, hosted: Hosting, tracing: Tracing) -> AsyncIterator[Engine]:
    TASKS.update(more_tasks(TASKS, settings.tasks.gymnasium))
    waiting = EngineConfig(max_waiting=settings.engine.max_waiting, linger_us=settings.engine.linger_us)
    engine = Engine(
        waiting,
        pool_config(settings, hosted.device),
        hosted.students,
        hosted.device,
        hosted.journals,
        Meters(tracing=tracing),
        hosted.makings,
    )
    keeper = Keeper(engine)
    if hosted.journals.folder is not None:
        await asyncio.to_thread(recover, engine, settings.durable.set_aside)
    engine.pool.shares.enforce(quotas_of(settings))
    engine.start()
    keeper.start()
    try:
        yield engine
    finally:
        await asyncio.to_thread(_stop, keeper, engine)


def _stop(keeper: Keeper, engine: Engine) -> None:
    keeper.stop()
    engine.stop()


@asynccontextmanager
async def _embedded_valkey(folder: Path) -> AsyncIterator[str]:
    async with EmbeddedValkey(folder) as valkey:
        keeper = asyncio.create_task(valkey.keep_running())
        try:
            yield valkey.url
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper


def _bind(server: grpc.aio.Server, bind: BindConfig, encrypted: grpc.ServerCredentials | None) -> int:
    address = bind.at(bind.port)
    try:
        if encrypted is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, encrypted))
    except RuntimeError as error:
        raise InvalidArgument(
            f"cannot listen on {address}: {error}; is another server there? --port 0 takes a free one"
        ) from error
