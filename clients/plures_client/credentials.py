"""Who the client is, and whom it trusts: a bearer token, and TLS from PEM files."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from .errors import InvalidArgument

TOKEN_VARIABLE = "PLURES_TOKEN"
CA_VARIABLE = "PLURES_CA"


@dataclass(frozen=True)
class Tls:
    """PEM files. `ca`: whose certificates to trust, the system's when None; `certificate`, `key`: the client's (mTLS).

    `name`: what the server's certificate says, when it is not the address.
    """

    ca: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Credentials:
    """`token` None: none is sent. `tls` None: calls are not encrypted."""

    token: str | None = None
    tls: Tls | None = None

    @classmethod
    def given(cls, token: str | None, tls: Tls | bool | None) -> "Credentials":
        """What the caller gives; where that is None, what PLURES_TOKEN and PLURES_CA give."""
        token = token if token is not None else os.environ.get(TOKEN_VARIABLE)
        if tls is None and (ca := os.environ.get(CA_VARIABLE)):
            tls = Tls(ca=ca)
        return cls(token or None, Tls() if tls is True else tls or None)

    def channel(self, address: str, options: list[tuple[str, Any]]) -> grpc.aio.Channel:
        """A channel to the address; raise InvalidArgument when the token would travel in the open, or files are bad."""
        if self.tls is None:
            if self.token is not None and not _is_near(address):
                raise InvalidArgument(
                    f"the token would travel to {address} in the open; give `tls=`, PLURES_CA or --ca, or no token"
                )
            return grpc.aio.insecure_channel(address, options=options)
        if self.tls.name:
            options = [*options, ("grpc.ssl_target_name_override", self.tls.name)]
        return grpc.aio.secure_channel(address, _ssl(self.tls), options=options)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


def trace_headers() -> tuple[tuple[str, str], ...]:
    """The `traceparent` of the span that the caller is in, when the program traces with OpenTelemetry."""
    if (propagate := sys.modules.get("opentelemetry.propagate")) is None:
        return ()
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return tuple(carrier.items())


class Identified:
    """A channel whose calls all bring some metadata: what stubs take for a channel."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Callable[[], tuple[tuple[str, str], ...]]) -> None:
        self._channel, self._metadata = channel, metadata

    def __getattr__(self, kind: str) -> Any:
        """`unary_unary` and its like."""
        make = getattr(self._channel, kind)

        def method(*args: Any, **options: Any) -> Any:
            call = make(*args, **options)
            return lambda *request, **more: call(*request, metadata=self._metadata(), **more)

        return method


def read_token(file: Path) -> str:
    """The token in a file; raise InvalidArgument when it cannot be read, or has none."""
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"no token can be read from {file}: {error}") from error
    if not token:
        raise InvalidArgument(f"{file} has no token; `plures-server token new` makes one")
    return token


def _ssl(tls: Tls) -> grpc.ChannelCredentials:
    if (tls.certificate is None) != (tls.key is None):
        raise InvalidArgument("a client's certificate takes its key, too; give both, or neither")
    ca, certificate, key = (_bytes(file) for file in (tls.ca, tls.certificate, tls.key))
    return grpc.ssl_channel_credentials(ca, key, certificate)


def _bytes(file: Path | str | None) -> bytes | None:
    try:
        return None if file is None else Path(file).read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be read: {error.strerror}") from error


def _is_near(address: str) -> bool:
    """Whether calls stay on this machine."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]") or address
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
