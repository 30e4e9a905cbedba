"""What each tenant has of the pool. Owned by the engine's thread."""

from collections import defaultdict
from dataclasses import dataclass

from ..errors import QuotaExceeded
from ..names import tenant_of
from .quotas import Quota, Quotas


@dataclass
class Share:
    """Agents alive, and the bytes that a state for each takes."""

    agents: int = 0
    state_bytes: int = 0


class Shares:
    """Counts always; refuses once quotas are enforced: cohorts that a server recovers are not refused."""

    def __init__(self) -> None:
        self._shares: defaultdict[str, Share] = defaultdict(Share)
        self._quotas = Quotas()

    def enforce(self, quotas: Quotas) -> None:
        """From now on what goes beyond these is refused."""
        self._quotas = quotas

    def of(self, tenant: str) -> Share:
        return self._shares[tenant]

    def quota(self, tenant: str) -> Quota:
        return self._quotas.of(tenant)

    def check(self, cohort: str, agents: int, page_bytes: int) -> None:
        """Raise QuotaExceeded when the tenant of a cohort may not have so many agents more."""
        tenant = tenant_of(cohort)
        quota, share = self._quotas.of(tenant), self._shares[tenant]
        if quota.agents is not None and share.agents + agents > quota.agents:
            raise QuotaExceeded(
                f"{agents:,} agents more are beyond the quota of tenant {tenant!r}: it has {share.agents:,} of "
                f"{quota.agents:,}; retire some",
                tenant,
                "agents",
            )
        wanted = agents * page_bytes
        if quota.state_bytes is not None and share.state_bytes + wanted > quota.state_bytes:
            raise QuotaExceeded(
                f"states of {agents:,} agents more take {wanted:,} bytes, which are beyond the quota of tenant "
                f"{tenant!r}: it has {share.state_bytes:,} of {quota.state_bytes:,}; retire agents",
                tenant,
                "state_bytes",
            )

    def add(self, cohort: str, agents: int, page_bytes: int) -> None:
        """Agents came, or went when there are fewer than 0."""
        share = self._shares[tenant_of(cohort)]
        share.agents += agents
        share.state_bytes += agents * page_bytes
