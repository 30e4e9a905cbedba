"""The root of every error that Plures raises on purpose."""


class PluresError(Exception):
    """Something a caller, a file or a peer got wrong; the message has the value and the way out."""


class InvalidArgument(PluresError, ValueError):
    """A value, shape or type that the called function does not take."""
