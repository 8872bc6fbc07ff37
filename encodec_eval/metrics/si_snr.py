"""Scale-invariant signal-to-noise ratio."""

import numpy as np
from numpy.typing import NDArray

from encodec_eval.types import Metric, UndefinedError


def si_snr(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """SI-SNR in dB of `estimate [T]` against `reference [T]`, both made zero-mean (Le Roux et al., arXiv 1811.02508).

    Invariant to the estimate's gain, its sign included. Undefined for an estimate without any error.
    """
    reference = reference - reference.mean()
    estimate = estimate - estimate.mean()
    if not reference.any() or not estimate.any():
        raise UndefinedError("a channel is constant: SI-SNR has no meaning")
    target = reference * (reference @ estimate) / (reference @ reference)
    noise = estimate - target
    noise_energy, target_energy = noise @ noise, target @ target
    if noise_energy <= 1e-20 * target_energy:
        raise UndefinedError("the estimate has no error: SI-SNR is infinite")
    if target_energy == 0:
        raise UndefinedError("the estimate is orthogonal to the reference: SI-SNR is minus infinity")
    return float(10 * np.log10(target_energy / noise_energy))


METRICS = [
    Metric(
        name="si_snr",
        title="SI-SNR",
        unit="dB",
        higher_is_better=True,
        range=(-float("inf"), float("inf")),
        source="Le Roux et al., SDR - half-baked or well done?, ICASSP 2019 (arXiv 1811.02508)",
        function=si_snr,
        channels="each",
    )
]
