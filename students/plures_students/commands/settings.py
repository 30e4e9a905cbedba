"""Settings of a world and of who learns in it, as people type them."""

from plures_kernels.errors import InvalidArgument


def read_settings(texts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """`world.arms=3` as {"world": {"arms": "3"}}."""
    chosen: dict[str, dict[str, str]] = {"world": {}, "learner": {}}
    for text in texts:
        whose, _, setting = text.partition(".")
        name, _, value = setting.partition("=")
        if whose not in chosen or not name or not value:
            raise InvalidArgument(f"setting {text!r} is not world.NAME=VALUE or learner.NAME=VALUE")
        chosen[whose][name] = value
    return chosen
