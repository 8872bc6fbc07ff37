"""Audio <-> `.ecdc` files: `compress`, `decompress`, and the same for file objects of any length."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import torch
from torch import Tensor

from codec.ecdc import container
from codec.ecdc.container import SEGMENT_FRAMES, Segment, Writer, segment_frames
from codec.ecdc.header import Header, read_header
from codec.ecdc.models import SHA_DIGITS, check_lm, config_of, models_for, short_name
from codec.errors import EcdcError
from codec.lm.model import LanguageModel
from codec.model import EncodecModel
from codec.streaming import DecoderStream, EncoderStream

logger = logging.getLogger(__name__)

BLOCK = 1 << 19  # samples pushed at once


def compress(
    model: EncodecModel,
    wav: Tensor,
    bandwidth: float | None = None,
    lm: LanguageModel | None = None,
    compatible: bool = False,
) -> bytes:
    """Compress `wav [C, T]` (the model's rate and channels, full scale at 1) to the bytes of an `.ecdc` file.

    Args:
        bandwidth: kbps, one of the model's; None means the lowest.
        lm: codes are entropy-coded with this language model, in the portable format (version 1).
        compatible: with `lm`, write facebook's format, which decodes only with the same kernels and thread count.

    Without `lm` the bytes are those of `encodec.compress` for the same codes. Raises `EcdcError` for audio, a
    bandwidth or a language model that does not fit the model.
    """
    file = io.BytesIO()
    compress_blocks(model, torch.split(wav, BLOCK, dim=-1), file, bandwidth, lm, compatible)
    return file.getvalue()


def compress_blocks(
    model: EncodecModel,
    blocks: Iterable[Tensor],
    file: BinaryIO,
    bandwidth: float | None = None,
    lm: LanguageModel | None = None,
    compatible: bool = False,
    coded: Callable[[Segment], object] = lambda segment: None,
) -> Header:
    """`compress` audio that comes in blocks `[C, T]` of any lengths to a binary file object, in constant memory.

    `coded` is called with each segment. Returns the file's header.
    """
    try:
        stream = EncoderStream(model, bandwidth)
    except ValueError as error:
        raise EcdcError(str(error)) from error
    header = _new_header(model, model.config.codebooks_for(bandwidth), lm, compatible)
    writer = Writer(header, model.config, lm)
    length = 0

    def pushed() -> Iterator[tuple[Tensor, Tensor | None]]:
        nonlocal length
        for block in blocks:
            _check_audio(model, block)
            length += block.shape[-1]
            yield from stream.push(block[None].to(model.device, model.dtype))
        yield from stream.flush()

    for segment in _segments(model, pushed()):
        writer.add(segment)
        coded(segment)
    return writer.finish(file, length)


def compress_codes(
    model: EncodecModel,
    codes: Tensor,
    scales: Sequence[float] | None,
    audio_length: int,
    lm: LanguageModel | None = None,
) -> bytes:
    """The file that `compress` makes, from codes `[N, K, F]` of `audio_length` samples and their N scales."""
    header = _new_header(model, codes.shape[1], lm, compatible=False)
    writer = Writer(header, model.config, lm)
    start = 0
    for n, frames in enumerate(segment_frames(model.config, audio_length)):
        if not model.config.segmented:
            writer.add(Segment(codes[0, :, start : start + frames]))
            start += frames
        else:
            writer.add(Segment(codes[n, :, :frames], scales[n] if scales is not None else None))
    file = io.BytesIO()
    writer.finish(file, audio_length)
    return file.getvalue()


def _new_header(model: EncodecModel, codebooks: int, lm: LanguageModel | None, compatible: bool) -> Header:
    """A header without length and segments. Raises `EcdcError` if the language model is not the model's."""
    header = Header(0, short_name(model), 0, codebooks, lm is not None)
    if lm is None:
        return header
    check_lm(lm, model)
    if compatible:
        return header
    digests = model.checkpoint_sha256[:SHA_DIGITS], lm.sha256[:SHA_DIGITS]
    return replace(header, version=1, lm_name=lm.name, model_sha256=digests[0], lm_sha256=digests[1])


def decompress(
    data: bytes, model: EncodecModel | None = None, lm: LanguageModel | None = None, skip_damaged: bool = False
) -> tuple[Tensor, int]:
    """Decode the bytes of an `.ecdc` file of version 0 or 1: audio `[C, T]` and its sample rate in Hz.

    Args:
        model: the one the file was made with; None loads it by the name in the file (known names only).
        lm: likewise the language model, where the file needs one.
        skip_damaged: damaged segments of version 1 become silence instead of an error.

    Raises `EcdcError` for a damaged file or one made with another model, `CheckpointError` if a model cannot be had.
    """
    file = io.BytesIO(data)
    _, model, blocks = open_file(file, model, lm, skip_damaged)
    empty = torch.zeros(model.config.audio_channels, 0)
    return torch.cat([empty, *blocks], dim=-1), model.config.sampling_rate


def open_file(
    file: BinaryIO, model: EncodecModel | None = None, lm: LanguageModel | None = None, skip_damaged: bool = False
) -> tuple[Header, EncodecModel, Iterator[Tensor]]:
    """Open a binary file object for decoding: its header, the model it needs, and its audio in blocks `[C, T]`.

    Arguments and errors as in `decompress`; errors of the body are raised as the blocks are read.
    """
    header = read_header(file)
    model, lm = models_for(header, model, lm)
    segments = container.read(file, header, model.config, lm, skip_damaged)
    return header, model, _decode(model, header, segments)


def read_codes(file: BinaryIO, model: EncodecModel | None = None, lm: LanguageModel | None = None) -> Iterator[Segment]:
    """The codes of a file without their audio, segment after segment. Arguments and errors as in `decompress`."""
    header = read_header(file)
    model, lm = models_for(header, model, lm)
    return container.read(file, header, model.config, lm)


def describe(file: BinaryIO, model: EncodecModel | None = None) -> dict[str, str]:
    """What a file holds, name by name, for people to read; checksums of version 1 are checked.

    Raises `EcdcError` for a damaged header, or if `model` is None and the file's model is not one that loads by name.
    """
    start = file.tell()
    header = read_header(file)
    config = model.config if model is not None else config_of(header.model)
    damaged = container.damaged_segments(file, header)
    size = file.seek(0, io.SEEK_END) - start
    duration_s = header.audio_length / config.sampling_rate
    nominal = header.codebooks * config.codebook_nbits * config.frame_rate / 1000
    segments = container.segment_count(config, header.audio_length)
    if header.version == 0 and not config.segmented:
        segments = min(1, segments)
    checksums = "none in version 0"
    if header.version == 1:
        checksums = f"damaged: {', '.join(map(str, damaged))}" if damaged else "ok"
    return {
        "format": f"version {header.version}" + (", portable" if header.version else ", as facebook's"),
        "model": " ".join([header.model, header.model_sha256]).strip(),
        "language model": " ".join([header.lm_name, header.lm_sha256]).strip() or ("yes" if header.lm else "none"),
        "duration": f"{duration_s:.3f} s ({header.audio_length} samples at {config.sampling_rate} Hz)",
        "codebooks": str(header.codebooks),
        "nominal bitrate": f"{nominal:.3f} kbps",
        "file bitrate": f"{8 * size / 1000 / duration_s:.3f} kbps ({size} bytes)" if duration_s else f"({size} bytes)",
        "segments": str(segments),
        "checksums": checksums,
    }


def _check_audio(model: EncodecModel, wav: Tensor) -> None:
    if wav.ndim != 2 or wav.shape[0] != model.config.audio_channels:
        raise EcdcError(f"{model.name} takes audio [{model.config.audio_channels}, T], not {list(wav.shape)}")
    if not bool(wav.isfinite().all()):
        raise EcdcError("audio to compress holds NaN or infinite samples; expected finite samples")


def _segments(model: EncodecModel, coded: Iterable[tuple[Tensor, Tensor | None]]) -> Iterator[Segment]:
    """What an encoder stream gives -> the segments of `container.segment_frames`."""
    if model.config.segmented:
        yield from (Segment(codes[0].cpu(), None if scale is None else scale.item()) for codes, scale in coded)
        return
    held = torch.zeros(0, 0, dtype=torch.int64)
    for codes, _ in coded:
        held = torch.cat([held, codes[0].cpu()], dim=-1) if held.numel() else codes[0].cpu()
        while held.shape[-1] >= SEGMENT_FRAMES:
            yield Segment(held[:, :SEGMENT_FRAMES])
            held = held[:, SEGMENT_FRAMES:]
    if held.shape[-1]:
        yield Segment(held)


def _decode(model: EncodecModel, header: Header, segments: Iterator[Segment]) -> Iterator[Tensor]:
    """Audio blocks `[C, T]`, `header.audio_length` samples in all; silence where a segment has no codes."""
    left = header.audio_length
    for block in _decode_all(model, header, segments):
        block = block[0, :, :left].cpu()
        left -= block.shape[-1]
        yield block


def _decode_all(model: EncodecModel, header: Header, segments: Iterator[Segment]) -> Iterator[Tensor]:
    config = model.config
    stream = DecoderStream(model)
    lengths = segment_frames(config, header.audio_length)
    for frames, (codes, scale, error) in zip(lengths, segments, strict=True):
        if codes is None:
            logger.warning("%s; it is silent", error)
        like = torch.zeros(1, header.codebooks, frames, dtype=torch.int64, device=model.device)
        factor = torch.full((1, 1), scale or 0.0, dtype=model.dtype, device=model.device) if config.normalize else None
        if codes is not None:
            yield stream.push(like.copy_(codes), factor)
        elif not config.segmented:
            yield stream.flush()
            yield torch.zeros(1, config.audio_channels, frames * config.hop_length)
        else:
            # A scale of 0 silences also what fades into the next segment.
            yield torch.zeros_like(stream.push(like, factor))
    yield stream.flush()
