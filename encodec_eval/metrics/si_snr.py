"""Scale-invariant ratios of signal to error."""

import numpy as np
from numpy.typing import NDArray

from encodec_eval.metrics.framing import check
from encodec_eval.types import Metric, UndefinedError


def si_snr(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """SI-SNR in dB of `estimate [T]` against `reference [T]`, both made zero-mean (Le Roux et al., arXiv 1811.02508).

    Invariant to the estimate's gain, its sign included. Undefined for an estimate without any error.
    """
    reference = reference - reference.mean()
    estimate = estimate - estimate.mean()
    if not reference.any() or not estimate.any():
        raise UndefinedError("a channel is constant: SI-SNR has no meaning")
    return _projected_ratio_db(reference, estimate, "SI-SNR")


def si_sdr(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """SI-SDR in dB of `estimate [T]` against `reference [T]`: `si_snr` with an offset counted as error.

    Undefined for a silent reference or estimate, and for an estimate without any error.
    """
    check(reference, estimate)
    if not estimate.any():
        raise UndefinedError("the estimate is silent: SI-SDR has no meaning")
    return _projected_ratio_db(reference, estimate, "SI-SDR")


def _projected_ratio_db(reference: NDArray[np.float64], estimate: NDArray[np.float64], name: str) -> float:
    """Energy of the estimate's part along the reference over that of the rest."""
    target = reference * (reference @ estimate) / (reference @ reference)
    noise = estimate - target
    noise_energy, target_energy = noise @ noise, target @ target
    if noise_energy <= 1e-20 * target_energy:
        raise UndefinedError(f"the estimate has no error: {name} is infinite")
    if target_energy == 0:
        raise UndefinedError(f"the estimate is orthogonal to the reference: {name} is minus infinity")
    return float(10 * np.log10(target_energy / noise_energy))


_SOURCE = "Le Roux et al., SDR - half-baked or well done?, ICASSP 2019 (arXiv 1811.02508)"
METRICS = [
    Metric(
        name="si_snr",
        title="SI-SNR",
        unit="dB",
        higher_is_better=True,
        range=(-float("inf"), float("inf")),
        source=_SOURCE,
        function=si_snr,
        channels="each",
        purpose="how much of the waveform is kept, whatever the gain and offset",
        groups=("speech", "music"),
    ),
    Metric(
        name="si_sdr",
        title="SI-SDR",
        unit="dB",
        higher_is_better=True,
        range=(-float("inf"), float("inf")),
        source=f"{_SOURCE}, means not removed",
        function=si_sdr,
        channels="each",
        purpose="how much of the waveform is kept, whatever the gain",
        groups=("speech", "music"),
    ),
]
