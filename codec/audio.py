"""Audio files and channel or rate conversion: the only file of the project that touches soundfile."""

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
import torchaudio.functional
from torch import Tensor

from codec.errors import AudioError

logger = logging.getLogger(__name__)

FilePath = str | PathLike[str]

MIN_RATE, MAX_RATE = 1000, 768_000  # Hz: the rates between which audio is resampled
ZERO_CROSSINGS, ROLLOFF = 6, 0.99  # of the filter: the defaults of torchaudio.functional.resample
MAX_KERNEL = 1 << 21  # taps of torchaudio's table: 8 MB; pairs of the usual rates need 1.7 million at most
TAPS_AT_ONCE = 1 << 21
UNKNOWN = (1 << 63) - 1  # libsndfile's length of a file whose header does not tell


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says: rate in Hz, channels, length in samples per channel."""

    sample_rate: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        return self.frames / self.sample_rate


def info(path: FilePath, at_most_s: float = math.inf) -> AudioInfo:
    """Read the header of an audio file. Raises `AudioError` where `load` would for a missing file or no audio.

    A length that the header does not tell, as that of a FLAC written to a pipe, is counted by decoding, which stops
    soon after `at_most_s` seconds.
    """
    with _open(path) as file:
        header = AudioInfo(file.samplerate, file.channels, file.frames)
    if header.frames != UNKNOWN:
        return header
    counted = 0
    for block in stream(path, 1 << 16):
        counted += block.shape[-1]
        if counted > at_most_s * header.sample_rate:
            break
    return replace(header, frames=counted)


def load(path: FilePath, start: int = 0, frames: int | None = None) -> tuple[Tensor, int]:
    """Read an audio file, or `frames` samples of it from sample `start`.

    Returns the audio `[C, T]` as float32 with full scale at 1, and its sample rate in Hz.
    Raises `AudioError` if the file is missing, not audio, empty, or holds NaN or infinite samples.
    """
    blocks = list(stream(path, start=start, frames=frames))
    if not blocks:
        raise AudioError(f"{path} has no samples" + (f" after sample {start}" if start else ""))
    return torch.cat(blocks, dim=-1), info(path).sample_rate


def stream(path: FilePath, block: int = 1 << 20, start: int = 0, frames: int | None = None) -> Iterator[Tensor]:
    """Read an audio file in blocks `[C, <= block]`, float32, without ever holding more. Errors as in `load`."""
    with _open(path) as file:
        if start:
            if not 0 <= start < file.frames:
                raise AudioError(f"{path} has {file.frames} samples; start must be below that, not {start}")
            file.seek(start)
        left = frames if frames is not None else -1
        while left:
            try:
                data = file.read(block if left < 0 else min(block, left), dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise AudioError(f"{path} is damaged: {error}") from error
            if not len(data):
                return
            if not np.isfinite(data).all():
                raise AudioError(f"{path} holds NaN or infinite samples; expected finite samples")
            left = left - len(data) if left > 0 else left
            yield torch.from_numpy(data.T.copy())


def save(path: FilePath, wav: Tensor, sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write `wav [C, T]` (full scale at 1) to the format that the extension of `path` names.

    Levels are never changed. Samples beyond full scale are clipped by integer formats: a warning says how many.
    Raises `AudioError` for NaN or infinite samples, more than two dimensions, or a format libsndfile cannot write.
    """
    save_blocks(path, [wav], sample_rate, subtype)


def save_blocks(
    path: FilePath, blocks: Iterable[Tensor], sample_rate: int, subtype: str = "PCM_16", name: FilePath | None = None
) -> None:
    """`save` audio that comes in blocks `[C, T]` of any lengths, at least one, holding only one at a time.

    Messages speak of `name` where `path` is only a temporary one.
    """
    name = path if name is None else name
    clipped = total = 0
    with contextlib.ExitStack() as stack:
        file = None
        for wav in blocks:
            if wav.ndim != 2:
                raise AudioError(f"audio to save must be [channels, samples], not of shape {tuple(wav.shape)}")
            data = wav.detach().to("cpu", torch.float32).numpy().T
            if not np.isfinite(data).all():
                raise AudioError(f"refusing to write NaN or infinite samples to {name}")
            if not subtype.startswith(("FLOAT", "DOUBLE")):
                clipped, total = clipped + int((np.abs(data) > 1).sum()), total + data.size
                data = data.clip(-1, 1)
            try:
                if file is None:
                    file = stack.enter_context(sf.SoundFile(path, "w", sample_rate, data.shape[1], subtype))
                file.write(data)
            except (sf.LibsndfileError, ValueError, TypeError) as error:
                raise AudioError(f"cannot write {name}: {error}") from error
    if file is None:
        raise AudioError(f"no audio to write to {name}")
    if clipped:
        logger.warning("%s: %d of %d samples are beyond full scale and were clipped", name, clipped, total)


