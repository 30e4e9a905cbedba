"""Encrypted channels, to real servers."""

import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from grpc_health.v1 import health_pb2, health_pb2_grpc
from plures_client import Client, PluresClientError, Tls
from plures_client.errors import InvalidArgument, PermissionDenied, Unavailable
from plures_server.main import main
from plures_students.checkpoint import save_checkpoint

from ..helpers import small_student
from .conftest import Pki

NewToken = Callable[[str], str]


def refused_start(folder: Path, *arguments: str) -> Result:
    save_checkpoint(folder / "students" / "joe", small_student(), {})
    flags = ("--students", str(folder / "students"), "--data", str(folder / "data"), "--port", "0")
    return CliRunner().invoke(main, [*flags, *arguments])


def test_calls_go_over_an_encrypted_channel(guarded: Any, pki: Pki, new_token: NewToken) -> None:
    with Client(guarded.address, token=new_token("tls"), tls=Tls(ca=pki.path("ca.pem"))) as client:
        cohort = client.cohorts.start("joe", student="bandit", count=3)
        assert len(cohort.act().action) == 3
        assert len(cohort.run("bandit", [[0.5, 0.5]], steps=3).result().summary) == 3


def test_a_server_that_nobody_vouches_for_is_not_talked_to(guarded: Any, tmp_path: Path, new_token: NewToken) -> None:
    other = Pki.make(tmp_path)
    with (
        Client(guarded.address, token=new_token("tls"), tls=Tls(ca=other.path("ca.pem"))) as client,
        pytest.raises(Unavailable),
    ):
        client.pool()


def test_a_client_in_the_open_is_not_answered(guarded: Any) -> None:
    with Client(guarded.address) as client, pytest.raises(Unavailable):
        client.pool()


def test_who_has_no_token_is_refused_with_the_way_out(guarded: Any, pki: Pki) -> None:
    for token, said in ((None, "no token came"), ("plures_0_x", "not known here"), ("", "no token came")):
        with Client(guarded.address, token=token, tls=Tls(ca=pki.path("ca.pem"))) as client:
            with pytest.raises(PermissionDenied, match=said) as refused:
                client.pool()
            assert refused.value.reason == "UNAUTHENTICATED"
            with pytest.raises(PermissionDenied, match=said):
                client.cohort("joe").act()


def test_environment_and_command_line_say_the_same(
    guarded: Any, pki: Pki, new_token: NewToken, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from plures_client.cli import main as plures

    (tmp_path / "token").write_text(new_token("tls") + "\n")
    flags = ["--server", guarded.address, "--ca", str(pki.path("ca.pem")), "--token-file", str(tmp_path / "token")]
    assert CliRunner().invoke(plures, [*flags, "pool", "--json"]).exit_code == 0
    monkeypatch.setenv("PLURES_CA", str(pki.path("ca.pem")))
    monkeypatch.setenv("PLURES_TOKEN", new_token("tls"))
    with Client(guarded.address) as client:
        assert client.pool().agents_free > 0
    refused = CliRunner().invoke(plures, ["--server", guarded.address, "--token-file", str(tmp_path / "no"), "pool"])
    assert "no token can be read from" in refused.stderr


def test_a_token_does_not_travel_in_the_open() -> None:
    with (
        Client("example.org:50051", token="plures_0_x") as client,
        pytest.raises(InvalidArgument, match=r"would travel to example\.org:50051 in the open"),
    ):
        client.pool()


def test_half_a_certificate_is_refused(pki: Pki) -> None:
    with (
        Client("127.0.0.1:1", tls=Tls(certificate=pki.path("client.pem"))) as client,
        pytest.raises(InvalidArgument, match="takes its key, too"),
    ):
        client.pool()
    with (
        Client("127.0.0.1:1", tls=Tls(ca="nowhere.pem")) as client,
        pytest.raises(InvalidArgument, match=r"nowhere\.pem cannot be read"),
    ):
        client.pool()


def test_probes_need_no_token(guarded: Any, pki: Pki) -> None:
    credentials = grpc.ssl_channel_credentials(pki.path("ca.pem").read_bytes())
    with grpc.secure_channel(guarded.address, credentials) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_with_mtls_a_client_needs_a_certificate_and_both_may_be_replaced(
    launch_server: Callable[..., Any], tmp_path: Path
) -> None:
    pki = Pki.make(tmp_path)
    server = launch_server(*pki.server_flags, "--tls-client-ca", str(pki.path("ca.pem")))
    known = Tls(pki.path("ca.pem"), pki.path("client.pem"), pki.path("client.key"))
    with Client(server.address, tls=known) as client:
        assert client.pool().agents == 0
        with Client(server.address, tls=Tls(ca=pki.path("ca.pem"))) as stranger, pytest.raises(PluresClientError):
            stranger.pool()
        before = shown(server, pki)
        pki.issue("server", "localhost", "127.0.0.1")
        assert shown(server, pki) != before, "a new connection sees the new certificate"
        assert client.pool().agents == 0, "an old one goes on"
        pki.path("server.key").write_text("damaged")
        with Client(server.address, tls=known) as another:
            assert another.pool().agents == 0, "what cannot be read leaves it as it was"
    until_logged(server, "kept as it was: no TLS with")
    assert server.stop() == 0


def shown(server: Any, pki: Pki) -> int:
    """The serial number of the certificate that the server shows now."""
    host, _, port = server.address.rpartition(":")
    context = ssl.create_default_context(cafile=pki.path("ca.pem"))
    context.load_cert_chain(pki.path("client.pem"), pki.path("client.key"))
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        certificate = tls.getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)


def until_logged(server: Any, words: str) -> None:
    deadline = time.monotonic() + 20
    while not re.search(re.escape(words), (server.folder / "server.log").read_text()):
        assert time.monotonic() < deadline, words
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tls-key", "{0}/server.key"], "TLS takes both --tls-certificate and --tls-key"),
        (["--tls-certificate", "{0}/server.pem", "--tls-key", "{0}/client.key"], "no TLS with"),
        (["--tls-certificate", "{0}/none.pem", "--tls-key", "{0}/server.key"], "none.pem"),
        (["--host", "0.0.0.0"], "give --tls-certificate and --tls-key, or add --insecure-bind"),
    ],
)
def test_a_server_does_not_start_with_half_of_its_security(
    tmp_path: Path, pki: Pki, flags: list[str], said: str
) -> None:
    refused = refused_start(tmp_path, *(flag.format(pki.folder) for flag in flags))
    assert refused.exit_code == 1
    assert said in refused.stderr.splitlines()[-1]


def test_quotas_of_tenants_need_tokens(tmp_path: Path) -> None:
    (tmp_path / "plures.toml").write_text("[tenants.acme]\nagents = 3")
    assert (
        "without --tokens nobody is a tenant"
        in refused_start(tmp_path, "--config", str(tmp_path / "plures.toml")).stderr
    )
