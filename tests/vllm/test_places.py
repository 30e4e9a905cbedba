"""Pages as named states, in the folder that vLLM's worker publishes to."""

from pathlib import Path

import pytest
import torch
from plures_server.vllm.agents.places import Layout, NamedPlaces
from plures_server.vllm.states import Facts, State, StateFolder

LAYOUT = Layout("m", {"memory": (torch.Size([3]), torch.float32)})


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "states")


@pytest.fixture
def places(folder: StateFolder) -> NamedPlaces:
    return NamedPlaces(4, folder, LAYOUT, lambda: None)


def test_what_is_published_after_its_page_was_vacated_takes_nobodys_place(
    folder: StateFolder, places: NamedPlaces
) -> None:
    page, name = torch.tensor([2]), places.name(2)
    late = State(Facts("m", tokens=1).renewed(), {"memory": torch.full((3,), 7.0)})
    places.written(2, late.facts.version)
    places.vacate(page)
    places.put(page, torch.ones(1, 3))
    folder.save(name, late)
    assert torch.equal(places.get(page), torch.ones(1, 3))


def test_what_was_published_goes_with_its_page(folder: StateFolder, places: NamedPlaces) -> None:
    page = torch.tensor([2])
    places.put(page, torch.ones(1, 3))
    places.vacate(page)
    assert folder.names() == []


def test_pages_of_an_earlier_server_are_removed(folder: StateFolder, places: NamedPlaces) -> None:
    places.put(torch.tensor([2]), torch.ones(1, 3))
    NamedPlaces(4, folder, LAYOUT, lambda: None)
    assert folder.names() == []
