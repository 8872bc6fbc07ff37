"""The `.ecdc` container: segments of codes <-> bytes, in memory that does not grow with the file.

Version 0 is facebook's: `ECDC`, version, JSON length, JSON; then for each segment of the codec its loudness scale (if
the model has one) and its codes, packed or entropy-coded. A model that codes a clip whole has one segment.

Version 1 (portable entropy coding) adds to the header a table with length and CRC32 of each segment, and a CRC32 of
all that. A clip coded whole is cut into segments of `SEGMENT_FRAMES` frames; each is coded for itself.

Words: a segment is codes and scale, its body the bytes they are coded to, its entry what the table says of the body.

Everything read is checked against limits and against the bytes that are there before memory is taken for it.
"""

import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, islice
from typing import IO, BinaryIO, NamedTuple

import torch
from torch import Tensor

from codec.config import EncodecConfig
from codec.ecdc import entropy
from codec.ecdc.bitpack import pack, packed_size, unpack
from codec.ecdc.header import Entry, Header, read_exactly
from codec.errors import EcdcError
from codec.lm.model import LanguageModel

SEGMENT_FRAMES = 1504  # a multiple of 8: segments packed one by one are the clip packed as a whole
DECODED_AT_ONCE = 8  # segments: the language model steps through them together
MAX_SCALE = 1e6

_SCALE = struct.Struct("!f")


class Segment(NamedTuple):
    """Codes `[K, F]` and loudness scale of a segment; no codes where it is damaged.

    A clip that version 0 codes whole is handled in segments too, which its file does not show.
    """

    codes: Tensor | None
    scale: float | None = None
    error: str = ""


def segment_frames(config: EncodecConfig, audio_length: int) -> Iterator[int]:
    """Frames of each segment of a clip: the model's, or at most `SEGMENT_FRAMES` of a clip that is coded whole."""
    if config.segmented:
        yield from (config.frames(span.stop - span.start) for span in config.segments(audio_length))
    else:
        frames = config.frames(audio_length)
        yield from (min(SEGMENT_FRAMES, frames - start) for start in range(0, frames, SEGMENT_FRAMES))


def segment_count(config: EncodecConfig, audio_length: int) -> int:
    """How many segments `segment_frames` names."""
    return len(config.segments(audio_length)) if config.segmented else -(-config.frames(audio_length) // SEGMENT_FRAMES)


class Writer:
    """Writes a file of `header.version`: `add` the segments of `segment_frames` in order, then `finish`.

    The header comes first in the file but is known last, so the bodies wait in a temporary file.
    """

    def __init__(self, header: Header, config: EncodecConfig, lm: LanguageModel | None) -> None:
        self._header, self._config, self._lm = header, config, lm
        self._bodies: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=1 << 24)  # noqa: SIM115 (closed by finish)
        self._entries: list[Entry] = []
        self._stream: entropy.CompatibleEncoder | None = None

    def add(self, segment: Segment) -> None:
        assert segment.codes is not None
        bodies = self._bodies
        if self._lm is None:
            bodies.write(scale_bytes(segment.scale) + pack(segment.codes.t().numpy(), self._config.codebook_nbits))
        elif self._header.version == 1:
            body = scale_bytes(segment.scale) + entropy.encode(self._lm, segment.codes)
            self._entries.append(Entry(len(body), _body_crc(len(self._entries), body)))
            bodies.write(body)
        else:
            bodies.write(scale_bytes(segment.scale))
            if self._stream is None:
                self._stream = entropy.CompatibleEncoder(self._lm, self._header.codebooks, bodies)
            self._stream.push(segment.codes)
            if self._config.segmented:
                self._end_stream()

    def finish(self, file: BinaryIO, audio_length: int) -> Header:
        """Write the file for `audio_length` samples; returns its header."""
        self._end_stream()
        header = replace(self._header, audio_length=audio_length, entries=tuple(self._entries))
        file.write(header.to_bytes())
        self._bodies.seek(0)
        shutil.copyfileobj(self._bodies, file)
        self._bodies.close()
        return header

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.finish()
            self._stream = None


def read(
    file: BinaryIO, header: Header, config: EncodecConfig, lm: LanguageModel | None, skip_damaged: bool = False
) -> Iterator[Segment]:
    """The segments of a file whose header was read. The caller has checked that model and `lm` are those of the header.

    Raises `EcdcError` for damage, or yields damaged segments of version 1 without codes if `skip_damaged`.
    """
    if header.codebooks > config.num_quantizers:
        raise EcdcError(f"the header claims {header.codebooks} codebooks; the model has {config.num_quantizers}")
    if header.version == 1 and lm is not None:
        yield from _read_portable(file, header, config, lm, skip_damaged)
    else:
        yield from _read_version_0(file, header, config, lm)
    if file.read(1):
        raise EcdcError("bytes follow the last segment: the file is damaged")


