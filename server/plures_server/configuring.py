"""What each part of a server is configured with, by the settings; and which settings do not go together."""

import ipaddress
import logging
import os
import re
from pathlib import Path

import torch

from .access.quotas import Quota, Quotas
from .access.tls import TlsConfig
from .durable.policy import DurableConfig
from .errors import InvalidArgument
from .pages import ColdConfig
from .pool import PoolConfig
from .queue.calls import QueueConfig
from .settings import QuotaSettings, Settings

log = logging.getLogger("plures")


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
    if (settings.engine.kind == "vllm") != (settings.engine.model is not None):
        raise InvalidArgument("--engine vllm and --model go together: say which engine, and which model it serves")
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


def quotas_of(settings: Settings) -> Quotas:
    """What each tenant may have."""
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


def pool_config(settings: Settings, device: torch.device) -> PoolConfig:
    """How many agents, and bytes in each tier; the first is the device's memory."""
    pool = settings.pool
    memory = _bytes(pool.memory_gb) if pool.memory_gb else memory_of(device) // 2
    cold = ColdConfig(_bytes(pool.host_gb), _bytes(pool.disk_gb), pool.tier_dir or settings.data / "tier")
    return PoolConfig(pool.max_agents, memory, cold)


def durable_config(settings: Settings) -> DurableConfig:
    """When checkpoints are due."""
    durable = settings.durable
    return DurableConfig(checkpoint_bytes=durable.checkpoint_mb << 20, checkpoint_steps=durable.checkpoint_steps)


def queue_config(settings: Settings) -> QueueConfig:
    """The bounds of each queue."""
    queues = settings.queues
    return QueueConfig(
        max_items=queues.max_items,
        max_results=queues.max_results,
        max_attempts=queues.max_attempts,
        dead_chunks_kept=queues.max_dead,
        max_children=queues.max_children,
        max_depth=queues.max_depth,
        results_kept_ms=_milliseconds(queues.results_kept_days),
        idle_ms=_milliseconds(queues.idle_days),
    )


def _milliseconds(days: float) -> int:
    return max(1, round(days * 24 * 3_600_000))


def memory_of(device: torch.device, cgroup_limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of a GPU that nobody has; or of this machine, or of the container that this process is in."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = cgroup_limit.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdecimal() else machine


def _bytes(gigabytes: float) -> int:
    return int(gigabytes * 2**30)


def device_of(name: str | None) -> torch.device:
    """The device of that name, or the best there is; raise InvalidArgument when there is none such."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", name):
        raise InvalidArgument(f"{name!r} is no device; use cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidArgument(f"there is no {name} here; use cpu")
    return device
