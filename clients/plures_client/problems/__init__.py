"""Problems that ship with the client."""

from .best_arm import BestArm, BestArmAnswer

__all__ = ["BestArm", "BestArmAnswer"]
