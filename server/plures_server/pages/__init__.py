"""Where agents' states live, a page each: who refers to which, and which tier of memory it lies in."""

from .build import ColdConfig, MakePages, make_pages
from .disk import DiskTier
from .pages import Pages, Turnover
from .places import NEWBORN, AllHot, Handles, Places, Slots, TierUsage
from .tiered import Tiered
from .tiers import TensorTier

__all__ = [
    "NEWBORN",
    "AllHot",
    "ColdConfig",
    "DiskTier",
    "Handles",
    "MakePages",
    "Pages",
    "Places",
    "Slots",
    "TensorTier",
    "TierUsage",
    "Tiered",
    "Turnover",
    "make_pages",
]
