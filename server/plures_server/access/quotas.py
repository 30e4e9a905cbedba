"""How much a tenant may have at the same time, and how often it may ask."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Quota:
    """Limits of one tenant; None: no limit but the server's own.

    `state_bytes` counts a state for every agent alive, whether or not it has one of its own yet, so that it bounds what
    the agents can come to take. `snapshot_bytes` are on the disk. `streams` are calls under way at the same time, of
    any kind. `requests_per_second` counts calls, and messages on streams of requests; `burst` is for how many seconds'
    worth nobody waits.
    """

    agents: int | None = None
    state_bytes: int | None = None
    snapshot_bytes: int | None = None
    streams: int | None = None
    requests_per_second: float | None = None
    burst_seconds: float = 1.0


@dataclass(frozen=True)
class Quotas:
    """Every tenant's."""

    default: Quota = field(default_factory=Quota)
    by_tenant: Mapping[str, Quota] = field(default_factory=dict)

    def of(self, tenant: str) -> Quota:
        """The quota of a tenant; "" stands for a server without tenants, which has no quotas."""
        return self.by_tenant.get(tenant, self.default) if tenant else Quota()


class Bucket:
    """A token bucket: `rate` tokens a second, at most `size` saved."""

    def __init__(self, rate: float, size: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._size, self._clock = rate, max(1.0, size), clock
        self._tokens, self._at = self._size, clock()

    def take(self) -> float:
        """Take a token and return 0; or take none and return the seconds until there is one."""
        now = self._clock()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate
