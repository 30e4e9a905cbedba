"""TLS from files, which may be replaced while the server runs: new connections see the new ones."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc

from ..errors import InvalidArgument
from .files import Watched


@dataclass(frozen=True)
class TlsConfig:
    """PEM files. With `client_ca`, only clients that have a certificate signed by it are let in."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class _Pem:
    certificate: bytes
    key: bytes
    client_ca: bytes | None


def credentials(config: TlsConfig) -> grpc.ServerCredentials:
    """What a server binds with; raise InvalidArgument when the files are missing or do not belong together."""
    files = [config.certificate, config.key, *([config.client_ca] if config.client_ca else [])]
    watched = Watched(files, lambda: _read(config))

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        return _configuration(watched.now()) if watched.changed() else None

    # None stands for "as before", which the stubs do not know.
    made: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        _configuration(watched.now()), cast(Any, fetch), require_client_authentication=config.client_ca is not None
    )
    return made


def _read(config: TlsConfig) -> _Pem:
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config.certificate, config.key)
        if config.client_ca is not None:
            context.load_verify_locations(config.client_ca)
        client_ca = config.client_ca.read_bytes() if config.client_ca else None
        return _Pem(config.certificate.read_bytes(), config.key.read_bytes(), client_ca)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(str(file) for file in (config.certificate, config.key, config.client_ca) if file)
        raise InvalidArgument(
            f"no TLS with {names}: {error}; give PEM files, and the key of the certificate"
        ) from error


def _configuration(pem: _Pem) -> grpc.ServerCertificateConfiguration:
    made: grpc.ServerCertificateConfiguration = grpc.ssl_server_certificate_configuration(
        [(pem.key, pem.certificate)], root_certificates=pem.client_ca
    )
    return made
