"""The outer loop: fit a student to recorded lives."""

from .run import Imitation
from .settings import ImitationSettings

__all__ = ["Imitation", "ImitationSettings"]
