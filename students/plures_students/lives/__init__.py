"""Recorded lives: what a learner saw, did and got, from birth, as Parquet beside a card."""

from .card import LivesCard
from .errors import LivesError
from .from_minari import import_minari
from .importer import import_csv
from .lives import Lives, join, split
from .mapping import Mapping
from .rollout import rollout
from .shipped import copy_shipped, read_shipped, shipped_names
from .storage import read_lives, write_lives
from .streaming import stream_lives
from .summary import Summary, summarise

__all__ = [
    "Lives",
    "LivesCard",
    "LivesError",
    "Mapping",
    "Summary",
    "copy_shipped",
    "import_csv",
    "import_minari",
    "join",
    "read_lives",
    "read_shipped",
    "rollout",
    "shipped_names",
    "split",
    "stream_lives",
    "summarise",
    "write_lives",
]
