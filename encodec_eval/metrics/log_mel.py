"""Distance of log-mel spectrograms."""

import numpy as np
from numpy.typing import NDArray

from encodec_eval.metrics.framing import floored_levels_db, magnitudes, mel_filters, window_size
from encodec_eval.types import Metric, UndefinedError

BANDS = 80
FLOOR_DB = -80.0


def log_mel_distance(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """Mean absolute difference in dB of 80-band mel power spectra, from 0 Hz to half the rate.

    Hann windows of 46 ms at a hop of a quarter. Both are floored 80 dB below the reference's strongest band.
    """
    size = window_size(0.0464, sample_rate)
    if len(reference) < size:
        raise UndefinedError(f"shorter than one window of {size} samples")
    power = magnitudes(reference, estimate, size, size // 4).square()
    level_db = floored_levels_db(power @ mel_filters(size // 2 + 1, sample_rate, BANDS), FLOOR_DB)
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
        purpose="how far the spectrum is off, band by band as the ear groups it",
        groups=("speech", "music"),
    )
]
