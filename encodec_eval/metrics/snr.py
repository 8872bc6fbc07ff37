"""Ratios of signal to error that count the gain: over the whole clip, and frame by frame."""

import numpy as np
from numpy.typing import NDArray

from encodec_eval.metrics.framing import check, frames
from encodec_eval.types import Metric, UndefinedError

FRAME_S = 0.03
LOWEST_DB, HIGHEST_DB = -10.0, 35.0
SILENT_DB = -60.0


def snr(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """SNR in dB: energy of `reference [T]` over that of `estimate [T]` minus it.

    Undefined for a silent reference and for an estimate without any error.
    """
    check(reference, estimate)
    error = estimate - reference
    if not error.any():
        raise UndefinedError("the estimate has no error: the SNR is infinite")
    return float(10 * np.log10((reference @ reference) / (error @ error)))


def segmental_snr(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """Mean in dB over frames of the SNR of each, kept within -10 and 35 dB.

    Hann frames of 30 ms at a hop of a quarter (Loizou, Speech Enhancement, 2nd ed., section 11.1). Frames of the
    reference that are 60 dB below its loudest say nothing about what is heard, and are left out. Undefined for a silent
    reference and for less than one frame.
    """
    size = round(FRAME_S * sample_rate)
    check(reference, estimate, size)
    window = np.hanning(size + 2)[1:-1]
    signal = ((frames(reference, size, size // 4) * window) ** 2).sum(axis=1)
    error = ((frames(estimate - reference, size, size // 4) * window) ** 2).sum(axis=1)
    if not signal.any():
        raise UndefinedError("the reference is silent")
    heard = signal > signal.max() * 10 ** (SILENT_DB / 10)
    with np.errstate(divide="ignore"):
        ratio_db = 10 * np.log10(signal[heard] / error[heard])
    return float(np.clip(ratio_db, LOWEST_DB, HIGHEST_DB).mean())


METRICS = [
    Metric(
        name="snr",
        title="SNR",
        unit="dB",
        higher_is_better=True,
        range=(-float("inf"), float("inf")),
        source="10 log10 of the reference's energy over that of the difference",
        function=snr,
        channels="each",
        purpose="how much of the waveform is kept, a wrong gain counted as error",
        groups=("speech", "music"),
    ),
    Metric(
        name="seg_snr",
        title="Segmental SNR",
        unit="dB",
        higher_is_better=True,
        range=(LOWEST_DB, HIGHEST_DB),
        source="Loizou, Speech Enhancement, 2013, section 11.1: 30 ms frames, -10 to 35 dB; silent frames left out",
        function=segmental_snr,
        channels="each",
        purpose="the SNR of soft and loud passages alike",
        groups=("speech",),
    ),
]
