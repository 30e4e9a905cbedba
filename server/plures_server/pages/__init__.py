"""Where agents' states live, a page each: who refers to which, and which tier of memory it lies in."""

from .pages import Pages, Turnover
from .places import NEWBORN, AllHot, Handles, Places, Slots, TierUsage

__all__ = ["NEWBORN", "AllHot", "Handles", "Pages", "Places", "Slots", "TierUsage", "Turnover"]
