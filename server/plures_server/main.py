"""`plures-server`: read the command line once, start everything, stop everything."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import grpc
import torch
import uvloop
from grpc_health.v1 import health_pb2
from plures_kernels.errors import PluresError

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
from .snapshots import Snapshots
from .students import load_students

log = logging.getLogger("plures")


@dataclass(frozen=True)
class ServerConfig:
    """Everything a server is told at its start."""

    students: Path
    data: Path
    bind: BindConfig
    engine: EngineConfig
    pool: PoolConfig
    device: torch.device
    redis_url: str | None
    durable: DurableConfig
    set_aside: tuple[str, ...] = ()


async def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT; print the address once calls are taken."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(held(config.data))
        engine = await stack.enter_async_context(_engine(config))
        url = config.redis_url
        if url is None:
            url = await stack.enter_async_context(_embedded_valkey(config.data / "queue"))
        store = await stack.enter_async_context(QueueStore(url))
        attachments = await stack.enter_async_context(Attachments(engine, store))
        snapshots = Snapshots(engine, config.data / "snapshots")
        server, health = make_server(engine, snapshots, QueueService(store, attachments))
        port = _bind(server, config.bind)
        await server.start()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        print(f"plures-server listens on {config.bind.at(port)}", flush=True)
        await stopping.wait()
        log.info("stopping")
        await health.enter_graceful_shutdown()
        await server.stop(grace=2.0)


@asynccontextmanager
async def _engine(config: ServerConfig) -> AsyncIterator[Engine]:
    students = load_students(config.students, config.device)
    journals = Journals(config.data / "durable", config.durable)
    engine = Engine(config.engine, config.pool, students, config.device, journals)
    keeper = Keeper(engine)
    await asyncio.to_thread(recover, engine, config.set_aside)
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


def _default_memory() -> int:
    """Half of what the machine has, so that a full pool leaves room for everything else."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _cold(host_gb: float, disk_gb: float, folder: Path | None, data: Path) -> ColdConfig:
    if folder is not None and not disk_gb:
        raise click.UsageError(f"say with --disk-gb how much states may take in --tier-dir {folder}")
    return ColdConfig(_bytes(host_gb), _bytes(disk_gb), folder or data / "tier")


def _bytes(gigabytes: float) -> int:
    return int(gigabytes * 2**30)


def _device(name: str | None) -> torch.device:
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", name):
        raise click.BadParameter(f"{name!r} is no device; use cpu, cuda or cuda:N", param_hint="--device")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise click.BadParameter(f"there is no {name} here; use cpu", param_hint="--device")
    return device


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@click.command(context_settings={"show_default": True})
@click.option(
    "--students", type=click.Path(path_type=Path), required=True, help="Folder of checkpoints, one a student."
)
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("plures-data"), help="Snapshots, logs and queues."
)
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=50051, help="0 takes a free one and prints it.")
@click.option("--insecure-bind", is_flag=True, help="Allow an address that others can reach; calls are not encrypted.")
@click.option("--device", default=None, help="cpu, cuda or cuda:N.  [default: cuda if there is one]")
@click.option("--max-agents", type=click.IntRange(1, 1 << 29), default=1 << 20, help="Agents alive at most.")
@click.option("--memory-gb", type=click.FloatRange(0, min_open=True), default=None, help="States.  [default: half]")
@click.option("--host-gb", type=click.FloatRange(0), default=0.0, help="States beside the device's, in this memory.")
@click.option("--disk-gb", type=click.FloatRange(0), default=0.0, help="States beside those, in a file.")
@click.option("--tier-dir", type=click.Path(path_type=Path), help="Folder of that file.  [default: tier, below --data]")
@click.option("--redis-url", default=None, help="Redis ≥ 6.2 or Valkey for the queues.  [default: an embedded Valkey]")
@click.option(
    "--checkpoint-mb", type=click.IntRange(1), default=64, help="Log of a cohort that makes a new checkpoint due."
)
@click.option(
    "--checkpoint-steps", type=click.IntRange(1), default=100_000_000, help="Logged agent-steps that make one due."
)
@click.option(
    "--set-aside", multiple=True, metavar="JOURNAL", help="Start without the cohorts of a journal; keep its files."
)
def main(
    students: Path,
    data: Path,
    host: str,
    port: int,
    insecure_bind: bool,
    device: str | None,
    max_agents: int,
    memory_gb: float | None,
    host_gb: float,
    disk_gb: float,
    tier_dir: Path | None,
    redis_url: str | None,
    checkpoint_mb: int,
    checkpoint_steps: int,
    set_aside: tuple[str, ...],
) -> None:
    """Serve students: a million copies, each learning on by itself."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if not (insecure_bind or _is_loopback(host)):
        raise click.UsageError(f"{host} can be reached from elsewhere and calls are not encrypted; add --insecure-bind")
    config = ServerConfig(
        students,
        data,
        BindConfig(host, port),
        EngineConfig(),
        PoolConfig(
            max_agents, _bytes(memory_gb) if memory_gb else _default_memory(), _cold(host_gb, disk_gb, tier_dir, data)
        ),
        _device(device),
        redis_url,
        DurableConfig(checkpoint_bytes=checkpoint_mb << 20, checkpoint_steps=checkpoint_steps),
        set_aside,
    )
    try:
        uvloop.run(serve(config))
    except (PluresError, OSError) as error:
        print(f"plures-server: {error}", file=sys.stderr)
        sys.exit(1)
