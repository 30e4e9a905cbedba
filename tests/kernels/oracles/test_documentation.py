"""What the documentation says of these tests."""

import re
from pathlib import Path

from plures_kernels import RULES

from .peers import PEERS

DOCS = Path(__file__).parents[3] / "docs" / "kernels.md"


def held_against():
    """For each rule, what its row of the table says."""
    _, _, section = DOCS.read_text().partition("## Conventions, ours and theirs")
    section, _, _ = section.partition("\n## ")
    return dict(re.findall(r"^\| `(\w+)` \| (.*)$", section, re.MULTILINE))


def test_the_documentation_says_of_every_rule_whom_it_is_held_against():
    assert held_against().keys() == RULES.keys()


def test_the_documentation_names_every_module_of_theirs():
    rows = held_against()
    for peer in PEERS:
        library, *_, family, _ = peer.module.split(".")
        assert (family if library == "fla" else "Qwen3-Next") in rows[peer.rule]
