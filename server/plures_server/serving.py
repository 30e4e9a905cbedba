"""A server from its settings: start everything in order, serve, stop everything in the reverse order."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import torch
from grpc_health.v1 import health_pb2

from .access.door import Door
from .access.quotas import Quota, Quotas
from .access.tls import TlsConfig, credentials
from .attachments import Attachments
from .catalogue import Catalogue
from .durable.journals import Journals
from .durable.keeper import Keeper
from .durable.lock import held
from .durable.policy import DurableConfig
from .durable.recovery import recover
from .engine import Engine, EngineConfig
from .errors import InvalidArgument
from .pages import ColdConfig
from .pool import PoolConfig
from .queue.embedded import EmbeddedValkey
from .queue.store import QueueStore
from .rpc.queues import QueueService
from .rpc.serve import BindConfig, make_server
from .settings import QuotaSettings, Settings
from .snapshots import Snapshots
from .students import load_students
from .tasks import TASKS
from .tasks.plugins import more_tasks

log = logging.getLogger("plures")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; print the address once calls are taken."""
    check(settings)
    tls = tls_of(settings)
    encrypted = None if tls is None else credentials(tls)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(held(settings.data))
        engine = await stack.enter_async_context(_engine(settings))
        url = settings.queues.redis_url
        if url is None:
            url = await stack.enter_async_context(_embedded_valkey(settings.data / "queue"))
        store = await stack.enter_async_context(QueueStore(url))
        attachments = await stack.enter_async_context(Attachments(engine, store))
        snapshots = Snapshots(engine, settings.data / "snapshots")
        queues, catalogue = QueueService(store, attachments), Catalogue(engine, settings.students)
        server, health = make_server(engine, snapshots, queues, catalogue, _door(settings), settings.access.max_rpcs)
        bind = BindConfig(settings.listen.host, settings.listen.port)
        port = _bind(server, bind, encrypted)
        await server.start()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        print(f"plures-server listens on {bind.at(port)}", flush=True)
        await stopping.wait()
        log.info("stopping")
        await health.enter_graceful_shutdown()
        await server.stop(grace=2.0)


def check(settings: Settings) -> None:
    """Raise InvalidArgument for settings that do not go together."""
    listen, tls, pool = settings.listen, tls_of(settings), settings.pool
    reachable = not is_loopback(listen.host)
    if reachable and not (listen.insecure_bind or tls):
        raise InvalidArgument(
            f"{listen.host} can be reached from elsewhere and calls are not encrypted; give --tls-certificate and "
            "--tls-key, or add --insecure-bind"
        )
    if reachable and settings.access.tokens is None and (tls is None or tls.client_ca is None):
        log.warning("%s can be reached from elsewhere, and whoever reaches it may do everything", listen.host)
    if pool.tier_dir is not None and not pool.disk_gb:
        raise InvalidArgument(f"say with --disk-gb how much states may take in --tier-dir {pool.tier_dir}")
    if settings.tenants and settings.access.tokens is None:
        raise InvalidArgument("[tenants] has quotas, but without --tokens nobody is a tenant; name a file of tokens")


def tls_of(settings: Settings) -> TlsConfig | None:
    """Which files to encrypt with; None when calls are not encrypted."""
    tls = settings.tls
    if tls.certificate is None and tls.key is None and tls.client_ca is None:
        return None
    if tls.certificate is None or tls.key is None:
        raise InvalidArgument("TLS takes both --tls-certificate and --tls-key")
    return TlsConfig(tls.certificate, tls.key, tls.client_ca)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Engine]:
    device = _device(settings.device)
    TASKS.update(more_tasks(TASKS, settings.tasks.gymnasium))
    students = load_students(settings.students, device)
    durable = settings.durable
    config = DurableConfig(checkpoint_bytes=durable.checkpoint_mb << 20, checkpoint_steps=durable.checkpoint_steps)
    journals = Journals(settings.data / "durable", config)
    engine = Engine(
        EngineConfig(max_waiting=settings.engine.max_waiting), _pool_config(settings), students, device, journals
    )
    keeper = Keeper(engine)
    await asyncio.to_thread(recover, engine, durable.set_aside)
    engine.pool.shares.enforce(_quotas(settings))
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


def _door(settings: Settings) -> Door:
    return Door(settings.access.tokens, _quotas(settings))


def _quotas(settings: Settings) -> Quotas:
    return Quotas(_quota(settings.quota), {name: _quota(own) for name, own in settings.tenants.items()})


def _quota(given: QuotaSettings) -> Quota:
    return Quota(
        given.agents,
        None if given.state_gb is None else _bytes(given.state_gb),
        None if given.snapshot_gb is None else _bytes(given.snapshot_gb),
        given.streams,
        given.requests_per_second,
        given.burst_seconds,
    )


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


def _pool_config(settings: Settings) -> PoolConfig:
    pool = settings.pool
    memory = _bytes(pool.memory_gb) if pool.memory_gb else _default_memory()
    cold = ColdConfig(_bytes(pool.host_gb), _bytes(pool.disk_gb), pool.tier_dir or settings.data / "tier")
    return PoolConfig(pool.max_agents, memory, cold)


def _default_memory() -> int:
    """Half of what the machine has, so that a full pool leaves room for everything else."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _bytes(gigabytes: float) -> int:
    return int(gigabytes * 2**30)


def _device(name: str | None) -> torch.device:
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", name):
        raise InvalidArgument(f"{name!r} is no device; use cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidArgument(f"there is no {name} here; use cpu")
    return device
