"""Messages at random, messages with every field at its extremes, and bytes that are nearly messages."""

import random
import struct
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from plures.v1 import tensor_pb2

NAMES = ("joe", "jane", "work", "monday", "bandit", "victim", "fresh", "x" * 63)
"""Identifiers that some things have."""
NASTY = ("", "/", "~", "..", "../../etc/passwd", "victim~joe", "joe\n", "j" * 64, "{joe}", "*", "é", "\x00", "a" * 5000)
COLLECTIONS = ("cohorts", "queues", "snapshots", "students", "tasks")

_F = FieldDescriptor
INTEGERS = {
    _F.TYPE_INT32: (-(2**31), -1, 0, 1, 2**31 - 1),
    _F.TYPE_UINT32: (0, 1, 2**31, 2**32 - 1),
    _F.TYPE_FIXED32: (0, 1, 2**32 - 1),
    _F.TYPE_INT64: (-(2**63), -1, 0, 1, 2**32, 2**63 - 1),
    _F.TYPE_UINT64: (0, 1, 2**32, 2**63, 2**64 - 1),
    _F.TYPE_ENUM: (-1, 0, 1, 2, 99, 2**31 - 1),
}
FLOATS = (0.0, -0.0, 1.0, -1.0, 3e38, 1e-45, float("inf"), float("-inf"), float("nan"))
BYTES = (b"", b"\x00", bytes(3), bytes(4), b"\xff" * 4, bytes(range(256)) * 16, b"\xff" * (1 << 20))


def extremes(field: FieldDescriptor) -> list[Any]:
    """Values of a field that is no message."""
    if field.type in INTEGERS:
        return list(INTEGERS[field.type])
    if field.type == _F.TYPE_STRING:
        return [*NASTY, *(f"{collection}/{name}" for collection in COLLECTIONS for name in (*NAMES[:1], *NASTY[:6]))]
    if field.type == _F.TYPE_BYTES:
        return list(BYTES)
    return [False, True] if field.type == _F.TYPE_BOOL else list(FLOATS)


def walk(base: Message) -> Iterator[Message]:
    """The message with each field, at any depth, at each of its extremes; the rest as it is."""
    for field in base.DESCRIPTOR.fields:
        if field.message_type is None:
            for value in extremes(field):
                yield _with(base, field, [value] if field.is_repeated else value)
            continue
        inner = getattr(base, field.name)
        parts = list(inner) or [GetMessageClass(field.message_type)()] if field.is_repeated else [inner]
        for changed in walk(parts[0]):
            yield _with(base, field, [changed] if field.is_repeated else changed)


def _with(base: Message, field: FieldDescriptor, value: Any) -> Message:
    message = type(base)()
    message.CopyFrom(base)
    message.ClearField(field.name)
    if field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)
    return message


def at_random(descriptor: Descriptor, rng: random.Random, depth: int = 0) -> Message:
    """A message of that kind, some of whose fields make sense."""
    message = GetMessageClass(descriptor)()
    if descriptor is tensor_pb2.Tensor.DESCRIPTOR and rng.random() < 0.7:
        return _tensor(rng)
    for field in descriptor.fields:
        if rng.random() < 0.3 or depth > 6:
            continue
        count = rng.choice((0, 1, 1, 2, 5)) if field.is_repeated else 1
        values = [_value(field, rng, depth) for _ in range(count)]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])
    return message


def _value(field: FieldDescriptor, rng: random.Random, depth: int) -> Any:
    if field.message_type is not None:
        return at_random(field.message_type, rng, depth + 1)
    if field.type == _F.TYPE_STRING and rng.random() < 0.8:
        name = rng.choice(NAMES)
        plural = next((one for one in COLLECTIONS if one.startswith(field.name)), rng.choice(COLLECTIONS))
        return name if field.name.endswith("_id") else f"{plural}/{name}"
    if field.type in INTEGERS and rng.random() < 0.7:
        return rng.randrange(0, 5)
    return rng.choice(extremes(field))


def _tensor(rng: random.Random) -> tensor_pb2.Tensor:
    """One whose type, shape and data mostly agree."""
    data_type = rng.randrange(1, 7)
    size = {1: 1, 2: 4, 3: 4, 4: 8, 5: 8, 6: 4}[data_type]
    shape = [rng.choice((0, 1, 2, 3, 4)) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]
    count = 1
    for extent in shape:
        count *= extent
    if data_type == 6 and rng.random() < 0.8:
        data = b"".join(struct.pack("<f", rng.choice((0.0, 0.5, 1.0, *FLOATS[4:]))) for _ in range(count))
    else:
        data = rng.randbytes(size * count) if rng.random() < 0.3 else bytes(size * count)
    if rng.random() < 0.1:
        data = data[:-1]
    return tensor_pb2.Tensor(data_type=tensor_pb2.DataType.ValueType(data_type), shape=shape, data=data)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes with some flipped, cut, doubled or put in."""
    changed = bytearray(data or b"\x00")
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at : at + rng.randrange(1, 9)]
            case 2:
                changed[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                changed += changed[at : at + 64]
    return bytes(changed)
