"""Settings from flags, environment and file."""

import os
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import torch
from plures_server.configuring import memory_of, queue_config
from plures_server.errors import InvalidArgument
from plures_server.queue.calls import QueueConfig
from plures_server.settings import Settings, read_settings
from plures_server.settings.page import page
from plures_server.settings.setting import settings_of

STUDENTS = {"students": Path("students")}
ROOT = Path(__file__).parents[3]


def from_file(folder: Path, text: str, flags: dict[str, Any] | None = None, **environment: str) -> Settings:
    file = folder / "plures.toml"
    file.write_text(text)
    return read_settings(STUDENTS | (flags or {}), environment, file)


def refusal(folder: Path, text: str, **environment: str) -> str:
    with pytest.raises(InvalidArgument) as refused:
        from_file(folder, text, **environment)
    return str(refused.value)


def test_what_nobody_says_has_its_default() -> None:
    assert read_settings(STUDENTS, {}, None) == Settings(students=Path("students"))


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    text = "device = 'a'\n[pool]\nmax_agents = 1\nhost_gb = 1\n[listen]\nport = 1"
    settings = from_file(
        tmp_path, text, {"max_agents": 3}, PLURESD_MAX_AGENTS="2", PLURESD_PORT="2", PLURESD_SET_ASIDE="a.1,b.2"
    )
    assert (settings.pool.max_agents, settings.listen.port, settings.pool.host_gb, settings.device) == (3, 2, 1.0, "a")
    assert settings.durable.set_aside == ("a.1", "b.2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pool]\nmax_agnets = 3", "there is no setting 'pool.max_agnets'; did you mean pool.max_agents?"),
        ("max_agents = 3", "there is no setting 'max_agents'; did you mean pool.max_agents?"),
        ("[poool]\nport = 3", "there is no setting 'poool'; did you mean [pool]?"),
        ("pool = 3", "there is no setting 'pool'"),
        ("[pool]\nmax_agents = '3'", "pool.max_agents is '3'; it takes a whole number"),
        ("[pool]\nmax_agents = true", "pool.max_agents is True; it takes a whole number"),
        ("[pool]\nmax_agents = 0", "pool.max_agents: 0 is not in the range 1<=x<=536870912"),
        ("[pool]\nmemory_gb = 0", "pool.memory_gb: 0.0 is not in the range x>0"),
        ("[pool]\nmemory_gb = nan", "pool.memory_gb: nan is no number to count with"),
        ("[listen]\ninsecure_bind = 1", "listen.insecure_bind is 1; it takes true or false"),
        ("[durable]\nset_aside = 'a.1'", "durable.set_aside is 'a.1'; it takes a list, each a string"),
        ("[durable]\nset_aside = [1]", "durable.set_aside is [1]; it takes a list, each a string"),
        ("tenants = 3", "tenants is 3; it takes a table for each tenant, [tenants.NAME]"),
        ("students", "cannot be read as TOML"),
    ],
)
def test_what_makes_no_sense_in_a_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(f"{tmp_path / 'plures.toml'}")
    assert said in message


def test_what_makes_no_sense_in_the_environment_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, "", PLURESD_MAX_AGENT="3") == (
        "there is no setting PLURESD_MAX_AGENT; did you mean PLURESD_MAX_AGENTS?"
    )
    assert "PLURESD_PORT: 'tcp://10.0.0.1:1' is not a valid integer" in refusal(
        tmp_path, "", PLURESD_PORT="tcp://10.0.0.1:1"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"nowhere\.toml cannot be read"):
        read_settings(STUDENTS, {}, tmp_path / "nowhere.toml")


def test_students_must_be_named() -> None:
    with pytest.raises(InvalidArgument, match="name one with --students"):
        read_settings({}, {}, None)


def test_settings_do_not_change() -> None:
    settings = read_settings(STUDENTS, {}, None)
    with pytest.raises(FrozenInstanceError):
        settings.listen.port = 1  # type: ignore[misc]


def test_queues_have_the_bounds_that_are_given_and_else_their_own(tmp_path: Path) -> None:
    bounds = "max_items = 7\nmax_results = 6\nmax_attempts = 2\nmax_dead = 5\nmax_children = 4\nmax_depth = 3\n"
    given = from_file(tmp_path, f'students = "s"\n[queues]\n{bounds}results_kept_days = 0.5\nidle_days = 2.0\n')
    assert queue_config(given) == QueueConfig(
        max_items=7,
        max_results=6,
        max_attempts=2,
        dead_chunks_kept=5,
        max_children=4,
        max_depth=3,
        results_kept_ms=12 * 3_600_000,
        idle_ms=48 * 3_600_000,
    )
    assert queue_config(Settings(students=Path("s"))) == QueueConfig()


def test_flags_and_variables_are_of_one_setting_each() -> None:
    flags = [one.flag for one in settings_of(Settings) if one.flag]
    assert len(flags) == len(set(flags))
    assert all(one.help.endswith(".") for one in settings_of(Settings))


def test_the_page_lists_what_there_is() -> None:
    said = (ROOT / "docs" / "configuration.md").read_text()
    assert said == page(), "run `python -m plures_server.settings.page > docs/configuration.md`"


@pytest.mark.parametrize(("limit", "bytes_"), [("1048576\n", 1 << 20), ("max\n", None), ("9" * 30, None), (None, None)])
def test_in_a_container_memory_is_what_the_container_may_have(
    tmp_path: Path, limit: str | None, bytes_: int | None
) -> None:
    file = tmp_path / "memory.max"
    if limit is not None:
        file.write_text(limit)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_of(torch.device("cpu"), file) == (bytes_ or machine)