def _read_version_0(
    file: BinaryIO, header: Header, config: EncodecConfig, lm: LanguageModel | None
) -> Iterator[Segment]:
    whole = not config.segmented
    decoder = None
    for frames in segment_frames(config, header.audio_length):
        scale = _read_scale(read_exactly(file, _SCALE.size, "a scale")) if config.normalize else None
        if lm is None:
            count = frames * header.codebooks
            data = read_exactly(file, packed_size(count, config.codebook_nbits), "the codes")
            values = unpack(data, count, config.codebook_nbits)
            if data != pack(values, config.codebook_nbits):
                raise EcdcError("the bits that fill the last byte are not zero: the file is damaged")
            codes = torch.from_numpy(values.reshape(frames, -1).T.copy())
        else:
            if decoder is None or not whole:
                decoder = entropy.CompatibleDecoder(lm, header.codebooks, file)
            codes = decoder.pull(frames)
            if not whole:
                decoder.finish()
        yield Segment(codes, scale)
    if decoder is not None and whole:
        decoder.finish()


def _read_portable(
    file: BinaryIO, header: Header, config: EncodecConfig, lm: LanguageModel, skip_damaged: bool
) -> Iterator[Segment]:
    if len(header.entries) != segment_count(config, header.audio_length):
        raise EcdcError(
            f"the header lists {len(header.entries)} segments; {header.audio_length} samples of model {header.model} "
            f"have {segment_count(config, header.audio_length)}"
        )

    def damage(number: int, error: EcdcError) -> Segment:
        message = f"segment {number} of {len(header.entries)} is damaged: {error}"
        if skip_damaged:
            return Segment(None, error=message)
        raise EcdcError(message)

    numbered = zip(enumerate(header.entries), segment_frames(config, header.audio_length), strict=True)
    for frames, group in groupby(numbered, key=lambda item: item[1]):
        while batch := list(islice(group, DECODED_AT_ONCE)):
            segments: dict[int, Segment] = {}
            bodies: dict[int, bytes] = {}
            for (number, entry), _ in batch:
                try:
                    bodies[number] = _read_body(file, number, entry)
                except EcdcError as error:
                    segments[number] = damage(number, error)
            head = _SCALE.size if config.normalize else 0
            decoded = entropy.decode(lm, [body[head:] for body in bodies.values()], header.codebooks, frames)
            for (number, body), codes in zip(bodies.items(), decoded, strict=True):
                try:
                    if isinstance(codes, EcdcError):
                        raise codes
                    segments[number] = Segment(codes, _read_scale(body[:head]) if head else None)
                except EcdcError as error:
                    segments[number] = damage(number, error)
            yield from (segments[number] for (number, _), _ in batch)


def damaged_segments(file: BinaryIO, header: Header) -> list[int]:
    """Segments of version 1 whose bytes are missing or differ from their checksum: no model is needed to tell."""
    damaged = []
    for number, entry in enumerate(header.entries):
        try:
            _read_body(file, number, entry)
        except EcdcError:
            damaged.append(number)
    return damaged


def _read_body(file: BinaryIO, number: int, entry: Entry) -> bytes:
    body = read_exactly(file, entry.size, "its body")
    if _body_crc(number, body) != entry.crc:
        raise EcdcError("its checksum differs")
    return body


def _body_crc(number: int, body: bytes) -> int:
    """The segment's number is part of it, so that swapped segments are noticed."""
    return zlib.crc32(body, zlib.crc32(number.to_bytes(8, "big")))


def scale_bytes(scale: float | None) -> bytes:
    """The scale as it stands in files, nothing for None. Raises `EcdcError` for one that no file may hold."""
    if scale is None:
        return b""
    _check_scale(scale)
    return _SCALE.pack(scale)


def _read_scale(data: bytes) -> float:
    if len(data) != _SCALE.size:
        raise EcdcError("the segment is too short for its scale")
    scale: float = _SCALE.unpack(data)[0]
    _check_scale(scale)
    return scale


def _check_scale(scale: float) -> None:
    if not 0 < scale <= MAX_SCALE:
        raise EcdcError(f"a segment's loudness scale must be above 0 and at most {MAX_SCALE:g}, not {scale!r}")
