"""How well people are imitated: every figure of docs/imitation.md, by one command that can be stopped and goes on."""

from .make import make_paper

__all__ = ["make_paper"]
