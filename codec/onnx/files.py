"""`.ecdc` files of version 0 in numpy: codes that are packed, not entropy-coded."""

import io
import struct
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from codec.config import EncodecConfig
from codec.ecdc.bitpack import pack, packed_size, unpack
from codec.ecdc.header import Header, read_exactly, read_header
from codec.errors import EcdcError

_SCALE = struct.Struct("!f")
_MAX_SCALE = 1e6

Parts = tuple[NDArray[Any], float | None]


def write(config: EncodecConfig, model: str, length: int, codebooks: int, coded: Sequence[Parts]) -> bytes:
    """The file for `length` samples, from codes `[K, F]` and scale of each segment."""
    data = Header(0, model, length, codebooks, lm=False).to_bytes()
    for codes, scale in coded:
        data += b"" if scale is None else _SCALE.pack(scale)
        data += pack(codes.T, config.codebook_nbits)
    return data


def read(config: EncodecConfig, model: str, data: bytes) -> tuple[int, list[Parts]]:
    """Samples of a file, and codes and scale of each segment. Raises `EcdcError` naming what is wrong."""
    file = io.BytesIO(data)
    header = read_header(file)
    if header.lm or header.version != 0:
        raise EcdcError("the file is entropy-coded by a language model; expected version 0 without one")
    if header.model != model:
        raise EcdcError(f"the file was made with model {header.model!r}, not {model!r}")
    if header.codebooks > config.num_quantizers:
        raise EcdcError(f"the header claims {header.codebooks} codebooks; the model has {config.num_quantizers}")
    coded: list[Parts] = []
    for span in config.segments(header.audio_length):
        scale = None
        if config.normalize:
            (scale,) = _SCALE.unpack(read_exactly(file, _SCALE.size, "a scale"))
            if not 0 < scale <= _MAX_SCALE:
                raise EcdcError(f"scale {scale!r} given, expected above 0 and at most {_MAX_SCALE:g}")
        frames = config.frames(span.stop - span.start)
        count = frames * header.codebooks
        packed = read_exactly(file, packed_size(count, config.codebook_nbits), "the codes")
        values = unpack(packed, count, config.codebook_nbits)
        if pack(values, config.codebook_nbits) != packed:
            raise EcdcError("the bits that fill the last byte are not zero: the file is damaged")
        coded.append((values.reshape(frames, -1).T, scale))
    if file.read(1):
        raise EcdcError("bytes follow the last segment: the file is damaged")
    return header.audio_length, coded
