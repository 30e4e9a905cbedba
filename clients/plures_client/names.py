"""Names: short (`joe`) in Python, resource names (`cohorts/joe`) on the wire."""


def full(collection: str, name: str) -> str:
    """`cohorts/joe` for `joe`; a full name stays as it is."""
    return name if name.startswith(f"{collection}/") else f"{collection}/{name}"


def short(name: str) -> str:
    """`joe` for `cohorts/joe`."""
    return name.rpartition("/")[2]
