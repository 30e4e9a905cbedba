"""The wire contract is told of, to the last field, and stays what it is."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def api_page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs")
    return import_module("api_page")


def test_something_is_said_of_every_call_and_every_field(api_page: ModuleType) -> None:
    assert not list(api_page.Contract().uncommented())


def test_the_page_is_that_of_the_contract_as_it_is(api_page: ModuleType) -> None:
    same = api_page.Contract().page() == api_page.PAGE.read_text()
    assert same, "run `python docs/api_page.py --write`"


def test_what_clients_were_promised_is_kept(tmp_path: Path) -> None:
    buf = [str(Path(sys.executable).parent / "buf"), "breaking"]
    against = ["--against", str(ROOT / "proto" / "frozen.binpb")]
    kept = subprocess.run([*buf, str(ROOT / "proto"), *against], capture_output=True, text=True, check=False)
    assert kept.returncode == 0, kept.stdout
    for file in (ROOT / "proto").rglob("*.proto"):
        target = tmp_path / file.relative_to(ROOT / "proto")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text().replace("uint32 count = 3;", "uint32 agents = 3;"))
    (tmp_path / "buf.yaml").write_text((ROOT / "proto" / "buf.yaml").read_text())
    broken = subprocess.run([*buf, str(tmp_path), *against], capture_output=True, text=True, check=False)
    assert broken.returncode != 0
    assert "StartCohortRequest" in broken.stdout
