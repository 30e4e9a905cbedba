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

from .attachments import Attachments
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
from .settings import Settings
from .snapshots import Snapshots
from .students import load_students

log = logging.getLogger("plures")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; print the address once calls are taken."""
    check(settings)
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
        server, health = make_server(engine, snapshots, QueueService(store, attachments))
        bind = BindConfig(settings.listen.host, settings.listen.port)
        port = _bind(server, bind)
        await server.start()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        print(f"plures-server listens on {bind.at(port)}", flush=True)
        await stopping.wait()
        log.info("stopping")
        await health.enter_graceful_shutdown()
        await server.stop(grace=2.0)


def check(settings: Settings) -> None:
    """Raise InvalidArgument for settings that do not go together."""
    listen, pool = settings.listen, settings.pool
    if not (listen.insecure_bind or is_loopback(listen.host)):
        raise InvalidArgument(
            f"{listen.host} can be reached from elsewhere and calls are not encrypted; add --insecure-bind"
        )
    if pool.tier_dir is not None and not pool.disk_gb:
        raise InvalidArgument(f"say with --disk-gb how much states may take in --tier-dir {pool.tier_dir}")


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Engine]:
    device = _device(settings.device)
    students = load_students(settings.students, device)
    durable = settings.durable
    config = DurableConfig(checkpoint_bytes=durable.checkpoint_mb << 20, checkpoint_steps=durable.checkpoint_steps)
    journals = Journals(settings.data / "durable", config)
    engine = Engine(
        EngineConfig(max_waiting=settings.engine.max_waiting), _pool_config(settings), students, device, journals
    )
    keeper = Keeper(engine)
    await asyncio.to_thread(recover, engine, durable.set_aside)
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


def _bind(server: grpc.aio.Server, bind: BindConfig) -> int:
    address = bind.at(bind.port)
    try:
        return int(server.add_insecure_port(address))
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
