"""Names: short (`joe`) in Python, resource names (`cohorts/joe`) on the wire."""

COLLECTIONS = frozenset({"cohorts", "queues", "snapshots", "students", "tasks"})


def full(collection: str, name: str) -> str:
    """`cohorts/joe` for `joe`; a full name stays as it is."""
    return name if name.startswith(f"{collection}/") else f"{collection}/{name}"


def short(name: str) -> str:
    """`joe` for `cohorts/joe`; a task's own name may have a slash: `gymnasium:ALE/Pong-v5`."""
    collection, slash, identifier = name.partition("/")
    return identifier if slash and collection in COLLECTIONS else name
