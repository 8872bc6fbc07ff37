"""Distance of log-mel spectrograms."""

from functools import lru_cache

import numpy as np
import torch
import torchaudio.functional
from numpy.typing import NDArray
from torch import Tensor

from encodec_eval.types import Metric, UndefinedError

BANDS = 80
FLOOR_DB = -80.0


@lru_cache(maxsize=8)
def _filters(bins: int, sample_rate: int) -> Tensor:
    return torchaudio.functional.melscale_fbanks(
        bins, 0, sample_rate / 2, BANDS, sample_rate, "slaney", "slaney"
    ).double()


def log_mel_distance(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """Mean absolute difference in dB of 80-band mel power spectra, from 0 Hz to half the rate.

    Hann windows of 46 ms at a hop of a quarter. Both are floored 80 dB below the reference's strongest band.
    """
    size = 2 ** round(np.log2(0.0464 * sample_rate))
    if len(reference) < size:
        raise UndefinedError(f"shorter than one window of {size} samples")
    window = torch.hann_window(size, dtype=torch.float64)
    pair = torch.from_numpy(np.stack([reference, estimate]))
    power = torch.stft(pair, size, size // 4, window=window, center=False, return_complex=True).abs().square()
    mel = power.transpose(1, 2) @ _filters(size // 2 + 1, sample_rate)
    floor = mel[0].max() * 10 ** (FLOOR_DB / 10)
    level_db = 10 * torch.log10(mel.clamp(min=floor))
    return float((level_db[0] - level_db[1]).abs().mean())


METRICS = [
    Metric(
        name="log_mel",
        title="Log-mel distance",
        unit="dB",
        higher_is_better=False,
        range=(0, -FLOOR_DB),
        source="mean absolute difference of 80-band mel spectra in dB; 46 ms Hann windows, floor -80 dB",
        function=log_mel_distance,
        channels="each",
    )
]
