"""The header of an `.ecdc` file <-> bytes.

Everything read is checked against limits and against the bytes that are there before memory is taken for it.
"""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from codec.errors import EcdcError

MAGIC = b"ECDC"
MAX_JSON = 1 << 12
MAX_LENGTH = 1 << 40  # samples

_PREFIX = struct.Struct("!4sBI")
_ENTRY = struct.Struct("!II")
_CRC = struct.Struct("!I")


class Entry(NamedTuple):
    """What the table says of a segment's body: its size in bytes and its CRC32."""

    size: int
    crc: int


@dataclass(frozen=True)
class Header:
    """What an `.ecdc` file says of itself. `audio_length` is in samples, hashes are the first digits.

    Version 0 leaves all after `lm` empty. `entries` are those of the table.
    """

    version: int
    model: str
    audio_length: int
    codebooks: int
    lm: bool
    model_sha256: str = ""
    lm_name: str = ""
    lm_sha256: str = ""
    entries: tuple[Entry, ...] = ()

    def to_bytes(self) -> bytes:
        values: dict[str, object] = {"m": self.model, "al": self.audio_length, "nc": self.codebooks, "lm": self.lm}
        if self.version == 1:
            about = {"ms": self.model_sha256, "ln": self.lm_name, "ls": self.lm_sha256, "ns": len(self.entries)}
            values |= about
        # Version 0 is spaced as `encodec` spaces it, so that files are equal byte for byte.
        text = json.dumps(values, separators=(",", ":") if self.version else None).encode()
        data = _PREFIX.pack(MAGIC, self.version, len(text)) + text
        if self.version == 1:
            data += b"".join(_ENTRY.pack(*entry) for entry in self.entries)
            data += _CRC.pack(zlib.crc32(data))
        return data


def read_header(file: BinaryIO) -> Header:
    """Read and check the header. Raises `EcdcError` for whatever is wrong with it."""
    start = read_exactly(file, _PREFIX.size, "the header")
    magic, version, size = _PREFIX.unpack(start)
    if magic != MAGIC:
        raise EcdcError(f"not an .ecdc file: it begins with {magic!r}, not {MAGIC!r}")
    if version not in (0, 1):
        raise EcdcError(f".ecdc version {version} is unknown; versions 0 and 1 can be read")
    if size > MAX_JSON:
        raise EcdcError(f"the header claims {size} bytes; expected at most {MAX_JSON}")
    text = read_exactly(file, size, "the header")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EcdcError("the header is not JSON: the file is damaged") from error
    if not isinstance(values, dict):
        raise EcdcError("the header is not a JSON object: the file is damaged")
    length, codebooks = _integer(values, "al", 0, MAX_LENGTH), _integer(values, "nc", 1, 1024)
    model, lm = _text(values, "m"), values.get("lm")
    if not isinstance(lm, bool):
        raise EcdcError("the header's 'lm' must be true or false")
    if version == 0:
        return Header(version, model, length, codebooks, lm)
    count = _integer(values, "ns", 0, MAX_LENGTH)
    crc = zlib.crc32(start + text)
    entries = []
    for _ in range(count):
        data = read_exactly(file, _ENTRY.size, "the table of segments")
        crc = zlib.crc32(data, crc)
        entries.append(Entry(*_ENTRY.unpack(data)))
    if _CRC.unpack(read_exactly(file, _CRC.size, "the header"))[0] != crc:
        raise EcdcError("the header's checksum differs: the file is damaged")
    if not lm:
        raise EcdcError("an .ecdc file of version 1 must be coded with a language model")
    hashes = (_text(values, "ms"), _text(values, "ln"), _text(values, "ls"))
    return Header(version, model, length, codebooks, lm, *hashes, tuple(entries))


def read_exactly(file: BinaryIO, size: int, what: str) -> bytes:
    """Exactly `size` bytes, asked for in steps so that a false size takes no memory; pipes may give fewer at a time."""
    parts = []
    while size:
        part = file.read(min(size, 1 << 20))
        if not part:
            raise EcdcError(f"the file ends within {what}: {size} bytes are missing")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _integer(values: dict[str, object], key: str, low: int, high: int) -> int:
    value = values.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise EcdcError(f"the header's {key!r} must be an integer from {low} to {high}, not {str(value)[:40]}")
    return value


def _text(values: dict[str, object], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise EcdcError(f"the header's {key!r} must be a short text, not {str(value)[:40]!r}")
    return value
