"""The two spectral distances that descript-audio-codec and those who compare with it report."""

import torch
from torch import Tensor

from encodec_eval.metrics.framing import Floats, check, magnitudes, mel_filters
from encodec_eval.types import Metric

WINDOWS = (2048, 512)
MEL_BANDS = {2048: 150, 512: 80}
FLOOR = 1e-5


def stft_distance(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Multi-resolution STFT distance of `estimate [T]`, full scale at 1, to `reference [T]`.

    The sum over Hann windows of 2048 and 512 samples, at a hop of a quarter, of two mean absolute differences: of the
    magnitudes, and of the log10 of their squares, magnitudes below 1e-5 counted as that (Kumar et al., arXiv
    2306.06546; defaults of `MultiScaleSTFTLoss` in descript-audio-codec 1.0). Windows are in samples: clips of other
    rates than 44.1 kHz do not compare with what is published. Undefined for less than 1025 samples.
    """
    check(reference, estimate, WINDOWS[0] // 2 + 1)
    return sum(_distance(magnitudes(reference, estimate, size, size // 4, center=True)) for size in WINDOWS)


def mel_distance(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Multi-resolution mel distance: as `stft_distance`, of 150 mel bands with the longer window and 80 with the other.

    Mel bands of magnitudes, Slaney's, from 0 Hz to half the rate (defaults of `MelSpectrogramLoss` in
    descript-audio-codec 1.0).
    """
    check(reference, estimate, WINDOWS[0] // 2 + 1)
    total = 0.0
    for size in WINDOWS:
        filters = mel_filters(size // 2 + 1, sample_rate, MEL_BANDS[size])
        total += _distance(magnitudes(reference, estimate, size, size // 4, center=True) @ filters)
    return total


def _distance(pair: Tensor) -> float:
    """Mean absolute difference of magnitudes, and of the log10 of their squares."""
    levels = 2 * torch.log10(pair.clamp(min=FLOOR))
    return float((pair[0] - pair[1]).abs().mean() + (levels[0] - levels[1]).abs().mean())


_SOURCE = "Kumar et al., NeurIPS 2023 (arXiv 2306.06546), defaults of descript-audio-codec 1.0; published at 44.1 kHz"
METRICS = [
    Metric(
        name="stft_distance",
        title="STFT distance",
        unit="",
        higher_is_better=False,
        range=(0, float("inf")),
        source=f"{_SOURCE}; Hann windows of 2048 and 512 samples",
        function=stft_distance,
        channels="each",
        purpose="how far the fine spectrum is off, for comparison with papers on neural codecs",
        groups=("speech", "music"),
    ),
    Metric(
        name="mel_distance",
        title="Mel distance",
        unit="",
        higher_is_better=False,
        range=(0, float("inf")),
        source=f"{_SOURCE}; 150 bands of 2048 and 80 of 512 samples",
        function=mel_distance,
        channels="each",
        purpose="how far the mel spectrum is off, for comparison with papers on neural codecs",
        groups=("speech", "music"),
    ),
]
