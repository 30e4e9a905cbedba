"""Teachers that are language models behind an endpoint: they learn in their context, and are known by their answers."""

from .endpoint import Answer, Endpoint, EndpointDown, EndpointSettings
from .game import GAMES, Game
from .recorder import Recording

__all__ = ["GAMES", "Answer", "Endpoint", "EndpointDown", "EndpointSettings", "Game", "Recording"]
