"""Resource names, as in Google's AIP-122: `cohorts/joe-1`. Every name from the wire passes through here.

Inside a server with tenants, the names of a tenant's things begin with the tenant's: `acme~joe-1`. The wire never has
these (`access/scoping.py`), and nobody can write another's: what they write is put behind their own.
"""

import re

from .errors import InvalidArgument

TENANT_MARK = "~"
_WORD = r"[a-z][a-z0-9-]{0,62}"
ID_PATTERN = rf"(?:{_WORD}{TENANT_MARK})?{_WORD}"
_ID = re.compile(ID_PATTERN)
_TENANT = re.compile(_WORD)
_TASK = re.compile(r"[a-z][a-z0-9_-]{0,62}|gymnasium:[A-Za-z0-9][\w./:-]{0,120}")
_VERSION = re.compile(r"[2-9]|[1-9][0-9]{1,8}")


def check_id(identifier: str, what: str) -> str:
    """Return the identifier; raise InvalidArgument unless it is 1–63 of a-z, 0-9 and -, beginning with a letter."""
    if not _ID.fullmatch(identifier):
        raise InvalidArgument(
            f"{what} {identifier[:80]!r} is not a name: use 1 to 63 of a-z, 0-9 and -, beginning with a letter"
        )
    return identifier


def is_id(value: object) -> bool:
    """Whether `check_id` takes it."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def check_tenant(name: str) -> str:
    """Return the name; raise InvalidArgument unless a tenant can be called so."""
    if not _TENANT.fullmatch(name):
        raise InvalidArgument(
            f"tenant {name[:80]!r} is not a name: use 1 to 63 of a-z, 0-9 and -, beginning with a letter"
        )
    return name


def tenant_of(identifier: str) -> str:
    """Whose thing it is; "" where there are no tenants."""
    return identifier.rpartition(TENANT_MARK)[0]


def beside(identifier: str, neighbour: str) -> str:
    """What is called so among the things of whose thing the neighbour is."""
    mark = TENANT_MARK if TENANT_MARK in neighbour else ""
    return tenant_of(neighbour) + mark + identifier


def parse(name: str, collection: str) -> str:
    """The identifier in `collection/identifier`."""
    return check_id(_within(name, collection), collection.removesuffix("s"))


def check_task(identifier: str) -> str:
    """Return a task's name; raise InvalidArgument unless it is one: `bandit`, `gymnasium:CartPole-v1`."""
    if not _TASK.fullmatch(identifier):
        raise InvalidArgument(
            f"{identifier[:80]!r} is no task's name: use 1 to 63 of a-z, 0-9, - and _, beginning with a letter, or "
            "gymnasium: and the id of an environment"
        )
    return identifier


def parse_task(name: str) -> str:
    """The identifier in `tasks/identifier`."""
    return check_task(_within(name, "tasks"))


def check_student(identifier: str) -> str:
    """Return a student's identifier: a name, or `name@version` for versions from 2 on; else raise InvalidArgument."""
    name, at, version = identifier.partition("@")
    if at and not _VERSION.fullmatch(version):
        raise InvalidArgument(f"{identifier[:80]!r} has no version behind its @; versions are whole numbers from 2 on")
    check_id(name, "student")
    return identifier


def parse_student(name: str) -> str:
    """The identifier in `students/identifier`."""
    return check_student(_within(name, "students"))


def _within(name: str, collection: str) -> str:
    found, _, identifier = name.partition("/")
    if found != collection:
        raise InvalidArgument(f"{name[:80]!r} is not a resource name of the form {collection}/…")
    return identifier
