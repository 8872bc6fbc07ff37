"""What several metrics begin with: checks of their input, frames, spectra, mel filters. Offers no metric itself."""

import warnings
from functools import lru_cache

import numpy as np
import torch
import torchaudio.functional
from numpy.typing import NDArray
from torch import Tensor

from encodec_eval.types import UndefinedError

Floats = NDArray[np.float64]


def check(reference: Floats, estimate: Floats, minimum: int = 1) -> None:
    """Raise what a metric of `reference [T]` and `estimate [T]` raises for input that it cannot use.

    `ValueError` unless both are finite and of one shape `[T]`; `UndefinedError` for fewer than `minimum` samples or a
    reference of zeros.
    """
    if reference.ndim != 1 or reference.shape != estimate.shape:
        raise ValueError(f"expected two arrays of one shape [T], got {reference.shape} and {estimate.shape}")
    if not (np.isfinite(reference).all() and np.isfinite(estimate).all()):
        raise ValueError("expected finite samples, got NaN or infinite ones")
    if len(reference) < minimum:
        raise UndefinedError(f"{len(reference)} samples are too few: it needs {minimum}")
    if not reference.any():
        raise UndefinedError("the reference is silent")


def frames(x: Floats, size: int, hop: int) -> Floats:
    """Every whole frame of `x [T]`: `[F, size]`, a view."""
    return np.lib.stride_tricks.sliding_window_view(x, size)[::hop]


def window_size(seconds: float, sample_rate: int) -> int:
    """The power of two that is nearest to so many seconds."""
    return int(2 ** round(np.log2(seconds * sample_rate)))


def magnitudes(reference: Floats, estimate: Floats, size: int, hop: int, center: bool = False) -> Tensor:
    """Magnitude spectra `[2, F, size // 2 + 1]` of both through a periodic Hann window; `center` pads by reflection."""
    pair = torch.from_numpy(np.stack([reference, estimate]))
    window = torch.hann_window(size, dtype=torch.float64)
    return torch.stft(pair, size, hop, window=window, center=center, return_complex=True).abs().transpose(1, 2)


@lru_cache(maxsize=16)
def mel_filters(bins: int, sample_rate: int, bands: int) -> Tensor:
    """Slaney's triangular filters of equal area, `[bins, bands]`, from 0 Hz to half the rate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of bands narrower than a bin, which stay empty
        filters = torchaudio.functional.melscale_fbanks(
            bins, 0, sample_rate / 2, bands, sample_rate, "slaney", "slaney"
        )
    return filters.double()


def floored_levels_db(power: Tensor, floor_db: float) -> Tensor:
    """`power [2, ...]`, reference first, in dB; both floored `floor_db` relative to the reference's strongest value."""
    return _levels_db(power, power[0].max(), floor_db)


def own_floored_levels_db(power: Tensor, floor_db: float) -> Tensor:
    """`floored_levels_db`, each of the two floored relative to its own strongest value: a gain moves its floor too."""
    tiny = torch.finfo(power.dtype).tiny  # of an estimate that is silent
    return torch.stack(
        [_levels_db(each, each.max().clamp(min=tiny / 10 ** (floor_db / 10)), floor_db) for each in power]
    )


def _levels_db(power: Tensor, top: Tensor, floor_db: float) -> Tensor:
    return 10 * torch.log10(power.clamp(min=top * 10 ** (floor_db / 10)))