def resample(wav: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Band-limited resampling of `[..., T]` from one rate to another (Hz): `ceil(T * to_rate / from_rate)` samples.

    The filter is torchaudio's at any ratio. Raises `AudioError` for rates outside 1 kHz to 768 kHz.
    """
    if from_rate == to_rate:
        return wav
    for rate in (from_rate, to_rate):
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(f"cannot resample audio at {rate} Hz: expected {MIN_RATE} to {MAX_RATE} Hz")
    divisor = math.gcd(from_rate, to_rate)
    old, new = from_rate // divisor, to_rate // divisor
    if new * (old + 2 * _reach(old, new)) <= MAX_KERNEL:
        return torchaudio.functional.resample(wav, from_rate, to_rate)
    return _resample_directly(wav, old, new)


def _reach(old: int, new: int) -> int:
    """Input samples to either side that the filter needs: six zero crossings of the lower rate's sinc."""
    return math.ceil(ZERO_CROSSINGS / ROLLOFF * max(1, old / new))


def _resample_directly(wav: Tensor, old: int, new: int) -> Tensor:
    """What torchaudio computes, without its table of the filter at each of `new` phases.

    The table grows with the product of the reduced rates (0.8 GB from 8,009 to 24,000 Hz). Here the filter is
    evaluated for some output samples at a time: h(t) = sinc(t) cos²(πt / 12), t in zero crossings.
    """
    reach = _reach(old, new)
    samples = wav.shape[-1]
    length = -(-samples * new // old)
    padded = torch.nn.functional.pad(wav, (reach, reach + 2))
    scale = ROLLOFF * min(1, new / old)
    taps = torch.arange(-reach, reach + 2)
    at_once = max(1, TAPS_AT_ONCE // (len(taps) * max(1, wav.numel() // max(1, samples))))
    pieces = []
    for first in range(0, length, at_once):
        position = torch.arange(first, min(first + at_once, length)) * old  # in 1 / new of an input sample
        whole = position // new
        t = scale * (taps - (position % new)[:, None].double() / new)
        t = t.clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
        kernel = scale * torch.sinc(t) * torch.cos(math.pi / 2 / ZERO_CROSSINGS * t) ** 2
        heard = padded[..., whole[:, None] + (taps + reach)]
        pieces.append((heard * kernel.to(wav)).sum(-1))
    return torch.cat(pieces, dim=-1) if pieces else wav[..., :0]


def resample_blocks(blocks: Iterable[Tensor], from_rate: int, to_rate: int) -> Iterator[Tensor]:
    """`resample` audio that comes in blocks `[C, T]` of any lengths: the same result without seams."""
    if from_rate == to_rate:
        yield from blocks
        return
    divisor = math.gcd(from_rate, to_rate)
    old, new = from_rate // divisor, to_rate // divisor
    margin = old * (math.ceil(_reach(old, new) / old) + 1)
    held, done = None, 0  # samples still needed, and how many of them are only the past of others
    for block in blocks:
        held = block if held is None else torch.cat([held, block], dim=-1)
        ready = (held.shape[-1] - margin - done) // old * old
        if ready > 0:
            yield resample(held, from_rate, to_rate)[..., done * new // old : (done + ready) * new // old]
            keep = min(margin, done + ready)
            held, done = held[..., done + ready - keep :], keep
    if held is not None:
        yield resample(held, from_rate, to_rate)[..., done * new // old :]


def to_channels(wav: Tensor, channels: int) -> Tensor:
    """Bring `[C, T]` to 1 or 2 channels: stereo is averaged to mono, mono is copied to both sides of stereo."""
    if wav.shape[0] not in (1, 2) or channels not in (1, 2):
        raise AudioError(f"cannot turn {wav.shape[0]} channels into {channels}; expected 1 or 2 of each")
    if wav.shape[0] == channels:
        return wav
    return wav.mean(dim=0, keepdim=True) if channels == 1 else wav.expand(2, -1)


class _SoundFile(sf.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file that is read without a seek after each block where its length is unknown: that seek fails at its end."""

    def seekable(self) -> bool:
        return bool(self.frames != UNKNOWN and super().seekable())


def _skip(file: sf.SoundFile, samples: int) -> None:
    """Go to a sample, by decoding what is before it where the file cannot seek."""
    if file.seekable():
        file.seek(samples)
        return
    while samples and (read := len(file.read(min(samples, 1 << 16)))):
        samples -= read


def _open(path: FilePath) -> sf.SoundFile:
    if not Path(path).is_file():
        raise AudioError(f"{path} is not a file")
    try:
        return _SoundFile(path)
    except (sf.LibsndfileError, TypeError, ValueError) as error:
        raise AudioError(f"{path} is not audio that libsndfile can read: {error}") from error
