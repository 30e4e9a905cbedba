"""The door: who a caller is by its token, and whether it may have one more call, or message, now."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import QuotaExceeded, RateExceeded, Unauthenticated
from .files import Watched
from .quotas import Bucket, Quotas
from .tokens import read_tokens, tenant_of_token

_SCHEME = "bearer "


class Door:
    """Of one server. Without tokens everyone comes in, and nobody is a tenant."""

    def __init__(self, tokens: Path | None = None, quotas: Quotas | None = None) -> None:
        self._tokens = None if tokens is None else Watched([tokens], lambda: read_tokens(tokens))
        self._quotas = quotas or Quotas()
        self._streams: Counter[str] = Counter()
        self._buckets: dict[str, Bucket] = {}

    def tenant(self, authorization: str) -> str:
        """Whose call it is, by its `authorization`; raise Unauthenticated when nobody is known by it."""
        if self._tokens is None:
            return ""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise Unauthenticated("no token came with the call; give one as `token=`, PLURES_TOKEN or --token-file")
        found = tenant_of_token(self._tokens.now(), authorization[len(_SCHEME) :].strip())
        if found is None:
            raise Unauthenticated("the token is not known here; ask for a new one: `plures-server token new`")
        return found

    @contextmanager
    def call(self, tenant: str) -> Iterator[None]:
        """One more call of a tenant; raise QuotaExceeded or RateExceeded."""
        most = self._quotas.of(tenant).streams
        if most is not None and self._streams[tenant] >= most:
            raise QuotaExceeded(
                f"tenant {tenant!r} has {most:,} calls under way, which is its quota; end one of them",
                tenant,
                "streams",
            )
        if wait_s := self.wait(tenant):
            raise RateExceeded(
                f"tenant {tenant!r} asks more often than its quota of "
                f"{self._quotas.of(tenant).requests_per_second:g} times a second; try again in {wait_s:.3f} s",
                tenant,
                wait_s,
            )
        self._streams[tenant] += 1
        try:
            yield
        finally:
            self._streams[tenant] -= 1

    def wait(self, tenant: str) -> float:
        """Seconds until the tenant may ask; 0 when it may now, and then it has asked."""
        quota = self._quotas.of(tenant)
        if (rate := quota.requests_per_second) is None:
            return 0.0
        if tenant not in self._buckets:
            self._buckets[tenant] = Bucket(rate, rate * quota.burst_seconds)
        return self._buckets[tenant].take()
