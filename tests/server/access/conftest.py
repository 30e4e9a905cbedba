"""Certificates, and servers behind them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner
from plures_server.main import main


@dataclass(frozen=True)
class Pki:
    """A certificate authority in a folder: `ca.pem`, and certificates for the server and for a client."""

    folder: Path
    ca: trustme.CA

    @classmethod
    def make(cls, folder: Path) -> "Pki":
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder, trustme.CA())
        made.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        made.issue("server", "localhost", "127.0.0.1")
        made.issue("client", "joe@example.org")
        return made

    def issue(self, name: str, *identities: str) -> None:
        """A new certificate, beside what there may have been, then in its place, as an operator would."""
        issued = self.ca.issue_cert(*identities)
        for suffix, pem in ((".key", issued.private_key_pem), (".pem", issued.cert_chain_pems[0])):
            pem.write_to_path(str(self.folder / f"new{suffix}"))
        for suffix in (".key", ".pem"):
            (self.folder / f"new{suffix}").replace(self.folder / f"{name}{suffix}")

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def server_flags(self) -> tuple[str, ...]:
        return "--tls-certificate", str(self.path("server.pem")), "--tls-key", str(self.path("server.key"))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "tokens"


@pytest.fixture(scope="session")
def new_token(tokens: Path) -> Callable[[str], str]:
    def new(tenant: str) -> str:
        done = CliRunner().invoke(main, ["token", "new", tenant, "--tokens", str(tokens)])
        assert done.exit_code == 0, done.stderr
        return done.stdout.strip()

    return new


QUOTAS = """
[quota]
agents = 1000
state_gb = 0.001
streams = 3

[tenants.slow]
requests_per_second = 2
burst_seconds = 1

[tenants.small]
agents = 3

[tenants.thin]
snapshot_gb = 0.00002
"""


@pytest.fixture(scope="session")
def guarded(launch_server: Callable[..., Any], pki: Pki, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with TLS, tokens and quotas; for the tests that change nothing but what is their own tenant's."""
    file = tmp_path_factory.mktemp("config") / "plures.toml"
    file.write_text(QUOTAS)
    return launch_server("--config", str(file), "--tokens", str(tokens), *pki.server_flags)
