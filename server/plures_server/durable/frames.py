"""A log file: a header, then frames. A frame is what one flush made durable: length, number, checksum, payload.

    header  magic 8 | salt 16 | segment u64 | crc32 u32
    frame   magic 4 | length u32 | number u64 | crc32 of the head u32 | crc32 of the payload u32 | payload

All little-endian. A frame's number follows that of the frame before. Checksums begin with the file's salt, so that
nothing a client had written into a payload passes for a frame.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import DamagedLog

HEADER_MAGIC = b"PLURESL1"
FRAME_MAGIC = b"\xf5PLF"
_HEADER = struct.Struct("<8s16sQ")
_HEAD = struct.Struct("<4sIQ")
_CHECKSUM = struct.Struct("<I")
FRAME_BYTES = _HEAD.size + 2 * _CHECKSUM.size
HEADER_BYTES = _HEADER.size + _CHECKSUM.size
SALT_BYTES = 16


@dataclass(frozen=True)
class Frame:
    """A whole frame: its number, where it begins, and what it holds."""

    number: int
    offset: int
    payload: bytes


@dataclass(frozen=True)
class Segment:
    """A log file as it was read: its whole frames, and how many bytes they and the header take."""

    frames: tuple[Frame, ...]
    whole_bytes: int


def encode_header(salt: bytes, segment: int) -> bytes:
    """The first bytes of a log file."""
    head = _HEADER.pack(HEADER_MAGIC, salt, segment)
    return head + _CHECKSUM.pack(zlib.crc32(head))


def encode_frame(salt: bytes, number: int, payload: bytes) -> bytes:
    """A frame as it goes to the file."""
    head = _HEAD.pack(FRAME_MAGIC, len(payload), number)
    return head + _checksum(salt, head) + _checksum(salt, payload) + payload


def read_segment(path: Path, segment: int, is_last: bool) -> Segment:
    """The whole frames of a log file.

    The last file may end in a write that the server's death cut short: then nothing whole stands behind it, and it is
    left out. Any other flaw raises DamagedLog with file and offset.
    """
    data = path.read_bytes()
    if is_last and len(data) <= HEADER_BYTES and not _header_is_whole(data, segment):
        return Segment((), 0)
    if not _header_is_whole(data, segment):
        raise _damage(path, 0, f"it does not begin as log file {segment} does")
    salt = _salt(data)
    frames, end = _whole_frames(data, salt)
    if end < len(data) and not is_last:
        raise _damage(path, end, "a record is damaged or cut short, and later files follow")
    if (behind := _find_frame(data, salt, end + 1)) is not None:
        raise _damage(path, end, f"a record is damaged, and a whole one follows at byte {behind:,}")
    return Segment(tuple(frames), end)


def check_order(path: Path, frames: tuple[Frame, ...], expected: int) -> int:
    """The number after these frames; raise DamagedLog unless they are numbered on from `expected`."""
    for frame in frames:
        if frame.number != expected:
            raise _damage(path, frame.offset, f"record {frame.number:,} stands where {expected:,} should")
        expected += 1
    return expected


def _header_is_whole(data: bytes, segment: int) -> bool:
    return data[:HEADER_BYTES] == encode_header(_salt(data), segment)


def _salt(data: bytes) -> bytes:
    # Filled up, for a file that ends within it.
    return data[len(HEADER_MAGIC) :][:SALT_BYTES].ljust(SALT_BYTES, b"\0")


def _whole_frames(data: bytes, salt: bytes) -> tuple[list[Frame], int]:
    frames: list[Frame] = []
    end = HEADER_BYTES
    while (frame := _frame_at(data, salt, end)) is not None:
        frames.append(frame)
        end += FRAME_BYTES + len(frame.payload)
    return frames, end


def _frame_at(data: bytes, salt: bytes, offset: int) -> Frame | None:
    head, checksums = data[offset : offset + _HEAD.size], data[offset + _HEAD.size : offset + FRAME_BYTES]
    # The head first: only then is its length one to go by.
    if len(checksums) < FRAME_BYTES - _HEAD.size or checksums[: _CHECKSUM.size] != _checksum(salt, head):
        return None
    magic, length, number = _HEAD.unpack(head)
    payload = data[offset + FRAME_BYTES : offset + FRAME_BYTES + length]
    if magic != FRAME_MAGIC or len(payload) < length or checksums[_CHECKSUM.size :] != _checksum(salt, payload):
        return None
    return Frame(number, offset, payload)


def _find_frame(data: bytes, salt: bytes, offset: int) -> int | None:
    """Where, from `offset` on, the next whole frame begins."""
    while (offset := data.find(FRAME_MAGIC, offset)) >= 0:
        if _frame_at(data, salt, offset) is not None:
            return offset
        offset += 1
    return None


def _checksum(salt: bytes, data: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(data, zlib.crc32(salt)))


def _damage(path: Path, offset: int, what: str) -> DamagedLog:
    return DamagedLog(f"{path} is damaged at byte {offset:,}: {what}")
