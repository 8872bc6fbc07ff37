"""`.ecdc` to `.ecdc` at a lower rate: the first codebooks of each frame are the code of that rate."""

import io
from dataclasses import replace
from typing import BinaryIO

from codec.ecdc import container
from codec.ecdc.header import Header, read_header
from codec.ecdc.models import config_of, models_for
from codec.errors import EcdcError
from codec.lm.model import LanguageModel
from codec.model import EncodecModel


def transcode(
    data: bytes, bandwidth: float, model: EncodecModel | None = None, lm: LanguageModel | None = None
) -> bytes:
    """The file that `compress` makes of the same audio at `bandwidth` kbps, from the bytes of one of a higher rate.

    Arguments as in `decompress`. A file with entropy coding needs its language model and keeps its format; one without
    needs no weights. Raises `EcdcError` for a damaged file, or a bandwidth that is not the model's or above the file's.
    """
    target = io.BytesIO()
    transcode_file(io.BytesIO(data), target, bandwidth, model, lm)
    return target.getvalue()


def transcode_file(
    source: BinaryIO,
    target: BinaryIO,
    bandwidth: float,
    model: EncodecModel | None = None,
    lm: LanguageModel | None = None,
) -> Header:
    """`transcode` of binary file objects, in constant memory. Returns the new file's header."""
    header = read_header(source)
    if header.lm or model is not None:
        model, lm = models_for(header, model, lm)
        config = model.config
    else:
        config = config_of(header.model)
    try:
        codebooks = config.codebooks_for(bandwidth)
    except ValueError as error:
        raise EcdcError(str(error)) from error
    if codebooks > header.codebooks:
        raise EcdcError(
            f"{bandwidth:g} kbps are {codebooks} codebooks; the file has {header.codebooks}: expected a lower rate"
        )
    writer = container.Writer(replace(header, codebooks=codebooks, entries=()), config, lm)
    for segment in container.read(source, header, config, lm):
        assert segment.codes is not None
        writer.add(segment._replace(codes=segment.codes[:codebooks]))
    return writer.finish(target, header.audio_length)
