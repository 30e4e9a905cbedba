"""Recorded lives: what a learner saw, did and got, from birth, as Parquet beside a card."""

from .card import LivesCard
from .errors import LivesError
from .importer import import_csv
from .lives import Lives, join, split
from .mapping import Mapping
from .shipped import copy_shipped, read_shipped, shipped_names
from .storage import read_lives, write_lives

__all__ = [
    "Lives",
    "LivesCard",
    "LivesError",
    "Mapping",
    "copy_shipped",
    "import_csv",
    "join",
    "read_lives",
    "read_shipped",
    "shipped_names",
    "split",
    "write_lives",
]
